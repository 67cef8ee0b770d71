//! The classes of a model and those of a data set, in the order of the task.

use beft_core::Targets;
use beft_tasks::{Dataset, Task};

use crate::{Error, Tuned};

/// Classes as the task numbers them, whatever the order of the model's outputs: F1 is of its second.
pub(crate) fn in_task_order(
    tuned: &Tuned,
    task: &Task,
    data: &Dataset,
    targets: Targets,
    scores: Vec<Vec<f32>>,
) -> Result<(Targets, Vec<Vec<f32>>), Error> {
    let Targets::Classes(classes) = targets else {
        return Ok((targets, scores));
    };
    let others = || {
        Error::Usage(format!(
            "{} was read with the labels {:?}, the model has {:?}: read it with those of the model",
            data.path.display(),
            data.labels,
            tuned.labels
        ))
    };
    let Some(labels) = &task.labels else {
        return match data.labels == tuned.labels {
            true => Ok((Targets::Classes(classes), scores)),
            false => Err(others()),
        };
    };
    let order =
        |names: &[String]| -> Option<Vec<usize>> { task.classes_of(names).into_iter().collect() };
    let (of_data, of_model) = (order(&data.labels), order(&tuned.labels));
    let (of_data, of_model) = of_data.zip(of_model).ok_or_else(others)?;
    let numbered = scores.iter().map(|scores| {
        let mut ordered = vec![f32::NEG_INFINITY; labels.len()];
        for (class, score) in of_model.iter().zip(scores) {
            ordered[*class] = *score;
        }
        ordered
    });
    let scores = numbered.collect();
    let classes = classes.into_iter().map(|class| of_data[class]);
    Ok((Targets::Classes(classes.collect()), scores))
}
