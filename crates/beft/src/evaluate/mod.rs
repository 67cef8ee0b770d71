//! Evaluation of models on a task.

mod compared;
mod details;
mod dev;
mod prompts;
mod spans;
mod tables;

use beft_core::{Metric, Outputs, Prediction, Targets};
use beft_eval::Outcomes;
use beft_tasks::{Dataset, Example, LabelTarget, LabelledTask, Split};
use beft_train::Metrics;

pub use details::{Baseline, ClassDetails, Details, Judged};
pub(crate) use details::{Said, spoken};
pub(crate) use dev::{DevMetrics, DevPredictions};
pub use prompts::{PromptOptions, evaluate_prompts};
pub(crate) use prompts::{after_shots, check_asked};

use compared::evaluate_compared;
use spans::evaluate_spans;

use crate::base::InputCounts;
use crate::data::{compared, in_task_order, targets};
use crate::{Error, Tuned};

/// What a model is worth on labelled examples.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The metrics and what stands behind them.
    pub details: Details,
    /// The examples, in the order of the data.
    pub examples: Vec<Example>,
    /// For each of them what is right and what the model says.
    pub judged: Vec<Judged>,
    /// What the user should hear.
    pub notes: Vec<String>,
}

/// Evaluates a tuned model on labelled data. The metrics' names end in `suffix`.
///
/// # Errors
///
/// When tokenising fails; when examples are pairs of texts and it was trained on single ones, or the other way
/// round; when the model's outputs are not what the task calls for, or examples have no label.
pub fn evaluate(
    tuned: &Tuned,
    task: &LabelledTask,
    data: &Dataset,
    suffix: &str,
) -> Result<Evaluation, Error> {
    if let LabelTarget::Answer(answerable) = task.target {
        return evaluate_spans(tuned, task, answerable, data, suffix);
    }
    if let LabelTarget::Similarity(_) | LabelTarget::Ranking = task.target {
        return evaluate_compared(tuned, task, data, suffix);
    }
    let names = match (&task.target, &tuned.outputs) {
        (LabelTarget::Classes(_), Outputs::Classes(names)) => names.as_slice(),
        (LabelTarget::Labels(_), Outputs::Labels(names)) => names.as_slice(),
        (LabelTarget::Tags(_), Outputs::Tags(names)) => names.as_slice(),
        (LabelTarget::Value(_), Outputs::Value) => &[],
        (LabelTarget::Classes(_), _)
        | (LabelTarget::Labels(_), _)
        | (LabelTarget::Tags(_), _)
        | (LabelTarget::Value(_), _)
        | (LabelTarget::Answer(_), _)
        | (LabelTarget::Similarity(_) | LabelTarget::Ranking, _) => {
            return Err(Error::OtherOutput {
                task: task.name.clone(),
                kind: task.target.kind(),
            });
        }
    };
    let targets = targets(task, data.examples.iter());
    if targets.len() != data.examples.len() {
        return Err(Error::NoLabels {
            path: data.path.clone(),
        });
    }
    let examples: Vec<&Example> = data.examples.iter().collect();
    let (predictions, counts) = match &targets {
        Targets::Tags(truths) => tag_predictions(tuned, &examples, truths, names)?,
        _ => tuned.scores(&examples)?,
    };
    let notes = tuned.base.input_notes("inputs", counts);
    let (targets, predictions) = in_task_order(task, data, names, targets, predictions)?;
    let known = match task.target {
        // In this order are the classes now.
        LabelTarget::Classes(_) => task.label_names(),
        LabelTarget::Labels(_)
        | LabelTarget::Value(_)
        | LabelTarget::Answer(_)
        | LabelTarget::Tags(_)
        | LabelTarget::Similarity(_)
        | LabelTarget::Ranking => None,
    };
    let said = Said {
        targets: Some(&targets),
        predictions: &predictions,
        names: known.as_deref().unwrap_or(names),
        thresholds: &tuned.thresholds,
    };
    Ok(Evaluation {
        notes: data.notes.iter().cloned().chain(notes).collect(),
        details: said.details(&task.metrics, suffix),
        judged: said.judge(|index| data.examples[index].words.clone().unwrap_or_default()),
        examples: data.examples.clone(),
    })
}

/// Predicted tags beside the right ones.
fn tag_predictions(
    tuned: &Tuned,
    examples: &[&Example],
    truths: &[Vec<Option<usize>>],
    names: &[String],
) -> Result<(Vec<Prediction>, InputCounts), Error> {
    let (texts, counts) = tuned.tagged(examples)?;
    let predictions = texts.into_iter().zip(truths).map(|(text, truth)| {
        let said = text.tags.into_iter().map(|(tag, _)| tag).collect();
        compared(truth, said, names)
    });
    Ok((predictions.collect(), counts))
}

/// What the metrics' names of a split end in: nothing, or `_mm` for MNLI's mismatched ones.
pub fn metric_suffix(split: Split) -> &'static str {
    if split.is_mismatched() { "_mm" } else { "" }
}

/// Measures outcomes; the metrics' names end in `suffix`. A metric that is undefined there is left out.
pub fn task_metrics(metrics: &[Metric], outcomes: &Outcomes, suffix: &str) -> Metrics {
    let named = |metric: &Metric| Some((format!("{metric}{suffix}"), outcomes.measure(*metric)?));
    metrics.iter().filter_map(named).collect()
}
