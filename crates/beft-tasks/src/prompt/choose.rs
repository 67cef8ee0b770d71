//! From a label as written to the right candidates.

use std::path::Path;

use serde_json::Value;

use super::field::{find, missing, text_of};
use super::form::Object;
use super::{PromptKind, PromptTask};
use crate::classes::whole_number;
use crate::records::raw::Record;
use crate::records::{HIDDEN, type_name, whole_of};
use crate::{DataError, Place};

/// Makes errors about the fields of one record.
pub(super) struct BadField<'a> {
    pub(super) path: &'a Path,
    pub(super) at: Place,
}

impl BadField<'_> {
    pub(super) fn because(&self, field: &str, message: String) -> DataError {
        DataError::BadField {
            path: self.path.to_owned(),
            at: self.at,
            field: field.to_owned(),
            message,
        }
    }

    pub(super) fn field_type(
        &self,
        field: &str,
        expected: &'static str,
        found: &'static str,
    ) -> DataError {
        DataError::FieldType {
            path: self.path.to_owned(),
            at: self.at,
            field: field.to_owned(),
            expected,
            found,
        }
    }

    pub(super) fn missing(&self, object: &Object, key: &str) -> DataError {
        DataError::MissingColumn {
            path: self.path.to_owned(),
            at: self.at,
            expected: vec![key.to_owned()],
            found: object.keys().cloned().collect(),
        }
    }

    pub(super) fn value<'o>(&self, object: &'o Object, key: &str) -> Result<&'o Value, DataError> {
        object.get(key).ok_or_else(|| self.missing(object, key))
    }
}

impl PromptTask {
    /// The indices of the right ones of `count` candidates, sorted; none of a row that says that
    /// it has no label. `required`: whether a label has to be there.
    pub(super) fn right(
        &self,
        path: &Path,
        record: &Record,
        count: usize,
        required: bool,
    ) -> Result<Vec<usize>, DataError> {
        let bad = BadField {
            path,
            at: record.at,
        };
        let none = || match required && self.no_label.is_none() {
            true => Err(DataError::MissingLabel {
                path: path.to_owned(),
                at: record.at,
                columns: self.label_columns.clone(),
            }),
            false => Ok(Vec::new()),
        };
        let Some((name, value)) = find(&record.fields, &self.label_columns) else {
            return match required {
                true => Err(missing(path, record, &self.label_columns)),
                false => Ok(Vec::new()),
            };
        };
        let several = self.kind() == PromptKind::MultipleChoice;
        let labels: Vec<&Value> = match value {
            Value::Array(labels) if several => labels.iter().collect(),
            Value::Null => Vec::new(),
            label => vec![label],
        };
        let mut right = Vec::new();
        for label in labels {
            let text = match label {
                Value::Number(number) => whole_of(number),
                label => text_of(label),
            };
            let text = text.ok_or_else(|| {
                let found = match label {
                    Value::Number(_) => "a number with a fraction",
                    label => type_name(label),
                };
                bad.field_type(name, "a string, an integer or a boolean", found)
            })?;
            let text = text.trim();
            if text.is_empty() {
                return none();
            }
            if self.no_label.as_deref() == Some(text) {
                return Ok(Vec::new());
            }
            match self.index(text).filter(|&index| index < count) {
                Some(index) => right.push(index),
                // What the hub writes where there is no label.
                None if HIDDEN.contains(&text) => return none(),
                None => {
                    return Err(DataError::UnknownLabel {
                        path: path.to_owned(),
                        at: record.at,
                        label: text.to_owned(),
                        labels: self.known(count),
                    });
                }
            }
        }
        if right.is_empty() {
            return none();
        }
        right.sort_unstable();
        right.dedup();
        Ok(right)
    }

    /// The label written so: exactly, or else in another letter case where that is one label's
    /// alone, or else as a whole number with a fraction of zeros.
    fn index(&self, label: &str) -> Option<usize> {
        let Some(labels) = &self.labels else {
            return whole_number(label).unwrap_or(label).parse().ok();
        };
        let spelled = |is: &dyn Fn(&String) -> bool| -> Vec<usize> {
            let matching = labels.iter().enumerate();
            let matching = matching.filter(|(_, known)| known.spellings.iter().any(is));
            matching.map(|(index, _)| index).collect()
        };
        let exact = |label: &str| spelled(&|spelling| spelling == label).first().copied();
        let folded = label.to_lowercase();
        let folded = || match spelled(&|s| s.to_lowercase() == folded)[..] {
            [only] => Some(only),
            _ => None,
        };
        exact(label)
            .or_else(folded)
            .or_else(|| exact(whole_number(label)?))
    }

    /// The labels that one of `count` candidates may have.
    fn known(&self, count: usize) -> Vec<String> {
        match &self.labels {
            None => (0..count).map(|index| index.to_string()).collect(),
            Some(labels) => {
                let names = labels.iter().map(|label| label.name.clone());
                names.take(count).collect()
            }
        }
    }
}
