use std::path::Path;

use beft_checkpoint::Adapter;
use beft_core::{BiasSnapshot, TermSet};
use beft_encoder::{BertForSequenceClassification, SEQUENCE_CLASSIFICATION_NAMES};
use beft_nn::{BiasModel, Padding, read_params, snapshot};
use beft_train::{EpochRecord, Event, Failure, TrainConfig, train};
use serde_json::{Map, Value, json};

use crate::evaluate::metrics;
use crate::{Base, Error, TaskData};

/// How to tune. [`TuneOptions::for_task`] gives the task's protocol values.
#[derive(Clone, Debug)]
pub struct TuneOptions {
    /// Constant learning rate.
    pub learning_rate: f64,
    /// Passes over the training subset.
    pub epochs: usize,
    /// Examples per step.
    pub batch_size: usize,
    /// Decides the head, the order of examples and dropout.
    pub seed: u32,
    /// How much padding is computed.
    pub padding: Padding,
}

impl TuneOptions {
    /// The protocol's values for a task.
    pub fn for_task(task: &beft_tasks::Task, seed: u32) -> Self {
        Self {
            learning_rate: task.defaults.learning_rate,
            epochs: task.defaults.epochs,
            batch_size: task.defaults.batch_size,
            seed,
            padding: Padding::default(),
        }
    }
}

/// What tuning one term set gave.
#[derive(Debug)]
pub struct TuneOutcome {
    /// The term set.
    pub terms: TermSet,
    /// The tuned model.
    pub model: BertForSequenceClassification,
    /// The trained biases and head, ready to be saved.
    pub adapter: Adapter,
    /// Number of values that learned.
    pub trainable: usize,
    /// One record per epoch.
    pub epochs: Vec<EpochRecord>,
    /// Layer biases before training.
    pub before: BiasSnapshot,
    /// Layer biases after training.
    pub after: BiasSnapshot,
    /// Set when training diverged: model and adapter are the last good ones.
    pub failure: Option<Failure>,
}

impl TuneOutcome {
    /// What the user must hear about a training that came to its end: a loss far above that of
    /// guessing one of `classes` says that it went wrong.
    pub fn warning(&self, classes: usize) -> Option<String> {
        let loss = self.epochs.last()?.train_loss;
        let guessing = (classes.max(2) as f64).ln();
        (loss > 10.0 * guessing).then(|| {
            format!(
                "the training loss ended at {loss:.1e}, guessing has {guessing:.2}: lower the learning rate"
            )
        })
    }

    /// Saves the adapter to the folder `dir`. After a divergence the last good one goes to
    /// `last-good` beside it instead, `dir` stays as it was, and the error says so. Nothing is
    /// saved when nothing good was learned.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written, or training diverged.
    pub fn save(&self, dir: &Path) -> Result<(), Error> {
        let Some(failure) = self.failure else {
            self.adapter.save(dir)?;
            // What an earlier run that failed left there is not this run's.
            Adapter::remove(&dir.with_file_name(LAST_GOOD));
            return Ok(());
        };
        // The last good values are those before the last step with a finite loss.
        if failure.epoch == 1 && failure.step <= 2 {
            return Err(Error::NothingGood(failure));
        }
        let adapter = dir.with_file_name(LAST_GOOD);
        self.adapter.save(&adapter)?;
        Err(Error::Diverged { failure, adapter })
    }
}

/// Name of the folder with the last good adapter of a run that failed.
const LAST_GOOD: &str = "last-good";

/// Inputs per batch where no gradients are needed.
pub(crate) const EVAL_BATCH: usize = 64;

/// Trains the biases of `terms` and the head on the training subset, evaluating on the dev split
/// after each epoch.
///
/// # Errors
///
/// When the model cannot be loaded or the settings do not fit. Divergence is not an error here:
/// see [`TuneOutcome::failure`].
pub fn tune(
    base: &Base,
    data: &TaskData,
    terms: &TermSet,
    options: &TuneOptions,
    on_event: impl FnMut(Event<'_>),
) -> Result<TuneOutcome, Error> {
    let seed = u64::from(options.seed);
    let (model, _) = base.classifier(data.labels.len(), seed)?;
    let paths = model.trainable_paths(terms)?;
    let trained = |path: &str| paths.iter().any(|p| p == path);
    let values_before = read_params(&model, trained);
    let before = snapshot(&model);

    let config = TrainConfig {
        batch_size: options.batch_size,
        padding: options.padding,
        ..TrainConfig::new(terms.clone(), options.learning_rate, options.epochs, seed)
    };
    let result = train(
        model,
        &data.train,
        &config,
        |model| Ok::<_, Error>(metrics(model, &data.task, &data.dev, options.padding)),
        on_event,
    )?;

    let model = result.model;
    let values_after = read_params(&model, trained);
    let head = model.bias_layout().head;
    let mut adapter = Adapter::between(
        &model,
        &SEQUENCE_CLASSIFICATION_NAMES,
        &values_before,
        &values_after,
        head,
    );
    adapter.base_model = base.name().to_owned();
    adapter.facts = facts(base, data, terms, options);
    adapter.set_fingerprint(base.fingerprint());
    Ok(TuneOutcome {
        terms: terms.clone(),
        after: snapshot(&model),
        model,
        adapter,
        trainable: result.trainable,
        epochs: result.epochs,
        before,
        failure: result.failure,
    })
}

/// What the sidecar keeps. Nothing that differs between two equal runs.
fn facts(
    base: &Base,
    data: &TaskData,
    terms: &TermSet,
    options: &TuneOptions,
) -> Map<String, Value> {
    let facts = json!({
        "beft_version": env!("CARGO_PKG_VERSION"),
        "terms": terms.to_string(),
        "task": data.task.name,
        "labels": data.labels,
        "text_pairs": data.text_pairs,
        "max_length": base.max_length(),
        "train_size": data.train.len(),
        "learning_rate": options.learning_rate,
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "seed": options.seed,
    });
    match facts {
        Value::Object(facts) => facts,
        _ => Map::new(),
    }
}
