use beft_core::Targets;
use beft_eval::{RepeatedPrediction, argmax, compute, compute_values, predict};
use beft_nn::Savings;
use beft_tasks::{Dataset, Example, Metric, Split, Task, TaskKind};
use beft_train::Metrics;
use serde_json::Value;

use crate::answers::{answered, dev_metrics};
use crate::class_order::in_task_order;
use crate::data::{DevSet, check_kind, has_pairs, targets};
use crate::tune::EVAL_BATCH;
use crate::{Base, Encoded, Error, Model};

/// A base model with an adapter on it, or a tuned model.
#[derive(Debug)]
pub struct Tuned {
    /// The base.
    pub base: Base,
    /// The tuned model.
    pub model: Model,
    /// Class names; as config.json names as many where the adapter does not say (PEFT's own adapters); none for
    /// a regression.
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
        let scores = predict(&self.model, inputs, EVAL_BATCH, savings, on_done);
        check_finite(&self.base, &scores)?;
        Ok(Predicted {
            scores,
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
