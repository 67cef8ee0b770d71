//! JSON Lines: one object a line.

use std::borrow::Cow;
use std::path::Path;

use serde_json::{Map, Value};

use super::{LabelUse, Notes, Row, Sink, Source, json, lines};
use crate::columns::joined;
use crate::{DataError, Place, TaskKind, TextColumns};

/// Reads one object a line. Blank lines are skipped.
pub(super) fn read(
    source: &Source<'_>,
    content: &str,
    sink: &mut Sink<'_>,
) -> Result<Notes, DataError> {
    let mut rows = 0;
    for (line, json) in lines(content) {
        if json.trim().is_empty() {
            continue;
        }
        let object = object(source.path, line, json)?;
        sink(row(source, Place::Line(line), object))?;
        rows += 1;
    }
    if rows == 0 {
        return Err(DataError::Empty {
            path: source.path.to_owned(),
        });
    }
    Ok(Notes::new())
}

/// Reads one array of objects, or one object a line.
pub(super) fn read_json(
    source: &Source<'_>,
    content: &str,
    sink: &mut Sink<'_>,
) -> Result<Notes, DataError> {
    for (at, object) in json::rows(source.path, content)? {
        sink(row(source, at, object))?;
    }
    Ok(Notes::new())
}

/// A file that is one JSON value.
pub(crate) fn document(path: &Path, content: &str) -> Result<Value, DataError> {
    serde_json::from_str(content).map_err(|error| DataError::JsonDocument {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
        message: message_of(&error),
    })
}

/// The object on one line.
pub(super) fn object(
    path: &Path,
    line: usize,
    json: &str,
) -> Result<Map<String, Value>, DataError> {
    match serde_json::from_str(json) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(DataError::NotAnObject {
            path: path.to_owned(),
            line,
            found: type_name(&other),
        }),
        Err(error) => Err(DataError::JsonSyntax {
            path: path.to_owned(),
            line,
            column: error.column(),
            message: message_of(&error),
        }),
    }
}

/// What is wrong, without the position that ends serde_json's text: it takes every line for the
/// first.
pub(super) fn message_of(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ")
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// The first of `names` that the object has.
fn column<'n>(object: &Map<String, Value>, names: &'n [String]) -> Option<&'n String> {
    names.iter().find(|name| object.contains_key(*name))
}

fn row(
    source: &Source<'_>,
    at: Place,
    mut object: Map<String, Value>,
) -> Result<Row<'static>, DataError> {
    let task = source.task;
    let missing = |expected: &[String], object: &Map<String, Value>| {
        source.missing_column(at, expected, object.keys().cloned().collect())
    };
    let label = match (source.labels, column(&object, &task.label_columns)) {
        (LabelUse::Ignored, _) | (LabelUse::IfPresent, None) => None,
        (LabelUse::Required, None) => return Err(missing(&task.label_columns, &object)),
        (_, Some(name)) => {
            let label = label(source, at, name, &object[name])?;
            source.label(at, label.map(Cow::Owned))?
        }
    };
    let found = |columns: &TextColumns, object: &Map<String, Value>| {
        let named = columns.find(|name| object.contains_key(name).then(|| name.clone()));
        named.map_err(|expected| missing(expected, object))
    };
    let names = found(&task.text_columns, &object)?;
    let text = take_text(source, at, &names, &mut object)?;
    let pair = match found(&task.pair_columns, &object) {
        Err(error) if task.pair_required => return Err(error),
        Err(_) => None,
        // An optional field may be written out as null.
        Ok(names) if names.iter().all(|name| object[name].is_null()) && !task.pair_required => None,
        Ok(names) => Some(take_text(source, at, &names, &mut object)?),
    };
    Ok(Row {
        at,
        text,
        pair,
        label,
    })
}

/// The text of one field, or that of several, of which some may be null.
fn take_text(
    source: &Source<'_>,
    at: Place,
    names: &[String],
    object: &mut Map<String, Value>,
) -> Result<Cow<'static, str>, DataError> {
    let mut texts = Vec::new();
    for name in names {
        match object.get_mut(name) {
            Some(Value::String(text)) => texts.push(Cow::Owned(std::mem::take(text))),
            Some(Value::Null) | None if names.len() > 1 => {}
            other => {
                let found = other.map_or("null", |other| type_name(other));
                return Err(source.field_type(at, name, "a string", found));
            }
        }
    }
    match (texts.is_empty(), names.first()) {
        (true, Some(name)) => Err(source.field_type(at, name, "a string", "null")),
        _ => Ok(joined(texts)),
    }
}

