use std::path::Path;

use beft_checkpoint::{ADAPTER_SIDECAR, Adapter};
use beft_core::Targets;
use beft_eval::{RepeatedPrediction, argmax, compute, compute_values, predict};
use beft_nn::{Precision, Savings};
use beft_tasks::{Dataset, Example, Metric, Split, Task, TaskKind};
use beft_train::Metrics;
use burn::tensor::Device;
use serde_json::{Map, Value};

use crate::answers::{answered, dev_metrics};
use crate::class_order::in_task_order;
use crate::data::{DevSet, check_kind, has_pairs, targets};
use crate::tune::EVAL_BATCH;
use crate::{Base, Encoded, Error, Model, find_model};

/// Three special tokens and one of each text of a pair.
const SHORTEST_MAX_LENGTH: u64 = 5;

/// A base model with an adapter on it, or a tuned model.
#[derive(Debug)]
pub struct Tuned {
    /// The base.
    pub base: Base,
    /// The tuned model.
    pub model: Model,
    /// Class names; numbers when the adapter does not say (PEFT's own adapters); none for a
    /// regression.
    pub labels: Vec<String>,
    /// The task it was trained on, if the adapter says.
    pub task: Option<String>,
    /// That task as [`Task::definition`] gives it, where it is no built-in one.
    pub task_definition: Option<Value>,
    /// Whether it was trained on pairs of texts, if the adapter says.
    pub text_pairs: Option<bool>,
    /// The mode it was trained in, if the adapter says.
    pub terms: Option<String>,
    /// What a decoder was asked in training, if the adapter says.
    pub prompt: Option<String>,
    /// What the user should hear about the files.
    pub notes: Vec<String>,
}

/// What a model says of inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicted {
    /// For each input the scores of the classes, or one value.
    pub scores: Vec<Vec<f32>>,
    /// What the user should hear about the inputs.
    pub notes: Vec<String>,
}

/// Opens a tuned model: an adapter folder on its base model (`model` if given, else the one it
/// names), or without an adapter the model folder `model` with a head of its own. Inputs are cut to `max_length`
/// tokens, or without it to what the adapter was trained with, or to what model and tokenizer allow.
///
/// # Errors
///
/// When either cannot be read, they do not fit, or there is no classification head.
pub fn open_tuned(
    model: Option<&str>,
    adapter: Option<&Path>,
    device: &Device,
    precision: Precision,
    max_length: Option<usize>,
) -> Result<Tuned, Error> {
    match (model, adapter) {
        (model, Some(dir)) => open_adapter(model, dir, device, precision, max_length),
        (Some(model), None) => open_model(model, device, precision, max_length),
        (None, None) => Err(Error::Usage(
            "give --adapter, or --model with the folder of a tuned model".to_owned(),
        )),
    }
}

fn open_adapter(
    model: Option<&str>,
    adapter_dir: &Path,
    device: &Device,
    precision: Precision,
    max_length: Option<usize>,
) -> Result<Tuned, Error> {
    let adapter = Adapter::load(adapter_dir)?;
    let whose = format!("adapter {}: beft.json", adapter_dir.display());
    let facts = Facts::read(&adapter.facts, &whose)?;
    let longest = max_length.or(facts.max_length);
    let base = match model {
        Some(model) => Base::open(model, longest, device)?,
        None => {
            let name = adapter.base_name();
            Base::open(&name, longest, device).map_err(|e| {
                Error::Usage(format!(
                    "the adapter {} names `{name}` as its base model, give another with --model: {e}",
                    adapter_dir.display(),
                ))
            })?
        }
    };
    let base = base.with_precision(precision)?;
    adapter.check_base(adapter_dir, &base.fingerprint())?;
    let fail =
        |reason: String| Error::Usage(format!("adapter {}: {reason}", adapter_dir.display()));
    let decoder = base.decoder_config().is_some();
    if decoder && !adapter.head.is_empty() {
        return Err(fail(
            "it has a classification head, and a head on a decoder is not implemented: give the encoder it was \
             trained on with --model"
                .to_owned(),
        ));
    }
    // A decoder has no head, and an adapter without one leaves the base's as it is.
    let named = facts.labels.as_ref().map(Vec::len);
    let outputs = match (adapter.num_classes(), decoder) {
        (Some(classes), _) => classes,
        (None, true) => named.unwrap_or(1).max(1),
        (None, false) => base.dir().labels()?.len(),
    };
    let (model, report) = base.model(outputs, 0)?;
    if !decoder && adapter.num_classes().is_none() && !report.initialized.is_empty() {
        return Err(fail(format!(
            "neither it nor its base has a trained classification head ({} missing)",
            report.initialized.join(", ")
        )));
    }
    let model = match (&adapter.prefix, model) {
        (Some(prefix), Model::Decoder(model)) => {
            Model::Decoder(model.with_prefix_values(prefix).map_err(fail)?)
        }
        (Some(_), Model::Encoder(_)) => {
            return Err(fail(
                "prefix tuning of an encoder is not implemented".to_owned(),
            ));
        }
        (None, model) => {
            let names = model.names();
            adapter.apply(model, names, adapter_dir)?
        }
    };
    facts.tuned(base, model, outputs, &whose, adapter.notes)
}

