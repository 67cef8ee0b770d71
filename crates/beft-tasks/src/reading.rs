//! From the rows of one or more files to a [`Dataset`].

use std::borrow::Cow;
use std::path::Path;

use crate::classes::KnownLabels;
use crate::labels::LabelReader;
use crate::records::{Input, LabelUse, Row, Source};
use crate::tags::declared_names;
use crate::{
    ComparedError, DataError, Dataset, Example, InputFormat, LabelledTask, Place, TaskKind,
};

/// What has been read so far.
pub(crate) struct Reading<'t> {
    task: &'t LabelledTask,
    label_use: LabelUse,
    labels: LabelReader,
    examples: Vec<Example>,
    skipped: Vec<usize>,
    notes: Vec<String>,
}

impl<'t> Reading<'t> {
    pub(crate) fn new(
        task: &'t LabelledTask,
        known: Option<&[String]>,
        label_use: LabelUse,
    ) -> Result<Self, DataError> {
        Ok(Self {
            task,
            label_use,
            labels: LabelReader::new(task, known)?,
            examples: Vec::new(),
            skipped: Vec::new(),
            notes: Vec::new(),
        })
    }

    /// Says whether answers are learned: then each has to be in its context.
    pub(crate) fn learn_answers(&mut self, learned: bool) {
        self.labels.learn_answers(learned);
    }

    pub(crate) fn read(
        &mut self,
        path: &Path,
        input: Input,
        format: InputFormat,
    ) -> Result<(), DataError> {
        let tagged = self.task.target.kind() == TaskKind::TokenClassification;
        let (classes, input) = match tagged && format == InputFormat::Parquet {
            true => declared_names(self.task, path, input)?,
            false => (Vec::new(), input),
        };
        self.labels.declare(&classes);
        let known = self.labels.known();
        let all_known = |known: &KnownLabels| classes.iter().all(|c| known.index(c).is_some());
        let source = Source {
            task: self.task,
            path,
            labels: self.label_use,
            known: known.as_deref(),
            classes: match known.as_deref().is_none_or(all_known) {
                true => &classes,
                false => &[],
            },
        };
        // Nothing is passed over in inputs: predictions have to stand beside them.
        let needed = self.label_use == LabelUse::Required;
        let notes = source.read(input, format, &mut |row| match row {
            Ok(row) if needed && !row.is_labelled() => {
                self.skipped.push(row.at.number());
                Ok(())
            }
            Ok(row) => self.add(path, row),
            Err(DataError::ColumnCount { line, .. }) if needed && self.task.skip_malformed => {
                self.skipped.push(line);
                Ok(())
            }
            Err(error) => Err(error),
        })?;
        self.notes.extend(notes);
        Ok(())
    }

    fn add(&mut self, path: &Path, row: Row<'_>) -> Result<(), DataError> {
        let pair = row.pair.is_some();
        let first = self.examples.first();
        if first.is_some_and(|first| first.text_pair.is_some() != pair) {
            return Err(DataError::MixedPairs {
                path: path.to_owned(),
                at: row.at,
                pair,
            });
        }
        let label = match (&row.label, &row.words) {
            (Some(label), _) => Some(self.labels.read(label, row.pair.as_deref(), path, row.at)?),
            (None, Some(words)) if words.tags.is_some() => {
                Some(self.labels.read_tags(words, path, row.at)?)
            }
            (None, _) => None,
        };
        self.examples.push(Example {
            text: row.text.into_owned(),
            words: row.words.map(|words| words.words),
            text_pair: row.pair.map(Cow::into_owned),
            label,
            line: row.at.number(),
        });
        Ok(())
    }

    pub(crate) fn finish(mut self, path: &Path) -> Result<Dataset, DataError> {
        let path = path.to_owned();
        match (self.examples.len(), self.skipped.len()) {
            (0, 0) => return Err(DataError::Empty { path }),
            (0, rows) => return Err(DataError::AllSkipped { path, rows }),
            _ => {}
        }
        let needed = self.label_use == LabelUse::Required;
        if self.task.target.kind() == TaskKind::Ranking {
            check_negatives(self.task, &self.examples, &path)?;
        }
        let (labels, notes) = self.labels.finish(&mut self.examples, &path, needed)?;
        if needed {
            check_metrics(self.task, &labels, &path)?;
        }
        self.notes.extend(notes);
        Ok(Dataset {
            path,
            labels,
            skipped: self.skipped,
            notes: self.notes,
            examples: self.examples,
        })
    }
}

/// Fails when some examples have a third text and others have not.
fn check_negatives(
    task: &LabelledTask,
    examples: &[Example],
    path: &Path,
) -> Result<(), DataError> {
    let some = examples.iter().any(|example| example.label.is_some());
    match examples.iter().find(|example| example.label.is_none()) {
        Some(without) if some => Err(ComparedError::NoThird {
            path: path.to_owned(),
            at: Place::Line(without.line),
            columns: task.label_columns.clone(),
        }
        .into()),
        _ => Ok(()),
    }
}

/// Fails when the task has a metric that is not of so many classes, which is known here at last.
fn check_metrics(task: &LabelledTask, labels: &[String], path: &Path) -> Result<(), DataError> {
    let classes = match task.target.kind() {
        TaskKind::Classification | TaskKind::MultiLabel => Some(labels.len()),
        TaskKind::Regression | TaskKind::QuestionAnswering | TaskKind::TokenClassification => None,
        TaskKind::Similarity | TaskKind::Ranking => None,
    };
    let mut metrics = task.metrics.iter();
    match metrics.find(|metric| !task.target.kind().suits(**metric, classes)) {
        None => Ok(()),
        Some(metric) => Err(DataError::MetricClasses {
            path: path.to_owned(),
            metric: *metric,
            labels: labels.to_vec(),
        }),
    }
}
