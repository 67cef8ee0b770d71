use std::collections::HashMap;
use std::path::Path;

use crate::{DataError, Example, Place, Task, TaskKind};

/// The label of an example.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Label {
    /// Of a classification task: the index into the label set.
    Class(usize),
    /// Of a regression task: the value, which is finite.
    Value(f64),
}

impl Label {
    /// The class index; `None` for a value.
    pub const fn class(self) -> Option<usize> {
        match self {
            Self::Class(index) => Some(index),
            Self::Value(_) => None,
        }
    }

    /// The value; `None` for a class.
    pub const fn value(self) -> Option<f64> {
        match self {
            Self::Class(_) => None,
            Self::Value(value) => Some(value),
        }
    }
}

/// Turns labels as written into indices of a known label set, or of one gathered on the way, or
/// into values.
pub(crate) struct LabelReader {
    kind: TaskKind,
    known: Option<Vec<String>>,
    indices: HashMap<String, usize>,
}

impl LabelReader {
    /// A reader of the label set `known`, or else of that of the task, if it has one.
    pub(crate) fn new(task: &Task, known: Option<&[String]>) -> Self {
        let known = match task.kind {
            TaskKind::Classification => known.map(<[_]>::to_vec).or_else(|| task.label_names()),
            TaskKind::Regression => Some(Vec::new()),
        };
        let names = || (0..).zip(known.iter().flatten());
        let mut indices: HashMap<String, usize> =
            names().map(|(index, name)| (name.clone(), index)).collect();
        for label in task.labels.iter().flatten() {
            let same = names().find(|(_, name)| label.spellings.contains(name));
            if let Some((index, _)) = same {
                for spelling in &label.spellings {
                    indices.entry(spelling.clone()).or_insert(index);
                }
            }
        }
        Self {
            kind: task.kind,
            known,
            indices,
        }
    }

    /// The label written so. Gathered labels are numbered as they come until [`Self::finish`].
    pub(crate) fn read(&mut self, label: &str, path: &Path, at: Place) -> Result<Label, DataError> {
        match self.kind {
            TaskKind::Classification => self.index(label, path, at).map(Label::Class),
            TaskKind::Regression => {
                let value = label.parse().ok().filter(|value: &f64| value.is_finite());
                let value = value.ok_or_else(|| DataError::NotANumber {
                    path: path.to_owned(),
                    at,
                    label: label.to_owned(),
                })?;
                Ok(Label::Value(value))
            }
        }
    }

    fn index(&mut self, label: &str, path: &Path, at: Place) -> Result<usize, DataError> {
        if let Some(&index) = self.indices.get(label) {
            return Ok(index);
        }
        if let Some(known) = &self.known {
            return Err(DataError::UnknownLabel {
                path: path.to_owned(),
                at,
                label: label.to_owned(),
                labels: known.clone(),
            });
        }
        let index = self.indices.len();
        self.indices.insert(label.to_owned(), index);
        Ok(index)
    }

    /// The label set in index order. Gathered labels are sorted, and the examples numbered anew.
    pub(crate) fn finish(
        self,
        examples: &mut [Example],
        path: &Path,
    ) -> Result<Vec<String>, DataError> {
        if let Some(known) = self.known {
            return Ok(known);
        }
        let mut found: Vec<(String, usize)> = self.indices.into_iter().collect();
        if let [(label, _)] = found.as_slice() {
            return Err(DataError::OneLabel {
                path: path.to_owned(),
                label: label.clone(),
            });
        }
        sort_labels(&mut found);
        let mut renumbered = vec![0; found.len()];
        for (new, (_, old)) in found.iter().enumerate() {
            renumbered[*old] = new;
        }
        for example in examples {
            if let Some(Label::Class(index)) = &mut example.label {
                *index = renumbered[*index];
            }
        }
        Ok(found.into_iter().map(|(label, _)| label).collect())
    }
}