fn open_model(
    name: &str,
    device: &Device,
    precision: Precision,
    max_length: Option<usize>,
) -> Result<Tuned, Error> {
    let dir = find_model(name, &mut |_| ())?;
    let sidecar = dir.path().join(ADAPTER_SIDECAR);
    let mut known = Map::new();
    if let Ok(text) = std::fs::read(&sidecar) {
        known = serde_json::from_slice(&text)
            .map_err(|e| Error::Usage(format!("{}: {e}", sidecar.display())))?;
    }
    let whose = format!("{}: beft.json", dir.path().display());
    let facts = Facts::read(&known, &whose)?;
    let base = Base::open(name, max_length.or(facts.max_length), device)?;
    let base = base.with_precision(precision)?;
    if base.decoder_config().is_some() {
        let (model, _) = base.model(1, 0)?;
        return facts.tuned(base, model, 1, &whose, Vec::new());
    }
    let outputs = dir.labels()?.len();
    let (model, report) = base.model(outputs, 0)?;
    if let Some(problem) = report.misshapen.first() {
        return Err(Error::Usage(format!(
            "{}: {problem}: config.json says that there are {outputs} classes (id2label, num_labels); correct it",
            dir.path().display()
        )));
    }
    if !report.initialized.is_empty() {
        return Err(Error::Usage(format!(
            "{} has no trained head: {} missing; give --adapter",
            dir.path().display(),
            report.initialized.join(", ")
        )));
    }
    facts.tuned(base, model, outputs, &whose, Vec::new())
}

/// What was recorded beside an adapter or a tuned model.
struct Facts {
    /// Class names; none for a regression.
    labels: Option<Vec<String>>,
    max_length: Option<usize>,
    task: Option<String>,
    task_definition: Option<Value>,
    text_pairs: Option<bool>,
    terms: Option<String>,
    prompt: Option<String>,
}

impl Facts {
    /// `whose` begins messages.
    fn read(facts: &Map<String, Value>, whose: &str) -> Result<Self, Error> {
        let text = |name: &str| facts.get(name).and_then(Value::as_str).map(str::to_owned);
        let max_length = facts.get("max_length").map(|value| {
            value
                .as_u64()
                .filter(|n| *n >= SHORTEST_MAX_LENGTH)
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(|| {
                    Error::Usage(format!(
                        "{whose} says max_length {value}; it must be a whole number, {SHORTEST_MAX_LENGTH} or more"
                    ))
                })
        });
        let labels = facts.get("labels").and_then(Value::as_array).map(|names| {
            let names = names.iter().filter_map(Value::as_str);
            names.map(str::to_owned).collect::<Vec<_>>()
        });
        let twice = labels.iter().flat_map(|labels| {
            let numbered = labels.iter().enumerate();
            numbered.filter(|(i, label)| labels[..*i].contains(label))
        });
        if let Some((_, twice)) = twice.into_iter().next() {
            return Err(Error::Usage(format!(
                "{whose} names the label `{twice}` twice"
            )));
        }
        Ok(Self {
            labels,
            max_length: max_length.transpose()?,
            task: text("task"),
            task_definition: facts.get("task_definition").cloned(),
            text_pairs: facts.get("text_pairs").and_then(Value::as_bool),
            terms: text("terms"),
            prompt: text("prompt"),
        })
    }

