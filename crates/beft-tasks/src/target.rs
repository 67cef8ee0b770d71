//! What a label is.

use std::path::PathBuf;

use beft_core::{Answerable, Metric, OutputKind};

use crate::Place;

/// The range of similarities where a task does not say.
pub(crate) const SIMILARITY: (f64, f64) = (0.0, 1.0);

/// Why texts cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComparedError {
    /// A similarity that is outside of the range of its task.
    #[error(
        "{}{at}: label {label} is not from {low} to {high}: give the `range` of the values in a task file", .path.display()
    )]
    OutOfRange {
        /// The file.
        path: PathBuf,
        /// The line or row.
        at: Place,
        /// The label found.
        label: String,
        /// The smallest value.
        low: f64,
        /// The largest value.
        high: f64,
    },
    /// Some rows have a third text, and others have not.
    #[error(
        "{}{at}: no text in the column {}, which other rows have: fill it in everywhere, or leave the column out",
        .path.display(), .columns.join(" or ")
    )]
    NoThird {
        /// The file.
        path: PathBuf,
        /// The line or row without.
        at: Place,
        /// The names of the column.
        columns: Vec<String>,
    },
}

/// What a label is, with its classes or its range.
#[derive(Clone, Debug, PartialEq)]
pub enum LabelTarget {
    /// One of these classes, in index order; `None` for those found in the training file.
    Classes(Option<Vec<ClassLabel>>),
    /// Any number of labels.
    Labels(MultiLabel),
    /// A tag for each word of a text: one of these, in index order; `None` for those found in the training file.
    Tags(Option<Vec<ClassLabel>>),
    /// A number, in this range (smallest, largest) if one is given; predictions are cut to it when
    /// written.
    Value(Option<(f64, f64)>),
    /// A part of the context of a question, which is the second text of a pair.
    Answer(Answerable),
    /// How alike both texts of a pair are, in this range; their embeddings are compared.
    Similarity((f64, f64)),
    /// Nothing, or a third text: embeddings are to tell the second text of a pair from it, and from those of other pairs.
    Ranking,
}

impl LabelTarget {
    /// Its kind.
    pub const fn kind(&self) -> TaskKind {
        match self {
            Self::Classes(_) => TaskKind::Classification,
            Self::Labels(_) => TaskKind::MultiLabel,
            Self::Tags(_) => TaskKind::TokenClassification,
            Self::Value(_) => TaskKind::Regression,
            Self::Answer(_) => TaskKind::QuestionAnswering,
            Self::Similarity(_) => TaskKind::Similarity,
            Self::Ranking => TaskKind::Ranking,
        }
    }
}

/// The labels of a task in which several may hold, and how files say which.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultiLabel {
    /// The labels in index order; `None` for those found in the training file.
    pub labels: Option<Vec<ClassLabel>>,
    /// How they are written.
    pub form: LabelForm,
}

/// How a file says which labels hold.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelForm {
    /// In one column, as a list (of JSON or Python) or with this text between them; nothing for no label.
    Separated(String),
    /// In one column for each label, with 0 or 1: those of [`TaskInfo::label_columns`](crate::TaskInfo::label_columns).
    Columns,
}

/// What a label is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// One of a set of classes.
    Classification,
    /// Any number of a set of labels.
    MultiLabel,
    /// One of a set of tags for each word.
    TokenClassification,
    /// A number.
    Regression,
    /// The part of a context that answers a question.
    QuestionAnswering,
    /// How alike two texts are, by their embeddings.
    Similarity,
    /// Which text belongs to another, by their embeddings.
    Ranking,
}

impl TaskKind {
    /// Whether its examples are always of two texts: a question with a context, or texts that are compared.
    pub(crate) const fn compares_texts(self) -> bool {
        match self {
            Self::QuestionAnswering | Self::Similarity | Self::Ranking => true,
            Self::Classification | Self::MultiLabel => false,
            Self::TokenClassification | Self::Regression => false,
        }
    }

    /// Whether its labels are numbers, which may have a fraction.
    pub(crate) const fn is_numeric(self) -> bool {
        match self {
            Self::Regression | Self::Similarity => true,
            Self::Classification | Self::MultiLabel | Self::TokenClassification => false,
            Self::QuestionAnswering | Self::Ranking => false,
        }
    }

    /// What a model computes for such a task.
    pub const fn output(self) -> OutputKind {
        match self {
            Self::Classification => OutputKind::Classes,
            Self::MultiLabel => OutputKind::Labels,
            Self::TokenClassification => OutputKind::Tags,
            Self::Regression | Self::Similarity => OutputKind::Value,
            Self::QuestionAnswering => OutputKind::Answer,
            Self::Ranking => OutputKind::Rank,
        }
    }

    /// Whether a label is one or several of given classes.
    pub const fn has_classes(self) -> bool {
        match self {
            Self::Classification | Self::MultiLabel | Self::TokenClassification => true,
            Self::Regression | Self::Similarity | Self::Ranking | Self::QuestionAnswering => false,
        }
    }

    /// Whether such a task can be measured by `metric`; `classes` is the number of labels if known.
    pub fn suits(self, metric: Metric, classes: Option<usize>) -> bool {
        let enough = !metric.needs_two_classes() || classes.is_none_or(|classes| classes == 2);
        metric.measures(self.output()) && enough
    }
}

/// One class of a classification task.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassLabel {
    /// The name in reports, adapters and written predictions.
    pub name: String,
    /// All spellings of the class in files, including the name.
    pub spellings: Vec<String>,
}

/// Labels of these spellings, of which the first is the name.
///
/// The index of a label stands for it too, as in the hub's Parquet files, unless numbers are
/// already spoken for.
pub(crate) fn class_labels(spellings: Vec<Vec<String>>) -> Vec<ClassLabel> {
    let numbered = spellings.iter().flatten().any(|s| s.parse::<i64>().is_ok());
    spellings
        .into_iter()
        .enumerate()
        .map(|(index, mut spellings)| {
            let name = spellings.first().cloned().unwrap_or_default();
            if !numbered {
                spellings.push(index.to_string());
            }
            ClassLabel { name, spellings }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_stand_for_labels_unless_numbers_do() {
        let words = |words: &[&str]| vec![words.iter().map(|&w| w.to_owned()).collect()];
        assert_eq!(
            class_labels(words(&["no", "n"]))[0].spellings,
            ["no", "n", "0"]
        );
        assert_eq!(class_labels(words(&["1"]))[0].spellings, ["1"]);
    }
}
