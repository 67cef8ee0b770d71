//! Tasks that the user describes in a TOML file.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::Path;

use beft_core::Metric;
use serde::Deserialize;
use toml::Spanned;

use crate::dataset::unreadable;
use crate::prompt::PromptTable;
use crate::target::{SIMILARITY, class_labels};
use crate::task_checks::{
    balanced, checked_labels, checked_metrics, checked_name, checked_rate, held_out, label_columns,
    multi_label, no_texts, only_multi_label, pair_required, text_columns, tokens, wrong,
};
use crate::{
    Answerable, DataError, Defaults, Hub, LabelTarget, LabelledTask, Place, Regimes, Split,
    TaskError, TaskInfo, TaskKind, TextColumns,
};

/// The file as it is written; [`LabelledTask::from_toml`] tells what the keys mean.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskFile {
    pub(crate) name: Spanned<String>,
    #[serde(default = "classification")]
    pub(crate) kind: TaskKind,
    pub(crate) text: Option<Spanned<Names>>,
    /// Columns with words, of a task with a tag for each.
    tokens: Option<Spanned<Names>>,
    pub(crate) text_alternatives: Option<Spanned<Vec<String>>>,
    pub(crate) pair: Option<Spanned<Names>>,
    pub(crate) pair_alternatives: Option<Spanned<Vec<String>>>,
    pub(crate) pair_required: Option<Spanned<bool>>,
    pub(crate) question: Option<Spanned<Names>>,
    pub(crate) context: Option<Spanned<Names>>,
    pub(crate) answers: Option<Spanned<Names>>,
    pub(crate) answerable: Option<Spanned<Answerable>>,
    #[serde(default)]
    mismatched: bool,
    pub(crate) label: Option<Spanned<Names>>,
    /// One column for each label.
    label_columns: Option<Spanned<Vec<String>>>,
    separator: Option<Spanned<String>>,
    pub(crate) labels: Option<Spanned<Vec<Names>>>,
    pub(crate) no_label: Option<Spanned<String>>,
    pub(crate) balanced: Option<Spanned<bool>>,
    pub(crate) dev_share: Option<Spanned<f64>>,
    pub(crate) split_seed: Option<Spanned<u32>>,
    range: Option<Spanned<(f64, f64)>>,
    pub(crate) columns: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) skip_malformed: bool,
    pub(crate) metrics: Option<Spanned<Vec<Metric>>>,
    hub: Option<String>,
    config: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) files: Files,
    #[serde(default)]
    regimes: Sizes,
    #[serde(default)]
    defaults: Settings,
    /// What a decoder is asked; an encoder has no use for it.
    pub(crate) prompt: Option<Spanned<PromptTable>>,
}

/// One name, or several.
#[derive(Clone, Deserialize)]
#[serde(untagged, expecting = "expected a string or an array of strings")]
pub(crate) enum Names {
    One(String),
    Several(Vec<String>),
}

