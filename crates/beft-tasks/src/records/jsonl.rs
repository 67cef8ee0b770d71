//! JSON Lines: one object a line.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{LabelUse, Row, Sink, Source, lines};
use crate::DataError;

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
        let object = object(&source, line, json)?;
        if source.labels == LabelUse::IfPresent {
            // The first object speaks for the file, as a header does in the other formats.
            source.labels = if object.contains_key(&source.task.label_column) {
                LabelUse::Required
            } else {
                LabelUse::Ignored
            };
        }
        sink(row(&source, line, object)?)?;
        rows += 1;
    }
    if rows == 0 {
        return Err(DataError::Empty {
            path: source.path.to_owned(),
        });
    }
    Ok(())
}

fn object(source: &Source<'_>, line: usize, json: &str) -> Result<Map<String, Value>, DataError> {
    match serde_json::from_str(json) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(DataError::NotAnObject {
            path: source.path.to_owned(),
            line,
            found: type_name(&other),
        }),
        Err(error) => {
            // serde_json's text ends with a position that takes every line for the first.
            let text = error.to_string();
            let message = text.split(" at line ").next().unwrap_or_default();
            Err(DataError::JsonSyntax {
                path: source.path.to_owned(),
                line,
                column: error.column(),
                message: message.to_owned(),
            })
        }
    }
}

fn row(
    source: &Source<'_>,
    line: usize,
    mut object: Map<String, Value>,
) -> Result<Row<'static>, DataError> {
    let task = source.task;
    let wrong_type = |field: &str, expected: &'static str, found: &Value| DataError::JsonType {
        path: source.path.to_owned(),
        line,
        field: field.to_owned(),
        expected,
        found: type_name(found),
    };
    let missing = |expected: &[String], object: &Map<String, Value>| {
        source.missing_column(line, expected, object.keys().cloned().collect())
    };

    let label = match (source.labels, object.get(&task.label_column)) {
        (LabelUse::Ignored, _) => None,
        (_, None) => {
            return Err(missing(std::slice::from_ref(&task.label_column), &object));
        }
        (_, Some(Value::Null)) => return Err(source.missing_label(line)),
        (_, Some(Value::String(label))) => Some(label.clone()),
        (_, Some(Value::Bool(label))) => Some(label.to_string()),
        (_, Some(Value::Number(label))) if !label.is_f64() => Some(label.to_string()),
        (_, Some(Value::Number(_))) => {
            return Err(DataError::JsonType {
                path: source.path.to_owned(),
                line,
                field: task.label_column.clone(),
                expected: LABEL_TYPES,
                found: "a number with a fraction",
            });
        }
        (_, Some(other)) => return Err(wrong_type(&task.label_column, LABEL_TYPES, other)),
    };

    let Some(column) = task.text_columns.iter().find(|c| object.contains_key(*c)) else {
        return Err(missing(&task.text_columns, &object));
    };
    let mut take = |column: &String| match object.get_mut(column) {
        Some(Value::String(text)) => Ok(Some(Cow::Owned(std::mem::take(text)))),
        Some(other) => Err(wrong_type(column, "a string", other)),
        None => Ok(None),
    };
    let text = take(column)?.unwrap_or_default();
    let pair = match &task.pair_column {
        None => None,
        Some(column) => match take(column) {
            // An optional field may be written out as null.
            Err(DataError::JsonType { found: NULL, .. }) if !task.pair_required => None,
            Ok(None) if task.pair_required => {
                return Err(missing(std::slice::from_ref(column), &object));
            }
            taken => taken?,
        },
    };
    Ok(Row {
        line,
        text,
        pair,
        label: label
            .map(|label| source.label(line, Cow::Owned(label)))
            .transpose()?,
    })
}

const LABEL_TYPES: &str = "a string, an integer or a boolean";
const NULL: &str = "null";

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => NULL,
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
