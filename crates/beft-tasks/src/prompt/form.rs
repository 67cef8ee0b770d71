//! How examples are nested in a data set's own files: from one line, or one JSON document, to one
//! record for each example.

use std::path::Path;

use serde_json::{Map, Value};

use super::choose::BadField;
use crate::records::raw::Record;
use crate::records::type_name;
use crate::{DataError, Split};

/// How examples are nested in the files of a data set. Every form also reads the flat files of the hub, which
/// have one example per row.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// One example per row, with the columns of the file.
    #[default]
    Flat,
    /// SuperGLUE's MultiRC: a passage with questions, each with answers. One example an answer,
    /// with `paragraph`, `question`, `answer` and `label`.
    MultiRc,
    /// SuperGLUE's ReCoRD: a passage with entities and queries. One example a query, with `passage`,
    /// `query`, `entities` (different ones, sorted, as the hub has them), `filled` (the query with
    /// each of them in the place of `@placeholder`) and `label` (the indices of the right ones).
    Record,
    /// SQuAD 1.1: articles with paragraphs with questions. One example a question, with `title`,
    /// `context`, `question`, `answers` (a list of texts) and `id`.
    Squad,
    /// DROP: passages with questions. One example a question, with `passage`, `question` and
    /// `answers`: a number, spans joined by commas, or a date, and then those of the validation.
    Drop,
}

/// An object, which may be nested in a record.
pub(super) type Object = Map<String, Value>;

impl Form {
    /// The name that a split has in the data set's own release.
    pub(crate) const fn official(self, split: Split) -> Option<&'static str> {
        match (self, split) {
            (Self::Squad, Split::Train) => Some("train-v1.1.json"),
            (Self::Squad, Split::Dev) => Some("dev-v1.1.json"),
            (Self::Drop, Split::Train) => Some("drop_dataset_train.json"),
            (Self::Drop, Split::Dev) => Some("drop_dataset_dev.json"),
            _ => None,
        }
    }

    /// The examples of one row, in order.
    pub(super) fn expand(self, path: &Path, record: Record) -> Result<Vec<Record>, DataError> {
        let bad = BadField {
            path,
            at: record.at,
        };
        let flat = record.fields.get("passage").is_none_or(Value::is_string);
        match self {
            Self::Flat => Ok(vec![record]),
            Self::MultiRc if flat => Ok(vec![with_group(record)]),
            Self::MultiRc => multirc(&bad, &record),
            Self::Record if flat => Ok(vec![record_of_hub(&bad, record)?]),
            Self::Record => record_of_superglue(&bad, &record),
            Self::Squad => Ok(vec![squad_of_hub(record)]),
            Self::Drop => Ok(vec![drop_of_hub(record)]),
        }
    }
}

/// The hub's MultiRC says in `idx` what belongs together.
fn with_group(mut record: Record) -> Record {
    let index = |key: &str| record.fields.get("idx")?.get(key)?.as_u64();
    if let (Some(paragraph), Some(question)) = (index("paragraph"), index("question")) {
        record.group = Some(format!("{paragraph}.{question}"));
    }
    record
}

fn multirc(bad: &BadField<'_>, record: &Record) -> Result<Vec<Record>, DataError> {
    let passage = bad.object(&record.fields, "passage", "passage")?;
    let text = bad.text(passage, "text", "passage.text")?;
    let number = record.fields.get("idx").and_then(Value::as_u64);
    let number = number.unwrap_or(record.at.number() as u64);
    let mut records = Vec::new();
    for (index, question) in bad
        .objects(passage, "questions", "passage.questions")?
        .enumerate()
    {
        let place = format!("passage.questions[{index}]");
        let question = question?;
        let asked = bad.text(question, "question", &format!("{place}.question"))?;
        let question_number = question.get("idx").and_then(Value::as_u64);
        let group = format!("{number}.{}", question_number.unwrap_or(index as u64));
        for answer in bad.objects(question, "answers", &format!("{place}.answers"))? {
            let answer = answer?;
            let mut fields = Object::new();
            fields.insert("paragraph".to_owned(), Value::from(text));
            fields.insert("question".to_owned(), Value::from(asked));
            let said = bad.text(answer, "text", &format!("{place}.answers.text"))?;
            fields.insert("answer".to_owned(), Value::from(said));
            if let Some(label) = answer.get("label") {
                fields.insert("label".to_owned(), label.clone());
            }
            records.push(Record {
                at: record.at,
                fields,
                group: Some(group.clone()),
            });
        }
    }
    Ok(records)
}

fn record_of_superglue(bad: &BadField<'_>, record: &Record) -> Result<Vec<Record>, DataError> {
    let passage = bad.object(&record.fields, "passage", "passage")?;
    let text = bad.text(passage, "text", "passage.text")?;
    let mut entities = Vec::new();
    for entity in bad.objects(passage, "entities", "passage.entities")? {
        entities.push(span(bad, text, entity?)?);
    }
    let mut records = Vec::new();
    for (index, query) in bad.objects(&record.fields, "qas", "qas")?.enumerate() {
        let (query, place) = (query?, format!("qas[{index}]"));
        let asked = bad.text(query, "query", &format!("{place}.query"))?;
        let mut answers = None;
        if query.contains_key("answers") {
            let place = format!("{place}.answers");
            let texts = bad.objects(query, "answers", &place)?;
            let texts = texts.map(|answer| Ok(bad.text(answer?, "text", &place)?.to_owned()));
            answers = Some(texts.collect::<Result<Vec<_>, DataError>>()?);
        }
        let fields = filled(bad, text, asked, entities.clone(), answers)?;
        records.push(Record {
            at: record.at,
            fields,
            group: None,
        });
    }
    Ok(records)
}

