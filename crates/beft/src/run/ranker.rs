//! Computes scores of biases, and of parts of them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use beft_core::{BiasPart, BiasSite, BiasSnapshot, BiasTerm, GradientMoments, HeadCounts, TermSet};
use beft_score::{
    Batches, Budget, Candidate, Needs, Part, Parts, Scorer, ScorerKind, Scores, Spent, spend,
};
use beft_train::{TrainSettings, first_gradient, gradient_moments};
use serde_json::{Value, json};

use super::parts::{PartSize, bias_lengths, parts, scored_sites};
use crate::{Base, BudgetResult, Error, Ranking, TaskData, TuneOutcome};

/// The mini-batches of scores from all training examples (protocol, section 2).
const BATCH: usize = 8;
/// Their gradients are clipped to this norm.
const NORM: f32 = 1.0;

/// Computes scores of biases. What several scores are computed from is computed once.
#[derive(Debug)]
pub struct Ranker<'a> {
    base: &'a Base,
    data: &'a TaskData,
    settings: &'a TrainSettings,
    trained: Option<&'a TuneOutcome>,
    /// The biases that are scored.
    wanted: BTreeSet<BiasSite>,
    heads: HeadCounts,
    /// Numbers of values.
    lengths: BTreeMap<BiasSite, usize>,
    gradients: BTreeMap<Batches, BTreeMap<BiasSite, GradientMoments>>,
}

/// The scores of single heads: one for each head, of q, k and v in each layer.
#[derive(Clone, Debug)]
pub struct HeadScores {
    /// The scorer.
    pub scorer: ScorerKind,
    /// By head. Keys and values can have fewer heads than queries.
    pub heads: Vec<Scores>,
}

impl HeadScores {
    /// The scores for programs: of each term the heads, of each head the layers; null where there is no score.
    pub fn by_term(&self) -> Value {
        let terms = BiasTerm::QKV.into_iter().map(|term| {
            let of = self.heads.iter().filter(|scores| scores.has(term));
            let heads = of.map(|scores| {
                let layers = 0..scores.layers();
                let values = layers.map(|layer| scores.value(BiasSite::new(layer, term)));
                json!(values.collect::<Vec<_>>())
            });
            (term.to_string(), Value::Array(heads.collect()))
        });
        Value::Object(terms.collect())
    }
}

impl<'a> Ranker<'a> {
    /// Makes what scores the biases of `terms`. `trained` is the outcome of training them, which some scorers need.
    ///
    /// # Errors
    ///
    /// When the model does not have these terms, or cannot be loaded.
    pub fn new(
        base: &'a Base,
        data: &'a TaskData,
        terms: &TermSet,
        trained: Option<&'a TuneOutcome>,
        settings: &'a TrainSettings,
    ) -> Result<Self, Error> {
        Ok(Self {
            wanted: scored_sites(base.config(), terms)?,
            lengths: bias_lengths(base.config()),
            heads: base.config().head_counts(),
            gradients: BTreeMap::new(),
            base,
            data,
            settings,
            trained,
        })
    }

    /// The scores of whole biases, by several scorers. `on_batch` hears of each batch of gradients.
    ///
    /// # Errors
    ///
    /// When a scorer needs a trained run and there is none, or values are not finite.
    pub fn ranking(
        &mut self,
        scorers: &[ScorerKind],
        mut on_batch: impl FnMut(),
    ) -> Result<Ranking, Error> {
        let scores = scorers.iter().map(|kind| self.scores(*kind, &mut on_batch));
        Ok(Ranking {
            scores: scores.collect::<Result<_, _>>()?,
        })
    }

    /// The scores of whole biases.
    fn scores(&mut self, kind: ScorerKind, on_batch: impl FnMut()) -> Result<Scores, Error> {
        self.of_parts(kind, 0, |_, length| Some(0..length), on_batch)
    }

    /// The scores of single heads of q, k and v.
    ///
    /// # Errors
    ///
    /// As [`ranking`](Self::ranking).
    pub fn heads(
        &mut self,
        kind: ScorerKind,
        mut on_batch: impl FnMut(),
    ) -> Result<HeadScores, Error> {
        let counts = self.heads;
        let all = (0..counts.query.max(counts.key_value)).map(|head| {
            let part = |site: BiasSite, length: usize| {
                let heads = counts.of(site.term);
                let width = length / heads;
                let named = BiasTerm::QKV.contains(&site.term) && head < heads;
                named.then(|| head * width..(head + 1) * width)
            };
            self.of_parts(kind, head, part, &mut on_batch)
        });
        Ok(HeadScores {
            scorer: kind,
            heads: all.collect::<Result<_, _>>()?,
        })
    }

