use std::path::Path;

use beft_checkpoint::Adapter;
use beft_core::EncodedSet;
use beft_encoder::{BertForSequenceClassification, SEQUENCE_CLASSIFICATION_NAMES};
use beft_eval::{argmax, compute, predict};
use beft_nn::{Padding, Precision, SequenceClassifier};
use beft_tasks::{Dataset, Example, Task};
use beft_train::Metrics;
use burn::tensor::Device;
use serde_json::Value;

use crate::data::{encode, has_pairs};
use crate::tune::EVAL_BATCH;
use crate::{Base, Error};

/// Longest input in tokens for an adapter that does not say (PEFT's own): the protocol's.
const DEFAULT_MAX_LENGTH: usize = 128;
/// Three special tokens and one of each text of a pair.
const SHORTEST_MAX_LENGTH: u64 = 5;

/// A base model with an adapter on it.
#[derive(Debug)]
pub struct Tuned {
    /// The base.
    pub base: Base,
    /// The tuned model.
    pub model: BertForSequenceClassification,
    /// Class names; numbers when the adapter does not say (PEFT's own adapters).
    pub labels: Vec<String>,
    /// The task it was trained on, if the adapter says.
    pub task: Option<String>,
    /// Whether it was trained on pairs of texts, if the adapter says.
    pub text_pairs: Option<bool>,
    /// The term set it was trained with, if the adapter says.
    pub terms: Option<String>,
}

/// Opens an adapter folder with its base model: `model` if given, else the one it names.
///
/// # Errors
///
/// When either cannot be read, they do not fit, or the adapter has no classification head.
pub fn open_tuned(
    model: Option<&str>,
    adapter_dir: &Path,
    device: &Device,
    precision: Precision,
) -> Result<Tuned, Error> {
    let adapter = Adapter::load(adapter_dir)?;
    let classes = adapter.num_classes().ok_or_else(|| {
        Error::Usage(format!(
            "adapter {} has no classification head (`classifier.bias`)",
            adapter_dir.display()
        ))
    })?;
    let fact = |name: &str| adapter.facts.get(name);
    let text = |name: &str| fact(name).and_then(Value::as_str).map(str::to_owned);
    let max_length = match fact("max_length") {
        None => DEFAULT_MAX_LENGTH,
        Some(value) => value
            .as_u64()
            .filter(|n| *n >= SHORTEST_MAX_LENGTH)
            .and_then(|n| usize::try_from(n).ok())
            .ok_or_else(|| {
                Error::Usage(format!(
                    "adapter {}: beft.json says max_length {value}; it must be a whole number, {SHORTEST_MAX_LENGTH} or more",
                    adapter_dir.display()
                ))
            })?,
    };
    let labels: Vec<String> = match fact("labels").and_then(Value::as_array) {
        Some(names) => names
            .iter()
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect(),
        None => (0..classes).map(|class| class.to_string()).collect(),
    };
    if let Some(twice) = labels
        .iter()
        .enumerate()
        .find_map(|(i, label)| labels[..i].contains(label).then_some(label))
    {
        return Err(Error::Usage(format!(
            "adapter {}: beft.json names the label `{twice}` twice",
            adapter_dir.display()
        )));
    }
    if labels.len() != classes {
        return Err(Error::Usage(format!(
            "adapter {}: beft.json names {} labels, the head has {classes} classes",
            adapter_dir.display(),
            labels.len()
        )));
    }
    let (task, terms) = (text("task"), text("terms"));
    let text_pairs = fact("text_pairs").and_then(Value::as_bool);

    let base = match model {
        Some(model) => Base::open(model, max_length, device)?,
        None => Base::open(&adapter.base_model, max_length, device).map_err(|e| {
            Error::Usage(format!(
                "the adapter {} names `{}` as its base model, give another with --model: {e}",
                adapter_dir.display(),
                adapter.base_model
            ))
        })?,
    };
    let base = base.with_precision(precision)?;
    adapter.check_base(adapter_dir, &base.fingerprint())?;
    let (model, _) = base.classifier(classes, 0)?;
    let model = adapter.apply(model, &SEQUENCE_CLASSIFICATION_NAMES, adapter_dir)?;
    Ok(Tuned {
        base,
        model,
        labels,
        task,
        text_pairs,
        terms,
    })
}

impl Tuned {
    /// Class scores of inputs, labelled or not; `on_done` hears how many inputs each batch finished.
    ///
    /// # Errors
    ///
    /// When tokenising fails, or the adapter was trained on pairs of texts and these are single
    /// texts, or the other way round.
    pub fn predict(
        &self,
        examples: &[Example],
        on_done: impl FnMut(usize),
    ) -> Result<Vec<Vec<f32>>, Error> {
        let encodings = self.encode(examples)?.encodings;
        let padding = Padding::default();
        Ok(predict(
            &self.model,
            &encodings,
            EVAL_BATCH,
            padding,
            on_done,
        ))
    }

    fn encode(&self, examples: &[Example]) -> Result<EncodedSet, Error> {
        match (self.text_pairs, has_pairs(examples)) {
            (Some(true), false) => Err(Error::Usage(
                "the adapter was trained on pairs of texts, and these are single texts; give a file with both columns (text, text_pair)".to_owned(),
            )),
            (Some(false), true) => Err(Error::Usage(
                "the adapter was trained on single texts, and these are pairs; leave out the second column".to_owned(),
            )),
            _ => encode(&self.base, examples.iter().collect()),
        }
    }
}

/// The result of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Metric values by name.
    pub metrics: Metrics,
    /// Number of examples.
    pub examples: usize,
}

/// Evaluates a tuned model on labelled data.
///
/// # Errors
///
/// As [`Tuned::predict`].
pub fn evaluate(tuned: &Tuned, task: &Task, data: &Dataset) -> Result<Evaluation, Error> {
    let set = tuned.encode(&data.examples)?;
    let metrics = metrics(&tuned.model, task, &set, Padding::default());
    Ok(Evaluation {
        metrics,
        examples: set.len(),
    })
}

/// The task's metrics of a model on a labelled set. A metric that is undefined there is left out.
pub(crate) fn metrics<M: SequenceClassifier>(
    model: &M,
    task: &Task,
    set: &EncodedSet,
    padding: Padding,
) -> Metrics {
    let logits = predict(model, &set.encodings, EVAL_BATCH, padding, |_| ());
    let predictions: Vec<usize> = logits.iter().map(|scores| argmax(scores)).collect();
    task.metrics
        .iter()
        .filter_map(|m| Some((m.name().to_owned(), compute(*m, &set.labels, &predictions)?)))
        .collect()
}
