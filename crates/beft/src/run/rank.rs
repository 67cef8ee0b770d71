use beft_core::{BiasTerm, TermSet};
use beft_modes::Mode;
use beft_score::{ScorerKind, Scores};
use beft_train::TrainSettings;

use super::Ranker;
use crate::{Base, Error, TaskData, TuneOutcome};

/// Importance scores of biases, by several scorers.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// In the order asked for; never empty.
    pub scores: Vec<Scores>,
}

/// Scores the biases of `terms`. `trained` is the outcome of training them, needed by the scorers
/// that compare before and after; the others compute what they need. `on_batch` hears of each batch
/// of gradients.
///
/// # Errors
///
/// When a scorer needs a trained run and there is none, the model cannot be loaded, or values are
/// not finite.
pub fn rank(
    base: &Base,
    data: &TaskData,
    terms: &TermSet,
    scorers: &[ScorerKind],
    trained: Option<&TuneOutcome>,
    settings: &TrainSettings,
    on_batch: impl FnMut(),
) -> Result<Ranking, Error> {
    Ranker::new(base, data, terms, trained, settings)?.ranking(scorers, on_batch)
}

/// Trains the biases of `terms` if one of the scorers needs that.
///
/// # Errors
///
/// As [`tune`](crate::tune()).
pub fn train_for(
    scorers: &[ScorerKind],
    tune: impl FnOnce(&Mode) -> Result<TuneOutcome, Error>,
    terms: &TermSet,
) -> Result<Option<TuneOutcome>, Error> {
    let needed = scorers.iter().any(|kind| kind.needs_training());
    needed
        .then(|| tune(&Mode::Biases(terms.clone())))
        .transpose()
}

impl Ranking {
    /// The scores that decide: BEFT's, or the first where it was not asked for. Where BEFT's do not tell q, k
    /// and v apart (of a model that has no biases they are all 1), Fisher's, the gradient norm's, or the first
    /// that do.
    pub fn primary(&self) -> &Scores {
        let named = |kind: ScorerKind| self.scores.iter().find(move |s| s.scorer() == kind.name());
        let Some(beft) = named(ScorerKind::Beft) else {
            return &self.scores[0];
        };
        let others = [ScorerKind::Fisher, ScorerKind::GradNorm].into_iter();
        let others = others.filter_map(named).chain(&self.scores);
        let mut all = std::iter::once(beft).chain(others);
        all.find(|s| s.recommended().is_some()).unwrap_or(beft)
    }

    /// The kind of the [`primary`](Self::primary) scores; `kinds` are those of all scores.
    pub fn primary_kind(&self, kinds: &[ScorerKind]) -> ScorerKind {
        let name = self.primary().scorer();
        let mut kinds = kinds.iter().copied();
        kinds
            .find(|kind| kind.name() == name)
            .unwrap_or(ScorerKind::Beft)
    }

    /// The one of `candidates` with the highest mean of the [`primary`](Self::primary) scores.
    pub fn pick(&self, candidates: &[BiasTerm]) -> Option<BiasTerm> {
        pick(self.primary(), candidates)
    }
}

/// The one of `candidates` with the highest mean score.
pub fn pick(scores: &Scores, candidates: &[BiasTerm]) -> Option<BiasTerm> {
    let mut ranking = scores.ranking().into_iter().map(|(term, _)| term);
    ranking.find(|term| candidates.contains(term))
}
