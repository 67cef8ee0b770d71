use beft_core::BiasSnapshot;

use crate::scorer::{pairs, score_each};
use crate::{Cell, Note, ScoreError, Scorer, Scores};

/// The angle by which a bias turned, in degrees, 0 to 180. Undefined for a bias of zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Angle;

impl Scorer for Angle {
    fn name(&self) -> &'static str {
        "angle"
    }

    fn score(&self, before: &BiasSnapshot, after: &BiasSnapshot) -> Result<Scores, ScoreError> {
        score_each(self.name(), before, after, |b0, b1| match degrees(b0, b1) {
            Some(degrees) => Cell::of(degrees),
            None => Cell {
                value: None,
                note: Some(Note::NoAngle),
            },
        })
    }
}

/// The angle between two biases in degrees; `None` if one is all zeros.
pub(super) fn degrees(b0: &[f32], b1: &[f32]) -> Option<f64> {
    let dot = |a, b| pairs(a, b).map(|(x, y)| x * y).sum::<f64>();
    let (before, after) = (dot(b0, b0).sqrt(), dot(b1, b1).sqrt());
    if before == 0.0 || after == 0.0 {
        return None;
    }
    // Kahan's form, exact for small angles where the cosine is not.
    let unit = |scale: f64, x: f64| x / scale;
    let (mut sum, mut difference) = (0.0, 0.0);
    for (x, y) in pairs(b0, b1) {
        let (x, y) = (unit(before, x), unit(after, y));
        sum += (x + y).powi(2);
        difference += (x - y).powi(2);
    }
    Some((2.0 * difference.sqrt().atan2(sum.sqrt())).to_degrees())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scorer::tests::cell;

    #[test]
    fn angle_by_hand() {
        let angle = |b0: &[f32], b1: &[f32]| cell(&Angle, b0, b1);
        let close = |cell: Cell, expected: f64| {
            assert!((cell.value.unwrap() - expected).abs() < 1e-12, "{cell:?}");
        };
        close(angle(&[1.0, 0.0], &[0.0, 3.0]), 90.0);
        close(angle(&[1.0, 1.0], &[2.0, 0.0]), 45.0);
        close(angle(&[1.0, -2.0], &[-1.0, 2.0]), 180.0);
        close(angle(&[0.3, 0.7], &[0.6, 1.4]), 0.0);
        // The cosine of this angle rounds to 1.
        close(angle(&[1.0, 0.0], &[1.0, 1e-9]), 1e-9f64.to_degrees());
        assert_eq!(angle(&[0.0], &[1.0]).note, Some(Note::NoAngle));
    }
}