/// Sorts by number when every label is a non-negative integer, else by text.
fn sort_labels(labels: &mut [(String, usize)]) {
    let number = |label: &str| -> Option<u64> {
        // `parse` alone would take `+1`.
        let digits = label.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| label.parse().ok()).flatten()
    };
    if labels.iter().all(|(label, _)| number(label).is_some()) {
        labels.sort_by(|(a, _), (b, _)| number(a).cmp(&number(b)).then_with(|| a.cmp(b)));
    } else {
        labels.sort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(task: &str, known: Option<&[&str]>) -> LabelReader {
        let known: Option<Vec<String>> =
            known.map(|known| known.iter().map(|&label| label.to_owned()).collect());
        LabelReader::new(&Task::named(task).unwrap(), known.as_deref())
    }

    fn read(reader: &mut LabelReader, label: &str) -> Result<Label, String> {
        let read = reader.read(label, Path::new("dev.tsv"), Place::Line(7));
        read.map_err(|error| error.to_string())
    }

    fn gathered(labels: &[&str]) -> (Vec<String>, Vec<usize>) {
        let mut reader = reader("text", None);
        let mut examples: Vec<Example> = labels
            .iter()
            .map(|label| Example {
                text: String::new(),
                text_pair: None,
                label: Some(read(&mut reader, label).unwrap()),
                line: 2,
            })
            .collect();
        let set = reader.finish(&mut examples, Path::new("a")).unwrap();
        let index = |example: &Example| example.label.and_then(Label::class).unwrap();
        (set, examples.iter().map(index).collect())
    }

    #[test]
    fn gathered_labels_are_sorted() {
        let (set, labels) = gathered(&["pos", "neg", "pos", "neutral"]);
        assert_eq!(set, ["neg", "neutral", "pos"]);
        assert_eq!(labels, [2, 0, 2, 1]);
        let (set, labels) = gathered(&["10", "9", "0", "10"]);
        assert_eq!(set, ["0", "9", "10"]);
        assert_eq!(labels, [2, 1, 0, 2]);
        let (set, _) = gathered(&["10", "9", "-1"]);
        assert_eq!(set, ["-1", "10", "9"]);
    }

    #[test]
    fn a_known_set_keeps_its_order() {
        let mut reader = reader("text", Some(&["pos", "neg"]));
        assert_eq!(read(&mut reader, "neg"), Ok(Label::Class(1)));
        assert_eq!(
            read(&mut reader, "maybe").unwrap_err(),
            "dev.tsv:7: label `maybe` is not one of `pos`, `neg`: \
             correct it, or use the labels of the training file"
        );
        let set = reader.finish(&mut [], Path::new("dev.tsv")).unwrap();
        assert_eq!(set, ["pos", "neg"]);
    }

    #[test]
    fn the_spellings_of_the_task_stand_for_its_labels_in_any_order() {
        let mut reader_of_task = reader("wic", None);
        let mut turned = reader("wic", Some(&["True", "False"]));
        for (label, class) in [("false", 0), ("1", 1), ("True", 1), ("0", 0)] {
            assert_eq!(read(&mut reader_of_task, label), Ok(Label::Class(class)));
            assert_eq!(read(&mut turned, label), Ok(Label::Class(1 - class)));
        }
        assert!(read(&mut turned, "FALSE").is_err());
        let mut rte = reader("rte", None);
        assert_eq!(read(&mut rte, "not_entailment"), Ok(Label::Class(1)));
        assert_eq!(read(&mut rte, "1"), Ok(Label::Class(1)));
    }

    #[test]
    fn values_are_finite_numbers() {
        let mut reader = reader("stsb", Some(&["a"]));
        assert_eq!(read(&mut reader, "3.750"), Ok(Label::Value(3.75)));
        assert_eq!(read(&mut reader, "-1e1"), Ok(Label::Value(-10.0)));
        for label in ["high", "nan", "inf", "1e999", "1,5"] {
            assert_eq!(
                read(&mut reader, label).unwrap_err(),
                format!("dev.tsv:7: label `{label}` is no finite number: correct it")
            );
        }
        assert!(reader.finish(&mut [], Path::new("a")).unwrap().is_empty());
    }

    #[test]
    fn one_label_cannot_be_trained_on() {
        let mut reader = reader("text", None);
        read(&mut reader, "1").unwrap();
        let finished = reader.finish(&mut [], Path::new("train.tsv"));
        assert_eq!(
            finished.unwrap_err().to_string(),
            "train.tsv: every row has the label `1`: \
             at least two different labels are needed to train"
        );
    }
}
