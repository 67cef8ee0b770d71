//! From a record to a text with its label, or a pair of texts.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::raw::Record;
use super::{LabelUse, Row, Source, type_name, whole_of};
use crate::columns::joined;
use crate::tags::tagged;
use crate::{DataError, LabelForm, LabelTarget, LabelledTask, Place, TaskKind, TextColumns};

/// The fields with the label of a row.
enum LabelFields<'r> {
    One(&'r String, &'r Value),
    /// One for each label.
    Each(Vec<(&'r String, &'r Value)>),
}

/// The fields with the label, or else the names of those that are missing.
fn label_fields<'t, 'r>(
    task: &'t LabelledTask,
    object: &'r Map<String, Value>,
) -> Result<LabelFields<'r>, &'t [String]> {
    let names = &task.label_columns;
    let each = match &task.target {
        LabelTarget::Labels(set) => set.form == LabelForm::Columns,
        LabelTarget::Classes(_)
        | LabelTarget::Value(_)
        | LabelTarget::Answer(_)
        | LabelTarget::Similarity(_)
        | LabelTarget::Ranking
        | LabelTarget::Tags(_) => false,
    };
    if each {
        let fields = names.iter().map(|name| {
            let field = object.get_key_value(name);
            field.ok_or(std::slice::from_ref(name))
        });
        return fields.collect::<Result<_, _>>().map(LabelFields::Each);
    }
    let found = names.iter().find_map(|name| object.get_key_value(name));
    found
        .map(|(name, value)| LabelFields::One(name, value))
        .ok_or(names)
}

/// The labels whose fields say 1, as a list; `None` where no field says anything.
fn flags<'r>(
    source: &Source<'_>,
    at: Place,
    fields: &[(&'r String, &'r Value)],
) -> Result<Option<Cow<'r, str>>, DataError> {
    let mut holding = Vec::new();
    let (mut said, mut blank) = (false, None);
    for (name, value) in fields {
        let holds = match value {
            Value::Null => None,
            Value::Bool(holds) => Some(*holds),
            Value::String(text) if text.trim().is_empty() => None,
            Value::String(text) => Some(flag(source, at, name, text.trim())?),
            Value::Number(number) => Some(flag(source, at, name, &number.to_string())?),
            other => return Err(source.field_type(at, name, "0 or 1", type_name(other))),
        };
        said |= holds.is_some();
        if holds.is_none() {
            blank = Some(name);
        }
        if holds == Some(true) {
            holding.push(name.as_str());
        }
    }
    if let (true, Some(name)) = (said, blank) {
        return Err(source.field_type(at, name, "0 or 1", "empty"));
    }
    Ok(said.then(|| Cow::Owned(Value::from(holding).to_string())))
}

fn flag(source: &Source<'_>, at: Place, name: &str, text: &str) -> Result<bool, DataError> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "1.0" | "true" => Ok(true),
        "0" | "0.0" | "false" => Ok(false),
        _ => Err(source.field_type(at, name, "0 or 1", "something else")),
    }
}

/// The row that a record is. `header` is the line that names the columns and all their names, where there is one;
/// `word_lines` whether each word has a line of its own.
pub(super) fn row<'r>(
    source: &Source<'_>,
    header: Option<(usize, &[String])>,
    record: &'r Record,
    word_lines: bool,
) -> Result<Row<'r>, DataError> {
    let (task, at, object) = (source.task, record.at, &record.fields);
    let missing = |expected: &[String]| match header {
        Some((line, names)) => source.missing_column(Place::Line(line), expected, names.to_vec()),
        None => source.missing_column(at, expected, object.keys().cloned().collect()),
    };
    if task.target.kind() == TaskKind::TokenClassification {
        return tagged(source, record, word_lines, &missing);
    }
    let label = match (source.labels, label_fields(task, object)) {
        (LabelUse::Ignored, _) | (LabelUse::IfPresent, Err(_)) => None,
        (LabelUse::Required, Err(expected)) => return Err(missing(expected)),
        (_, Ok(LabelFields::One(name, value))) => {
            let label = label(source, at, name, value)?;
            source.label(at, label)?
        }
        (_, Ok(LabelFields::Each(fields))) => flags(source, at, &fields)?,
    };
    let found = |columns: &TextColumns| {
        let named = columns.find(|name| object.get_key_value(name));
        named.map_err(missing)
    };
    // An input without words is counted, and predicted as any other.
    let blank = source.labels == LabelUse::Ignored;
    let text = text(source, at, &found(&task.text_columns)?, blank)?;
    let pair = match found(&task.pair_columns) {
        Err(error) if task.pair_required => return Err(error),
        Err(_) => None,
        // An optional field may be written out as null.
        Ok(fields) if fields.iter().all(|(_, value)| value.is_null()) && !task.pair_required => {
            None
        }
        Ok(fields) => Some(self::text(source, at, &fields, false)?),
    };
    Ok(Row {
        at,
        text,
        pair,
        label,
        words: None,
    })
}

