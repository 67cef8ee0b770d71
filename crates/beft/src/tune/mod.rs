//! Trainings of one or several modes over a base.

mod card;
mod differences;
mod modes;
mod outcome;
mod record;
mod resume;
mod thresholds;

use beft_checkpoint::{MULTI_LABEL, PROBLEM};
use beft_core::Outputs;
use beft_device::backend_of;
use beft_modes::{Adapter, Asked, Mode};
use beft_nn::{TaskModel, snapshot};
use beft_tasks::Task;
use beft_train::{
    EpochRecord, Event, Job, Metrics, TrainConfig, TrainError, TrainSettings, Trained,
    packs_layers, train_together, unchanged_layers,
};
use serde_json::{Map, Value, json};

use card::card;
pub use differences::{Difference, differences};
pub(crate) use differences::{check_same, explain};
pub use modes::check_mode;
pub use outcome::{TuneOutcome, check_output, left_folder, saved_folder};
pub use record::{Inputs, TrainingRecord, model_digest};
pub use resume::finished_tune;
#[cfg(feature = "report")]
pub(crate) use resume::{Finished, find_finished};
use resume::{identity, named_differences};

use crate::data::prompt_facts;
use crate::evaluate::{DevMetrics, DevPredictions, after_shots};
use crate::tuned::base_facts;
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
    let digest = model_digest(base)?;
    let records = jobs.iter().map(|job| job.record(base, digest.clone()));
    let records: Vec<TrainingRecord> = records.collect();
    let identity = identity(&records);
    let packs = { jobs.iter() }.all(|job| packs_layers(&job.mode, &job.settings).is_ok());
    if let [job] = jobs
        && let Some(how) = job.mode.asked()
    {
        let model = untrained_model(base, job, packs)?;
        return Ok(vec![asked(base, job, how, model, records[0].clone())?]);
    }
    let (mut untrained, mut trainings) = (Vec::new(), Vec::new());
    // Jobs that leave the same layers as they are share what those make of the dev examples.
    let mut devs: Vec<DevMetrics<'_>> = Vec::new();
    let mut dev_of = Vec::new();
    for job in jobs {
        let (data, settings) = (job.data, &job.settings);
        let model = untrained_model(base, job, packs)?;
        let unchanged =
            unchanged_layers(&model, &job.mode, settings.savings).map_err(TrainError::from)?;
        let known = devs
            .iter()
            .position(|dev| dev.serves(&data.task.metrics, &data.dev, unchanged));
        dev_of.push(known.unwrap_or(devs.len()));
        if known.is_none() {
            let (metrics, dev) = (&data.task.metrics, &data.dev);
            devs.push(DevMetrics::new(metrics, dev, settings, unchanged));
        }
        trainings.push(Job {
            model: model.clone(),
            data: &data.train,
            config: job.config(base, identity.clone()),
        });
        untrained.push(model);
    }
    let mut scores: Vec<Vec<DevPredictions>> = vec![Vec::new(); jobs.len()];
    let evaluate = |job: usize, model: &_| {
        let (metrics, found) = devs[dev_of[job]].of(base, model)?;
        scores[job].push(found);
        Ok::<_, Error>(metrics)
    };
    let results = train_together(trainings, evaluate, on_event).map_err(named_differences)?;
    let results = jobs.iter().zip(untrained).zip(records).zip(results);
    let mut outcomes = Vec::new();
    for ((((job, untrained), record), trained), mut all) in results.zip(scores) {
        // A model that diverged is as it was between two evaluations.
        let later = &trained.epochs[trained.kept..];
        let since = { later.iter() }
            .filter(|epoch| !epoch.metrics.is_empty())
            .count();
        let of_kept = match trained.evaluated_again {
            true => all.len().checked_sub(1),
            false => all.len().checked_sub(since + 1),
        };
        let of_kept = of_kept.filter(|_| trained.failure.is_none());
        let scores = of_kept.map(|index| all.swap_remove(index));
        let mut outcome = outcome(base, job, &untrained, trained, record)?;
        outcome.dev_predictions = scores;
        if job.settings.tune_thresholds {
            outcome.choose_thresholds(base, job)?;
        }
        let card = card(base, job, &outcome);
        if let Some(adapter) = &mut outcome.adapter {
            adapter.card = card;
        }
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// The model that a job begins with; its layers may be packed where all jobs `pack` them.
fn untrained_model(base: &Base, job: &TuneJob<'_>, packs: bool) -> Result<Model, Error> {
    let (data, settings) = (job.data, &job.settings);
    let (outputs, seed) = (data.outputs.count(), u64::from(settings.seed));
    let (model, _) = match packs {
        true => base.model_for_biases(outputs, seed, settings.forward)?,
        false => base.model(outputs, seed)?,
    };
    check_mode(base, &data.task, &job.mode)?;
    if settings.tune_thresholds && !data.has_thresholds() {
        return Err(Error::Thresholds {
            task: data.task.name.clone(),
        });
    }
    let model = match (job.mode.prefix_tokens(), model) {
        (tokens @ 1.., Model::Decoder(model)) => {
            Model::Decoder(model.with_prefix(tokens, u64::from(settings.seed)))
        }
        (_, model) => model,
    };
    Ok(match settings.dropout {
        true => model,
        false => model.without_dropout(),
    })
}

/// The outcome of a job that trains nothing, but asks the model so.
fn asked(
    base: &Base,
    job: &TuneJob<'_>,
    how: Asked,
    model: Model,
    record: TrainingRecord,
) -> Result<TuneOutcome, Error> {
    let mut dev = job.data.dev.clone();
    let after_shots = match dev.as_mut_slice() {
        [dev] => after_shots(&model, how, &mut dev.inputs),
        _ => None,
    };
    let mut metrics = DevMetrics::new(&job.data.task.metrics, &dev, &job.settings, 0);
    let (metrics, said) = metrics.of(base, after_shots.as_ref().unwrap_or(&model))?;
    said.iter().try_for_each(|said| check_finite(base, said))?;
    let epoch = EpochRecord {
        epoch: 0,
        train_loss: 0.0,
        metrics,
    };
    Ok(TuneOutcome {
        mode: job.mode.clone(),
        before: snapshot(&model),
        after: snapshot(&model),
        parameters: model.num_values(),
        model,
        adapter: None,
        trainable: 0,
        epochs: vec![epoch],
        kept: 1,
        failure: None,
        dev_predictions: Some(said),
        thresholds: Vec::new(),
        no_answer_threshold: None,
        threshold_metrics: Metrics::new(),
        record,
        facts: Map::new(),
        outputs: job.data.outputs.clone(),
    })
}

impl TuneJob<'_> {
    /// The record of this training over a base; `model` is the base's [`model_digest`].
    pub(crate) fn record(&self, base: &Base, model: String) -> TrainingRecord {
        let data = self.data;
        let device = backend_of(base.device()).map_or("", |backend| backend.name);
        let inputs = Inputs {
            base,
            model,
            task: &data.task,
            data: data.fingerprint.clone(),
            sizes: (Some(data.train_examples.len()), Some(data.dev_len())),
            objective: data.objective,
            device: device.to_owned(),
            precision: base.precision().to_string(),
        };
        TrainingRecord::new(inputs, &self.mode, &self.settings)
    }

    fn config(&self, base: &Base, identity: String) -> TrainConfig {
        let metric = self.data.task.metrics.first().map_or("", |m| m.name());
        TrainConfig {
            schedule: base.config().schedule(),
            metric: metric.to_owned(),
            identity,
            ..TrainConfig::of(self.mode.clone(), self.settings.clone())
        }
    }
}

