//! Evaluation of embeddings.

use beft_eval::predict;
use beft_nn::Savings;
use beft_tasks::{Dataset, LabelledTask};

use super::{Evaluation, Said};
use crate::data::{compare, compared_set};
use crate::tuned::{EVAL_BATCH, check_finite};
use crate::{Error, Tuned};

/// Evaluates the embeddings of a model on pairs or triples of texts.
pub(super) fn evaluate_compared(
    tuned: &Tuned,
    task: &LabelledTask,
    data: &Dataset,
    suffix: &str,
) -> Result<Evaluation, Error> {
    tuned.base.check_task(&task.clone().into())?;
    if data.examples.iter().any(|e| e.text_pair.is_none()) {
        return Err(Error::Pairs { trained: true });
    }
    let (set, notes) = compared_set(&tuned.base, task, &data.examples, "inputs")?;
    if set.targets.len() != data.examples.len() {
        return Err(Error::NoLabels {
            path: data.path.clone(),
        });
    }
    let (inputs, savings) = (&set.encodings, Savings::default());
    let embeddings = predict(&*tuned.model, inputs, EVAL_BATCH, savings, |_| ());
    let predictions = compare(&set, &embeddings);
    check_finite(&tuned.base, &predictions)?;
    let said = Said {
        targets: Some(&set.targets),
        predictions: &predictions,
        names: &[],
        thresholds: &[],
    };
    Ok(Evaluation {
        notes: data.notes.iter().cloned().chain(notes).collect(),
        details: said.details(&task.metrics, suffix),
        judged: said.judge(|_| Vec::new()),
        examples: data.examples.clone(),
    })
}
