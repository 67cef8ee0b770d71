//! JSON documents, in which one file is one value: SQuAD's and DROP's.

use std::io::Cursor;
use std::path::Path;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::Form;
use super::choose::BadField;
use super::form::Object;
use crate::dataset::read_whole;
use crate::records::raw::Record;
use crate::records::stream::{Names, Records};
use crate::records::{Input, document, utf8};
use crate::{DataError, InputFormat, Place};

/// The records of a file, which may be one of SQuAD's or DROP's release where the form is theirs.
pub(crate) fn document_records(
    path: &Path,
    mut input: Input,
    format: InputFormat,
    names: Names<'_>,
    form: Form,
) -> Result<Records, DataError> {
    if format == InputFormat::Json && matches!(form, Form::Squad | Form::Drop) {
        let bytes = read_whole(path, &mut input)?;
        if let Some(records) = read(path, &bytes, form)? {
            return Ok(Records::of(path, records));
        }
        input = Box::new(Cursor::new(bytes));
    }
    Records::new(path, input, format, names)
}

/// The records of SQuAD's or DROP's release, in order; `None` for any other file. Questions count
/// from 1.
fn read(path: &Path, bytes: &[u8], form: Form) -> Result<Option<Vec<Record>>, DataError> {
    let mut records = Document {
        path,
        records: Vec::new(),
    };
    let content = utf8(path, bytes)?;
    if !content.trim_start().starts_with('{') || is_lines(content) {
        return Ok(None);
    }
    match (form, document(path, content)?) {
        (Form::Squad, Value::Object(squad)) => records.squad(&squad)?,
        (_, Value::Object(drop)) => records.drop(&drop)?,
        _ => return Ok(None),
    }
    Ok(Some(records.records))
}

/// Whether a file has several objects, one a line.
fn is_lines(content: &str) -> bool {
    let lines = content.lines().filter(|line| !line.trim().is_empty());
    let whole = |line: &str| serde_json::from_str::<IgnoredAny>(line).is_ok();
    lines.clone().count() > 1 && lines.take(1).all(whole)
}

struct Document<'p> {
    path: &'p Path,
    records: Vec<Record>,
}

impl<'p> Document<'p> {
    /// Errors about the next question.
    fn bad(&self) -> BadField<'p> {
        BadField {
            path: self.path,
            at: Place::Item(self.records.len() + 1),
        }
    }

    fn push(&mut self, fields: Object) {
        self.records.push(Record {
            at: Place::Item(self.records.len() + 1),
            fields,
            group: None,
        });
    }

    fn squad(&mut self, squad: &Object) -> Result<(), DataError> {
        for article in self.bad().objects(squad, "data", "data")? {
            let article = article?;
            let title = self.bad().text(article, "title", "title")?;
            for paragraph in self.bad().objects(article, "paragraphs", "paragraphs")? {
                let paragraph = paragraph?;
                let context = self.bad().text(paragraph, "context", "context")?;
                for question in self.bad().objects(paragraph, "qas", "qas")? {
                    let question = question?;
                    let bad = self.bad();
                    let mut fields = Object::new();
                    fields.insert("title".to_owned(), Value::from(title));
                    fields.insert("context".to_owned(), Value::from(context));
                    let asked = bad.text(question, "question", "question")?;
                    fields.insert("question".to_owned(), Value::from(asked));
                    if question.contains_key("answers") {
                        let answers = squad_answers(&bad, question)?;
                        fields.insert("answers".to_owned(), answers);
                    }
                    if let Some(id) = question.get("id") {
                        fields.insert("id".to_owned(), id.clone());
                    }
                    self.push(fields);
                }
            }
        }
        Ok(())
    }

    fn drop(&mut self, drop: &Object) -> Result<(), DataError> {
        for name in drop.keys() {
            let entry = self.bad().object(drop, name, name)?;
            let passage = self.bad().text(entry, "passage", "passage")?;
            for question in self.bad().objects(entry, "qa_pairs", "qa_pairs")? {
                let question = question?;
                let bad = self.bad();
                let mut fields = Object::new();
                fields.insert("passage".to_owned(), Value::from(passage));
                let asked = bad.text(question, "question", "question")?;
                fields.insert("question".to_owned(), Value::from(asked));
                if question.contains_key("answer") {
                    let answer = bad.object(question, "answer", "answer")?;
                    let mut answers: Vec<String> = drop_answer(answer).into_iter().collect();
                    if question.contains_key("validated_answers") {
                        let place = "validated_answers";
                        for answer in bad.objects(question, place, place)? {
                            answers.extend(drop_answer(answer?));
                        }
                    }
                    fields.insert("answers".to_owned(), Value::from(answers));
                }
                if let Some(id) = question.get("query_id") {
                    fields.insert("id".to_owned(), id.clone());
                }
                self.push(fields);
            }
        }
        Ok(())
    }
}

/// The answers of a question as the hub has them: lists of texts and of places, both empty where the question has no
/// answer (SQuAD 2.0).
fn squad_answers(bad: &BadField<'_>, question: &Object) -> Result<Value, DataError> {
    let (mut texts, mut starts) = (Vec::new(), Vec::new());
    for answer in bad.objects(question, "answers", "answers")? {
        let answer = answer?;
        texts.push(bad.text(answer, "text", "answers.text")?);
        starts.push(answer.get("answer_start").cloned().unwrap_or(Value::Null));
    }
    if question.get("is_impossible") == Some(&Value::Bool(true)) {
        texts.clear();
        starts.clear();
    }
    let mut answers = Object::new();
    answers.insert("text".to_owned(), Value::from(texts));
    answers.insert("answer_start".to_owned(), Value::from(starts));
    Ok(Value::from(answers))
}

/// A number, or else spans, or else a date; `None` when nothing is filled in, as DROP's own scorer
/// decides it too.
fn drop_answer(answer: &Object) -> Option<String> {
    let filled = |value: &Value| {
        let text = super::field::text_of(value)?;
        (!text.trim().is_empty()).then_some(text)
    };
    if let Some(number) = answer.get("number").and_then(filled) {
        return Some(number);
    }
    let spans = answer.get("spans").and_then(Value::as_array);
    let spans: Vec<String> = spans.into_iter().flatten().filter_map(filled).collect();
    if !spans.is_empty() {
        return Some(spans.join(", "));
    }
    let date = answer.get("date").and_then(Value::as_object)?;
    let parts = ["day", "month", "year"].into_iter();
    let parts: Vec<String> = parts
        .filter_map(|key| date.get(key).and_then(filled))
        .collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}
