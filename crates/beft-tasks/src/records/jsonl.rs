//! JSON Lines: one object a line.

use std::borrow::Cow;
use std::path::Path;

use serde_json::{Map, Value};

use super::{LabelUse, Row, Sink, Source, lines, utf8};
use crate::{DataError, Place, TaskKind};

/// Reads one object a line. Blank lines are skipped.
pub(super) fn read(
    source: &Source<'_>,
    content: &str,
    sink: &mut Sink<'_>,
) -> Result<(), DataError> {
    let mut source = *source;
    let mut rows = 0;
    for (line, json) in lines(content) {
        if json.trim().is_empty() {
            continue;
        }
        let object = object(source.path, line, json)?;
        if source.labels == LabelUse::IfPresent {
            // The first object speaks for the file, as a header does in the other formats.
            source.labels = if column(&object, &source.task.label_columns).is_some() {
                LabelUse::Required
            } else {
                LabelUse::Ignored
            };
        }
        sink(row(&source, Place::Line(line), object))?;
        rows += 1;
    }
    if rows == 0 {
        return Err(DataError::Empty {
            path: source.path.to_owned(),
        });
    }
    Ok(())
}

/// A file that is one JSON value.
pub(crate) fn document(path: &Path, bytes: &[u8]) -> Result<Value, DataError> {
    let content = utf8(path, bytes)?;
    if content.trim().is_empty() {
        return Err(DataError::Empty {
            path: path.to_owned(),
        });
    }
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
        (LabelUse::Ignored, _) => None,
        (_, None) => return Err(missing(&task.label_columns, &object)),
        (_, Some(name)) => label(source, at, name, &object[name])?,
    };
    let Some(name) = column(&object, &task.text_columns) else {
        return Err(missing(&task.text_columns, &object));
    };
    let text = take_text(source, at, name, &mut object)?;
    let pair = match column(&object, &task.pair_columns) {
        None if task.pair_required => return Err(missing(&task.pair_columns, &object)),
        None => None,
        // An optional field may be written out as null.
        Some(name) if object[name].is_null() && !task.pair_required => None,
        Some(name) => Some(take_text(source, at, name, &mut object)?),
    };
    Ok(Row {
        at,
        text,
        pair,
        label,
    })
}

fn take_text(
    source: &Source<'_>,
    at: Place,
    name: &str,
    object: &mut Map<String, Value>,
) -> Result<Cow<'static, str>, DataError> {
    match &mut object[name] {
        Value::String(text) => Ok(Cow::Owned(std::mem::take(text))),
        other => Err(source.field_type(at, name, "a string", type_name(other))),
    }
}

fn label(
    source: &Source<'_>,
    at: Place,
    name: &str,
    value: &Value,
) -> Result<Option<Cow<'static, str>>, DataError> {
    let regression = source.task.kind == TaskKind::Regression;
    let label = match value {
        Value::Null => return Err(source.missing_label(at)),
        Value::String(label) => label.clone(),
        Value::Bool(label) if !regression => label.to_string(),
        Value::Number(label) if regression || !label.is_f64() => label.to_string(),
        other => {
            let found = match other {
                Value::Number(_) => "a number with a fraction",
                other => type_name(other),
            };
            return Err(source.field_type(at, name, source.label_types(), found));
        }
    };
    source.label(at, Cow::Owned(label))
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
    use crate::Task;

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
        let task = Task::named("stsb").unwrap();
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
    fn the_first_object_tells_whether_there_are_labels() {
        let (with, without) = ("{\"text\": \"a\", \"label\": 1}", "{\"text\": \"a\"}");
        let read = |content: String| {
            let task = Task::named("text").unwrap();
            rows_of(&task, LabelUse::IfPresent, Jsonl, content.as_bytes())
        };
        let rows = read(format!("{without}\n{with}")).unwrap();
        assert!(rows.iter().all(|row| row.3.is_none()));
        let error = read(format!("{with}\n{without}")).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("in.file:2: no column `label`")
        );
    }

    #[test]
    fn blank_lines_alone_are_no_rows() {
        assert_eq!(error(" \n\t\n"), "in.file: the file is empty");
    }
}