/// The text of one field, or that of several, of which some may be null; all of them where `blank` texts are taken.
fn text<'r>(
    source: &Source<'_>,
    at: Place,
    fields: &[(&'r String, &'r Value)],
    blank: bool,
) -> Result<Cow<'r, str>, DataError> {
    let mut texts = Vec::new();
    for (name, value) in fields {
        match value {
            Value::String(text) => texts.push(Cow::Borrowed(text.as_str())),
            Value::Null if fields.len() > 1 || blank => {}
            other => return Err(source.field_type(at, name, "a string", type_name(other))),
        }
    }
    match (texts.is_empty(), fields.first()) {
        (true, _) if blank => Ok(Cow::Borrowed("")),
        (true, Some((name, _))) => Err(source.field_type(at, name, "a string", "null")),
        _ => Ok(joined(texts)),
    }
}

/// The label as it would be written in a text file; `None` for null.
fn label<'r>(
    source: &Source<'_>,
    at: Place,
    name: &str,
    value: &'r Value,
) -> Result<Option<Cow<'r, str>>, DataError> {
    let numeric = source.task.target.kind().is_numeric();
    match value {
        Value::Null => Ok(None),
        Value::String(label) => Ok(Some(Cow::Borrowed(label))),
        Value::Array(_) if source.task.has_lists() => Ok(Some(Cow::Owned(value.to_string()))),
        Value::Object(_) if source.task.target.kind() == TaskKind::QuestionAnswering => {
            Ok(Some(Cow::Owned(value.to_string())))
        }
        Value::Bool(label) if !numeric => Ok(Some(Cow::Owned(label.to_string()))),
        Value::Number(label) if numeric => Ok(Some(Cow::Owned(label.to_string()))),
        Value::Number(label) => {
            let label = whole_of(label).ok_or_else(|| {
                let found = "a number with a fraction";
                source.field_type(at, name, source.label_types(), found)
            });
            label.map(|label| Some(Cow::Owned(label)))
        }
        other => Err(source.field_type(at, name, source.label_types(), type_name(other))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::InputFormat::Jsonl;
    use super::super::testing::*;
    use super::super::whole;
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
            let row = format!("{{\"sentence\": \"a\", \"label\": {label}}}");
            // The user's own rows may have none, those of a benchmark may not.
            let own = rows_of(&text_task(), LabelUse::Required, Jsonl, row.as_bytes());
            assert_eq!(own.unwrap()[0].3, None);
            let task = LabelledTask::named("sst2").unwrap();
            let found = rows_of(&task, LabelUse::Required, Jsonl, row.as_bytes());
            assert_eq!(
                found.unwrap_err().to_string(),
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
        for name in ["stsb", "sts"] {
            let task = LabelledTask::named(name).unwrap();
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
        assert_eq!(read("{\"body\": null, \"title\": null}").unwrap(), "");
        let row = b"{\"body\": null, \"title\": null, \"label\": 1}";
        let error = rows_of(&task, LabelUse::Required, Jsonl, row).unwrap_err();
        assert_eq!(
            error.to_string(),
            "in.file:1: field `title` is null: it must be a string"
        );
        assert_eq!(
            read("{\"title\": \"a\"}").unwrap_err(),
            "in.file:1: no column `body`: found `title`; rename or add a column"
        );
    }

    #[test]
    fn blank_lines_alone_are_no_rows() {
        assert_eq!(
            error(" \n\t\n"),
            "in.file: the file is empty: give one with rows"
        );
    }
}