    /// The tuned model. Where nothing was recorded, an encoder's classes are named as its config.json names as
    /// many, and one output is a regression's.
    fn tuned(
        self,
        base: Base,
        model: Model,
        outputs: usize,
        whose: &str,
        notes: Vec<String>,
    ) -> Result<Tuned, Error> {
        let labels = match self.labels {
            Some(labels) => labels,
            None if outputs == 1 => Vec::new(),
            None => {
                let named = base.dir().labels()?;
                match named.len() == outputs {
                    true => named,
                    false => (0..outputs).map(|class| format!("LABEL_{class}")).collect(),
                }
            }
        };
        if labels.len().max(1) != outputs {
            return Err(Error::Usage(format!(
                "{whose} names {} labels, the head has {outputs} classes",
                labels.len()
            )));
        }
        let notes = base.notes().iter().cloned().chain(notes).collect();
        Ok(Tuned {
            base,
            model,
            labels,
            task: self.task,
            task_definition: self.task_definition,
            text_pairs: self.text_pairs,
            terms: self.terms,
            prompt: self.prompt,
            notes,
        })
    }
}

impl Tuned {
    /// The task that the adapter carries, where it was trained on one of the user's own.
    ///
    /// # Errors
    ///
    /// When its definition makes no sense, or is not for this kind of model.
    pub fn carried_task(&self) -> Result<Option<Task>, Error> {
        let Some(definition) = &self.task_definition else {
            return Ok(None);
        };
        let task = Task::from_definition(definition)?;
        check_kind(&self.base, &task)?;
        Ok(Some(task))
    }

    /// Class scores of inputs, labelled or not; `on_done` hears how many inputs each batch finished.
    ///
    /// # Errors
    ///
    /// When tokenising fails, or it was trained on pairs of texts and these are single
    /// texts, or the other way round.
    pub fn predict(
        &self,
        examples: &[Example],
        on_done: impl FnMut(usize) + Send,
    ) -> Result<Predicted, Error> {
        let encoded = self.encode_texts(examples)?;
        let (inputs, savings) = (&encoded.encodings, Savings::default());
        Ok(Predicted {
            scores: predict(&self.model, inputs, EVAL_BATCH, savings, on_done),
            notes: self.base.input_notes("inputs", &encoded),
        })
    }

    fn encode_texts(&self, examples: &[Example]) -> Result<Encoded, Error> {
        if self.model.decoder().is_some() {
            return Err(Error::Usage(format!(
                "{} is a decoder: it is given prompts (evaluate_prompts)",
                self.base.name()
            )));
        }
        match (self.text_pairs, has_pairs(examples)) {
            (Some(true), false) => Err(Error::Usage(
                "the model was trained on pairs of texts, and these are single texts; give a file with both columns (text, text_pair)".to_owned(),
            )),
            (Some(false), true) => Err(Error::Usage(
                "the model was trained on single texts, and these are pairs; leave out the second column".to_owned(),
            )),
            _ => self.base.encode(
                examples
                    .iter()
                    .map(|e| (e.text.as_str(), e.text_pair.as_deref())),
            ),
        }
    }
}

/// Metrics with the number of examples behind them.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Metric values by name.
    pub metrics: Metrics,
    /// Number of examples.
    pub examples: usize,
    /// What the user should hear.
    pub notes: Vec<String>,
}

/// Fails where a model says nothing: its weights are damaged.
pub(crate) fn check_finite(base: &Base, scores: &[Vec<f32>]) -> Result<(), Error> {
    match scores.iter().flatten().all(|score| score.is_finite()) {
        true => Ok(()),
        false => Err(Error::Usage(format!(
            "{} gives scores that are no numbers: its weights are damaged, or too large for the precision",
            base.name()
        ))),
    }
}

