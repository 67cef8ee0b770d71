//! Prompt tasks: what a causal language model is asked, and what may follow.

mod choose;
mod documents;
mod example;
mod field;
mod file;
mod form;
mod load;
mod modifier;
mod table;
mod template;

pub use example::{PromptExample, PromptSet};
pub use form::Form;
pub use template::{Template, TemplateError};

use std::collections::BTreeMap;
use std::path::Path;

use crate::task::{ClassLabel, TaskError, plain_name};
use crate::{Defaults, Hub, Metric, Regimes, Split, Task, TaskKind, TextColumns};

pub(crate) use file::PromptTable;
use table::TABLE;

/// Tasks of SuperGLUE that decoders alone have.
const SUPER_GLUE: [&str; 4] = ["copa", "multirc", "record", "wsc"];

/// How a prompt task is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptKind {
    /// By one of a few words, which are the same for all examples.
    Classification,
    /// By one of a few texts that each example has for itself.
    MultipleChoice,
    /// By a text of the model's own.
    Generation,
}

/// What may follow a prompt.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Candidates {
    /// One text for each label, in their order: [`PromptKind::Classification`].
    Classes(Vec<String>),
    /// One text for each template: [`PromptKind::MultipleChoice`].
    Choices(Vec<Template>),
    /// One text for each entry of the list that the template's field is:
    /// [`PromptKind::MultipleChoice`].
    Each(Template),
    /// The right answers, several where the template's field is a list: [`PromptKind::Generation`].
    Answer(Template),
}

/// A task for a causal language model as data: what it is asked, and what may follow.
///
/// As of a [`Task`](crate::Task), fields can be overridden, and of several names of a column the
/// first that a record has is read.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptTask {
    /// Name as in [`PromptTask::named`], in lower case.
    pub name: String,
    /// The name as the task's authors write it (`SST-2`).
    pub title: String,
    /// How it is answered; that of [`PromptTask::candidates`].
    pub kind: PromptKind,
    /// What the model is asked.
    pub template: Template,
    /// What may follow.
    pub candidates: Candidates,
    /// Accepted names of the column with the label: a class, or the index of the right candidate,
    /// or a list of such indices. Not read in [`PromptKind::Generation`].
    pub label_columns: Vec<String>,
    /// The labels, as many as there are candidates; always there in
    /// [`PromptKind::Classification`]. Without them a label is an index from 0.
    pub labels: Option<Vec<ClassLabel>>,
    /// What stands in the label column of a row without a label, see [`PromptSet::skipped`].
    pub no_label: Option<String>,
    /// Column names of a TSV file that has no header line; empty when there always is one.
    pub headerless: Vec<String>,
    /// Whether labelled rows with a wrong number of columns are passed over instead of being
    /// errors, see [`PromptSet::skipped`].
    pub skip_malformed: bool,
    /// How examples are nested in the files.
    pub form: Form,
    /// File names, relative to the data folder, of splits that are not under the usual ones.
    pub files: BTreeMap<Split, String>,
    /// What is measured; the first one is the main metric and there is always one.
    pub metrics: Vec<Metric>,
    /// Settings used when the user gives none.
    pub defaults: PromptDefaults,
}

/// Settings of a prompt task, used when the user gives none: those of the protocol's decoder
/// experiments (arXiv 2509.15974).
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptDefaults {
    /// Learning rate of the bias terms.
    pub learning_rate: f64,
    /// Passes over the training examples.
    pub epochs: usize,
    /// Examples per optimiser step.
    pub batch_size: usize,
    /// Number of training examples.
    pub train_size: usize,
    /// Number of examples to measure on.
    pub dev_size: usize,
    /// Longest input in tokens; longer ones are cut.
    pub max_length: usize,
    /// Longest generated answer in tokens.
    pub max_new_tokens: usize,
}

impl Default for PromptDefaults {
    fn default() -> Self {
        table::DEFAULTS
    }
}

impl Candidates {
    /// The kind of task that has such candidates.
    pub const fn kind(&self) -> PromptKind {
        match self {
            Self::Classes(_) => PromptKind::Classification,
            Self::Choices(_) | Self::Each(_) => PromptKind::MultipleChoice,
            Self::Answer(_) => PromptKind::Generation,
        }
    }
}

