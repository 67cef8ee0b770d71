//! Evaluation of models on a task.

mod details;
mod dev;
#[cfg(feature = "report")]
mod pictures;
mod prompts;
mod spans;
mod tables;

use beft_core::{Metric, Outputs};
use beft_eval::Outcomes;
use beft_tasks::{Dataset, Example, LabelTarget, LabelledTask, Split};
use beft_train::Metrics;

pub(crate) use details::Said;
pub use details::{Baseline, ClassDetails, Details, Judged};
pub(crate) use dev::{DevMetrics, DevPredictions};
#[cfg(feature = "report")]
pub use pictures::{Picture, pictures};
pub(crate) use prompts::check_asked;
pub use prompts::{PromptOptions, evaluate_prompts};

use spans::evaluate_spans;

use crate::data::{in_task_order, targets};
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
    let names = match (&task.target, &tuned.outputs) {
        (LabelTarget::Classes(_), Outputs::Classes(names)) => names.as_slice(),
        (LabelTarget::Labels(_), Outputs::Labels(names)) => names.as_slice(),
        (LabelTarget::Value(_), Outputs::Value) => &[],
        (LabelTarget::Classes(_), Outputs::Labels(_) | Outputs::Value | Outputs::Text)
        | (LabelTarget::Labels(_), Outputs::Classes(_) | Outputs::Value | Outputs::Text)
        | (LabelTarget::Value(_), Outputs::Classes(_) | Outputs::Labels(_) | Outputs::Text)
        | (_, Outputs::Span)
        | (LabelTarget::Answer(_), _) => {
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
    let (predictions, counts) = tuned.scores(&examples)?;
    let notes = tuned.base.input_notes("inputs", counts);
    let (targets, predictions) = in_task_order(task, data, names, targets, predictions)?;
    let known = match task.target {
        // In this order are the classes now.
        LabelTarget::Classes(_) => task.label_names(),
        LabelTarget::Labels(_) | LabelTarget::Value(_) | LabelTarget::Answer(_) => None,
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
        judged: said.judge(|_| Vec::new()),
        examples: data.examples.clone(),
    })
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
