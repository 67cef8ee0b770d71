use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use serde_json::Value;

use crate::answers::AnswerReader;
use crate::classes::{KnownLabels, default_number};
use crate::gathered::{alike, sort_labels, without_fractions};
use crate::tags::Words;
use crate::{
    Answerable, ComparedError, DataError, Example, GoldAnswer, LabelForm, LabelTarget,
    LabelledTask, MultiLabel, Place, TagError, TaskKind,
};

/// The label of an example.
#[derive(Clone, Debug, PartialEq)]
pub enum Label {
    /// The index into the label set, in a classification task.
    Class(usize),
    /// The indices of the labels that hold, in order, where several may.
    Labels(Vec<usize>),
    /// The index of the tag of each word, in a task of tags.
    Tags(Vec<usize>),
    /// The finite value, in a regression task.
    Value(f64),
    /// A third text, which does not belong to the first, where embeddings are to tell it from the second.
    Negative(String),
    /// The right answers to a question, the first of which is learned; none where it has no answer.
    Answers(Vec<GoldAnswer>),
}

impl Label {
    /// The class index, of a class.
    pub const fn class(&self) -> Option<usize> {
        match self {
            Self::Class(index) => Some(*index),
            Self::Labels(_) | Self::Value(_) | Self::Answers(_) => None,
            Self::Tags(_) | Self::Negative(_) => None,
        }
    }

    /// The labels that hold, where several may.
    pub fn labels(&self) -> Option<&[usize]> {
        match self {
            Self::Labels(labels) => Some(labels),
            Self::Class(_) | Self::Tags(_) | Self::Value(_) => None,
            Self::Answers(_) | Self::Negative(_) => None,
        }
    }

    /// The tags, of words.
    pub fn tags(&self) -> Option<&[usize]> {
        match self {
            Self::Tags(tags) => Some(tags),
            Self::Class(_) | Self::Labels(_) | Self::Value(_) => None,
            Self::Answers(_) | Self::Negative(_) => None,
        }
    }

    /// The value, of a value.
    pub const fn value(&self) -> Option<f64> {
        match self {
            Self::Class(_) | Self::Labels(_) | Self::Answers(_) => None,
            Self::Tags(_) | Self::Negative(_) => None,
            Self::Value(value) => Some(*value),
        }
    }

    /// The right answers, of a question.
    pub fn answers(&self) -> Option<&[GoldAnswer]> {
        match self {
            Self::Answers(answers) => Some(answers),
            Self::Class(_) | Self::Labels(_) | Self::Tags(_) => None,
            Self::Value(_) | Self::Negative(_) => None,
        }
    }
}

/// Turns labels as written into indices of a known label set, or of one gathered on the way, or
/// into values.
pub(crate) struct LabelReader {
    kind: TaskKind,
    /// What stands between several labels.
    separator: String,
    names: Option<Vec<String>>,
    /// What stands for the labels of a known set.
    known: Option<Rc<KnownLabels>>,
    gathered: HashMap<String, usize>,
    notes: Vec<String>,
    /// The first label read as the number of a class that has no name.
    numbered: Option<String>,
    answers: AnswerReader,
    /// That of similarities.
    range: Option<(f64, f64)>,
}

impl LabelReader {
    /// A reader of the label set `known`, which a model may have named, or else of that of the
    /// task, if it has one.
    pub(crate) fn new(task: &LabelledTask, known: Option<&[String]>) -> Result<Self, DataError> {
        let mut notes = Vec::new();
        let names = match (task.target.kind(), known) {
            (TaskKind::Regression | TaskKind::QuestionAnswering, _) => Some(Vec::new()),
            (TaskKind::Similarity | TaskKind::Ranking, _) => Some(Vec::new()),
            (_, None) => task.label_names(),
            (_, Some(known)) => {
                let classes = task.name_classes(known)?;
                notes.extend(classes.note);
                Some(classes.names)
            }
        };
        let of = |names: &Vec<String>| KnownLabels::of(task, names, known.unwrap_or_default());
        let labels = match task.target.kind() {
            TaskKind::Classification | TaskKind::MultiLabel => true,
            TaskKind::TokenClassification => true,
            TaskKind::Regression | TaskKind::QuestionAnswering => false,
            TaskKind::Similarity | TaskKind::Ranking => false,
        };
        let known = names.as_ref().filter(|_| labels).map(of);
        let separator = match &task.target {
            LabelTarget::Labels(MultiLabel {
                form: LabelForm::Separated(separator),
                ..
            }) => separator.clone(),
            LabelTarget::Labels(_) | LabelTarget::Classes(_) | LabelTarget::Tags(_) => {
                ",".to_owned()
            }
            LabelTarget::Value(_) | LabelTarget::Answer(_) => ",".to_owned(),
            LabelTarget::Similarity(_) | LabelTarget::Ranking => ",".to_owned(),
        };
        let answerable = match task.target {
            LabelTarget::Answer(answerable) => answerable,
            LabelTarget::Similarity(_) | LabelTarget::Ranking => Answerable::default(),
            LabelTarget::Labels(_)
            | LabelTarget::Classes(_)
            | LabelTarget::Tags(_)
            | LabelTarget::Value(_) => Answerable::default(),
        };
        let column = task.label_columns.first().map_or("", String::as_str);
        Ok(Self {
            kind: task.target.kind(),
            separator,
            names,
            known: known.map(Rc::new),
            gathered: HashMap::new(),
            notes,
            numbered: None,
            answers: AnswerReader::new(column, answerable),
            range: match task.target {
                LabelTarget::Similarity(range) => Some(range),
                _ => None,
            },
        })
    }

