//! The classes of a model and those of a data set, in the order of the task.

use beft_core::{Prediction, Targets};
use beft_tasks::{Dataset, LabelledTask};

use crate::Error;

/// Classes as the task numbers them, whatever the order of the model's outputs, whose names are `model`: F1 is of
/// the task's second.
pub(crate) fn in_task_order(
    task: &LabelledTask,
    data: &Dataset,
    model: &[String],
    targets: Targets,
    predictions: Vec<Prediction>,
) -> Result<(Targets, Vec<Prediction>), Error> {
    let others = || Error::ReadWithOthers {
        path: data.path.clone(),
        labels: data.labels.clone(),
        model: model.to_vec(),
    };
    let classes = match targets {
        Targets::Classes(classes) => classes,
        // No metric depends on their order.
        Targets::Labels(_) | Targets::Tags(_) if data.labels != model => return Err(others()),
        Targets::Labels(_)
        | Targets::Tags(_)
        | Targets::Values(_)
        | Targets::Tokens(_)
        | Targets::Similarities(_)
        | Targets::Ranked(_)
        | Targets::Spans(_) => {
            return Ok((targets, predictions));
        }
    };
    let Some(labels) = task.classes() else {
        return match data.labels == model {
            true => Ok((Targets::Classes(classes), predictions)),
            false => Err(others()),
        };
    };
    let order =
        |names: &[String]| -> Option<Vec<usize>> { task.classes_of(names).into_iter().collect() };
    let (of_data, of_model) = (order(&data.labels), order(model));
    let (of_data, of_model) = of_data.zip(of_model).ok_or_else(others)?;
    let numbered = predictions.iter().map(|prediction| {
        let mut ordered = vec![f32::NEG_INFINITY; labels.len()];
        for (class, score) in of_model.iter().zip(prediction.scores()) {
            ordered[*class] = score;
        }
        Prediction::Classes(ordered)
    });
    let predictions = numbered.collect();
    let classes = classes.into_iter().map(|class| of_data[class]);
    Ok((Targets::Classes(classes.collect()), predictions))
}

#[cfg(test)]
mod tests {
    use beft_eval::Outcomes;

    use super::*;
    use crate::task_metrics;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn ordered(task: &LabelledTask, data: &[&str], model: &[&str]) -> Result<f64, String> {
        let data = Dataset {
            path: "dev.tsv".into(),
            labels: names(data),
            skipped: Vec::new(),
            notes: Vec::new(),
            examples: Vec::new(),
        };
        // The first two are right, in the order of the outputs.
        let scores = [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]];
        let scores = scores
            .iter()
            .map(|s| Prediction::Classes(s.to_vec()))
            .collect();
        let targets = Targets::Classes(vec![0, 1, 1]);
        let found = in_task_order(task, &data, &names(model), targets, scores);
        let (targets, said) = found.map_err(|error| error.to_string())?;
        Ok(task_metrics(&task.metrics, &Outcomes::new(&targets, &said), "")["f1"])
    }

    #[test]
    fn f1_is_of_the_tasks_second_class() {
        let task = LabelledTask::named("mrpc").unwrap();
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
        let mut task = LabelledTask::named("text").unwrap();
        task.metrics = vec![beft_tasks::Metric::F1];
        assert!(ordered(&task, &["a", "b"], &["a", "b"]).is_ok());
        let error = ordered(&task, &["a", "b"], &["b", "a"]).unwrap_err();
        assert!(
            error.contains("dev.tsv was read with the labels"),
            "{error}"
        );
        let task = LabelledTask::named("mrpc").unwrap();
        assert!(ordered(&task, &["0", "1"], &["x", "y"]).is_err());
    }
}
