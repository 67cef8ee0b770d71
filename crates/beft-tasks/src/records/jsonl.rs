//! JSON values: a document, or one object a line.

use std::path::Path;

use serde_json::{Map, Number, Value};

use crate::DataError;

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

/// The integer that a float is, as a text; `None` for all others.
pub(crate) fn whole(float: f64) -> Option<String> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (float.fract() == 0.0 && float.abs() < EXACT).then(|| (float as i64).to_string())
}

/// The integer that a number is, as a text; `None` for one with a fraction.
pub(crate) fn whole_of(number: &Number) -> Option<String> {
    match number.as_f64().filter(|_| number.is_f64()) {
        Some(float) => whole(float),
        None => Some(number.to_string()),
    }
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
