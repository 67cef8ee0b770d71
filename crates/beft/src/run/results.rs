//! What `results.json` holds.

use std::collections::BTreeMap;

use beft_core::BiasSite;
use beft_score::{RankedTerm, ScorerKind, Scores};
use beft_tasks::HeldOut;
use beft_train::{EpochRecord, Metrics};
use serde::{Deserialize, Serialize};

use crate::{BudgetResult, Details, Ranking, TrainingRecord, TuneOutcome};

/// The results of [`run`](crate::run()), as written to `results.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResults {
    /// Version of this crate.
    pub beft_version: String,
    /// What was run.
    pub settings: Settings,
    /// Per scorer, the terms by falling mean score.
    pub ranking: BTreeMap<String, Vec<RankedTerm>>,
    /// Per scorer, the term of q, k, v it recommends.
    pub recommended: BTreeMap<String, Option<String>>,
    /// Places where a score is undefined or out of the published range, in words.
    pub notes: Vec<String>,
    /// The task's main metric.
    pub metric: String,
    /// The term that was picked (by BEFT where it is among the scorers, else by the first) and whose adapter was saved.
    pub picked: String,
    /// What the budget was spent on, if there was one; its biases are what was picked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetResult>,
    /// One entry per trained mode.
    pub modes: Vec<ModeResult>,
    /// What stands behind the picked term's metrics, for each dev split.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Details>,
    /// What each class counts in the loss; nothing where all count alike.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_weights: Vec<f32>,
    /// The scorers in the order they were asked for.
    #[serde(default)]
    pub scorers: Vec<String>,
    /// What each training follows from: of all biases, of the bare head where there is one, of the
    /// candidates, and of what the budget was spent on.
    #[serde(default)]
    pub trainings: Vec<TrainingRecord>,
}

/// The result of tuning one mode, as written to `results.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TuneResults {
    /// What was run.
    pub settings: Settings,
    /// The mode.
    pub modes: Vec<ModeResult>,
    /// What its training follows from.
    #[serde(default)]
    pub trainings: Vec<TrainingRecord>,
}

/// Everything that decides a run's numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Model as the user named it.
    pub model: String,
    /// Task.
    pub task: String,
    /// Data folder.
    pub data: String,
    /// Training examples used.
    pub train_size: usize,
    /// Dev examples.
    pub dev_size: usize,
    /// Class names.
    pub labels: Vec<String>,
    /// Learning rate.
    pub learning_rate: f64,
    /// Epochs.
    pub epochs: usize,
    /// Examples per step.
    pub batch_size: usize,
    /// Seed.
    pub seed: u32,
    /// Longest input in tokens.
    pub max_length: usize,
    /// Device.
    pub device: String,
    /// What the frozen weight matrices were kept in.
    pub precision: String,
    /// What the frozen matrices were multiplied in, in the forward pass and in evaluations, where that is not f32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward: Option<String>,
    /// How one file was split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out: Option<HeldOut>,
    /// Whether rare classes counted as much as frequent ones.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub balanced: bool,
}

/// One mode that was trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModeResult {
    /// As the user writes it (`v`, `all`, `frozen`, `lora-v`).
    pub mode: String,
    /// Number of trained values.
    pub trainable: usize,
    /// Their share of all values of the model.
    pub share: f64,
    /// Metrics after the last epoch, or after the best where that was kept.
    pub metrics: Metrics,
    /// The 95 % interval of each metric over resamples of the dev examples.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub intervals: BTreeMap<String, (f64, f64)>,
    /// Every epoch.
    pub epochs: Vec<EpochRecord>,
    /// Where they were chosen on the dev split, the probability from which each label holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<f32>,
    /// The metrics at these thresholds, on the examples that they were chosen on.
    #[serde(default, skip_serializing_if = "Metrics::is_empty")]
    pub threshold_metrics: Metrics,
    /// The epoch whose metrics these are, from 1; 0 where that is not known.
    #[serde(default)]
    pub kept: usize,
}

