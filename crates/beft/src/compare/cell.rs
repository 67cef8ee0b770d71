use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use beft_core::TermSet;
use beft_modes::{Asked, Mode};
use beft_score::{RankedTerm, ScorerKind};
use beft_tasks::Task;
use beft_train::{Event, Metrics};
use serde::{Deserialize, Serialize};

use crate::{
    Base, DataOptions, EpochResult, Error, Objective, TaskData, TuneJob, TuneOptions, TuneOutcome,
    find_task, metric_suffix, parse_device, rank, tune_together,
};

/// One training of a comparison: everything that decides its result but the files' contents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Model as the user named it.
    pub model: String,
    /// Task, or path of its TOML file.
    pub task: String,
    /// Data folder.
    pub data: PathBuf,
    /// Name of the training subset's size.
    pub regime: String,
    /// The size; `None` for the whole file.
    pub train_size: Option<usize>,
    /// What is trained.
    pub mode: String,
    /// Seed.
    pub seed: u32,
    /// Passes over the training examples.
    pub epochs: usize,
    /// Learning rate.
    pub learning_rate: f64,
    /// Examples per step.
    pub batch_size: usize,
    /// Scorers that run where all biases are trained.
    pub scorers: Vec<String>,
    /// Device.
    pub device: String,
    /// Of the frozen weight matrices.
    pub precision: String,
    /// Dev examples at most, per split.
    pub limit: Option<usize>,
    /// What a decoder learns by.
    #[serde(default)]
    pub objective: Objective,
}

impl Cell {
    /// How it is trained.
    pub(super) fn options(&self, task: &Task, mode: &Mode, base: &Base) -> TuneOptions {
        TuneOptions {
            learning_rate: self.learning_rate,
            epochs: self.epochs,
            batch_size: self.batch_size,
            ..TuneOptions::for_task(task, mode, base, self.seed)
        }
    }
}

/// What a cell gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellResult {
    /// The cell.
    pub cell: Cell,
    /// Name of the task.
    pub task_name: String,
    /// Training examples used.
    pub train_size: usize,
    /// Class names; none for a regression.
    pub labels: Vec<String>,
    /// Number of trained values.
    pub trainable: usize,
    /// Number of values of the model.
    pub parameters: usize,
    /// Metrics after the last epoch.
    pub metrics: Metrics,
    /// Every epoch.
    pub epochs: Vec<EpochResult>,
    /// Why training had to stop, if it had to.
    pub failure: Option<String>,
    /// Per scorer, the terms by falling mean score; where all biases were trained.
    pub ranking: BTreeMap<String, Vec<RankedTerm>>,
    /// What is unusual about scores.
    pub notes: Vec<String>,
    /// What the model said of each dev example, by the suffix of the split's metrics.
    pub samples: BTreeMap<String, Vec<Sample>>,
}

/// What the model said of a dev example.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Class index, or value.
    pub target: f64,
    /// Class scores, or the one value.
    pub scores: Vec<f32>,
}

impl Sample {
    /// Whether it is a generated answer: its scores are token F1 and exact match.
    pub(crate) fn is_answer(&self) -> bool {
        self.scores.len() == 2
    }

    /// The predicted class, or value.
    pub fn prediction(&self, regression: bool) -> f64 {
        match regression {
            true => f64::from(self.scores.first().copied().unwrap_or(0.0)),
            false => beft_eval::argmax(&self.scores) as f64,
        }
    }
}

