//! Rows with all their fields, and those of Parquet files.

use std::fmt::Display;
use std::path::Path;

use beft_core::guarded;
use bytes::Bytes;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Map, Value};

use super::physical::{check_compression, class_names};
use crate::{DataError, Place};

/// One row: what its columns hold, as JSON has it. A text format has only strings.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) at: Place,
    pub(crate) fields: Map<String, Value>,
    /// What several rows have in common, such as a question.
    pub(crate) group: Option<String>,
}

impl Record {
    pub(crate) fn new(at: Place, fields: Map<String, Value>) -> Self {
        Self {
            at,
            fields,
            group: None,
        }
    }
}

/// The rows of a Parquet file.
pub(super) fn parquet_rows(path: &Path, bytes: Vec<u8>) -> Result<Vec<Record>, DataError> {
    let broken = |reason: &dyn Display| DataError::Parquet {
        path: path.to_owned(),
        reason: reason.to_string(),
    };
    // The library panics on some damaged files, which is an error here.
    let read = move || -> Result<Vec<Map<String, Value>>, DataError> {
        let file = SerializedFileReader::new(Bytes::from(bytes));
        let file = file.map_err(|reason| broken(&reason))?;
        check_compression(path, file.metadata(), |_| true)?;
        let rows = file.get_row_iter(None).map_err(|reason| broken(&reason))?;
        rows.map(|row| {
            let row = row.map_err(|reason| broken(&reason))?;
            Ok(object_of(row.get_column_iter()))
        })
        .collect()
    };
    let rows = guarded(read).unwrap_or_else(|| Err(broken(&"damaged")))?;
    let numbered = (1..).zip(rows);
    let records = numbered.map(|(number, fields)| Record::new(Place::Row(number), fields));
    Ok(records.collect())
}

/// The names that a Parquet file has for the numbers in the first of these columns that it has; none where it has
/// none.
pub(crate) fn declared_classes(
    path: &Path,
    bytes: &[u8],
    columns: &[String],
) -> Result<Vec<String>, DataError> {
    let broken = |reason: &dyn Display| DataError::Parquet {
        path: path.to_owned(),
        reason: reason.to_string(),
    };
    let read = || -> Result<Vec<String>, DataError> {
        let file = SerializedFileReader::new(Bytes::copy_from_slice(bytes));
        let file = file.map_err(|reason| broken(&reason))?;
        let fields = file.metadata().file_metadata().schema_descr().root_schema();
        let fields = fields.get_fields();
        let column = columns
            .iter()
            .find(|name| fields.iter().any(|f| f.name() == name.as_str()));
        let names = column.and_then(|column| class_names(file.metadata(), column));
        Ok(names.unwrap_or_default())
    };
    guarded(read).unwrap_or_else(|| Err(broken(&"damaged")))
}

fn object_of<'f>(columns: impl Iterator<Item = (&'f String, &'f Field)>) -> Map<String, Value> {
    columns
        .map(|(name, field)| (name.clone(), value_of(field)))
        .collect()
}

fn value_of(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(value) => Value::Bool(*value),
        Field::Byte(value) => Value::from(*value),
        Field::Short(value) => Value::from(*value),
        Field::Int(value) => Value::from(*value),
        Field::Long(value) => Value::from(*value),
        Field::UByte(value) => Value::from(*value),
        Field::UShort(value) => Value::from(*value),
        Field::UInt(value) => Value::from(*value),
        Field::ULong(value) => Value::from(*value),
        Field::Float(value) => Value::from(*value),
        Field::Double(value) => Value::from(*value),
        Field::Str(value) => Value::String(value.clone()),
        Field::Bytes(value) => Value::String(String::from_utf8_lossy(value.data()).into_owned()),
        Field::Group(row) => Value::Object(object_of(row.get_column_iter())),
        Field::ListInternal(list) => list.elements().iter().map(value_of).collect(),
        other => Value::String(other.to_string()),
    }
}