    /// Says whether answers are learned.
    pub(crate) fn learn_answers(&mut self, learned: bool) {
        self.answers.learned = learned;
    }

    /// What stands for the labels of a known set; `None` where labels are gathered or values.
    pub(crate) fn known(&self) -> Option<Rc<KnownLabels>> {
        self.known.clone()
    }

    /// The label written so, of a row with this second text. Gathered labels are numbered as they come until
    /// [`Self::finish`].
    pub(crate) fn read(
        &mut self,
        label: &str,
        pair: Option<&str>,
        path: &Path,
        at: Place,
    ) -> Result<Label, DataError> {
        match self.kind {
            TaskKind::Classification => self.index(label, path, at).map(Label::Class),
            // Rows of such a task have lists, see `read_tags`.
            TaskKind::TokenClassification => self
                .index(label, path, at)
                .map(|tag| Label::Tags(vec![tag])),
            TaskKind::MultiLabel => {
                let broken =
                    label.starts_with('{') || label.starts_with('[') != label.ends_with(']');
                if broken {
                    return Err(DataError::NotAList {
                        path: path.to_owned(),
                        at,
                        label: label.to_owned(),
                    });
                }
                let labels = separated(label, &self.separator).into_iter();
                let indices = labels.map(|label| self.index(&label, path, at));
                let mut indices: Vec<usize> = indices.collect::<Result<_, _>>()?;
                indices.sort_unstable();
                indices.dedup();
                Ok(Label::Labels(indices))
            }
            TaskKind::Ranking => Ok(Label::Negative(label.to_owned())),
            TaskKind::Regression | TaskKind::Similarity => {
                let value = label.parse().ok().filter(|value: &f64| value.is_finite());
                let value = value.ok_or_else(|| DataError::NotANumber {
                    path: path.to_owned(),
                    at,
                    label: label.to_owned(),
                })?;
                match self
                    .range
                    .filter(|(low, high)| value < *low || value > *high)
                {
                    None => Ok(Label::Value(value)),
                    Some((low, high)) => Err(ComparedError::OutOfRange {
                        path: path.to_owned(),
                        at,
                        label: label.to_owned(),
                        low,
                        high,
                    }
                    .into()),
                }
            }
            TaskKind::QuestionAnswering => {
                let context = pair.unwrap_or_default();
                let answers = self.answers.read(label, context, path, at);
                answers.map(Label::Answers)
            }
        }
    }

    /// Adds names to a set that is gathered, in which they need not occur.
    pub(crate) fn declare(&mut self, names: &[String]) {
        if self.names.is_none() {
            for name in names {
                let next = self.gathered.len();
                self.gathered.entry(name.clone()).or_insert(next);
            }
        }
    }

    /// The tags of words.
    pub(crate) fn read_tags(
        &mut self,
        words: &Words,
        path: &Path,
        at: Place,
    ) -> Result<Label, DataError> {
        let gathered = self.names.is_none();
        let tags = words.tags.iter().flatten().enumerate();
        let tags = tags.map(|(word, tag)| {
            let (path_of, at) = (|| path.to_owned(), words.place(at, word));
            if tag.is_empty() {
                let (path, word) = (path_of(), word + 1);
                return Err(TagError::Missing { path, at, word }.into());
            }
            if gathered && tag.parse::<f64>().is_ok() {
                let (path, tag) = (path_of(), tag.clone());
                return Err(TagError::Numbered { path, at, tag }.into());
            }
            self.index(tag, path, at)
        });
        tags.collect::<Result<_, _>>().map(Label::Tags)
    }