fn outcome(
    base: &Base,
    job: &TuneJob<'_>,
    untrained: &Model,
    trained: Trained<Model>,
    record: TrainingRecord,
) -> Result<TuneOutcome, Error> {
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
        let (name, revision) = base.dir().repository();
        adapter.base_model = name.to_owned();
        adapter.revision = revision.map(str::to_owned);
        adapter.facts = facts.clone();
        adapter.set_fingerprint(base.fingerprint());
        let base_facts = base_facts(base)?.map(|(name, fact)| (name.to_owned(), fact));
        adapter.facts.extend(base_facts);
        Ok::<_, Error>(adapter)
    });
    let adapter = adapter.transpose()?;
    Ok(TuneOutcome {
        mode: job.mode.clone(),
        before: snapshot(untrained),
        after: snapshot(&model),
        parameters: untrained.num_values(),
        model,
        adapter,
        trainable: trained.trainable,
        epochs: trained.epochs,
        kept: trained.kept,
        failure: trained.failure,
        dev_predictions: None,
        thresholds: Vec::new(),
        no_answer_threshold: None,
        threshold_metrics: Metrics::new(),
        record,
        facts,
        outputs: job.data.outputs.clone(),
    })
}

/// What the sidecar keeps. Nothing that differs between two equal runs.
fn facts(record: &TrainingRecord, data: &TaskData) -> Map<String, Value> {
    let mut facts = record.facts();
    facts.insert("labels".to_owned(), json!(data.outputs.names()));
    if let Outputs::Labels(_) = data.outputs {
        facts.insert(PROBLEM.to_owned(), json!(MULTI_LABEL));
    }
    facts.insert("text_pairs".to_owned(), json!(data.text_pairs));
    if let Some(digest) = &data.split_file {
        facts.insert("split_file".to_owned(), json!(digest));
    }
    if !data.task.is_built_in() {
        facts.insert("task_definition".to_owned(), data.task.definition());
    }
    if let Task::Prompted(prompt) = &data.task {
        facts.insert("prompt".to_owned(), json!(prompt_facts(prompt)));
    }
    facts
}