/// Trains cells in one pass and evaluates them; they differ in mode, seed, learning rate and scorers
/// alone, and more than one only if all train biases ([`passes`](crate::compare::passes)). `state` is
/// the file in which they survive an interruption. `on_event` hears the number of the cell that an
/// event is about.
///
/// # Errors
///
/// When model, data or settings do not fit. Divergence is a result.
pub fn run_cells(
    cells: &[Cell],
    state: &Path,
    on_event: impl FnMut(usize, Event<'_>),
) -> Result<Vec<CellResult>, Error> {
    let usage = |e: &dyn std::fmt::Display| Error::Usage(e.to_string());
    let Some(first) = cells.first() else {
        return Ok(Vec::new());
    };
    let device = parse_device(&first.device)?;
    let task = find_task(&first.model, &first.task)?;
    let precision = first.precision.parse().map_err(|e| usage(&e))?;
    let base = Base::open(&first.model, task.defaults.max_length, &device)?;
    let base = base.with_precision(precision)?;
    let modes = cells.iter().map(|cell| cell.mode.parse());
    let modes: Vec<Mode> = modes.collect::<Result<_, _>>().map_err(|e| usage(&e))?;
    // The seed chooses the training subset; what has no prompt or prefix of its own shares it.
    let of = |cell: &Cell, mode: &Mode| {
        DataOptions {
            train_size: cell.train_size,
            limit: cell.limit,
            seed: cell.seed,
            objective: cell.objective,
            ..DataOptions::default()
        }
        .for_mode(mode)
    };
    let key = |options: &DataOptions| (options.seed, options.asked, options.reserved);
    let mut data: BTreeMap<(u32, Asked, usize), TaskData> = BTreeMap::new();
    for (cell, mode) in cells.iter().zip(&modes) {
        let options = of(cell, mode);
        if let Entry::Vacant(entry) = data.entry(key(&options)) {
            entry.insert(TaskData::load(&task, &cell.data, &base, &options)?);
        }
    }
    let mut jobs = Vec::new();
    for (cell, mode) in cells.iter().zip(modes) {
        let data = &data[&key(&of(cell, &mode))];
        let options = TuneOptions {
            checkpoint: Some(state.to_owned()),
            resume: true,
            ..cell.options(&task, &mode, &base)
        };
        jobs.push(TuneJob {
            data,
            mode,
            options,
        });
    }
    let outcomes = tune_together(&base, &jobs, on_event)?;
    let outcomes = cells.iter().zip(&jobs).zip(&outcomes);
    outcomes
        .map(|((cell, job), outcome)| result(cell, &base, job, outcome))
        .collect()
}

/// What a training gave: its dev examples' scores, and where all biases were trained every scorer's
/// ranking.
fn result(
    cell: &Cell,
    base: &Base,
    job: &TuneJob<'_>,
    outcome: &TuneOutcome,
) -> Result<CellResult, Error> {
    let (data, options) = (job.data, &job.options);
    let mut result = CellResult {
        cell: cell.clone(),
        task_name: data.task.name.clone(),
        train_size: data.train.len(),
        labels: data.labels.clone(),
        trainable: outcome.trainable,
        parameters: outcome.parameters,
        metrics: outcome.metrics(),
        epochs: outcome.epochs.iter().map(EpochResult::from).collect(),
        failure: outcome.failure.map(|failure| failure.to_string()),
        ranking: BTreeMap::new(),
        notes: base.notes().iter().chain(&data.notes).cloned().collect(),
        samples: BTreeMap::new(),
    };
    for (split, dev) in data.dev.iter().enumerate() {
        let known = outcome.dev_scores.as_ref().and_then(|all| all.get(split));
        let scores = match known {
            Some(known) => known.clone(),
            None => dev.scores(base, &outcome.model, options.savings, |_| ())?,
        };
        let targets = match dev.questions {
            // Answers are right or wrong.
            Some(_) => vec![1.0; scores.len()],
            None => dev.set.targets.to_f64(),
        };
        let samples = targets.into_iter().zip(scores);
        let samples = samples.map(|(target, scores)| Sample { target, scores });
        let suffix = metric_suffix(dev.split).to_owned();
        result.samples.insert(suffix, samples.collect());
    }
    if job.mode.terms().is_some_and(TermSet::is_all) && outcome.failure.is_none() {
        let scorers = ScorerKind::parse_list(&cell.scorers.join(","))
            .map_err(|e| Error::Usage(e.to_string()))?;
        let trained = Some(outcome);
        let all = TermSet::all();
        let ranking = rank(base, data, &all, &scorers, trained, options, || ())?;
        result.ranking = ranking.by_scorer();
        result.notes.extend(ranking.notes());
    }
    Ok(result)
}
