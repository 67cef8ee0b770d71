//! One pair of braces of a template: a field of a record, and how it is written out.

use std::path::Path;

use serde_json::{Map, Value};

use super::TemplateError;
use super::modifier::Modifier;
use crate::DataError;
use crate::records::raw::Record;
use crate::records::type_name;

/// What stands between braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    names: Vec<String>,
    pub(super) form: FieldForm,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FieldForm {
    Changed(Vec<Modifier>),
    Cases(Vec<(String, String)>),
}

impl Field {
    pub(super) fn parse(field: &str) -> Result<Self, TemplateError> {
        let end = field.find(['|', ':']).unwrap_or(field.len());
        let names: Vec<String> = field[..end]
            .split('/')
            .map(|n| n.trim().to_owned())
            .collect();
        if names.iter().any(String::is_empty) {
            return Err(TemplateError::NoName {
                field: field.to_owned(),
            });
        }
        let form = match field[end..].strip_prefix(':') {
            Some(cases) => FieldForm::Cases(parse_cases(field, cases)?),
            None => {
                let changes = field[end..].split('|').skip(1).map(str::trim);
                let changes = changes.map(|name| {
                    Modifier::named(name).ok_or_else(|| TemplateError::UnknownModifier {
                        field: field.to_owned(),
                        name: name.to_owned(),
                    })
                });
                FieldForm::Changed(changes.collect::<Result<_, _>>()?)
            }
        };
        Ok(Self { names, form })
    }

    /// The name of its column, where several are accepted the first.
    pub(super) fn first_name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    /// The value in a record, under the first of its names that is there.
    fn value<'r>(&self, path: &Path, record: &'r Record) -> Result<(&str, &'r Value), DataError> {
        find(&record.fields, &self.names).ok_or_else(|| missing(path, record, &self.names))
    }

    pub(super) fn text(&self, path: &Path, record: &Record) -> Result<String, DataError> {
        let (name, value) = self.value(path, record)?;
        self.formed(path, record, name, value)
    }

    pub(super) fn entries(&self, path: &Path, record: &Record) -> Result<Vec<String>, DataError> {
        let (name, value) = self.value(path, record)?;
        match value {
            Value::Array(entries) => entries
                .iter()
                .map(|entry| self.formed(path, record, name, entry))
                .collect(),
            one => Ok(vec![self.formed(path, record, name, one)?]),
        }
    }

    fn formed(
        &self,
        path: &Path,
        record: &Record,
        name: &str,
        value: &Value,
    ) -> Result<String, DataError> {
        let text = text_of(value).ok_or_else(|| DataError::FieldType {
            path: path.to_owned(),
            at: record.at,
            field: name.to_owned(),
            expected: "a string, a number or a boolean",
            found: type_name(value),
        })?;
        match &self.form {
            FieldForm::Changed(changes) => {
                Ok(changes.iter().fold(text, |text, change| change.apply(text)))
            }
            FieldForm::Cases(cases) => {
                let case = cases.iter().find(|(value, _)| value == text.trim());
                let case = case.map(|(_, text)| text.clone());
                case.ok_or_else(|| DataError::UnknownCase {
                    path: path.to_owned(),
                    at: record.at,
                    field: name.to_owned(),
                    value: text,
                    cases: cases.iter().map(|(value, _)| value.clone()).collect(),
                })
            }
        }
    }
}

fn parse_cases(field: &str, cases: &str) -> Result<Vec<(String, String)>, TemplateError> {
    let mut parsed: Vec<(String, String)> = Vec::new();
    for case in cases.split(',') {
        let bad = || TemplateError::BadCase {
            field: field.to_owned(),
            case: case.trim().to_owned(),
        };
        let (value, text) = case.split_once('=').ok_or_else(bad)?;
        let value = value.trim();
        if parsed.iter().any(|(known, _)| known == value) {
            return Err(bad());
        }
        parsed.push((value.to_owned(), text.trim().to_owned()));
    }
    Ok(parsed)
}

/// A value as text; `None` for null and for what has parts.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The first of `names` that is there, and its value. A column may have a dot in its name.
pub(super) fn find<'n, 'r>(
    fields: &'r Map<String, Value>,
    names: &'n [String],
) -> Option<(&'n str, &'r Value)> {
    names.iter().find_map(|name| {
        let value = fields.get(name).or_else(|| {
            let mut keys = name.split('.');
            let first = fields.get(keys.next()?)?;
            keys.try_fold(first, |value, key| value.get(key))
        })?;
        Some((name.as_str(), value))
    })
}

pub(super) fn missing(path: &Path, record: &Record, names: &[String]) -> DataError {
    DataError::MissingColumn {
        path: path.to_owned(),
        at: record.at,
        expected: names.to_vec(),
        found: record.fields.keys().cloned().collect(),
    }
}
