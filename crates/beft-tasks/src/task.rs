use crate::Metric;

/// A task as data: which columns hold what, the labels, what is measured, and default settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Name as in [`Task::named`].
    pub name: String,
    /// Accepted names of the column with the text; the first one that a file has is read.
    pub text_columns: Vec<String>,
    /// Column with the second text of a pair.
    pub pair_column: Option<String>,
    /// Whether a file without the pair column is an error.
    pub pair_required: bool,
    /// Column with the label.
    pub label_column: String,
    /// The labels, in index order; `None` when they are those found in the training file.
    pub labels: Option<Vec<String>>,
    /// What is measured; the first one is the main metric and there is always one.
    pub metrics: Vec<Metric>,
    /// Settings used when the user gives none.
    pub defaults: Defaults,
}

/// Training settings of a task, used when the user gives none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Defaults {
    /// Learning rate of the bias terms and the head.
    pub learning_rate: f64,
    /// Passes over the training examples.
    pub epochs: usize,
    /// Number of training examples; `None` for the whole file.
    pub train_size: Option<usize>,
    /// Examples per optimiser step.
    pub batch_size: usize,
    /// Longest input in tokens; longer ones are cut.
    pub max_length: usize,
}

/// A name that is no task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown task `{name}`: expected one of {known}", known = TABLE.map(|row| row.name).join(", "))]
pub struct TaskError {
    /// The name as written.
    pub name: String,
}

/// One built-in task. [`Task`] owns its fields, so that columns and settings can be overridden.
struct Row {
    name: &'static str,
    text_columns: &'static [&'static str],
    pair_column: Option<&'static str>,
    pair_required: bool,
    label_column: &'static str,
    labels: Option<&'static [&'static str]>,
    metrics: &'static [Metric],
    defaults: Defaults,
}

const DEFAULTS: Defaults = Defaults {
    learning_rate: 4e-4,
    epochs: 16,
    train_size: None,
    batch_size: 16,
    max_length: 128,
};

const TABLE: [Row; 2] = [
    Row {
        name: "sst2",
        text_columns: &["sentence"],
        pair_column: None,
        pair_required: false,
        label_column: "label",
        labels: Some(&["0", "1"]),
        metrics: &[Metric::Accuracy],
        defaults: Defaults {
            train_size: Some(1000),
            ..DEFAULTS
        },
    },
    // The user's own data.
    Row {
        name: "text",
        text_columns: &["text", "sentence"],
        pair_column: Some("text_pair"),
        pair_required: false,
        label_column: "label",
        labels: None,
        metrics: &[Metric::Accuracy],
        defaults: DEFAULTS,
    },
];

impl Task {
    /// The task of this name; letter case, `-` and `_` do not matter (`sst2`, `SST-2`).
    ///
    /// `text` is the user's own data: columns `text` (or `sentence`), perhaps `text_pair`, and
    /// `label`, with the labels found in the training file.
    ///
    /// # Errors
    ///
    /// [`TaskError`] when there is no such task; its text lists the tasks.
    pub fn named(name: &str) -> Result<Self, TaskError> {
        let plain = name.trim().to_ascii_lowercase().replace(['-', '_'], "");
        let row = TABLE
            .iter()
            .find(|row| row.name == plain)
            .ok_or_else(|| TaskError {
                name: name.trim().to_owned(),
            })?;
        Ok(Self {
            name: row.name.to_owned(),
            text_columns: owned(row.text_columns),
            pair_column: row.pair_column.map(str::to_owned),
            pair_required: row.pair_required,
            label_column: row.label_column.to_owned(),
            labels: row.labels.map(owned),
            metrics: row.metrics.to_vec(),
            defaults: row.defaults,
        })
    }

    /// The names of all tasks, in table order.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|row| row.name)
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_and_sound() {
        for name in Task::names() {
            let task = Task::named(name).unwrap();
            assert_eq!(task.name, name);
            assert!(!task.text_columns.is_empty() && !task.metrics.is_empty());
            assert!(task.pair_column.is_some() || !task.pair_required);
            assert!(task.labels.is_none_or(|labels| labels.len() >= 2));
        }
    }

    #[test]
    fn sst2_follows_the_protocol() {
        let task = Task::named(" SST-2 ").unwrap();
        assert_eq!(task, Task::named("sst2").unwrap());
        assert_eq!(task.text_columns, ["sentence"]);
        assert_eq!(task.labels.unwrap(), ["0", "1"]);
        assert_eq!(task.metrics, [Metric::Accuracy]);
        let expected = Defaults {
            learning_rate: 4e-4,
            epochs: 16,
            train_size: Some(1000),
            batch_size: 16,
            max_length: 128,
        };
        assert_eq!(task.defaults, expected);
        assert_eq!(Task::named("text").unwrap().defaults.train_size, None);
    }

    #[test]
    fn an_unknown_task_lists_the_known_ones() {
        assert_eq!(
            Task::named("sst3").unwrap_err().to_string(),
            "unknown task `sst3`: expected one of sst2, text"
        );
    }
}
