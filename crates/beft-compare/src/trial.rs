use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::path::{Path, PathBuf};

use beft_core::{OutputKind, Stop, TermSet, Truth};
use beft_modes::{Asked, Mode};
use beft_score::{Budget, RankedTerm, ScorerKind, Spent};
use beft_tasks::Task;
use beft_train::{Checkpoint, EpochRecord, Evaluate, Event, Metrics, TrainSettings};
use serde::{Deserialize, Serialize};

use crate::{CompareError, TrialMode};
use beft::{
    Base, DataOptions, Error, Objective, Ranker, TaskData, TaskForm, TuneJob, TuneOutcome,
    find_task, metric_suffix, parse_device, protocol, rank, train_for, tune, tune_together,
};

/// One training of a comparison: everything that decides its result but the files' contents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
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
    /// Whether a decoder gets a head and reads the task's texts, although the task has prompts.
    #[serde(default, skip_serializing_if = "is_false")]
    pub head: bool,
    /// After which epochs it is evaluated.
    #[serde(default, skip_serializing_if = "Evaluate::is_each")]
    pub evaluate: Evaluate,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// `sst2 low lora-v lr 0.0004 seed 1`
impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} lr {} seed {}",
            self.task, self.regime, self.mode, self.learning_rate, self.seed
        )
    }
}

impl Trial {
    /// Its task.
    ///
    /// # Errors
    ///
    /// When there is no such model, or no such task for it.
    pub(super) fn find_task(&self) -> Result<Task, Error> {
        find_task(
            &self.model,
            &self.task,
            self.head.then_some(TaskForm::Texts),
        )
    }

    /// How it is trained.
    pub(super) fn settings(&self, task: &Task, mode: &Mode, base: &Base) -> TrainSettings {
        let mut settings = protocol(task, mode, base, self.seed);
        settings.learning_rate = self.learning_rate;
        settings.epochs = self.epochs;
        settings.batch_size = self.batch_size;
        settings.evaluate = self.evaluate;
        settings
    }
}

/// The result of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialResult {
    /// The trial.
    #[serde(rename = "cell")]
    pub trial: Trial,
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
    pub epochs: Vec<EpochRecord>,
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
    /// Class index, labels or value; 1 for an answer.
    pub target: Truth,
    /// Scores of its [`Prediction`](beft_core::Prediction).
    pub scores: Vec<f32>,
}

impl Sample {
    /// The predicted class, labels, value, number of right entities, mean log probability or token F1.
    pub fn prediction(&self, kind: OutputKind) -> Truth {
        match kind {
            OutputKind::Classes => Truth::Number(beft_eval::argmax(&self.scores) as f64),
            OutputKind::Labels => {
                let holds = beft_eval::predicted_labels(&self.scores, &[]);
                let holds = holds.into_iter().enumerate().filter(|(_, holds)| *holds);
                Truth::Labels(holds.map(|(label, _)| label).collect())
            }
            OutputKind::Value
            | OutputKind::Rank
            | OutputKind::Tags
            | OutputKind::Tokens
            | OutputKind::Answer => {
                Truth::Number(f64::from(self.scores.first().copied().unwrap_or(0.0)))
            }
        }
    }
}