/// Evaluates a tuned model on labelled data.
///
/// # Errors
///
/// As [`Tuned::predict`]; when the model's outputs are not what the task calls for.
pub fn evaluate(tuned: &Tuned, task: &Task, data: &Dataset) -> Result<Evaluation, Error> {
    let regression = task.kind == TaskKind::Regression;
    if regression != tuned.labels.is_empty() {
        let (task_is, model_is) = match regression {
            true => ("a regression", "classes"),
            false => ("a classification", "one value"),
        };
        return Err(Error::Usage(format!(
            "task {} is {task_is}, the model gives {model_is}",
            task.name
        )));
    }
    let Predicted { scores, notes } = tuned.predict(&data.examples, |_| ())?;
    check_finite(&tuned.base, &scores)?;
    let targets = targets(task, data.examples.iter());
    let (targets, scores) = in_task_order(task, data, &tuned.labels, targets, scores)?;
    Ok(Evaluation {
        notes: data.notes.iter().cloned().chain(notes).collect(),
        metrics: task_metrics(task, &targets, &scores, ""),
        examples: data.examples.len(),
    })
}

/// The task's metrics of models on the dev splits, evaluated again and again while their lowest layers
/// stay the same and are the same in all of them. A metric that is undefined there is left out.
pub(crate) struct DevMetrics<'a> {
    task: &'a Task,
    splits: Vec<(&'a DevSet, RepeatedPrediction<'a>)>,
    unchanged_layers: usize,
}

/// By split, what a model said of each dev example.
pub(crate) type DevScores = Vec<Vec<Vec<f32>>>;

impl<'a> DevMetrics<'a> {
    pub(crate) fn new(
        task: &'a Task,
        dev: &'a [DevSet],
        savings: Savings,
        unchanged_layers: usize,
    ) -> Self {
        let splits = dev.iter().map(|dev| {
            let encodings = &dev.set.encodings;
            let prediction =
                RepeatedPrediction::new(encodings, EVAL_BATCH, savings, unchanged_layers);
            (dev, prediction)
        });
        Self {
            task,
            splits: splits.collect(),
            unchanged_layers,
        }
    }

    /// Whether it is also that of models of the same backbone that leave so many layers as they are, on
    /// these splits.
    pub(crate) fn serves(&self, task: &Task, dev: &[DevSet], unchanged_layers: usize) -> bool {
        if dev.iter().any(|dev| dev.questions.is_some()) {
            return false;
        }
        let mut pairs = self.splits.iter().zip(dev);
        self.unchanged_layers == unchanged_layers
            && self.task.metrics == task.metrics
            && self.splits.len() == dev.len()
            && pairs.all(|((mine, _), other)| {
                mine.split == other.split
                    && mine.set.encodings == other.set.encodings
                    && mine.set.targets == other.set.targets
            })
    }

    /// The metrics, and what they are computed from.
    ///
    /// # Errors
    ///
    /// When generated tokens are no text.
    pub(crate) fn of(&mut self, base: &Base, model: &Model) -> Result<(Metrics, DevScores), Error> {
        let mut metrics = Metrics::new();
        let mut scores = Vec::new();
        for (dev, prediction) in &mut self.splits {
            let found = match &dev.questions {
                Some(questions) => answered(base, model, questions, |_| ())?,
                None => dev.adjusted(prediction.predict(model), model),
            };
            let suffix = metric_suffix(dev.split);
            metrics.extend(dev_metrics(self.task, dev, &found, suffix));
            scores.push(found);
        }
        Ok((metrics, scores))
    }
}

/// What the metrics' names of a split end in: nothing, or `_mm` for MNLI's mismatched ones.
pub fn metric_suffix(split: Split) -> &'static str {
    if split.is_mismatched() { "_mm" } else { "" }
}

/// The task's metrics of class scores, or of one value each; their names end in `suffix`.
pub fn task_metrics(task: &Task, targets: &Targets, scores: &[Vec<f32>], suffix: &str) -> Metrics {
    let value = |metric: &Metric| match targets {
        Targets::Classes(labels) => {
            let predictions: Vec<usize> = scores.iter().map(|scores| argmax(scores)).collect();
            compute(*metric, labels, &predictions)
        }
        Targets::Values(values) => {
            let values: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
            let predicted: Vec<f64> = scores.iter().map(|s| f64::from(s[0])).collect();
            compute_values(*metric, &values, &predicted)
        }
        Targets::Tokens(_) if *metric == Metric::LogLikelihood => {
            let sum: f64 = scores.iter().map(|s| f64::from(s[0])).sum();
            Some(sum / scores.len().max(1) as f64)
        }
        Targets::Tokens(_) => None,
    };
    let metrics = task.metrics.iter();
    metrics
        .filter_map(|m| Some((format!("{m}{suffix}"), value(m)?)))
        .collect()
}
