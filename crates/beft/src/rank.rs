use beft_core::{BiasSnapshot, BiasTerm};
use beft_score::{Beft, Magnitude, Scorer, Scores};

use crate::Error;

/// Importance scores of all biases, by every scorer that compares before and after.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// BEFT first, then Magnitude.
    pub scores: Vec<Scores>,
}

/// Scores two snapshots of the same model, taken before and after tuning.
///
/// # Errors
///
/// When they are not of the same model, or hold values that are not finite.
pub fn rank(before: &BiasSnapshot, after: &BiasSnapshot) -> Result<Ranking, Error> {
    let scorers: [&dyn Scorer; 2] = [&Beft, &Magnitude];
    let scores = scorers
        .iter()
        .map(|s| s.score(before, after))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Ranking { scores })
}

impl Ranking {
    /// The BEFT scores.
    pub fn beft(&self) -> &Scores {
        &self.scores[0]
    }

    /// The one of `candidates` with the highest BEFT mean.
    pub fn pick(&self, candidates: &[BiasTerm]) -> Option<BiasTerm> {
        self.beft()
            .ranking()
            .into_iter()
            .map(|(term, _)| term)
            .find(|t| candidates.contains(t))
    }
}
