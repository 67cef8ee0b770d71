//! Evaluation of answers that are parts of contexts.

use beft_core::{Answerable, Outputs};
use beft_eval::Outcomes;
use beft_tasks::{Dataset, LabelledTask};
use beft_train::Metrics;

use crate::data::SpanQuestions;
use crate::evaluate::{Evaluation, Said};
use crate::tuned::check_finite;
use crate::{Error, Tuned};

/// Evaluates a tuned model on questions. The metrics' names end in `suffix`.
pub(super) fn evaluate_spans(
    tuned: &Tuned,
    task: &LabelledTask,
    answerable: Answerable,
    data: &Dataset,
    suffix: &str,
) -> Result<Evaluation, Error> {
    if tuned.outputs != Outputs::Span {
        return Err(Error::OtherOutput {
            task: task.name.clone(),
            kind: task.target.kind(),
        });
    }
    if data.examples.iter().any(|example| example.label.is_none()) {
        return Err(Error::NoLabels {
            path: data.path.clone(),
        });
    }
    let questions = SpanQuestions::new(
        &tuned.base,
        answerable,
        &data.examples,
        &data.path.display().to_string(),
    )?;
    let chosen = tuned.spans(&questions);
    let probabilities: Vec<f32> = chosen.iter().map(|chosen| chosen.probability).collect();
    let predictions = questions.compare(chosen);
    check_finite(&tuned.base, &predictions)?;
    let said = Said {
        targets: None,
        predictions: &predictions,
        names: &[],
        thresholds: &[],
    };
    let mut details = said.details(&task.metrics, suffix);
    details.metrics.extend(by_answer(
        task,
        &questions,
        &Outcomes::of_answers(&predictions),
        suffix,
    ));
    let mut judged = said.judge(|question| questions.golds()[question].clone());
    for (judged, probability) in judged.iter_mut().zip(probabilities) {
        judged.probability = Some(probability);
    }
    let notes = questions.notes(&tuned.base, "inputs");
    Ok(Evaluation {
        details,
        judged,
        examples: data.examples.clone(),
        notes: data.notes.iter().cloned().chain(notes).collect(),
    })
}

/// Where some questions have an answer and some have none, the metrics of each kind (`HasAns` and `NoAns` of
/// `evaluate-v2.0.py`).
fn by_answer(
    task: &LabelledTask,
    questions: &SpanQuestions,
    all: &Outcomes,
    suffix: &str,
) -> Metrics {
    let golds = questions.golds().iter().enumerate();
    let (with, without): (Vec<_>, Vec<_>) = golds.partition(|(_, golds)| !golds.is_empty());
    let mut metrics = Metrics::new();
    if with.is_empty() || without.is_empty() {
        return metrics;
    }
    for (chosen, kind) in [(with, "answerable"), (without, "unanswerable")] {
        let chosen: Vec<usize> = chosen.into_iter().map(|(index, _)| index).collect();
        for metric in &task.metrics {
            if let Some(value) = all.measure_some(*metric, chosen.iter().copied()) {
                metrics.insert(format!("{metric}_{kind}{suffix}"), value);
            }
        }
    }
    metrics
}
