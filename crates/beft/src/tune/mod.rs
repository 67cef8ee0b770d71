//! Trainings of one or several modes over a base.

mod differences;
mod modes;
mod record;
mod resume;

use std::path::{Path, PathBuf};

use beft_checkpoint::{check_model_target, save_model};
use beft_core::{BiasSnapshot, Outputs};
use beft_modes::{Adapter, Makes, Mode};
use beft_nn::snapshot;
use beft_tasks::Task;
use beft_train::{
    EpochRecord, Event, Failure, Job, Metrics, TrainConfig, TrainError, TrainSettings, Trained,
    train_together, unchanged_layers,
};
use burn::module::Module;
use serde_json::{Map, Value, json};

pub use differences::Difference;
pub(crate) use differences::{check_same, explain};
pub use modes::check_mode;
pub use record::{Inputs, TrainingRecord, model_digest};
pub use resume::finished_tune;
pub(crate) use resume::{Finished, find_finished};
use resume::{identity, named_differences};

use crate::data::prompt_facts;
use crate::evaluate::{DevMetrics, DevPredictions};
use crate::tuned::check_finite;
use crate::{Base, Error, Model, TaskData};

/// The protocol's settings for a task and a mode.
pub fn protocol(task: &Task, mode: &Mode, base: &Base, seed: u32) -> TrainSettings {
    let config = base.config();
    let learning_rate = mode.learning_rate().unwrap_or(task.defaults.learning_rate);
    let epochs = task.epochs_for(config.protocol_column());
    let mut settings = TrainSettings::new(learning_rate, epochs, seed);
    settings.batch_size = task.defaults.batch_size;
    settings.modes.random_entries = config.random_entries();
    settings
}

/// What tuning one mode gave.
#[derive(Debug)]
pub struct TuneOutcome {
    /// The mode.
    pub mode: Mode,
    /// The tuned model.
    pub model: Model,
    /// The trained biases or LoRA factors and head, ready to be saved; `None` where the whole
    /// model has to be.
    pub adapter: Option<Adapter>,
    /// Number of values that learned.
    pub trainable: usize,
    /// Number of values of the model.
    pub parameters: usize,
    /// One record per epoch.
    pub epochs: Vec<EpochRecord>,
    /// The epoch that was kept, from 1.
    pub kept: usize,
    /// Layer biases before training.
    pub before: BiasSnapshot,
    /// Layer biases after training.
    pub after: BiasSnapshot,
    /// Set when training diverged: model and adapter are the last good ones.
    pub failure: Option<Failure>,
    /// What the model said of each dev example, where it was evaluated here.
    pub dev_predictions: Option<DevPredictions>,
    /// Everything that it follows from.
    pub record: TrainingRecord,
    facts: Map<String, Value>,
    labels: Vec<String>,
}

/// Folder that an adapter is saved to, and a whole model.
const ADAPTER: &str = "adapter";
const MODEL: &str = "tuned-model";
/// Name of the folder with what was last good in a run that failed.
const LAST_GOOD: &str = "last-good";

impl TuneOutcome {
    /// Metrics of the epoch that was kept.
    pub fn metrics(&self) -> Metrics {
        let kept = self.kept.checked_sub(1).and_then(|i| self.epochs.get(i));
        kept.map(|e| e.metrics.clone()).unwrap_or_default()
    }

    /// What the user must hear about a training that came to its end: a loss far above that of
    /// guessing one of the classes says that it went wrong.
    pub fn warning(&self, outputs: &Outputs) -> Option<String> {
        let loss = self.epochs.last()?.train_loss;
        let guessing = (outputs.classes()?.len().max(2) as f64).ln();
        (loss > 10.0 * guessing).then(|| {
            format!(
                "the training loss ended at {loss:.1e}, guessing has {guessing:.2}: lower the learning rate"
            )
        })
    }

    /// What Python must do beside loading the adapter with PEFT; `None` where PEFT applies all of it.
    pub fn beyond_peft(&self) -> Option<String> {
        self.adapter.as_ref()?.beyond_peft()
    }

    /// Saves what was tuned into the folder `out`, as `adapter`, or as `tuned-model` where all of
    /// the model changed, and returns that folder. After a divergence what was last good goes to
    /// `last-good` instead, an earlier result stays as it was, and the error says so. Nothing is
    /// saved when nothing good was learned.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written, or training diverged.
    pub fn save(&self, base: &Base, out: &Path) -> Result<PathBuf, Error> {
        let Some(failure) = self.failure else {
            let dir = saved_folder(&self.mode, out);
            self.write(base, &dir)?;
            // What an earlier run that failed left there is not this run's.
            Adapter::remove(&out.join(LAST_GOOD));
            return Ok(dir);
        };
        // The last good values are those before the last step with a finite loss.
        if failure.epoch == 1 && failure.step <= 2 {
            return Err(Error::NothingGood(failure));
        }
        let dir = out.join(LAST_GOOD);
        self.write(base, &dir)?;
        Err(Error::Diverged { failure, dir })
    }