    fn index(&mut self, label: &str, path: &Path, at: Place) -> Result<usize, DataError> {
        let Some((names, known)) = self.names.as_ref().zip(self.known.as_ref()) else {
            let next = self.gathered.len();
            return Ok(*self.gathered.entry(label.to_owned()).or_insert(next));
        };
        let index = known.index(label).ok_or_else(|| DataError::UnknownLabel {
            path: path.to_owned(),
            at,
            label: label.to_owned(),
            labels: names.clone(),
        })?;
        let unnamed = |name: &String| default_number(name).is_some();
        if self.numbered.is_none() && label.parse::<f64>().is_ok() && unnamed(&names[index]) {
            self.numbered = Some(label.to_owned());
        }
        Ok(index)
    }

    /// The label set in index order, and what the user should hear of it. Gathered labels are
    /// sorted, and the examples numbered anew. `needed`: whether there must be two.
    pub(crate) fn finish(
        mut self,
        examples: &mut [Example],
        path: &Path,
        needed: bool,
    ) -> Result<(Vec<String>, Vec<String>), DataError> {
        if let Some(label) = self.numbered {
            self.notes.push(format!(
                "{}: the model does not name its classes: the label `{label}` is taken as \
                 `LABEL_{}`, and so on",
                path.display(),
                label.split('.').next().unwrap_or_default()
            ));
        }
        self.notes.extend(self.answers.notes(path));
        if let Some(names) = self.names {
            return Ok((names, self.notes));
        }
        let found = without_fractions(self.gathered.into_iter().collect());
        let mut names: Vec<String> = found.iter().map(|(name, _)| name.clone()).collect();
        sort_labels(&mut names);
        names.dedup();
        if let ([label], true) = (names.as_slice(), needed) {
            return Err(DataError::OneLabel {
                path: path.to_owned(),
                label: label.clone(),
            });
        }
        let new: HashMap<&String, usize> = names.iter().zip(0..).collect();
        let mut renumbered = vec![0; found.len()];
        for (name, old) in &found {
            renumbered[*old] = new[name];
        }
        for example in examples {
            match &mut example.label {
                Some(Label::Class(index)) => *index = renumbered[*index],
                Some(Label::Labels(labels)) => {
                    labels
                        .iter_mut()
                        .for_each(|index| *index = renumbered[*index]);
                    labels.sort_unstable();
                }
                Some(Label::Tags(tags)) => {
                    tags.iter_mut()
                        .for_each(|index| *index = renumbered[*index]);
                }
                Some(Label::Value(_) | Label::Answers(_) | Label::Negative(_)) | None => {}
            }
        }
        self.notes.extend(alike(&names, path));
        self.notes
            .extend(self.kind.doubts(&names, &self.separator, path));
        Ok((names, self.notes))
    }
}