    /// Spends a budget.
    ///
    /// # Errors
    ///
    /// As [`ranking`](Self::ranking), and when the budget is too small for anything that has a score.
    pub fn spend(&mut self, budget: Budget, mut on_batch: impl FnMut()) -> Result<Spent, Error> {
        let whole = self.scores(budget.scorer, &mut on_batch)?;
        let heads = match budget.parts {
            Parts::Heads => self.heads(budget.scorer, &mut on_batch)?.heads,
            Parts::Terms | Parts::Sites => Vec::new(),
        };
        let all = parts(
            self.base.config(),
            &self.lengths,
            &self.wanted,
            budget.parts,
        );
        let smallest = all.iter().map(|part| part.values).min();
        let candidates = all.into_iter().filter_map(|PartSize { part, values }| {
            // The mean of a term is that of a bias of one layer.
            let (score, length) = match part {
                Part::Term(term) => {
                    let layers = self.wanted.iter().filter(|site| site.term == term).count();
                    (whole.term_mean(term), values / layers)
                }
                Part::Bias(BiasPart { site, head: None }) => (whole.value(site), values),
                Part::Bias(BiasPart {
                    site,
                    head: Some(head),
                }) => (heads[head].value(site), values),
            };
            Some(Candidate {
                part,
                values,
                per_value: budget.scorer.per_value(score?, length),
            })
        });
        let candidates: Vec<Candidate> = candidates.collect();
        if !candidates.iter().any(|candidate| candidate.per_value > 0.0) {
            return Err(Error::NothingToSpendOn);
        }
        let spent = spend(candidates, budget.values);
        match spent.chosen.is_empty() {
            true => Err(Error::Budget {
                values: budget.values,
                smallest: smallest.unwrap_or(0),
                parts: budget.parts,
            }),
            false => Ok(spent),
        }
    }

    /// Spends a budget by the scores that decide in `ranking`, which are of these scorers.
    ///
    /// # Errors
    ///
    /// As [`spend`](Self::spend).
    pub fn spend_by(
        &mut self,
        ranking: &Ranking,
        scorers: &[ScorerKind],
        (values, parts): (usize, Parts),
        on_batch: impl FnMut(),
    ) -> Result<(Spent, BudgetResult), Error> {
        let budget = Budget {
            values,
            scorer: ranking.primary_kind(scorers),
            parts,
        };
        let spent = self.spend(budget, on_batch)?;
        let result = BudgetResult::new(&budget, &spent);
        Ok((spent, result))
    }

    /// Scores of these parts of the biases; `part` gets the site and its number of values. `draw` tells random scores apart.
    fn of_parts(
        &mut self,
        kind: ScorerKind,
        draw: usize,
        part: impl Fn(BiasSite, usize) -> Option<Range<usize>>,
        on_batch: impl FnMut(),
    ) -> Result<Scores, Error> {
        let wanted = self.wanted.iter();
        let parts: BTreeMap<BiasSite, Range<usize>> = wanted
            .filter_map(|site| Some((*site, part(*site, *self.lengths.get(site)?)?)))
            .collect();
        Ok(match kind.needs() {
            Needs::TrainedRun(scorer) => self.change(scorer, &parts)?,
            Needs::Nothing(random) => {
                let seed = u64::from(self.settings.seed);
                random(&parts.into_keys().collect(), seed + ((draw as u64) << 32))
            }
            Needs::Gradients(batches, score) => {
                let found = self.gradients(batches, on_batch)?;
                let scores = parts.into_iter().filter_map(|(site, part)| {
                    let of = found.get(&site)?;
                    Some((
                        site,
                        match part.len() == of.mean.len() {
                            true => score(of),
                            false => score(&of.part(part)),
                        },
                    ))
                });
                Scores::from_values(kind.name(), scores)
            }
        })
    }

    fn change(
        &self,
        scorer: &dyn Scorer,
        parts: &BTreeMap<BiasSite, Range<usize>>,
    ) -> Result<Scores, Error> {
        let trained = self.trained.ok_or(Error::NeedsTraining(scorer.name()))?;
        let of = |snapshot: &BiasSnapshot| -> BiasSnapshot {
            let sites = snapshot.iter();
            let cut = sites.filter_map(|(site, values)| {
                let part = parts.get(&site)?;
                Some((site, values[part.clone()].to_vec()))
            });
            cut.collect()
        };
        Ok(scorer.score(&of(&trained.before), &of(&trained.after))?)
    }

    fn gradients(
        &mut self,
        batches: Batches,
        on_batch: impl FnMut(),
    ) -> Result<&BTreeMap<BiasSite, GradientMoments>, Error> {
        let (settings, train) = (self.settings, &self.data.train);
        Ok(match self.gradients.entry(batches) {
            Entry::Occupied(found) => found.into_mut(),
            Entry::Vacant(entry) => {
                let seed = u64::from(settings.seed);
                let (model, _) = self.base.model(self.data.outputs.count(), seed)?;
                let savings = settings.savings;
                entry.insert(match batches {
                    Batches::Every => {
                        gradient_moments(model, train, BATCH, NORM, savings, on_batch)?
                    }
                    Batches::First => {
                        first_gradient(model, train, settings.batch_size, seed, savings)?
                    }
                })
            }
        })
    }
}
