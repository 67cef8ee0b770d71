use beft_core::{BiasSite, BiasSnapshot, SnapshotError};

use crate::{Cell, Scores};

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
#[non_exhaustive]
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

/// Scores of all biases of two snapshots, each from its values before and after.
pub(crate) fn score_each(
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

/// The values of two biases side by side, in the precision all scores are computed in.
pub(crate) fn pairs<'a>(
    b0: &'a [f32],
    b1: &'a [f32],
) -> impl Iterator<Item = (f64, f64)> + use<'a> {
    b0.iter()
        .zip(b1)
        .map(|(&x0, &x1)| (f64::from(x0), f64::from(x1)))
}

#[cfg(test)]
pub(crate) mod tests {
    use beft_core::BiasTerm::{K, V};

    use super::*;
    use crate::{Beft, Magnitude};

    pub(crate) const SITE: BiasSite = BiasSite::new(0, V);

    /// The score of one bias.
    pub(crate) fn cell(scorer: &impl Scorer, b0: &[f32], b1: &[f32]) -> Cell {
        let one = |b: &[f32]| BiasSnapshot::from_iter([(SITE, b.to_vec())]);
        let scores = scorer.score(&one(b0), &one(b1)).unwrap();
        assert_eq!(scores.scorer(), scorer.name());
        scores.cells()[&SITE]
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
