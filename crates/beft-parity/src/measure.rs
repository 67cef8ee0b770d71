//! What is compared, and how an error is measured.

/// One comparison.
#[derive(Clone, Debug)]
pub struct Check {
    /// What was compared: `logits`, `grad.bert.pooler.dense.bias`, ...
    pub name: String,
    /// The error found; see [`relative_error`], and [`norm_error`] for `step3`.
    pub error: f64,
    /// The largest error allowed.
    pub tolerance: f64,
}

impl Check {
    /// Whether the error is within the tolerance (a NaN is not).
    pub fn passes(&self) -> bool {
        self.error <= self.tolerance
    }
}

/// `max |a - b| / max(|b|, 10 % of the largest |b|)`: relative element by element, except for
/// elements far below the scale of their own tensor, where f32 sums cancel. (At 1 % PyTorch's own
/// f32 gradients of MiniLM are 1.9e-4 off its f64 ones.) Infinite when lengths differ.
pub fn relative_error(actual: &[f32], expected: &[f32]) -> f64 {
    if actual.len() != expected.len() {
        return f64::INFINITY;
    }
    let largest = expected
        .iter()
        .fold(0.0f64, |m, x| m.max(f64::from(x.abs())));
    actual
        .iter()
        .zip(expected)
        .map(|(a, b)| {
            let (a, b) = (f64::from(*a), f64::from(*b));
            (a - b).abs() / b.abs().max(0.1 * largest).max(f64::MIN_POSITIVE)
        })
        .fold(0.0, |worst: f64, e| {
            if worst.is_nan() || e.is_nan() {
                f64::NAN
            } else {
                worst.max(e)
            }
        })
}

/// `|a - b| / |b|` in the Euclidean norm, for parameters after optimizer steps: AdamW divides by
/// the gradient's own size, so single elements whose gradient cancels to almost nothing are noise
/// (element by element, PyTorch's own f32 is 2.7e-4 off its f64 on MiniLM's pooler bias, which
/// starts at 0). One wrong element still shows. Infinite when lengths differ.
pub fn norm_error(actual: &[f32], expected: &[f32]) -> f64 {
    if actual.len() != expected.len() {
        return f64::INFINITY;
    }
    let square = |x: f64| x * x;
    let pairs = actual
        .iter()
        .zip(expected)
        .map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let difference: f64 = pairs.clone().map(|(a, b)| square(a - b)).sum();
    let norm: f64 = pairs.map(|(_, b)| square(b)).sum();
    (difference / norm.max(f64::MIN_POSITIVE)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_measure_sees_what_it_should() {
        assert_eq!(relative_error(&[1.0, 2.0], &[1.0, 2.0]), 0.0);
        assert!((relative_error(&[1.0, 2.2], &[1.0, 2.0]) - 0.1).abs() < 1e-6);
        assert!(relative_error(&[1.0], &[1.0, 2.0]).is_infinite());
        assert!(relative_error(&[f32::NAN, 2.0], &[1.0, 2.0]).is_nan());
        assert!((norm_error(&[3.0, 4.5], &[3.0, 4.0]) - 0.1).abs() < 1e-6);
        assert!(norm_error(&[f32::NAN], &[1.0]).is_nan());
        // Noise around zero counts relative to the tensor's scale.
        assert!(relative_error(&[100.0, 1e-9], &[100.0, 0.0]) < 1e-8);
    }
}
