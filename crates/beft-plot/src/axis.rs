//! Scales with round numbers.

/// A scale from one round number to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    /// The lower end.
    low: f64,
    high: f64,
    /// Between two labels.
    step: f64,
}

impl Axis {
    /// The scale that has these values on it.
    pub(crate) fn of(low: f64, high: f64) -> Self {
        let step = step(high - low);
        let low = (low / step).floor() * step;
        Self {
            low,
            high: ((high / step).ceil() * step).max(low + step),
            step,
        }
    }

    /// Where a value lies between the ends, 0 to 1.
    pub(crate) fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// The values that have labels.
    pub(crate) fn labels(&self) -> impl Iterator<Item = f64> {
        let steps = ((self.high - self.low) / self.step).round() as i32;
        let value = |index| self.low + self.step * f64::from(index);
        // So that zero is not 1e-17.
        let round = |value: f64| (value / self.step).round() * self.step;
        (0..=steps).map(move |index| round(value(index)))
    }
}

/// A round distance of which about five make `range`.
fn step(range: f64) -> f64 {
    if range <= 0.0 {
        return 1.0;
    }
    let rough = range / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let factors = [1.0, 2.0, 2.5, 5.0, 10.0];
    let factor = factors.iter().find(|factor| *factor * power >= rough);
    factor.unwrap_or(&10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        for (range, wanted) in [
            (1.0, 0.2),
            (0.6, 0.2),
            (0.9, 0.2),
            (1.2, 0.25),
            (37.0, 10.0),
        ] {
            assert!(
                (step(range) - wanted).abs() < 1e-9,
                "{range}: {}",
                step(range)
            );
        }
    }
}
