use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use beft_core::{Metric, OutputKind, TaskType};

use crate::table::{self, TABLE};
use crate::{
    Answerable, ClassLabel, DataError, Form, LabelTarget, PromptTask, ProtocolColumn, Regime,
    Regimes, Split, TaskError, TextColumns,
};

/// A task: labelled texts, or prompts for a causal language model. [`TaskInfo`] is what both have.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// Texts with a label each.
    Labelled(LabelledTask),
    /// Prompts with their candidates.
    Prompted(PromptTask),
}

impl Task {
    /// The kind of head that a model needs for it.
    pub fn task_type(&self) -> TaskType {
        match self {
            Self::Prompted(_) => TaskType::CausalLm,
            Self::Labelled(task) => match task.target {
                LabelTarget::Classes(_) | LabelTarget::Labels(_) | LabelTarget::Value(_) => {
                    TaskType::SequenceClassification
                }
                LabelTarget::Answer(_) => TaskType::QuestionAnswering,
                LabelTarget::Similarity(_) | LabelTarget::Ranking => TaskType::FeatureExtraction,
                LabelTarget::Tags(_) => TaskType::TokenClassification,
            },
        }
    }
}

/// The properties of all tasks: names, label columns, files, metrics and default settings.
///
/// It owns its fields, so that columns and settings can be overridden. Where several names of a
/// column are accepted, for the different forms in which a data set is shipped, the first one that
/// a file has is read.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskInfo {
    /// Name as in [`LabelledTask::named`], in lower case.
    pub name: String,
    /// The name as the task's authors write it (`SST-2`), from which GLUE's file names are made.
    pub title: String,
    /// Accepted names of the column with the label, at least one.
    pub label_columns: Vec<String>,
    /// The text in the label column of a row without a label (MNLI: `-`). Such rows are skipped if labels are
    /// needed, see [`Dataset::skipped`](crate::Dataset::skipped).
    pub no_label: Option<String>,
    /// Column names of a TSV or CSV file that has no header line (CoLA); empty when there always is one.
    pub headerless: Vec<String>,
    /// Whether labelled rows with a wrong number of columns are skipped (QQP) instead of being errors, see
    /// [`Dataset::skipped`](crate::Dataset::skipped).
    pub skip_malformed: bool,
    /// Unusual file names of splits, relative to the data folder.
    pub files: BTreeMap<Split, String>,
    /// Where the data set is on the Hugging Face hub.
    pub hub: Option<Hub>,
    /// The metrics, at least one. The first is the main metric.
    pub metrics: Vec<Metric>,
    /// Settings used when the user gives none.
    pub defaults: Defaults,
    /// Training examples of each regime of the protocol.
    pub regimes: Regimes,
    /// How one file is split, where the data are not in files of their own for each split.
    pub held_out: Option<HeldOut>,
    /// Whether rare classes count as much in the loss as frequent ones.
    pub balanced: bool,
}

/// The part of one file that is kept for the dev split: of each label the same share.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldOut {
    /// The share of the examples, above 0 and below 1.
    pub share: f64,
    /// Chooses them.
    pub seed: u32,
}

/// A task of labelled texts as data: which columns hold what, and what a label is.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledTask {
    /// The properties of all tasks.
    pub info: TaskInfo,
    /// The columns with the text, at least one.
    pub text_columns: TextColumns,
    /// The columns with the second text of a pair; none for single texts.
    pub pair_columns: TextColumns,
    /// Whether a file without the pair column is an error.
    pub pair_required: bool,
    /// Whether there are two dev and two test splits (MNLI), see [`Task::dev_splits`].
    pub mismatched: bool,
    /// What a label is.
    pub target: LabelTarget,
}

macro_rules! has_info {
    ($task:ty) => {
        impl std::ops::Deref for $task {
            type Target = TaskInfo;

            fn deref(&self) -> &TaskInfo {
                &self.info
            }
        }

        impl std::ops::DerefMut for $task {
            fn deref_mut(&mut self) -> &mut TaskInfo {
                &mut self.info
            }
        }
    };
}

has_info!(LabelledTask);
has_info!(PromptTask);

impl std::ops::Deref for Task {
    type Target = TaskInfo;

    fn deref(&self) -> &TaskInfo {
        match self {
            Self::Labelled(task) => &task.info,
            Self::Prompted(task) => &task.info,
        }
    }
}

impl std::ops::DerefMut for Task {
    fn deref_mut(&mut self) -> &mut TaskInfo {
        match self {
            Self::Labelled(task) => &mut task.info,
            Self::Prompted(task) => &mut task.info,
        }
    }
}

impl From<LabelledTask> for Task {
    fn from(task: LabelledTask) -> Self {
        Self::Labelled(task)
    }
}

impl From<PromptTask> for Task {
    fn from(task: PromptTask) -> Self {
        Self::Prompted(task)
    }
}