/// The label as it would be written in a text file; `None` for null.
fn label(
    source: &Source<'_>,
    at: Place,
    name: &str,
    value: &Value,
) -> Result<Option<String>, DataError> {
    let regression = source.task.target.kind() == TaskKind::Regression;
    match value {
        Value::Null => Ok(None),
        Value::String(label) => Ok(Some(label.clone())),
        Value::Bool(label) if !regression => Ok(Some(label.to_string())),
        Value::Number(label) if regression => Ok(Some(label.to_string())),
        Value::Number(label) => match label.as_f64().filter(|_| label.is_f64()) {
            None => Ok(Some(label.to_string())),
            Some(float) => {
                let label = whole(float).ok_or_else(|| {
                    let found = "a number with a fraction";
                    source.field_type(at, name, source.label_types(), found)
                });
                label.map(Some)
            }
        },
        other => Err(source.field_type(at, name, source.label_types(), type_name(other))),
    }
}

/// The integer that a float is, as a text; `None` for all others.
pub(crate) fn whole(float: f64) -> Option<String> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (float.fract() == 0.0 && float.abs() < EXACT).then(|| (float as i64).to_string())
}

pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::super::InputFormat::Jsonl;
    use super::super::testing::*;
    use super::*;
    use crate::LabelledTask;

    fn error(content: &str) -> String {
        error_of(LabelUse::Required, Jsonl, content.as_bytes())
    }

    #[test]
    fn labels_may_be_strings_integers_or_booleans() {
        let content = "\u{feff}{\"idx\": 0, \"text\": \"a \\\"b\\\"\\n\", \"label\": \" yes\"}\r\n\n\
                       {\"sentence\": \"c\", \"label\": 1}\n{\"text\": \"\", \"label\": false}\n\n";
        let rows = rows_of(&text_task(), LabelUse::Required, Jsonl, content.as_bytes());
        assert_eq!(
            rows.unwrap(),
            [
                plain(1, "a \"b\"\n", "yes"),
                plain(3, "c", "1"),
                plain(4, "", "false")
            ]
        );
    }

    #[test]
    fn the_pair_may_be_left_out_or_null_unless_required() {
        let content = b"{\"text\": \"a\", \"text_pair\": \"b\"}\n\
                        {\"text\": \"c\", \"text_pair\": null}\n{\"text\": \"d\"}";
        let mut task = text_task();
        let rows = rows_of(&task, LabelUse::Ignored, Jsonl, content).unwrap();
        let pairs: Vec<_> = rows.iter().map(|row| row.2.as_deref()).collect();
        assert_eq!(pairs, [Some("b"), None, None]);

        task.pair_required = true;
        assert_eq!(
            rows_of(&task, LabelUse::Ignored, Jsonl, content)
                .unwrap_err()
                .to_string(),
            "in.file:2: field `text_pair` is null: it must be a string"
        );
        assert_eq!(
            rows_of(&task, LabelUse::Ignored, Jsonl, b"{\"text\": \"d\"}")
                .unwrap_err()
                .to_string(),
            "in.file:1: no column `text_pair`: found `text`; rename or add a column"
        );
    }

    #[test]
    fn not_json_or_no_object() {
        assert_eq!(
            error("{\"text\": \"a\", \"label\": 1}\n{\"text\": b}\n"),
            "in.file:2: not valid JSON (expected value, column 10): write one JSON object a line"
        );
        assert_eq!(
            error("[{\"text\": \"a\", \"label\": 1}]"),
            "in.file:1: found an array: write one JSON object a line"
        );
    }

    #[test]
    fn missing_fields() {
        assert_eq!(
            error("{\"text\": \"a\", \"label\": 1}\n{\"body\": \"a\", \"label\": 1}\n"),
            "in.file:2: no column `text` or `sentence`: found `body`, `label`; \
             rename or add a column"
        );
        assert_eq!(
            error("{\"text\": \"a\"}"),
            "in.file:1: no column `label`: found `text`; rename or add a column"
        );
        assert_eq!(
            error("{}"),
            "in.file:1: no column `label`: found none; rename or add a column"
        );
        for label in ["null", "\"\"", "\" \""] {
            assert_eq!(
                error(&format!("{{\"text\": \"a\", \"label\": {label}}}")),
                "in.file:1: the label is missing: fill in the column `label`"
            );
        }
    }

    #[test]
    fn wrong_types() {
        assert_eq!(
            error("{\"text\": 5, \"label\": 1}"),
            "in.file:1: field `text` is a number: it must be a string"
        );
        for (label, found) in [("0.5", "a number with a fraction"), ("[1]", "an array")] {
            assert_eq!(
                error(&format!("{{\"text\": \"a\", \"label\": {label}}}")),
                format!(
                    "in.file:1: field `label` is {found}: \
                     it must be a string, an integer or a boolean"
                )
            );
        }
    }

    #[test]
    fn values_are_numbers() {
        let task = LabelledTask::named("stsb").unwrap();
        let read = |label: &str| {
            let content =
                format!("{{\"sentence1\": \"a\", \"sentence2\": \"b\", \"score\": {label}}}");
            let rows = rows_of(&task, LabelUse::Required, Jsonl, content.as_bytes());
            rows.map(|mut rows| rows.remove(0).3.unwrap())
        };
        for (label, text) in [("3.75", "3.75"), ("4", "4"), ("\"1.5 \"", "1.5")] {
            assert_eq!(read(label).unwrap(), text);
        }
        assert_eq!(
            read("true").unwrap_err().to_string(),
            "in.file:1: field `score` is a boolean: it must be a number"
        );
        assert_eq!(
            read("null").unwrap_err().to_string(),
            "in.file:1: the label is missing: fill in the column `score` or `label`"
        );
    }

    #[test]
    fn where_labels_are_not_needed_each_row_tells_whether_it_has_one() {
        let rows = "{\"text\": \"a\", \"label\": 1}\n{\"text\": \"b\"}\n\
                    {\"text\": \"c\", \"label\": null}\n{\"text\": \"d\", \"label\": \"\"}\n\
                    {\"text\": \"e\", \"label\": -1}\n{\"text\": \"f\", \"label\": -1.0}\n";
        let rows = rows_of(&text_task(), LabelUse::IfPresent, Jsonl, rows.as_bytes());
        let labels: Vec<_> = rows.unwrap().into_iter().map(|row| row.3).collect();
        assert_eq!(labels[0].as_deref(), Some("1"));
        assert_eq!(labels[1..], [None, None, None, None, None]);
    }

    #[test]
    fn whole_floats_are_integers() {
        let rows = "{\"text\": \"a\", \"label\": 1.0}\n{\"text\": \"b\", \"label\": -0.0}\n";
        let rows = rows_of(&text_task(), LabelUse::Required, Jsonl, rows.as_bytes());
        assert_eq!(rows.unwrap(), [plain(1, "a", "1"), plain(2, "b", "0")]);
        assert_eq!(
            (whole(0.5), whole(f64::NAN), whole(1e300)),
            (None, None, None)
        );
    }

    #[test]
    fn the_parts_of_a_text_are_joined() {
        let task = LabelledTask {
            text_columns: TextColumns::Joined(vec!["title".to_owned(), "body".to_owned()]),
            ..text_task()
        };
        let read = |json: &str| {
            let rows = rows_of(&task, LabelUse::Ignored, Jsonl, json.as_bytes());
            rows.map(|mut rows| rows.remove(0).1)
                .map_err(|error| error.to_string())
        };
        assert_eq!(read("{\"body\": \"b\", \"title\": \"a\"}").unwrap(), "a b");
        assert_eq!(read("{\"body\": \"b\", \"title\": null}").unwrap(), "b");
        assert_eq!(
            read("{\"body\": null, \"title\": null}").unwrap_err(),
            "in.file:1: field `title` is null: it must be a string"
        );
        assert_eq!(
            read("{\"title\": \"a\"}").unwrap_err(),
            "in.file:1: no column `body`: found `title`; rename or add a column"
        );
    }

    #[test]
    fn blank_lines_alone_are_no_rows() {
        assert_eq!(error(" \n\t\n"), "in.file: the file is empty");
    }
}
