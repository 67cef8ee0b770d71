use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use beft_core::{BiasSite, BiasSnapshot, BiasTerm, GradientMoments, TermSet};
use beft_modes::Mode;
use beft_score::{Batches, Needs, Scorer, ScorerKind, Scores};
use beft_train::{TrainSettings, first_gradient, gradient_moments};

use crate::{Base, Error, TaskData, TuneOutcome};

/// Importance scores of biases, by several scorers.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// In the order asked for; never empty.
    pub scores: Vec<Scores>,
}

/// The mini-batches of scores from all training examples (protocol, section 2).
const BATCH: usize = 8;
/// Their gradients are clipped to this norm.
const NORM: f32 = 1.0;

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
    mut on_batch: impl FnMut(),
) -> Result<Ranking, Error> {
    let mut wanted = terms.sites(base.config().num_layers())?;
    wanted.retain(|site| base.config().terms().contains(&site.term));
    let seed = u64::from(settings.seed);
    let change = |scorer: &dyn Scorer| -> Result<Scores, Error> {
        let trained = trained.ok_or(Error::NeedsTraining(scorer.name()))?;
        let (before, after) = (
            only(&trained.before, &wanted),
            only(&trained.after, &wanted),
        );
        Ok(scorer.score(&before, &after)?)
    };
    let mut gradients = |batches| -> Result<BTreeMap<BiasSite, GradientMoments>, Error> {
        let (model, _) = base.model(data.outputs.count(), seed)?;
        let (train, savings) = (&data.train, settings.savings);
        Ok(match batches {
            Batches::Every => gradient_moments(model, train, BATCH, NORM, savings, &mut on_batch)?,
            Batches::First => first_gradient(model, train, settings.batch_size, seed, savings)?,
        })
    };
    let mut known = BTreeMap::new();
    let mut scores = Vec::new();
    for kind in scorers {
        scores.push(match kind.needs() {
            Needs::TrainedRun(scorer) => change(scorer)?,
            Needs::Nothing(draw) => draw(&wanted, seed),
            Needs::Gradients(batches, score) => {
                let found = match known.entry(batches) {
                    Entry::Occupied(found) => found.into_mut(),
                    Entry::Vacant(entry) => entry.insert(gradients(batches)?),
                };
                let wanted = found.iter().filter(|(site, _)| wanted.contains(site));
                Scores::from_values(kind.name(), wanted.map(|(site, of)| (*site, score(of))))
            }
        });
    }
    Ok(Ranking { scores })
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

fn only(snapshot: &BiasSnapshot, sites: &BTreeSet<BiasSite>) -> BiasSnapshot {
    snapshot
        .iter()
        .filter(|(site, _)| sites.contains(site))
        .map(|(site, values)| (site, values.to_vec()))
        .collect()
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
