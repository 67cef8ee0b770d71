use beft_core::BiasSnapshot;

use crate::scorer::{pairs, score_each};
use crate::{Cell, ScoreError, Scorer, Scores};

/// The mean absolute change, `mean(|b1 - b0|)` over the values of a bias: the change-based score
/// that BEFT is compared with.
///
/// In the unit of the bias itself, 0 or more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Magnitude;

impl Scorer for Magnitude {
    fn name(&self) -> &'static str {
        "magnitude"
    }

    fn score(&self, before: &BiasSnapshot, after: &BiasSnapshot) -> Result<Scores, ScoreError> {
        score_each(self.name(), before, after, |b0, b1| {
            let sum: f64 = pairs(b0, b1).map(|(x0, x1)| (x1 - x0).abs()).sum();
            Cell::of(sum / b0.len() as f64)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scorer::tests::cell;

    #[test]
    fn magnitude_by_hand() {
        let magnitude = |b0: &[f32], b1: &[f32]| cell(&Magnitude, b0, b1);
        assert_eq!(
            magnitude(&[1.0, 2.0, 3.0, 4.0], &[1.5, 1.0, 3.0, 6.0]),
            Cell::of(3.5 / 4.0)
        );
        assert_eq!(magnitude(&[0.0, 0.0], &[0.0, 0.0]), Cell::of(0.0));
        // The sum is over f32's range.
        let sum = 2.0 * f64::from(f32::MAX);
        assert_eq!(magnitude(&[f32::MAX], &[f32::MIN]), Cell::of(sum));
    }
}
