//! The right answers to a question, and where they are in its context.

use std::path::Path;

use serde_json::{Map, Value};

use crate::records::type_name;
use crate::{Answerable, DataError, Place};

/// A right answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoldAnswer {
    /// The text.
    pub text: String,
    /// Where it begins in the context, in characters (Unicode code points); `None` where the context does not have it.
    pub start: Option<usize>,
}

/// Reads the answers of questions, and counts what is wrong with their places.
#[derive(Debug)]
pub(crate) struct AnswerReader {
    column: String,
    answerable: Answerable,
    /// Whether the answers are learned: then the first of each question has to be in its context.
    pub(crate) learned: bool,
    /// Answers that were not where the file says, but elsewhere in the context.
    moved: usize,
    /// Answers that are nowhere in their context.
    missing: usize,
}

/// An answer as a file has it: its text and where it begins.
type Written = (String, Option<usize>);

impl AnswerReader {
    pub(crate) fn new(column: &str, answerable: Answerable) -> Self {
        Self {
            column: column.to_owned(),
            answerable,
            learned: false,
            moved: 0,
            missing: 0,
        }
    }

    /// The answers in a cell: a text, or what JSON has in its place (see [`written`]); none of an empty cell.
    pub(crate) fn read(
        &mut self,
        cell: &str,
        context: &str,
        path: &Path,
        at: Place,
    ) -> Result<Vec<GoldAnswer>, DataError> {
        let bad = |message: String| DataError::BadField {
            path: path.to_owned(),
            at,
            field: self.column.clone(),
            message,
        };
        // A text may look like JSON, such as `[sic]`.
        let found = match cell.starts_with(['[', '{', '"']) && !context.contains(cell) {
            true => {
                let value = serde_json::from_str(cell);
                let value = value.map_err(|_| bad(format!("`{cell}` is no JSON: {FORMS}")))?;
                written(&value).map_err(|found| bad(format!("it has {found}: {FORMS}")))?
            }
            false => vec![(cell.to_owned(), None)],
        };
        let found: Vec<Written> = found.into_iter().filter(|(t, _)| !t.is_empty()).collect();
        if found.is_empty() && self.answerable == Answerable::Always {
            return Err(bad(
                "there is no answer: give one, or use a task that has questions without an answer (squad_v2, or \
                 `answerable = \"sometimes\"` in a task file)"
                    .to_owned(),
            ));
        }
        let mut answers = Vec::new();
        for (text, said) in found {
            let start = place(context, &text, said);
            match (start, said) {
                (None, _) if self.learned && answers.is_empty() => {
                    return Err(bad(format!(
                        "the answer `{text}` is not in the context of its question, letter by letter: correct one of them, \
                         or leave the question out"
                    )));
                }
                (None, _) => self.missing += 1,
                (Some(start), Some(said)) if start != said => self.moved += 1,
                (Some(_), _) => {}
            }
            answers.push(GoldAnswer { text, start });
        }
        Ok(answers)
    }

    /// What the user should hear of the file at `path`.
    pub(crate) fn notes(&self, path: &Path) -> Vec<String> {
        let note = |count: usize, what: &str| {
            (count > 0).then(|| format!("{}: {count} answers {what}", path.display()))
        };
        let moved =
            "do not stand where answer_start says; the nearest place in the context is taken";
        let missing = "are not in their context; they count as right, but cannot be found";
        { note(self.moved, moved).into_iter() }
            .chain(note(self.missing, missing))
            .collect()
    }
}

const FORMS: &str = "write the text of the answer, or {\"text\": [\"...\"], \"answer_start\": [0]}";

/// The answers that JSON has: a text, a list of texts, the hub's object of two lists, or a list of SQuAD's objects.
fn written(value: &Value) -> Result<Vec<Written>, &'static str> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(vec![(text.clone(), None)]),
        Value::Array(entries) => {
            let entries = entries.iter().map(|entry| match entry {
                Value::String(text) => Ok(vec![(text.clone(), None)]),
                Value::Object(answer) => of_object(answer),
                other => Err(type_name(other)),
            });
            Ok(entries.collect::<Result<Vec<_>, _>>()?.concat())
        }
        Value::Object(answers) => of_object(answers),
        other => Err(type_name(other)),
    }
}

/// One answer, or lists of texts and starts.
fn of_object(answers: &Map<String, Value>) -> Result<Vec<Written>, &'static str> {
    let list = |key: &str| match answers.get(key) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(entries)) => entries.clone(),
        Some(one) => vec![one.clone()],
    };
    if !answers.contains_key("text") {
        return Err("an object without `text`");
    }
    let (texts, starts) = (list("text"), list("answer_start"));
    if !starts.is_empty() && starts.len() != texts.len() {
        return Err("not as many `answer_start` as `text`");
    }
    let starts = starts.into_iter().map(Some).chain(std::iter::repeat(None));
    let answers = texts.into_iter().zip(starts).map(|(text, start)| {
        let text = text.as_str().ok_or("a `text` that is no string")?;
        let start = match start {
            None | Some(Value::Null) => None,
            // What is no place in a text (such as -1) says nothing.
            Some(Value::Number(start)) => Some(start.as_u64().map_or(usize::MAX, |s| s as usize)),
            Some(_) => return Err("an `answer_start` that is no number"),
        };
        Ok((text.to_owned(), start))
    });
    answers.collect()
}