/// The labels in a text: the entries of a list, as JSON or Python write it, or what stands between separators.
fn separated(text: &str, separator: &str) -> Vec<String> {
    let named = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let Some(list) = text
        .trim()
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
    else {
        return text.split(separator).filter_map(named).collect();
    };
    if let Ok(Value::Array(entries)) = serde_json::from_str(text) {
        let text = |entry: Value| match entry {
            Value::String(text) => text,
            other => other.to_string(),
        };
        return entries
            .into_iter()
            .filter_map(|entry| named(&text(entry)))
            .collect();
    }
    let bare = |entry: &str| named(entry.trim().trim_matches(['\'', '"']));
    list.split(',').filter_map(bare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(task: &str, known: Option<&[&str]>) -> LabelReader {
        let known: Option<Vec<String>> =
            known.map(|known| known.iter().map(|&label| label.to_owned()).collect());
        LabelReader::new(&LabelledTask::named(task).unwrap(), known.as_deref()).unwrap()
    }

    fn read(reader: &mut LabelReader, label: &str) -> Result<Label, String> {
        let read = reader.read(label, None, Path::new("dev.tsv"), Place::Line(7));
        read.map_err(|error| error.to_string())
    }

    fn gathered(labels: &[&str]) -> (Vec<String>, Vec<usize>) {
        let mut reader = reader("text", None);
        let mut examples: Vec<Example> = labels
            .iter()
            .map(|label| Example {
                words: None,
                text: String::new(),
                text_pair: None,
                label: Some(read(&mut reader, label).unwrap()),
                line: 2,
            })
            .collect();
        let (set, _) = reader.finish(&mut examples, Path::new("a"), true).unwrap();
        let index = |example: &Example| example.label.as_ref().and_then(Label::class).unwrap();
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
    fn gathered_whole_numbers_have_no_fraction() {
        let (set, labels) = gathered(&["1.0", "0.0", "1", "10.0"]);
        assert_eq!(set, ["0", "1", "10"]);
        assert_eq!(labels, [1, 0, 1, 2]);
        let (set, _) = gathered(&["1.0", "1.5", "2"]);
        assert_eq!(set, ["1.0", "1.5", "2"]);
        let (set, _) = gathered(&["1.0", "high"]);
        assert_eq!(set, ["1.0", "high"]);
    }

    #[test]
    fn what_had_to_be_chosen_is_said() {
        let finish = |reader: LabelReader| reader.finish(&mut [], Path::new("a.tsv"), true);
        let mut unnamed = reader("text", Some(&["LABEL_0", "LABEL_1"]));
        assert_eq!(read(&mut unnamed, "1.0"), Ok(Label::Class(1)));
        assert_eq!(
            finish(unnamed).unwrap().1,
            [
                "a.tsv: the model does not name its classes: the label `1.0` is taken as `LABEL_1`, and so on"
            ]
        );
        let mut gathering = reader("text", None);
        for label in ["Yes", "no", "yes"] {
            read(&mut gathering, label).unwrap();
        }
        let (set, notes) = finish(gathering).unwrap();
        assert_eq!(set, ["Yes", "no", "yes"]);
        let said =
            "a.tsv: the labels `Yes` and `yes` differ in letter case alone, and are two classes";
        assert_eq!(notes, [said]);
    }

    #[test]
    fn several_labels_are_a_list_or_separated() {
        for (text, expected) in [
            ("joy,anger", vec!["joy", "anger"]),
            (" joy , ,anger ", vec!["joy", "anger"]),
            ("", vec![]),
            ("[]", vec![]),
            (
                "[\"joy, really\", 3, true]",
                vec!["joy, really", "3", "true"],
            ),
            ("['joy', 'anger']", vec!["joy", "anger"]),
        ] {
            assert_eq!(separated(text, ","), expected, "{text}");
        }
        assert_eq!(separated("a b|c", "|"), ["a b", "c"]);
    }

    #[test]
    fn a_known_set_keeps_its_order() {
        let mut reader = reader("text", Some(&["pos", "neg"]));
        assert_eq!(read(&mut reader, "neg"), Ok(Label::Class(1)));
        assert_eq!(
            read(&mut reader, "maybe").unwrap_err(),
            "dev.tsv:7: label `maybe` is not one of `pos`, `neg`: \
             correct it, use the labels of the training file, or name all labels in a task file (`labels`)"
        );
        let (set, notes) = reader.finish(&mut [], Path::new("dev.tsv"), true).unwrap();
        assert_eq!((set.join(" "), notes.len()), ("pos neg".to_owned(), 0));
    }

    #[test]
    fn the_spellings_of_the_task_stand_for_its_labels_in_any_order() {
        let mut reader_of_task = reader("wic", None);
        let mut turned = reader("wic", Some(&["True", "False"]));
        for (label, class) in [("false", 0), ("1", 1), ("True", 1), ("0", 0)] {
            assert_eq!(read(&mut reader_of_task, label), Ok(Label::Class(class)));
            assert_eq!(read(&mut turned, label), Ok(Label::Class(1 - class)));
        }
        assert_eq!(read(&mut turned, "FALSE"), Ok(Label::Class(1)));
        assert!(read(&mut turned, "falsely").is_err());
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
        let (set, _) = reader.finish(&mut [], Path::new("a"), true).unwrap();
        assert!(set.is_empty());
    }

    #[test]
    fn one_label_cannot_be_trained_on() {
        let mut reader = reader("text", None);
        read(&mut reader, "1").unwrap();
        let finished = reader.finish(&mut [], Path::new("train.tsv"), true);
        assert_eq!(
            finished.unwrap_err().to_string(),
            "train.tsv: every row has the label `1`: \
             at least two different labels are needed to train"
        );
    }
}