impl PromptTask {
    /// The prompt task of this name; letter case, `-` and `_` do not matter (`sst2`, `SST-2`).
    ///
    /// # Errors
    ///
    /// [`TaskError::UnknownPrompt`] when there is no such task; its text lists the tasks.
    pub fn named(name: &str) -> Result<Self, TaskError> {
        let plain = plain_name(name);
        let unknown = || TaskError::UnknownPrompt {
            name: name.trim().to_owned(),
        };
        let row = TABLE.iter().find(|row| row.name == plain);
        // A test builds every row: none has a template that does not parse.
        row.ok_or_else(unknown)?.task().map_err(|_| unknown())
    }

    /// The prompt task of this name, or of the task file at this path when it ends in `.toml`.
    ///
    /// # Errors
    ///
    /// As of [`PromptTask::named`] or [`PromptTask::from_toml`].
    pub fn resolve(name_or_path: &str) -> Result<Self, TaskError> {
        let path = Path::new(name_or_path);
        match path.extension() {
            Some(extension) if extension.eq_ignore_ascii_case("toml") => Self::from_toml(path),
            _ => Self::named(name_or_path),
        }
    }

    /// The names of all prompt tasks, in table order.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|row| row.name)
    }

    /// The same as a task of its own, for what is common to all: name, labels, metrics and settings.
    /// [`Task::load`](crate::Task::load) does not read it.
    pub fn into_task(self) -> Task {
        let defaults = self.defaults;
        let hub = match Task::named(&self.name) {
            Ok(task) => task.hub,
            Err(_) => SUPER_GLUE.contains(&self.name.as_str()).then(|| Hub {
                repo: "aps/super_glue".to_owned(),
                config: Some(self.name.clone()),
            }),
        };
        Task {
            name: self.name.clone(),
            title: self.title.clone(),
            kind: TaskKind::Classification,
            text_columns: TextColumns::First(Vec::new()),
            pair_columns: TextColumns::First(Vec::new()),
            pair_required: false,
            label_columns: self.label_columns.clone(),
            labels: match self.kind {
                PromptKind::Classification => self.labels.clone(),
                PromptKind::MultipleChoice | PromptKind::Generation => None,
            },
            no_label: self.no_label.clone(),
            range: None,
            headerless: Vec::new(),
            skip_malformed: self.skip_malformed,
            mismatched: false,
            files: self.files.clone(),
            hub,
            metrics: self.metrics.clone(),
            defaults: Defaults {
                learning_rate: defaults.learning_rate,
                epochs: defaults.epochs,
                epochs_large: None,
                epochs_roberta: None,
                train_size: Some(defaults.train_size),
                batch_size: defaults.batch_size,
                max_length: Some(defaults.max_length),
            },
            regimes: Regimes {
                low: Some(defaults.train_size),
                medium: None,
                high: None,
            },
            prompt: Some(Box::new(self)),
        }
    }

    /// The names of the labels in index order; empty unless [`PromptKind::Classification`].
    pub fn label_names(&self) -> Vec<String> {
        match self.kind {
            PromptKind::Classification => {
                let labels = self.labels.iter().flatten();
                labels.map(|label| label.name.clone()).collect()
            }
            PromptKind::MultipleChoice | PromptKind::Generation => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_resolved() {
        assert_eq!(PromptTask::resolve("ReCoRD").unwrap().name, "record");
        assert_eq!(
            PromptTask::resolve("cola").unwrap_err().to_string(),
            "unknown prompt task `cola`: expected one of sst2, rte, cb, boolq, wsc, wic, multirc, \
             copa, record, squad, drop, or the path of a task file that ends in .toml and has a \
             [prompt] table"
        );
        let error = PromptTask::resolve("none/a.TOML").unwrap_err().to_string();
        assert!(error.starts_with("none/a.TOML: no such file"), "{error}");
    }

    #[test]
    fn every_row_of_the_table_is_a_task() {
        for name in PromptTask::names() {
            let task = PromptTask::named(name).unwrap();
            assert_eq!(task.kind, task.candidates.kind(), "{name}");
            assert!(task.template.has_fields());
            let classes = task.labels.as_ref().map(Vec::len);
            assert!(!task.metrics.is_empty());
            for metric in &task.metrics {
                assert!(metric.suits_prompt(task.kind, classes), "{name} {metric}");
            }
            if let Candidates::Classes(texts) = &task.candidates {
                assert_eq!(Some(texts.len()), classes, "{name}");
            }
        }
    }
}