/// A data set of the Hugging Face hub.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hub {
    /// The repository, such as `nyu-mll/glue`.
    pub repo: String,
    /// The configuration in it, such as `sst2`; `None` for the only one.
    pub config: Option<String>,
}

/// Training settings of a task, used when the user gives none.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// Learning rate of the bias terms and the head.
    pub learning_rate: f64,
    /// Passes over the training examples for [`ProtocolColumn::Base`].
    pub epochs: usize,
    /// The same for [`ProtocolColumn::Large`]; `None` for no other number.
    pub epochs_large: Option<usize>,
    /// The same for [`ProtocolColumn::Roberta`]; `None` for no other number.
    pub epochs_roberta: Option<usize>,
    /// Number of training examples; `None` for the whole file.
    pub train_size: Option<usize>,
    /// Examples per optimiser step.
    pub batch_size: usize,
    /// Longest input in tokens; longer ones are cut. `None` for as long as model and tokenizer allow.
    pub max_length: Option<usize>,
}

impl Default for Defaults {
    fn default() -> Self {
        table::DEFAULTS
    }
}

impl LabelledTask {
    /// The task of this name; letter case, `-` and `_` do not matter (`sst2`, `SST-2`).
    ///
    /// `text` is the user's own data: columns `text` (or `sentence`), perhaps `text_pair`, and
    /// `label`, with the labels found in the training file. `ner` is the user's own data with a tag for each word.
    ///
    /// # Errors
    ///
    /// [`TaskError::Unknown`] when there is no such task; its text lists the tasks.
    pub fn named(name: &str) -> Result<Self, TaskError> {
        let plain = plain_name(name);
        let row = TABLE.iter().find(|row| row.name == plain);
        let row = row.ok_or_else(|| TaskError::Unknown {
            name: name.trim().to_owned(),
        })?;
        Ok(row.task())
    }

    /// Finds the task of this name, or reads a task file if the text ends in `.toml`.
    ///
    /// # Errors
    ///
    /// As of [`LabelledTask::named`] or [`LabelledTask::from_toml`].
    pub fn resolve(name_or_path: &str) -> Result<Self, TaskError> {
        match is_task_file(name_or_path) {
            true => Self::from_toml(Path::new(name_or_path)),
            false => Self::named(name_or_path),
        }
    }

    /// The names of all tasks, in table order.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|row| row.name)
    }

    /// The classes in index order; `None` when they are those found in the training file, and where
    /// a label is a number or an answer.
    pub fn classes(&self) -> Option<&[ClassLabel]> {
        match &self.target {
            LabelTarget::Classes(classes) | LabelTarget::Tags(classes) => classes.as_deref(),
            LabelTarget::Labels(set) => set.labels.as_deref(),
            LabelTarget::Value(_) | LabelTarget::Answer(_) => None,
            LabelTarget::Similarity(_) | LabelTarget::Ranking => None,
        }
    }

    /// The names of the labels in index order, as [`Dataset::labels`](crate::Dataset::labels) has
    /// them; `None` when they are those found in the training file.
    pub fn label_names(&self) -> Option<Vec<String>> {
        let labels = match &self.target {
            LabelTarget::Classes(classes) | LabelTarget::Tags(classes) => classes.as_deref()?,
            LabelTarget::Labels(set) => set.labels.as_deref()?,
            LabelTarget::Value(_) | LabelTarget::Answer(_) => &[],
            LabelTarget::Similarity(_) | LabelTarget::Ranking => &[],
        };
        Some(labels.iter().map(|label| label.name.clone()).collect())
    }

    /// Whether the field with the label may be a list.
    pub(crate) fn has_lists(&self) -> bool {
        match self.target {
            LabelTarget::Labels(_) | LabelTarget::Tags(_) | LabelTarget::Answer(_) => true,
            LabelTarget::Classes(_) | LabelTarget::Value(_) => false,
            LabelTarget::Similarity(_) | LabelTarget::Ranking => false,
        }
    }

    /// How examples may be nested in JSON files.
    pub(crate) fn form(&self) -> Form {
        match self.target {
            LabelTarget::Answer(_) => Form::Squad,
            LabelTarget::Classes(_) | LabelTarget::Labels(_) => Form::Flat,
            LabelTarget::Tags(_) | LabelTarget::Value(_) => Form::Flat,
            LabelTarget::Similarity(_) | LabelTarget::Ranking => Form::Flat,
        }
    }

    /// The name that a split has in the data set's own release.
    pub(crate) fn official(&self, split: Split) -> Option<&'static str> {
        match (&self.target, split) {
            (LabelTarget::Answer(Answerable::Sometimes), Split::Train) => Some("train-v2.0.json"),
            (LabelTarget::Answer(Answerable::Sometimes), Split::Dev) => Some("dev-v2.0.json"),
            (LabelTarget::Answer(Answerable::Sometimes), _) => None,
            (LabelTarget::Answer(Answerable::Always), split) => Form::Squad.official(split),
            (LabelTarget::Classes(_) | LabelTarget::Labels(_), _) => None,
            (LabelTarget::Tags(_) | LabelTarget::Value(_), _) => None,
            (LabelTarget::Similarity(_) | LabelTarget::Ranking, _) => None,
        }
    }

    /// The splits to measure on after each epoch; the first is the main one.
    pub fn dev_splits(&self) -> &'static [Split] {
        if self.mismatched {
            &[Split::Dev, Split::DevMismatched]
        } else {
            &[Split::Dev]
        }
    }

    /// The splits to predict for the benchmark's server.
    pub fn test_splits(&self) -> &'static [Split] {
        if self.mismatched {
            &[Split::Test, Split::TestMismatched]
        } else {
            &[Split::Test]
        }
    }
}

