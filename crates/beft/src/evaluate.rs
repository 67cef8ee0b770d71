use std::path::Path;

use beft_checkpoint::Adapter;
use beft_core::{EncodedSet, Encoding};
use beft_encoder::{BertForSequenceClassification, SEQUENCE_CLASSIFICATION_NAMES};
use beft_eval::{argmax, compute, predict};
use beft_nn::{Padding, SequenceClassifier};
use beft_tasks::{Dataset, Task};
use beft_train::Metrics;
use burn::tensor::Device;
use serde_json::Value;

use crate::data::encode_labelled;
use crate::tune::EVAL_BATCH;
use crate::{Base, Error};

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
    let max_length = fact("max_length")
        .and_then(Value::as_u64)
        .map_or(128, |n| n as usize);
    let labels: Vec<String> = match fact("labels").and_then(Value::as_array) {
        Some(names) => names
            .iter()
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect(),
        None => (0..classes).map(|class| class.to_string()).collect(),
    };
    if labels.len() != classes {
        return Err(Error::Usage(format!(
            "adapter {}: beft.json names {} labels, the head has {classes} classes",
            adapter_dir.display(),
            labels.len()
        )));
    }
    let (task, terms) = (text("task"), text("terms"));

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
    adapter.check_base(adapter_dir, &base.fingerprint())?;
    let (model, _) = base.classifier(classes, 0)?;
    let model = adapter.apply(model, &SEQUENCE_CLASSIFICATION_NAMES, adapter_dir)?;
    Ok(Tuned {
        base,
        model,
        labels,
        task,
        terms,
    })
}

impl Tuned {
    /// Class scores of tokenised inputs; `on_done` hears how many inputs each batch finished.
    pub fn predict(&self, encodings: &[Encoding], on_done: impl FnMut(usize)) -> Vec<Vec<f32>> {
        predict(
            &self.model,
            encodings,
            EVAL_BATCH,
            Padding::default(),
            on_done,
        )
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
/// When tokenising fails.
pub fn evaluate(tuned: &Tuned, task: &Task, data: &Dataset) -> Result<Evaluation, Error> {
    let set = encode_labelled(&tuned.base, data)?;
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