/// The text of an entity: `start` and `end` count characters, and the last one belongs to it.
fn span(bad: &BadField<'_>, text: &str, entity: &Object) -> Result<String, DataError> {
    let bound = |key: &str| entity.get(key).and_then(Value::as_u64);
    let (Some(start), Some(end)) = (bound("start"), bound("end")) else {
        let found = "without whole numbers `start` and `end`";
        return Err(bad.because(
            "passage.entities",
            format!("an entity is {found}: add them"),
        ));
    };
    let characters = text.chars().count() as u64;
    if start > end || end >= characters {
        let message = format!(
            "an entity goes from character {start} to {end}, but the text has {characters}: \
             correct it"
        );
        return Err(bad.because("passage.entities", message));
    }
    let (start, count) = (start as usize, (end - start + 1) as usize);
    Ok(text.chars().skip(start).take(count).collect())
}

fn record_of_hub(bad: &BadField<'_>, mut record: Record) -> Result<Record, DataError> {
    let texts = |key: &str| -> Result<Option<Vec<String>>, DataError> {
        let Some(list) = record.fields.get(key) else {
            return Ok(None);
        };
        let list = list.as_array().map(|list| list.iter().map(Value::as_str));
        let texts: Option<Vec<_>> = list.and_then(Iterator::collect);
        match texts {
            Some(texts) => Ok(Some(texts.into_iter().map(str::to_owned).collect())),
            None => Err(bad.because(key, "it must be a list of strings".to_owned())),
        }
    };
    let passage = bad.text(&record.fields, "passage", "passage")?;
    let query = bad.text(&record.fields, "query", "query")?;
    let entities = texts("entities")?;
    let entities = entities.ok_or_else(|| bad.missing(&record.fields, "entities"))?;
    record.fields = filled(bad, passage, query, entities, texts("answers")?)?;
    Ok(record)
}

/// One query, with all that may take the place of `@placeholder`.
fn filled(
    bad: &BadField<'_>,
    passage: &str,
    query: &str,
    mut entities: Vec<String>,
    answers: Option<Vec<String>>,
) -> Result<Object, DataError> {
    entities.sort_unstable();
    entities.dedup();
    let mut fields = Object::new();
    if let Some(answers) = answers {
        let right: Vec<usize> = (0..entities.len())
            .filter(|&index| answers.contains(&entities[index]))
            .collect();
        if let (Some(answer), true) = (answers.first(), right.is_empty()) {
            let message = format!("`{answer}` is none of the entities: correct it");
            return Err(bad.because("answers", message));
        }
        fields.insert("label".to_owned(), Value::from(right));
    }
    let filled = |entity: &String| Value::from(query.replace("@placeholder", entity));
    fields.insert("filled".to_owned(), entities.iter().map(filled).collect());
    fields.insert("passage".to_owned(), Value::from(passage));
    fields.insert("query".to_owned(), Value::from(query));
    fields.insert("entities".to_owned(), Value::from(entities));
    Ok(fields)
}

/// The hub keeps the texts of the answers as `answers.text`; other flat files as they are.
fn squad_of_hub(mut record: Record) -> Record {
    let texts = match record.fields.get("answers") {
        Some(Value::Object(answers)) => answers.get("text").cloned(),
        Some(Value::Array(answers)) => {
            let texts = answers.iter().map(|answer| answer.get("text").cloned());
            texts.collect::<Option<Value>>()
        }
        _ => None,
    };
    if let Some(texts) = texts {
        record.fields.insert("answers".to_owned(), texts);
    }
    record
}

/// The hub keeps each way to say the answer as an entry of `answers_spans.spans`.
fn drop_of_hub(mut record: Record) -> Record {
    let spans = record
        .fields
        .get("answers_spans")
        .and_then(|a| a.get("spans"));
    if let Some(spans) = spans.cloned() {
        record.fields.insert("answers".to_owned(), spans);
    }
    record
}

impl BadField<'_> {
    pub(super) fn object<'o>(
        &self,
        object: &'o Object,
        key: &str,
        place: &str,
    ) -> Result<&'o Object, DataError> {
        let value = self.value(object, key)?;
        value
            .as_object()
            .ok_or_else(|| self.field_type(place, "an object", type_name(value)))
    }

    pub(super) fn text<'o>(
        &self,
        object: &'o Object,
        key: &str,
        place: &str,
    ) -> Result<&'o str, DataError> {
        let value = self.value(object, key)?;
        value
            .as_str()
            .ok_or_else(|| self.field_type(place, "a string", type_name(value)))
    }

    pub(super) fn objects<'o>(
        &self,
        object: &'o Object,
        key: &str,
        place: &str,
    ) -> Result<impl Iterator<Item = Result<&'o Object, DataError>>, DataError> {
        const LIST: &str = "an array of objects";
        let value = self.value(object, key)?;
        let list = value.as_array();
        let list = list.ok_or_else(|| self.field_type(place, LIST, type_name(value)))?;
        Ok(list.iter().map(move |entry| {
            let entry_type = || self.field_type(place, LIST, "an array with something else in it");
            entry.as_object().ok_or_else(entry_type)
        }))
    }
}