/// Where a text begins in a context, in characters: the place nearest to the one that is said, or else the first.
fn place(context: &str, text: &str, said: Option<usize>) -> Option<usize> {
    let said_at = said.and_then(|said| context.char_indices().nth(said));
    if let Some((at, _)) = said_at
        && context[at..].starts_with(text)
    {
        return said;
    }
    let (mut characters, mut bytes) = (0, 0);
    let mut best: Option<usize> = None;
    // Places may overlap, which `match_indices` leaves out.
    while let Some(found) = context[bytes..].find(text) {
        let at = bytes + found;
        characters += context[bytes..at].chars().count();
        bytes = at;
        let distance = |place: usize| place.abs_diff(said.unwrap_or(0));
        if best.is_none_or(|best| distance(characters) < distance(best)) {
            best = Some(characters);
        }
        let Some(next) = context[bytes..].chars().next() else {
            break;
        };
        characters += 1;
        bytes += next.len_utf8();
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: &str = "Caf\u{e9} \u{1f600} in Z\u{fc}rich, \u{6771}\u{4eac}, in [sic] Bern.";

    fn read(cell: &str, answerable: Answerable) -> Result<(Vec<GoldAnswer>, Vec<String>), String> {
        let path = Path::new("train.jsonl");
        let mut reader = AnswerReader::new("answers", answerable);
        let found = reader.read(cell, CONTEXT, path, Place::Line(3));
        let found = found.map_err(|error| error.to_string())?;
        Ok((found, reader.notes(path)))
    }

    fn answer(text: &str, start: usize) -> GoldAnswer {
        GoldAnswer {
            text: text.to_owned(),
            start: Some(start),
        }
    }

    #[test]
    fn answers_are_written_in_many_ways() {
        for (cell, expected) in [
            (
                r#"{"text": ["Zürich", "in"], "answer_start": [10, 22]}"#,
                vec![answer("Zürich", 10), answer("in", 22)],
            ),
            (
                r#"[{"text": "東京", "answer_start": 18}]"#,
                vec![answer("東京", 18)],
            ),
            (
                r#"["東京", "in"]"#,
                vec![answer("東京", 18), answer("in", 7)],
            ),
            (
                r#"{"text": "Bern", "answer_start": 31}"#,
                vec![answer("Bern", 31)],
            ),
            ("[sic]", vec![answer("[sic]", 25)]),
            ("Bern", vec![answer("Bern", 31)]),
        ] {
            let (found, notes) = read(cell, Answerable::Always).unwrap();
            assert_eq!((found, notes), (expected, Vec::new()), "{cell}");
        }
        for cell in ["", "[]", r#"{"text": [], "answer_start": []}"#] {
            assert_eq!(read(cell, Answerable::Sometimes).unwrap().0, []);
            let error = read(cell, Answerable::Always).unwrap_err();
            assert!(
                error.starts_with("train.jsonl:3: field `answers`: there is no answer: give one"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_wrong_place_is_corrected_and_counted() {
        // The second `in` is nearer.
        let (found, notes) = read(
            r#"{"text": ["in"], "answer_start": [16]}"#,
            Answerable::Always,
        )
        .unwrap();
        assert_eq!(found, [answer("in", 22)]);
        assert_eq!(
            notes,
            [
                "train.jsonl: 1 answers do not stand where answer_start says; the nearest place in the context is taken"
            ]
        );
        let (found, notes) = read(
            r#"{"text": ["Bonn"], "answer_start": [-1]}"#,
            Answerable::Always,
        )
        .unwrap();
        assert_eq!(found[0].start, None);
        assert!(
            notes[0].contains("1 answers are not in their context"),
            "{notes:?}"
        );
        // From the end the last is nearest.
        let mut reader = AnswerReader::new("answers", Answerable::Always);
        reader.learned = true;
        let error = reader.read("Bonn", CONTEXT, Path::new("train.json"), Place::Item(4));
        let error = error.unwrap_err().to_string();
        assert!(
            error.starts_with(
                "train.json, item 4: field `answers`: the answer `Bonn` is not in the context"
            ),
            "{error}"
        );
        let (found, _) = read(
            r#"{"text": ["in"], "answer_start": [999]}"#,
            Answerable::Always,
        )
        .unwrap();
        assert_eq!(found, [answer("in", 22)]);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for (cell, expected) in [
            (
                "{'text': array(['a'], dtype=object)}",
                "is no JSON: write the text of the answer",
            ),
            ("[1]", "it has a number"),
            (r#"{"start": 1}"#, "it has an object without `text`"),
            (
                r#"{"text": ["in"], "answer_start": [1, 2]}"#,
                "not as many `answer_start` as `text`",
            ),
            (r#"{"text": [4]}"#, "a `text` that is no string"),
        ] {
            let error = read(cell, Answerable::Always).unwrap_err();
            assert!(
                error.starts_with("train.jsonl:3: field `answers`: "),
                "{error}"
            );
            assert!(error.contains(expected), "{error}");
        }
    }
}