impl RunResults {
    /// Whether the pick was right, in one sentence: `Picked v: accuracy 0.851, the best of q, k, v.`
    pub fn verdict(&self) -> String {
        let candidates: Vec<&ModeResult> = self
            .modes
            .iter()
            .filter(|m| m.mode != "frozen" && m.mode != "all")
            .collect();
        let names: Vec<&str> = candidates.iter().map(|m| m.mode.as_str()).collect();
        let names = names.join(", ");
        let main = |m: &ModeResult| m.metrics.get(&self.metric).copied();
        let score = |m: &ModeResult| main(m).unwrap_or(f64::NEG_INFINITY);
        let best = candidates
            .iter()
            .max_by(|a, b| score(a).total_cmp(&score(b)));
        let picked = candidates.iter().find(|m| m.mode == self.picked);
        let (Some(best), Some(picked)) = (best, picked) else {
            return format!("Picked {}.", self.picked);
        };
        let (ours, top) = (score(picked), score(best));
        let equal = candidates.iter().filter(|m| score(m) == top).count();
        if ours >= top && equal > 1 {
            format!(
                "Picked {}: {} {ours:.3}, which {equal} of {names} reached.",
                self.picked, self.metric
            )
        } else if ours >= top {
            format!(
                "Picked {}: {} {ours:.3}, the best of {names}.",
                self.picked, self.metric
            )
        } else {
            format!(
                "Picked {}: {} {ours:.3}; of {names}, {} reached {top:.3}.",
                self.picked, self.metric, best.mode
            )
        }
    }
}

impl ModeResult {
    /// The result of tuning.
    pub fn of(outcome: &TuneOutcome) -> Self {
        Self {
            mode: outcome.mode.to_string(),
            trainable: outcome.trainable,
            share: outcome.trainable as f64 / outcome.parameters as f64,
            metrics: outcome.metrics(),
            intervals: BTreeMap::new(),
            epochs: outcome.epochs.clone(),
            kept: outcome.kept,
            thresholds: outcome.thresholds.clone(),
            threshold_metrics: outcome.threshold_metrics.clone(),
        }
    }
}

impl RunResults {
    /// The ranking that they hold.
    pub fn to_ranking(&self) -> Ranking {
        let named = self.scorers.iter();
        let scores = named.filter_map(|name| Some(ranked_scores(name, self.ranking.get(name)?)));
        Ranking {
            scores: scores.collect(),
        }
    }
}

/// Scores from the rows of a ranking.
pub fn ranked_scores(scorer: &str, rows: &[RankedTerm]) -> Scores {
    let cells = rows.iter().flat_map(|row| {
        let layers = row.layers.iter().enumerate();
        layers.filter_map(|(l, value)| Some((BiasSite::new(l, row.term), (*value)?)))
    });
    Scores::from_values(scorer, cells)
}

impl Ranking {
    /// Per scorer, the terms by falling mean score.
    pub fn by_scorer(&self) -> BTreeMap<String, Vec<RankedTerm>> {
        self.scores
            .iter()
            .map(|s| (s.scorer().to_owned(), s.to_ranking()))
            .collect()
    }

    /// Per scorer, the term of q, k, v it recommends.
    pub fn recommended(&self) -> BTreeMap<String, Option<String>> {
        self.scores
            .iter()
            .map(|s| {
                (
                    s.scorer().to_owned(),
                    s.recommended().map(|t| t.to_string()),
                )
            })
            .collect()
    }

    /// The scorers' notes in words: `beft: angle over 90°: q@3 (93.1°)`.
    pub fn notes(&self) -> Vec<String> {
        let primary = self.primary().scorer();
        let beft = ScorerKind::Beft.name();
        let tied = primary != beft && self.scores.iter().any(|s| s.scorer() == beft);
        let decides =
            format!("{beft}: its scores do not tell q, k and v apart here, {primary}'s decide");
        let first = tied.then_some(decides).into_iter();
        let others = self.scores.iter().flat_map(|s| {
            let notes = s.notes_in_words().into_iter();
            notes.map(|note| format!("{}: {note}", s.scorer()))
        });
        first.chain(others).collect()
    }
}