impl Task {
    /// The kind of output that it asks a model for.
    pub fn output(&self) -> OutputKind {
        match self {
            Self::Labelled(task) => task.target.kind().output(),
            Self::Prompted(task) => task.output(),
        }
    }

    /// The splits to measure on after each epoch; the first is the main one.
    pub fn dev_splits(&self) -> &'static [Split] {
        match self {
            Self::Labelled(task) => task.dev_splits(),
            Self::Prompted(_) => &[Split::Dev],
        }
    }

    /// The splits to predict for the benchmark's server.
    pub fn test_splits(&self) -> &'static [Split] {
        match self {
            Self::Labelled(task) => task.test_splits(),
            Self::Prompted(_) => &[Split::Test],
        }
    }

    /// The files of a split in the folder `data`: one, or the parts of a Parquet file.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn split_files(&self, data: &Path, split: Split) -> Result<Vec<PathBuf>, DataError> {
        match self {
            Self::Labelled(task) => task.split_files(data, split),
            Self::Prompted(task) => task.split_files(data, split),
        }
    }

    /// The Parquet file of a split in the repository of [`TaskInfo::hub`], as data sets that fit into
    /// one file are named there (`sst2/train-00000-of-00001.parquet`); `None` without a repository.
    pub fn hub_file(&self, split: Split) -> Option<String> {
        let hub = self.hub.as_ref()?;
        let folder = hub.config.as_deref().unwrap_or("data");
        let mismatched = self.dev_splits().len() > 1;
        let stem = split.hub_stem(mismatched);
        Some(format!("{folder}/{stem}-00000-of-00001.parquet"))
    }
}

impl TaskInfo {
    /// The default number of epochs for a kind of model.
    pub fn epochs_for(&self, kind: ProtocolColumn) -> usize {
        let other = match kind {
            ProtocolColumn::Base => None,
            ProtocolColumn::Large => self.defaults.epochs_large,
            ProtocolColumn::Roberta => self.defaults.epochs_roberta,
        };
        other.unwrap_or(self.defaults.epochs)
    }

    /// The number of training examples of a regime.
    ///
    /// # Errors
    ///
    /// [`TaskError::NoRegime`] when the task has no such regime.
    pub fn regime_size(&self, regime: Regime) -> Result<usize, TaskError> {
        self.regimes.get(regime).ok_or_else(|| TaskError::NoRegime {
            task: self.name.clone(),
            regime,
            known: Regime::ALL
                .into_iter()
                .filter(|regime| self.regimes.get(*regime).is_some())
                .collect(),
        })
    }
}

/// Whether a task is named by the path of its file.
pub(crate) fn is_task_file(name_or_path: &str) -> bool {
    let extension = Path::new(name_or_path).extension();
    extension.is_some_and(|extension| extension.eq_ignore_ascii_case("toml"))
}

/// A task's name as the tables have it.
pub(crate) fn plain_name(name: &str) -> String {
    name.trim().to_ascii_lowercase().replace(['-', '_'], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_are_resolved() {
        assert_eq!(LabelledTask::resolve("SST-2").unwrap().name, "sst2");
        let error = LabelledTask::resolve("sst3").unwrap_err().to_string();
        assert!(
            error.starts_with("unknown task `sst3`: expected one of "),
            "{error}"
        );
        assert!(
            error.contains(", sst2, ") && error.ends_with(" ends in .toml"),
            "{error}"
        );
        let error = LabelledTask::resolve("none/a.TOML")
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("none/a.TOML: no such file"), "{error}");
    }

    #[test]
    fn regimes_that_a_task_lacks() {
        let message = |task: &str| {
            let task = LabelledTask::named(task).unwrap();
            task.regime_size(Regime::High).unwrap_err().to_string()
        };
        assert_eq!(
            message("cb"),
            "task cb has no high regime (it has low): give the number of training examples"
        );
        assert!(message("text").starts_with("task text has no high regime (it has none):"));
    }
}