/// Trains trials together and evaluates each. They differ in mode, seed, learning rate and scorers alone; several
/// must all train biases ([`joint_trials`](crate::joint_trials) groups them so). `state` is the file in which they
/// survive an interruption, and are when `stop` is asked. `on_event` gets the number of the trial that an event is about.
///
/// # Errors
///
/// When model, data or settings do not fit, or the trainings were stopped. Divergence is a result.
pub fn run_trials(
    trials: &[Trial],
    state: &Path,
    stop: &Stop,
    mut on_event: impl FnMut(usize, Event<'_>),
) -> Result<Vec<TrialResult>, CompareError> {
    let Some(first) = trials.first() else {
        return Ok(Vec::new());
    };
    let device = parse_device(&first.device).map_err(Error::from)?;
    let task = first.find_task()?;
    let precision = first.precision.parse()?;
    let base = Base::open(&first.model, task.defaults.max_length, &device)?;
    let base = base.with_precision(precision)?.for_task(&task)?;
    let asked = trials.iter().map(|trial| trial.mode.parse());
    let asked: Vec<TrialMode> = asked.collect::<Result<_, _>>()?;
    let modes: Vec<Mode> = asked.iter().map(TrialMode::settings).collect();
    // The seed chooses the training subset; what has no prompt or prefix of its own shares it.
    let of = |trial: &Trial, mode: &Mode| {
        DataOptions {
            train_size: trial.train_size,
            limit: trial.limit,
            seed: trial.seed,
            objective: trial.objective,
            ..DataOptions::default()
        }
        .for_mode(mode)
    };
    let key = |options: &DataOptions| (options.seed, options.asked, options.reserved);
    let mut data: BTreeMap<(u32, Asked, usize), TaskData> = BTreeMap::new();
    for (trial, mode) in trials.iter().zip(&modes) {
        let options = of(trial, mode);
        if let Entry::Vacant(entry) = data.entry(key(&options)) {
            entry.insert(TaskData::load(&task, &trial.data, &base, &options)?);
        }
    }
    let mut jobs = Vec::new();
    for (trial, mode) in trials.iter().zip(modes) {
        let data = &data[&key(&of(trial, &mode))];
        let mut settings = trial.settings(&task, &mode, &base);
        settings.checkpoint = Some(Checkpoint {
            path: state.to_owned(),
            resume: true,
        });
        settings.stop = stop.clone();
        jobs.push(TuneJob {
            data,
            mode,
            settings,
        });
    }
    let mut notes = vec![None; trials.len()];
    for (job, (asked, note)) in jobs.iter_mut().zip(asked.iter().zip(&mut notes)) {
        if let TrialMode::Budget(budget) = asked {
            let spent = spend(&base, job, *budget, &mut on_event)?;
            let (seed, terms, values) = (job.settings.seed, spent.terms(), spent.values());
            let caution = Spent::caution(spent.tied);
            *note = Some(format!(
                "{budget}, seed {seed}: {values} values, `{terms}`{caution}"
            ));
            job.mode = Mode::Biases(terms);
        }
    }
    let outcomes = tune_together(&base, &jobs, on_event)?;
    let outcomes = trials.iter().zip(&jobs).zip(outcomes.iter().zip(notes));
    outcomes
        .map(|((trial, job), (outcome, note))| {
            let mut result = result(trial, &base, job, outcome)?;
            result.notes.extend(note);
            Ok(result)
        })
        .collect()
}

/// What a budget is spent on. Where its scorer needs a training of all biases, that comes first; it is not kept.
fn spend(
    base: &Base,
    job: &TuneJob<'_>,
    budget: Budget,
    on_event: &mut impl FnMut(usize, Event<'_>),
) -> Result<Spent, Error> {
    let all = TermSet::all();
    let settings = TrainSettings {
        checkpoint: None,
        evaluate: Evaluate::Never,
        ..job.settings.clone()
    };
    let train = |mode: &Mode| tune(base, job.data, mode, &settings, |event| on_event(0, event));
    let trained = train_for(&[budget.scorer], train, &all)?;
    let mut ranker = Ranker::new(base, job.data, &all, trained.as_ref(), &job.settings)?;
    ranker.spend(budget, || ())
}

/// Collects what a training gave: the predictions for its dev examples, and every scorer's ranking if all biases were
/// trained.
fn result(
    trial: &Trial,
    base: &Base,
    job: &TuneJob<'_>,
    outcome: &TuneOutcome,
) -> Result<TrialResult, CompareError> {
    let (data, settings) = (job.data, &job.settings);
    let mut result = TrialResult {
        trial: trial.clone(),
        task_name: data.task.name.clone(),
        train_size: data.train.len(),
        labels: data.outputs.names().to_vec(),
        trainable: outcome.trainable,
        parameters: outcome.parameters,
        metrics: outcome.metrics(),
        epochs: outcome.epochs.clone(),
        failure: outcome.failure.map(|failure| failure.to_string()),
        ranking: BTreeMap::new(),
        notes: base.notes().iter().chain(&data.notes).cloned().collect(),
        samples: BTreeMap::new(),
    };
    if outcome.failure.is_none() {
        let warning = outcome.warning(&data.outputs);
        let named = |text| {
            format!(
                "{}, learning rate {}, seed {}: {text}",
                trial.mode, trial.learning_rate, trial.seed
            )
        };
        result.notes.extend(warning.map(named));
    }
    for (split, dev) in data.dev.iter().enumerate() {
        let known = outcome
            .dev_predictions
            .as_ref()
            .and_then(|all| all.get(split));
        let said = match known {
            Some(known) => known.clone(),
            None => dev.predict(base, &outcome.model, settings.savings, |_| ())?,
        };
        let targets = match dev.inputs.targets() {
            Some(targets) => targets.truths(),
            // Answers are right or wrong.
            None => vec![Truth::Number(1.0); said.len()],
        };
        let samples = targets.into_iter().zip(&said);
        let samples = samples.map(|(target, said)| Sample {
            target,
            scores: said.scores(),
        });
        let suffix = metric_suffix(dev.split).to_owned();
        result.samples.insert(suffix, samples.collect());
    }
    // A sweep scores nothing.
    let scored = job.mode.terms().is_some_and(TermSet::is_all) && !trial.scorers.is_empty();
    if scored && outcome.failure.is_none() {
        let scorers = ScorerKind::parse_list(&trial.scorers.join(","))?;
        let trained = Some(outcome);
        let all = TermSet::all();
        let ranking = rank(base, data, &all, &scorers, trained, settings, || ())?;
        result.ranking = ranking.by_scorer();
        result.notes.extend(ranking.notes());
    }
    Ok(result)
}
