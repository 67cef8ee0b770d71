use beft_core::BiasSnapshot;

use super::angle::degrees;
use crate::scorer::{pairs, score_each};
use crate::{Cell, Note, ScoreError, Scorer, Scores};

/// The score of the paper (BEFT, arXiv 2509.15974), from the angle and the relative length of the
/// bias before (b0) and after (b1):
///
/// ```text
/// 1 - <b1, b0> / max(|b0|^2, |b1|^2)  =  1 - cos(angle) * shorter length / longer length
/// ```
///
/// Without unit, between 0 (unchanged) and 2 (sign flipped); the same when both snapshots are
/// scaled by one factor, or swapped. Biases of zeros and angles over 90 degrees get a [`Note`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beft;

impl Scorer for Beft {
    fn name(&self) -> &'static str {
        "beft"
    }

    fn score(&self, before: &BiasSnapshot, after: &BiasSnapshot) -> Result<Scores, ScoreError> {
        score_each(self.name(), before, after, beft_cell)
    }
}

fn beft_cell(b0: &[f32], b1: &[f32]) -> Cell {
    // Squares of f32 neither overflow nor vanish in f64, so zero means all zeros.
    let dot = |a, b| pairs(a, b).map(|(x, y)| x * y).sum::<f64>();
    let (before, after, product) = (dot(b0, b0), dot(b1, b1), dot(b0, b1));
    let noted = |note| Cell {
        value: Some(1.0),
        note: Some(note),
    };
    match (before > 0.0, after > 0.0) {
        (false, false) => {
            return Cell {
                value: None,
                note: Some(Note::BothZero),
            };
        }
        (false, true) => return noted(Note::ZeroBefore),
        (true, false) => return noted(Note::ZeroAfter),
        (true, true) => {}
    }
    // 1 - <b1,b0>/|a|^2 = <a, a - b>/|a|^2 with a the longer and b the shorter of the two: the same
    // number, but a small change does not drown in the rounding of "1 - almost 1".
    let (longer, shorter, square) = if after > before {
        (b1, b0, after)
    } else {
        (b0, b1, before)
    };
    let change: f64 = pairs(longer, shorter).map(|(a, b)| a * (a - b)).sum();
    let value = (change / square).max(0.0);
    let note = (product < 0.0)
        .then(|| degrees(b0, b1))
        .flatten()
        .map(|degrees| Note::Obtuse { degrees });
    Cell {
        value: Some(value),
        note,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scorer::tests::cell;

    fn beft(b0: &[f32], b1: &[f32]) -> f64 {
        let cell = cell(&Beft, b0, b1);
        assert_eq!(cell.note, None);
        cell.value.unwrap()
    }

    #[test]
    fn beft_by_hand() {
        // <b1,b0> = 3 + 8 = 11, |b0|^2 = 5, |b1|^2 = 25.
        assert!((beft(&[1.0, 2.0], &[3.0, 4.0]) - 14.0 / 25.0).abs() < 1e-15);
        // Shrunk: the longer one is b0.
        assert!((beft(&[3.0, 4.0], &[1.0, 2.0]) - 14.0 / 25.0).abs() < 1e-15);
        assert_eq!(beft(&[1.0, 0.0], &[0.0, 1.0]), 1.0);
        assert_eq!(beft(&[1.0, -2.0], &[2.0, -4.0]), 0.5);
        assert_eq!(beft(&[0.1, -0.7, 1e-30], &[0.1, -0.7, 1e-30]), 0.0);
    }

    #[test]
    fn beft_depends_on_neither_the_scale_nor_the_order_of_snapshots_and_values() {
        let (b0, b1) = ([0.3_f32, -1.5, 0.02, 0.9], [0.5_f32, -1.1, 0.4, 0.8]);
        let expected = beft(&b0, &b1);
        assert!((beft(&b1, &b0) - expected).abs() < 1e-15);
        let scaled = |b: [f32; 4]| b.map(|x| -8.0 * x);
        assert!((beft(&scaled(b0), &scaled(b1)) - expected).abs() < 1e-15);
        let mirrored = |b: [f32; 4]| [b[3], b[2], b[1], b[0]];
        assert!((beft(&mirrored(b0), &mirrored(b1)) - expected).abs() < 1e-15);
    }

    #[test]
    fn beft_keeps_tiny_changes() {
        // One value of 1,000 moves by one part in 2^23: 1 - 1/(1 + x) is about x.
        let b0 = [1.0_f32; 1000];
        let mut b1 = b0;
        b1[0] += f32::EPSILON;
        let exact = f64::from(f32::EPSILON) / 1000.0;
        assert!((beft(&b0, &b1) / exact - 1.0).abs() < 1e-6);
    }

    #[test]
    fn beft_handles_the_whole_range_of_f32() {
        assert_eq!(beft(&[f32::MAX], &[f32::MAX / 2.0]), 0.5);
        let tiny = f32::from_bits(1);
        assert_eq!(beft(&[tiny], &[2.0 * tiny]), 0.5);
        assert_eq!(cell(&Beft, &[f32::MAX; 4], &[f32::MIN; 4]).value, Some(2.0));
    }

    #[test]
    fn beft_notes() {
        let noted = |value, note| Cell {
            value,
            note: Some(note),
        };
        let zero = [0.0, -0.0];
        assert_eq!(
            cell(&Beft, &zero, &[1.0, -3.0]),
            noted(Some(1.0), Note::ZeroBefore)
        );
        assert_eq!(
            cell(&Beft, &[1.0, -3.0], &zero),
            noted(Some(1.0), Note::ZeroAfter)
        );
        assert_eq!(cell(&Beft, &zero, &zero), noted(None, Note::BothZero));
        let obtuse = cell(&Beft, &[1.0, 0.0], &[-1.0, 1.0]);
        assert_eq!(obtuse.value, Some(1.5));
        let Some(Note::Obtuse { degrees }) = obtuse.note else {
            panic!("{obtuse:?}");
        };
        assert!((degrees - 135.0).abs() < 1e-12);
    }
}