    fn write(&self, base: &Base, dir: &Path) -> Result<(), Error> {
        match &self.adapter {
            Some(adapter) => adapter.save(dir)?,
            None => save_model(
                dir,
                base.dir(),
                self.model.hf_class(),
                &self.model,
                self.model.names(),
                &self.labels,
                &self.facts,
            )?,
        }
        Ok(())
    }
}

/// The folder in `out` that [`TuneOutcome::save`] writes.
pub fn saved_folder(mode: &Mode, out: &Path) -> PathBuf {
    out.join(match mode.makes() {
        Makes::Adapter(_) => ADAPTER,
        Makes::Model | Makes::Nothing => MODEL,
    })
}

/// Fails if the folders that [`TuneOutcome::save`] writes in `out` are something else's.
///
/// # Errors
///
/// When one of them exists and holds anything that is not ours.
pub fn check_output(out: &Path) -> Result<(), Error> {
    Adapter::check_target(&out.join(ADAPTER))?;
    Ok(check_model_target(&out.join(MODEL))?)
}

/// Trains what `mode` says and the head on the training subset, evaluating on the dev split after
/// each epoch.
///
/// # Errors
///
/// When the model cannot be loaded, the settings do not fit, or a checkpoint is of another run.
/// Divergence is not an error here: see [`TuneOutcome::failure`].
pub fn tune(
    base: &Base,
    data: &TaskData,
    mode: &Mode,
    settings: &TrainSettings,
    mut on_event: impl FnMut(Event<'_>),
) -> Result<TuneOutcome, Error> {
    let job = TuneJob {
        data,
        mode: mode.clone(),
        settings: settings.clone(),
    };
    let mut outcomes = tune_together(base, &[job], |_, event| on_event(event))?;
    Ok(outcomes.pop().unwrap_or_else(|| unreachable!("one job")))
}

/// One of several trainings over one base.
#[derive(Clone, Debug)]
pub struct TuneJob<'a> {
    /// What it is trained and evaluated on.
    pub data: &'a TaskData,
    /// What is trained.
    pub mode: Mode,
    /// How.
    pub settings: TrainSettings,
}

