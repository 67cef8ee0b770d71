//! Rows with all their fields, whatever the format.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use bytes::Bytes;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Map, Value};

use super::dialect::{Quotes, delimiter, without_blank_end};
use super::physical::check_compression;
use super::{InputFormat, Notes, delimited, json, jsonl, lines, utf8};
use crate::{DataError, Place};

/// One row: what its columns hold, as JSON has it. A text format has only strings.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) at: Place,
    pub(crate) fields: Map<String, Value>,
    /// What several rows have in common, such as a question.
    pub(crate) group: Option<String>,
}

/// Where rows go, and errors that concern a single row; an error from there stops the reading.
pub(crate) type Sink<'s> = dyn FnMut(Result<Record, DataError>) -> Result<(), DataError> + 's;

/// Reads all rows into `sink`, in file order. `headerless` are the column names of a TSV file whose
/// first line has none of them.
pub(crate) fn read(
    path: &Path,
    bytes: &[u8],
    format: InputFormat,
    headerless: &[String],
    sink: &mut Sink<'_>,
) -> Result<Notes, DataError> {
    if format == InputFormat::Parquet {
        return read_parquet(path, bytes, sink).map(|()| Notes::new());
    }
    let content = utf8(path, bytes)?;
    let mut notes = Notes::new();
    let mut rows = 0;
    let mut counted = |record: Result<Record, DataError>| {
        rows += 1;
        sink(record)
    };
    let mut header: Option<Vec<String>> = None;
    match format {
        InputFormat::Jsonl => {
            for (line, json) in lines(content).filter(|(_, json)| !json.trim().is_empty()) {
                let fields = jsonl::object(path, line, json)?;
                counted(Ok(record(Place::Line(line), fields)))?;
            }
        }
        InputFormat::Json => {
            for (at, fields) in json::rows(path, content)? {
                counted(Ok(record(at, fields)))?;
            }
        }
        InputFormat::Tsv => {
            let mut quotes = Quotes::default();
            for (line, row) in lines(without_blank_end(content)) {
                let cells = || row.split('\t');
                if header.is_none() {
                    let same = cells().count() == headerless.len();
                    let named = cells().any(|cell| headerless.iter().any(|n| n == cell.trim()));
                    if same && !named {
                        header = Some(headerless.to_vec());
                    } else {
                        header = Some(columns(path, line, cells())?);
                        continue;
                    }
                }
                quotes.see(cells());
                counted(row_of(path, line, header.as_deref(), cells()))?;
            }
            notes.extend(quotes.note(path));
        }
        InputFormat::Csv => {
            let (by, note) = delimiter(path, content, |_| false);
            notes.extend(note);
            delimited::csv_records(path, content, by, &mut |line, row| {
                if header.is_none() {
                    header = Some(columns(path, line, row.iter())?);
                    return Ok(());
                }
                counted(row_of(path, line, header.as_deref(), row.iter()))
            })?;
        }
        // A line is a text, of no column.
        InputFormat::Lines | InputFormat::Parquet => {
            return Err(DataError::UnknownExtension {
                path: path.to_owned(),
            });
        }
    }
    match (rows, header) {
        (0, Some(_)) => Err(DataError::NoRows {
            path: path.to_owned(),
        }),
        (0, None) => Err(DataError::Empty {
            path: path.to_owned(),
        }),
        _ => Ok(notes),
    }
}

fn record(at: Place, fields: Map<String, Value>) -> Record {
    Record {
        at,
        fields,
        group: None,
    }
}

fn columns<'h>(
    path: &Path,
    line: usize,
    cells: impl Iterator<Item = &'h str>,
) -> Result<Vec<String>, DataError> {
    let header: Vec<String> = cells.map(|cell| cell.trim().to_owned()).collect();
    for (index, column) in header.iter().enumerate() {
        if !column.is_empty() && header[..index].contains(column) {
            return Err(DataError::DuplicateColumn {
                path: path.to_owned(),
                line,
                column: column.clone(),
            });
        }
    }
    Ok(header)
}

fn row_of<'c>(
    path: &Path,
    line: usize,
    header: Option<&[String]>,
    cells: impl Iterator<Item = &'c str>,
) -> Result<Record, DataError> {
    let header = header.unwrap_or_default();
    let cells: Vec<&str> = cells.collect();
    if cells.len() != header.len() {
        return Err(DataError::ColumnCount {
            path: path.to_owned(),
            line,
            expected: header.len(),
            found: cells.len(),
        });
    }
    let fields = header
        .iter()
        .zip(cells)
        .map(|(column, cell)| (column.clone(), Value::String(cell.to_owned())));
    Ok(record(Place::Line(line), fields.collect()))
}

fn read_parquet(path: &Path, bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), DataError> {
    let broken = |reason: &dyn Display| DataError::Parquet {
        path: path.to_owned(),
        reason: reason.to_string(),
    };
    // The library panics on some damaged files, which is an error here.
    let read = || -> Result<Vec<Map<String, Value>>, DataError> {
        let file = SerializedFileReader::new(Bytes::copy_from_slice(bytes));
        let file = file.map_err(|reason| broken(&reason))?;
        check_compression(path, file.metadata(), |_| true)?;
        let rows = file.get_row_iter(None).map_err(|reason| broken(&reason))?;
        rows.map(|row| {
            let row = row.map_err(|reason| broken(&reason))?;
            Ok(object_of(row.get_column_iter()))
        })
        .collect()
    };
    let rows = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(broken(&"damaged")))?;
    if rows.is_empty() {
        return Err(DataError::Empty {
            path: path.to_owned(),
        });
    }
    for (number, fields) in (1..).zip(rows) {
        sink(Ok(record(Place::Row(number), fields)))?;
    }
    Ok(())
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
