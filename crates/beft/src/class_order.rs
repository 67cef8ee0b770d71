//! The classes of a model and those of a data set, in the order of the task.

use beft_core::Targets;
use beft_tasks::{Dataset, Task};

use crate::Error;

/// Classes as the task numbers them, whatever the order of the model's outputs, whose names are `model`: F1 is of
/// the task's second.
pub(crate) fn in_task_order(
    task: &Task,
    data: &Dataset,
    model: &[String],
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
            model
        ))
    };
    let Some(labels) = &task.labels else {
        return match data.labels == model {
            true => Ok((Targets::Classes(classes), scores)),
            false => Err(others()),
        };
    };
    let order =
        |names: &[String]| -> Option<Vec<usize>> { task.classes_of(names).into_iter().collect() };
    let (of_data, of_model) = (order(&data.labels), order(model));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task_metrics;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn ordered(task: &Task, data: &[&str], model: &[&str]) -> Result<f64, String> {
        let data = Dataset {
            path: "dev.tsv".into(),
            labels: names(data),
            skipped: Vec::new(),
            notes: Vec::new(),
            examples: Vec::new(),
        };
        // The first two are right, in the order of the outputs.
        let scores = [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]];
        let scores = scores.iter().map(|scores| scores.to_vec()).collect();
        let targets = Targets::Classes(vec![0, 1, 1]);
        let found = in_task_order(task, &data, &names(model), targets, scores);
        let (targets, scores) = found.map_err(|error| error.to_string())?;
        Ok(task_metrics(task, &targets, &scores, "")["f1"])
    }

    #[test]
    fn f1_is_of_the_tasks_second_class() {
        let task = Task::named("mrpc").unwrap();
        let close = |found: Result<f64, String>, expected: f64| {
            assert!(
                (found.clone().unwrap() - expected).abs() < 1e-9,
                "{found:?}"
            );
        };
        // One of two found, none too many; and the same classes as outputs 1 and 0: one too many.
        close(ordered(&task, &["0", "1"], &["0", "1"]), 2.0 / 3.0);
        let turned = ["equivalent", "not_equivalent"];
        close(ordered(&task, &turned, &turned), 2.0 / 3.0);
        // Targets read in the order of the task.
        close(ordered(&task, &["0", "1"], &turned), 0.5);
    }

    #[test]
    fn labels_that_are_not_those_of_the_model_are_refused() {
        let mut task = Task::named("text").unwrap();
        task.metrics = vec![beft_tasks::Metric::F1];
        assert!(ordered(&task, &["a", "b"], &["a", "b"]).is_ok());
        let error = ordered(&task, &["a", "b"], &["b", "a"]).unwrap_err();
        assert!(
            error.contains("dev.tsv was read with the labels"),
            "{error}"
        );
        let task = Task::named("mrpc").unwrap();
        assert!(ordered(&task, &["0", "1"], &["x", "y"]).is_err());
    }
}