/// Tunes several sets of biases over one frozen backbone, in one pass
/// ([`train_together`]); each gives what [`tune`] gives, to
/// rounding. `on_event` hears the number of the job that an event is about. They survive in the
/// checkpoint of the first.
///
/// # Errors
///
/// As [`tune`]; when they cannot run together.
pub fn tune_together(
    base: &Base,
    jobs: &[TuneJob<'_>],
    on_event: impl FnMut(usize, Event<'_>),
) -> Result<Vec<TuneOutcome>, Error> {
    let records = jobs.iter().map(|job| TrainingRecord::of(base, job));
    let records: Vec<TrainingRecord> = records.collect::<Result<_, _>>()?;
    let identity = identity(&records);
    let (mut untrained, mut trainings) = (Vec::new(), Vec::new());
    // Jobs that leave the same layers as they are share what those make of the dev examples.
    let mut devs: Vec<DevMetrics<'_>> = Vec::new();
    let mut dev_of = Vec::new();
    for job in jobs {
        let (data, settings) = (job.data, &job.settings);
        let (model, _) = base.model(data.outputs.count(), u64::from(settings.seed))?;
        check_mode(base, &data.task, &job.mode)?;
        let model = match (job.mode.prefix_tokens(), model) {
            (tokens @ 1.., Model::Decoder(model)) => {
                Model::Decoder(model.with_prefix(tokens, u64::from(settings.seed)))
            }
            (_, model) => model,
        };
        let model = match settings.dropout {
            true => model,
            false => model.without_dropout(),
        };
        let unchanged =
            unchanged_layers(&model, &job.mode, settings.savings).map_err(TrainError::from)?;
        let known = devs
            .iter()
            .position(|dev| dev.serves(&data.task, &data.dev, unchanged));
        dev_of.push(known.unwrap_or(devs.len()));
        if known.is_none() {
            let (task, dev) = (&data.task, &data.dev);
            devs.push(DevMetrics::new(task, dev, settings.savings, unchanged));
        }
        trainings.push(Job {
            model: model.clone(),
            data: &data.train,
            config: job.config(base, identity.clone()),
        });
        untrained.push(model);
    }
    let mut scores: Vec<Vec<DevPredictions>> = vec![Vec::new(); jobs.len()];
    if let [job] = jobs
        && matches!(job.mode.makes(), Makes::Nothing)
    {
        let (metrics, found) = devs[0].of(base, &untrained[0])?;
        found.iter().try_for_each(|said| check_finite(base, said))?;
        let (model, record) = (untrained.remove(0), records[0].clone());
        return Ok(vec![asked(job, model, metrics, found, record)]);
    }
    let evaluate = |job: usize, model: &_| {
        let (metrics, found) = devs[dev_of[job]].of(base, model)?;
        scores[job].push(found);
        Ok::<_, Error>(metrics)
    };
    let results = train_together(trainings, evaluate, on_event).map_err(named_differences)?;
    let results = jobs.iter().zip(untrained).zip(records).zip(results);
    let mut outcomes = Vec::new();
    for ((((job, untrained), record), trained), mut scores) in results.zip(scores) {
        // A model that diverged is as it was between two evaluations, and of a training that went on
        // the evaluations before are gone.
        let since = trained.epochs.len() - trained.kept;
        let scores = match (trained.failure, scores.len().checked_sub(since + 1)) {
            (None, Some(index)) => Some(scores.swap_remove(index)),
            _ => None,
        };
        let mut outcome = outcome(base, job, &untrained, trained, record);
        outcome.dev_predictions = scores;
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// The outcome of a job that trains nothing.
fn asked(
    job: &TuneJob<'_>,
    model: Model,
    metrics: Metrics,
    said: DevPredictions,
    record: TrainingRecord,
) -> TuneOutcome {
    let epoch = EpochRecord {
        epoch: 0,
        train_loss: 0.0,
        metrics,
    };
    TuneOutcome {
        mode: job.mode.clone(),
        before: snapshot(&model),
        after: snapshot(&model),
        parameters: model.num_params(),
        model,
        adapter: None,
        trainable: 0,
        epochs: vec![epoch],
        kept: 1,
        failure: None,
        dev_predictions: Some(said),
        record,
        facts: Map::new(),
        labels: job.data.outputs.names().to_vec(),
    }
}

impl TuneJob<'_> {
    fn config(&self, base: &Base, identity: String) -> TrainConfig {
        let metric = self.data.task.metrics.first().map_or("", |m| m.name());
        let (rate, epochs) = (self.settings.learning_rate, self.settings.epochs);
        TrainConfig {
            settings: self.settings.clone(),
            schedule: base.config().schedule(),
            metric: metric.to_owned(),
            identity,
            ..TrainConfig::new(self.mode.clone(), rate, epochs, self.settings.seed)
        }
    }
}

fn outcome(
    base: &Base,
    job: &TuneJob<'_>,
    untrained: &Model,
    trained: Trained<Model>,
    record: TrainingRecord,
) -> TuneOutcome {
    let model = trained.model;
    let facts = facts(&record, job.data);
    let (names, paths) = (model.names(), &trained.paths);
    let adapter = Adapter::between(
        &job.mode,
        &job.settings.modes,
        names,
        untrained,
        &model,
        paths,
    );
    let adapter = adapter.map(|mut adapter| {
        adapter.causal_lm = model.generator().is_some();
        let (name, revision) = base.dir().repository();
        adapter.base_model = name.to_owned();
        adapter.revision = revision.map(str::to_owned);
        adapter.facts = facts.clone();
        adapter.set_fingerprint(base.fingerprint());
        adapter
    });
    TuneOutcome {
        mode: job.mode.clone(),
        before: snapshot(untrained),
        after: snapshot(&model),
        parameters: untrained.num_params(),
        model,
        adapter,
        trainable: trained.trainable,
        epochs: trained.epochs,
        kept: trained.kept,
        failure: trained.failure,
        dev_predictions: None,
        record,
        facts,
        labels: job.data.outputs.names().to_vec(),
    }
}

/// What the sidecar keeps. Nothing that differs between two equal runs.
fn facts(record: &TrainingRecord, data: &TaskData) -> Map<String, Value> {
    let mut facts = record.facts();
    facts.insert("labels".to_owned(), json!(data.outputs.names()));
    facts.insert("text_pairs".to_owned(), json!(data.text_pairs));
    if !data.task.is_built_in() {
        facts.insert("task_definition".to_owned(), data.task.definition());
    }
    if let Task::Prompted(prompt) = &data.task {
        facts.insert("prompt".to_owned(), json!(prompt_facts(prompt)));
    }
    facts
}
