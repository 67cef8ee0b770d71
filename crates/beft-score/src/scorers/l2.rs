use beft_core::BiasSnapshot;

use crate::scorer::{pairs, score_each};
use crate::{Cell, ScoreError, Scorer, Scores};

/// The Euclidean length of the change, `|b1 - b0|`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct L2;

impl Scorer for L2 {
    fn name(&self) -> &'static str {
        "l2"
    }

    fn score(&self, before: &BiasSnapshot, after: &BiasSnapshot) -> Result<Scores, ScoreError> {
        score_each(self.name(), before, after, |b0, b1| {
            let squares = pairs(b0, b1).map(|(x0, x1)| (x1 - x0).powi(2));
            Cell::of(squares.sum::<f64>().sqrt())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scorer::tests::cell;

    #[test]
    fn l2_by_hand() {
        assert_eq!(cell(&L2, &[1.0, 2.0], &[4.0, 6.0]), Cell::of(5.0));
    }
}
