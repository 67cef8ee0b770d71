//! Evaluation of models on a task.

mod dev;
mod prompts;

use beft_core::{Metric, Outputs};
use beft_eval::Outcomes;
use beft_tasks::{Dataset, LabelTarget, LabelledTask, Split};
use beft_train::Metrics;

pub(crate) use dev::{DevMetrics, DevPredictions};
pub(crate) use prompts::check_asked;
pub use prompts::{PromptOptions, evaluate_prompts};

use crate::data::{in_task_order, targets};
use crate::tuned::Predicted;
use crate::{Error, Tuned};

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

/// Evaluates a tuned model on labelled data.
///
/// # Errors
///
/// As [`Tuned::predict`]; when the model's outputs are not what the task calls for, or examples have no
/// label.
pub fn evaluate(tuned: &Tuned, task: &LabelledTask, data: &Dataset) -> Result<Evaluation, Error> {
    let names = match (&task.target, &tuned.outputs) {
        (LabelTarget::Classes(_), Outputs::Classes(names)) => names.as_slice(),
        (LabelTarget::Value(_), Outputs::Value) => &[],
        (LabelTarget::Classes(_), Outputs::Value | Outputs::Text)
        | (LabelTarget::Value(_), Outputs::Classes(_) | Outputs::Text) => {
            return Err(Error::OtherOutput {
                task: task.name.clone(),
                regression: matches!(task.target, LabelTarget::Value(_)),
            });
        }
    };
    let targets = targets(task, data.examples.iter());
    if targets.len() != data.examples.len() {
        return Err(Error::NoLabels {
            path: data.path.clone(),
        });
    }
    let Predicted { predictions, notes } = tuned.predict(&data.examples, |_| ())?;
    let (targets, predictions) = in_task_order(task, data, names, targets, predictions)?;
    let outcomes = Outcomes::new(&targets, &predictions);
    Ok(Evaluation {
        notes: data.notes.iter().cloned().chain(notes).collect(),
        metrics: task_metrics(&task.metrics, &outcomes, ""),
        examples: data.examples.len(),
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
