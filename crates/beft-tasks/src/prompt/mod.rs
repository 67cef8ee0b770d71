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

pub(crate) use documents::document_records;
pub use example::{PromptExample, PromptSet};
pub use form::Form;
pub use template::{Template, TemplateError};

use std::path::Path;

use beft_core::{Metric, OutputKind};

use crate::TaskError;
use crate::target::ClassLabel;
use crate::task::{is_task_file, plain_name};
use crate::{TaskInfo, TaskKind};

pub(crate) use file::PromptTable;
use table::TABLE;

/// How a prompt task is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptKind {
    /// The model chooses one of a few texts that are the same for all examples.
    Classification,
    /// The model chooses one of the texts of the example.
    MultipleChoice,
    /// The model generates a text.
    Generation,
}

impl PromptKind {
    /// Whether such a task can be measured by `metric`; `classes` is the number of labels, where all
    /// examples have the same.
    pub fn suits(self, metric: Metric, classes: Option<usize>) -> bool {
        match self {
            Self::Classification => TaskKind::Classification.suits(metric, classes),
            Self::MultipleChoice => metric == Metric::Accuracy,
            Self::Generation => {
                metric.measures(OutputKind::Answer) || metric.measures(OutputKind::Tokens)
            }
        }
    }
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

/// A task for a causal language model, as data: the prompt and the candidates that may follow it.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptTask {
    /// The properties of all tasks. The default settings are those of the protocol's decoder experiments
    /// (arXiv 2509.15974).
    pub info: TaskInfo,
    /// What the model is asked.
    pub template: Template,
    /// What may follow.
    pub candidates: Candidates,
    /// The labels, as many as there are candidates; always there in
    /// [`PromptKind::Classification`]. Without them a label is an index from 0.
    pub labels: Option<Vec<ClassLabel>>,
    /// How examples are nested in the files.
    pub form: Form,
    /// Largest number of examples to measure on.
    pub dev_size: usize,
    /// Longest generated answer in tokens.
    pub max_new_tokens: usize,
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

    /// Finds the prompt task of this name, or reads a task file if the text ends in `.toml`.
    ///
    /// # Errors
    ///
    /// As of [`PromptTask::named`] or [`PromptTask::from_toml`].
    pub fn resolve(name_or_path: &str) -> Result<Self, TaskError> {
        match is_task_file(name_or_path) {
            true => Self::from_toml(Path::new(name_or_path)),
            false => Self::named(name_or_path),
        }
    }

    /// Whether this is the name of a prompt task, or the path of a task file with a `[prompt]` table or one that
    /// cannot be read.
    pub fn is_one(name_or_path: &str) -> bool {
        match is_task_file(name_or_path) {
            true => {
                let text = std::fs::read_to_string(name_or_path).ok();
                let table = text.and_then(|text| text.parse::<toml::Table>().ok());
                table.is_none_or(|table| table.contains_key("prompt"))
            }
            false => Self::named(name_or_path).is_ok(),
        }
    }

    /// The names of all prompt tasks, in table order.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|row| row.name)
    }

    /// How it is answered.
    pub const fn kind(&self) -> PromptKind {
        self.candidates.kind()
    }

    /// The kind of output that it asks a model for.
    pub fn output(&self) -> OutputKind {
        let likelihood = self.metrics.contains(&Metric::LogLikelihood);
        match self.kind() {
            PromptKind::Classification | PromptKind::MultipleChoice => OutputKind::Classes,
            PromptKind::Generation if likelihood => OutputKind::Tokens,
            PromptKind::Generation => OutputKind::Answer,
        }
    }

    /// The names of the labels in index order; empty unless [`PromptKind::Classification`].
    pub fn label_names(&self) -> Vec<String> {
        match self.kind() {
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
            assert!(task.template.has_fields());
            let classes = task.labels.as_ref().map(Vec::len);
            assert!(!task.metrics.is_empty());
            for metric in &task.metrics {
                assert!(task.kind().suits(*metric, classes), "{name} {metric}");
            }
            if let Candidates::Classes(texts) = &task.candidates {
                assert_eq!(Some(texts.len()), classes, "{name}");
            }
        }
    }
}