impl Names {
    pub(crate) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(name) => vec![name],
            Self::Several(names) => names,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Files {
    train: Option<String>,
    dev: Option<String>,
    test: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sizes {
    low: Option<NonZeroUsize>,
    medium: Option<NonZeroUsize>,
    high: Option<NonZeroUsize>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: Option<Spanned<f64>>,
    epochs: Option<NonZeroUsize>,
    epochs_large: Option<NonZeroUsize>,
    epochs_roberta: Option<NonZeroUsize>,
    train_size: Option<NonZeroUsize>,
    batch_size: Option<NonZeroUsize>,
    max_length: Option<NonZeroUsize>,
}

const fn classification() -> TaskKind {
    TaskKind::Classification
}

/// Where in the text something is wrong, and what.
pub(crate) type Wrong = (Range<usize>, String);

impl LabelledTask {
    /// The task that a TOML file describes. Only `name` and `text` (or `text_alternatives`) have to
    /// be there, and of questions only `name` and `kind`; `docs/tasks.md` tells more of each key:
    ///
    /// ```toml
    /// name = "intent"                   # letters, digits, `-`, `_`; not that of a built-in task
    /// kind = "classification"           # the usual, or "multi_label", "token_classification", "regression",
    ///                                   # "question_answering"
    /// text = ["title", "utterance"]     # column with the text; several are joined by a space
    /// # text_alternatives = ["a", "b"]  # instead: of these the first that the file has
    /// pair = "context"                  # column with the second text of a pair, or several
    /// # pair_alternatives = ["c", "d"]  # instead: of these the first that the file has
    /// pair_required = true              # whether every file must have a pair
    /// label = "intent"                  # column with the label, otherwise `label`; of several the
    ///                                   # first that the file has
    /// labels = [["no", "n"], "yes"]     # in index order; otherwise those of the training file.
    ///                                   # Of several spellings the first is the name. The index
    ///                                   # stands for the label too, if no spelling is a number.
    /// # separator = ","                 # of kind "multi_label": what stands between the labels of a row
    /// # label_columns = ["a", "b"]      # of kind "multi_label", instead of label: a column of 0 and 1 for each label
    /// # question = "question"           # of kind "question_answering", instead of text, pair and label:
    /// # context = "context"             # the columns with the question, with what the answer is a part of,
    /// # answers = "answers"             # and with the answers
    /// # answerable = "always"           # or "sometimes", where questions may have no answer
    /// # tokens = "tokens"               # of kind "token_classification", instead of text: the column with the words
    /// no_label = "?"                    # label of rows to pass over
    /// balanced = true                   # rare classes count as much in the loss as frequent ones
    /// dev_share = 0.2                   # where the data are one file: the share that is kept to measure on
    /// split_seed = 0                    # which chooses it
    /// columns = ["intent", "utterance"] # those of a TSV or CSV file that has no header line
    /// mismatched = false                # whether there are two dev and two test splits (MNLI)
    /// skip_malformed = true             # pass over rows with a wrong number of columns
    /// metrics = ["accuracy", "f1"]      # the first is the main one; also macro_f1, mcc, and for
    ///                                   # regression pearson, spearman
    /// hub = "org/name"                  # repository on the Hugging Face hub: in its Parquet files
    ///                                   # -1 is no label
    /// config = "small"                  # configuration in it
    /// # range = [0, 5]                  # of a regression task: predictions are cut to it
    ///
    /// [files]                           # when they are not train.*, dev.* and test.*
    /// train = "all.csv"
    /// dev = "held-out.csv"
    /// test = "new.csv"
    ///
    /// [regimes]                         # training examples
    /// low = 100
    /// medium = 500
    /// high = 2000
    ///
    /// [defaults]
    /// learning_rate = 4e-4
    /// epochs = 16
    /// epochs_large = 30                 # of large models, otherwise as `epochs`
    /// epochs_roberta = 30               # of RoBERTa
    /// train_size = 100                  # otherwise that of the low regime, or the whole file
    /// batch_size = 16
    /// max_length = 128                  # otherwise as long as model and tokenizer allow
    /// ```
    ///
    /// A `[prompt]` table is for [`PromptTask::from_toml`](crate::PromptTask::from_toml).
    ///
    /// # Errors
    ///
    /// [`TaskError`] when the file cannot be read, has an unknown key or a value that makes no
    /// sense; its text names the file and the line.
    pub fn from_toml(path: &Path) -> Result<Self, TaskError> {
        read(path, TaskFile::into_task)
    }
}

/// What `make` makes of the task file at `path`.
pub(crate) fn read<T>(
    path: &Path,
    make: impl FnOnce(TaskFile) -> Result<T, Wrong>,
) -> Result<T, TaskError> {
    let bytes = fs::read(path).map_err(|reason| unreadable(path, reason))?;
    let line = |offset: usize| {
        let before = &bytes[..offset.min(bytes.len())];
        1 + before.iter().filter(|&&b| b == b'\n').count()
    };
    let text = std::str::from_utf8(&bytes).map_err(|error| DataError::NotUtf8 {
        path: path.to_owned(),
        at: Place::Line(line(error.valid_up_to())),
    })?;
    let file: Result<TaskFile, Wrong> = toml::from_str(text).map_err(|error| {
        let span = error.span().unwrap_or_default();
        (span, error.message().to_owned())
    });
    file.and_then(make)
        .map_err(|(span, message)| TaskError::Invalid {
            path: path.to_owned(),
            line: line(span.start),
            message,
        })
}

impl TaskFile {
    fn into_task(self) -> Result<LabelledTask, Wrong> {
        let file = self.with_questions()?;
        file.task()
    }

    fn task(self) -> Result<LabelledTask, Wrong> {
        let answerable = self.answerable.map(Spanned::into_inner);
        let regression = self.kind.is_numeric();
        let name = checked_name(self.name)?;
        let labels = match self.labels {
            None => None,
            Some(labels) if self.kind == TaskKind::QuestionAnswering => {
                return wrong(&labels, "a task of questions has no `labels`: remove them");
            }
            Some(labels) if regression || self.kind == TaskKind::Ranking => {
                return wrong(
                    &labels,
                    "a task without classes has no `labels`: remove them",
                );
            }
            Some(labels) => Some(class_labels(checked_labels(labels)?)),
        };
        let range = match self.range {
            None => None,
            Some(range) if !regression => {
                return wrong(&range, "`range` is for tasks of numbers: remove it");
            }
            Some(range) => {
                let (low, high) = *range.get_ref();
                if !(low.is_finite() && high.is_finite() && low < high) {
                    return wrong(&range, "`range` must be two numbers, the lower first");
                }
                Some((low, high))
            }
        };
        let tagged = self.kind == TaskKind::TokenClassification;
        let words = tokens(self.tokens, tagged)?;
        if tagged {
            no_texts([&self.text, &self.pair])?;
            no_texts([&self.text_alternatives, &self.pair_alternatives])?;
        }
        let metrics = match self.metrics {
            None => default_metrics(self.kind),
            Some(metrics) => checked_metrics(metrics, self.kind, labels.as_ref().map(Vec::len))?,
        };
        if let (Some(config), None) = (&self.config, &self.hub) {
            return wrong(config, "`config` needs `hub`, the repository that it is in");
        }
        let defaults = self.defaults.checked(self.regimes.low)?;
        let get = |size: Option<NonZeroUsize>| size.map(NonZeroUsize::get);
        let text = text_columns(self.text, self.text_alternatives, "text")?;
        let Some(text) = words.or(text) else {
            return Err((0..0, "missing field `text`".to_owned()));
        };
        let pair = text_columns(self.pair, self.pair_alternatives, "pair")?;
        if pair.is_none() && self.kind.compares_texts() {
            return Err((
                0..0,
                "missing field `pair`: two texts are compared".to_owned(),
            ));
        }
        let held_out = held_out(self.dev_share, self.split_seed)?;
        let (label_columns, target) = match self.kind {
            TaskKind::MultiLabel => {
                multi_label(self.label, self.label_columns, self.separator, labels)?
            }
            TaskKind::Classification
            | TaskKind::TokenClassification
            | TaskKind::Regression
            | TaskKind::Similarity
            | TaskKind::Ranking
            | TaskKind::QuestionAnswering => {
                only_multi_label(&self.label_columns, "label_columns")?;
                only_multi_label(&self.separator, "separator")?;
                let target = match self.kind {
                    TaskKind::Regression => LabelTarget::Value(range),
                    TaskKind::Similarity => LabelTarget::Similarity(range.unwrap_or(SIMILARITY)),
                    TaskKind::Ranking => LabelTarget::Ranking,
                    TaskKind::QuestionAnswering => {
                        LabelTarget::Answer(answerable.unwrap_or_default())
                    }
                    TaskKind::TokenClassification => LabelTarget::Tags(labels),
                    TaskKind::Classification | TaskKind::MultiLabel => LabelTarget::Classes(labels),
                };
                let usual = match self.kind {
                    TaskKind::TokenClassification => "ner_tags",
                    TaskKind::Ranking => "negative",
                    _ => "label",
                };
                (label_columns(self.label, usual)?, target)
            }
        };
        Ok(LabelledTask {
            info: TaskInfo {
                title: name.clone(),
                name,
                label_columns,
                no_label: self.no_label.map(Spanned::into_inner),
                held_out,
                balanced: balanced(self.balanced, self.kind.has_classes())?,
                headerless: self.columns.unwrap_or_default(),
                skip_malformed: self.skip_malformed,
                files: self.files.into_map(),
                hub: self.hub.map(|repo| Hub {
                    repo,
                    config: self.config.map(Spanned::into_inner),
                }),
                metrics,
                defaults,
                regimes: Regimes {
                    low: get(self.regimes.low),
                    medium: get(self.regimes.medium),
                    high: get(self.regimes.high),
                },
            },
            text_columns: text,
            pair_required: pair_required(self.pair_required, pair.is_some())?,
            pair_columns: pair.unwrap_or(TextColumns::First(Vec::new())),
            mismatched: self.mismatched,
            target,
        })
    }
}

/// The metrics of a task that names none.
pub(crate) fn default_metrics(kind: TaskKind) -> Vec<Metric> {
    match kind {
        TaskKind::Classification => vec![Metric::Accuracy],
        TaskKind::MultiLabel => vec![Metric::MicroF1, Metric::MacroF1, Metric::SubsetAccuracy],
        TaskKind::TokenClassification => {
            vec![Metric::EntityF1, Metric::Precision, Metric::Recall]
        }
        TaskKind::Regression => vec![Metric::Spearman, Metric::Pearson],
        TaskKind::QuestionAnswering => vec![Metric::TokenF1, Metric::ExactMatch],
        TaskKind::Similarity => vec![Metric::Spearman, Metric::Pearson],
        TaskKind::Ranking => vec![Metric::ReciprocalRank, Metric::Accuracy],
    }
}

impl Files {
    pub(crate) fn into_map(self) -> BTreeMap<Split, String> {
        let files = [
            (Split::Train, self.train),
            (Split::Dev, self.dev),
            (Split::Test, self.test),
        ];
        let named = files.into_iter();
        named
            .filter_map(|(split, file)| file.map(|file| (split, file)))
            .collect()
    }
}

impl Settings {
    fn checked(self, low: Option<NonZeroUsize>) -> Result<Defaults, Wrong> {
        let usual = Defaults::default();
        let learning_rate = checked_rate(self.learning_rate, usual.learning_rate)?;
        let get = |size: Option<NonZeroUsize>| size.map(NonZeroUsize::get);
        Ok(Defaults {
            learning_rate,
            epochs: get(self.epochs).unwrap_or(usual.epochs),
            epochs_large: get(self.epochs_large),
            epochs_roberta: get(self.epochs_roberta),
            train_size: get(self.train_size.or(low)),
            batch_size: get(self.batch_size).unwrap_or(usual.batch_size),
            max_length: get(self.max_length),
        })
    }
}
