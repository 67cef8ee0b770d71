use beft_core::{BiasSite, BiasSnapshot, SnapshotError};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Cell, Note, Scores};

/// An importance score computed from the change of each bias.
///
/// Both snapshots must come from the same model, one taken before and one after all biases were
/// fine-tuned. A bias that is missing from both is simply not scored.
pub trait Scorer {
    /// The name used on the command line, in reports and in files.
    fn name(&self) -> &'static str;

    /// Scores every bias of the snapshots.
    ///
    /// # Errors
    ///
    /// [`ScoreError`] when the snapshots cannot be compared or hold nothing to score.
    fn score(&self, before: &BiasSnapshot, after: &BiasSnapshot) -> Result<Scores, ScoreError>;
}

/// Snapshots that cannot be scored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScoreError {
    /// The snapshots do not fit each other, or hold values that are not finite.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// There is no bias in the snapshots.
    #[error("no bias to score: both snapshots are empty")]
    NoBias,
    /// A bias without any value.
    #[error("bias {site} has length 0: there is nothing to score")]
    EmptyBias {
        /// The site.
        site: BiasSite,
    },
}

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

/// The mean absolute change, `mean(|b1 - b0|)` over the values of a bias: the change-based score
/// that BEFT is compared with.
///
/// In the unit of the bias itself, 0 or more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Magnitude;

impl Scorer for Beft {
    fn name(&self) -> &'static str {
        "beft"
    }

    fn score(&self, before: &BiasSnapshot, after: &BiasSnapshot) -> Result<Scores, ScoreError> {
        score_each(self.name(), before, after, beft_cell)
    }
}

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

fn score_each(
    name: &str,
    before: &BiasSnapshot,
    after: &BiasSnapshot,
    cell: impl Fn(&[f32], &[f32]) -> Cell,
) -> Result<Scores, ScoreError> {
    let pairs = before.pairs(after)?;
    if pairs.is_empty() {
        return Err(ScoreError::NoBias);
    }
    let cells = pairs.into_iter().map(|(site, b0, b1)| {
        if b0.is_empty() {
            return Err(ScoreError::EmptyBias { site });
        }
        Ok((site, cell(b0, b1)))
    });
    Ok(Scores::new(name, cells.collect::<Result<_, _>>()?))
}

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

/// Numbers drawn at random from 0 to 1: what a score must beat.
pub fn random(sites: impl IntoIterator<Item = BiasSite>, seed: u64) -> Scores {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = || (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    Scores::from_values("random", sites.into_iter().map(|site| (site, draw())))
}

/// The angle between two biases in degrees; `None` if one is all zeros.
fn degrees(b0: &[f32], b1: &[f32]) -> Option<f64> {
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

/// The values of two biases side by side, in the precision all scores are computed in.
fn pairs<'a>(b0: &'a [f32], b1: &'a [f32]) -> impl Iterator<Item = (f64, f64)> + use<'a> {
    b0.iter()
        .zip(b1)
        .map(|(&x0, &x1)| (f64::from(x0), f64::from(x1)))
}

#[cfg(test)]
mod tests {
    use beft_core::BiasTerm::{K, V};

    use super::*;

    const SITE: BiasSite = BiasSite::new(0, V);

    fn cell(scorer: &impl Scorer, b0: &[f32], b1: &[f32]) -> Cell {
        let one = |b: &[f32]| BiasSnapshot::from_iter([(SITE, b.to_vec())]);
        let scores = scorer.score(&one(b0), &one(b1)).unwrap();
        assert_eq!(scores.scorer(), scorer.name());
        scores.cells()[&SITE]
    }

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

    #[test]
    fn angle_and_l2_by_hand() {
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
        assert_eq!(cell(&L2, &[1.0, 2.0], &[4.0, 6.0]), Cell::of(5.0));
    }

    #[test]
    fn random_scores_follow_the_seed() {
        let sites = || [SITE, BiasSite::new(0, K), BiasSite::new(3, V)];
        let scores = random(sites(), 1);
        assert_eq!(scores, random(sites(), 1));
        assert_ne!(scores, random(sites(), 2));
        let values: Vec<f64> = sites().map(|s| scores.value(s).unwrap()).into();
        assert!(values.iter().all(|x| (0.0..1.0).contains(x)));
        assert!(values[0] != values[1] && values[1] != values[2]);
    }

    #[test]
    fn refuses_what_it_cannot_score() {
        let (empty, k) = (BiasSnapshot::new(), BiasSite::new(0, K));
        assert_eq!(Beft.score(&empty, &empty), Err(ScoreError::NoBias));
        let hollow = BiasSnapshot::from_iter([(k, vec![])]);
        assert_eq!(
            Magnitude.score(&hollow, &hollow),
            Err(ScoreError::EmptyBias { site: k })
        );
        let error = Beft.score(&hollow, &empty).unwrap_err();
        assert!(error.to_string().contains("k@0 is only in the snapshot"));
    }
}
