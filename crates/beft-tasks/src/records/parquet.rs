//! Parquet, as the hub ships its data sets: one column a field, labels as indices.

use std::borrow::Cow;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use parquet::basic::{Repetition, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::schema::types::SchemaDescriptor;

use super::{LabelUse, Row, Sink, Source};
use crate::{DataError, Place, TaskKind};

/// What the hub writes where there is no label.
const NO_LABEL: [&str; 2] = ["-1", "-1.0"];

/// Reads all rows of a file that may have any number of them.
pub(super) fn read(
    source: &Source<'_>,
    bytes: &[u8],
    sink: &mut Sink<'_>,
) -> Result<(), DataError> {
    let (file, columns) = guarded(source, || {
        let file = SerializedFileReader::new(Bytes::copy_from_slice(bytes));
        let file = file.map_err(|reason| broken(source, reason))?;
        let schema = file.metadata().file_metadata().schema_descr();
        let columns = Columns::of_schema(source, schema)?;
        Ok((file, columns))
    })?;
    let mut row = 0;
    for index in 0..file.num_row_groups() {
        let (texts, mut pairs, mut labels) = guarded(source, || {
            let group = file.get_row_group(index);
            let group = &*group.map_err(|reason| broken(source, reason))?;
            let pairs = columns.pair.as_ref().map(|c| c.texts(source, group));
            let labels = columns.label.as_ref().map(|c| c.labels(source, group));
            Ok((
                columns.text.texts(source, group)?,
                pairs.transpose()?.map(Vec::into_iter),
                labels.transpose()?.map(Vec::into_iter),
            ))
        })?;
        for text in texts {
            row += 1;
            let at = Place::Row(row);
            let pair = pairs.as_mut().and_then(Iterator::next);
            let label = labels.as_mut().and_then(Iterator::next);
            sink(columns.row(source, at, text, pair, label))?;
        }
    }
    Ok(())
}

/// What `read` gives; the library panics on some damaged files, which is an error here.
fn guarded<T>(
    source: &Source<'_>,
    read: impl FnOnce() -> Result<T, DataError>,
) -> Result<T, DataError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(broken(source, "damaged")))
}

fn broken(source: &Source<'_>, reason: impl Display) -> DataError {
    DataError::Parquet {
        path: source.path.to_owned(),
        reason: reason.to_string(),
    }
}

/// Which columns are read.
struct Columns {
    text: Column,
    pair: Option<Column>,
    label: Option<Column>,
}

impl Columns {
    fn of_schema(source: &Source<'_>, schema: &SchemaDescriptor) -> Result<Self, DataError> {
        let task = source.task;
        let missing = |expected: &[String]| {
            let fields = schema.root_schema().get_fields();
            let found = fields.iter().map(|field| field.name().to_owned()).collect();
            source.missing_column(Place::File, expected, found)
        };
        let column = |names: &[String]| Column::find(source, schema, names);

        let text = column(&task.text_columns)?.ok_or_else(|| missing(&task.text_columns))?;
        let pair = column(&task.pair_columns)?;
        if pair.is_none() && task.pair_required {
            return Err(missing(&task.pair_columns));
        }
        let label = match source.labels {
            LabelUse::Ignored => None,
            LabelUse::IfPresent | LabelUse::Required => column(&task.label_columns)?,
        };
        if label.is_none() && source.labels == LabelUse::Required {
            return Err(missing(&task.label_columns));
        }
        for text in [Some(&text), pair.as_ref()].into_iter().flatten() {
            if text.physical != Physical::BYTE_ARRAY {
                return Err(text.wrong_type(source, "a string"));
            }
        }
        Ok(Self { text, pair, label })
    }

    fn row(
        &self,
        source: &Source<'_>,
        at: Place,
        text: Option<ByteArray>,
        pair: Option<Option<ByteArray>>,
        label: Option<Option<String>>,
    ) -> Result<Row<'static>, DataError> {
        let string = |column: &Column, value: Option<ByteArray>| {
            let value =
                value.ok_or_else(|| source.field_type(at, &column.name, "a string", "null"))?;
            let text = String::from_utf8(value.data().to_vec());
            let text = text.map_err(|_| DataError::NotUtf8 {
                path: source.path.to_owned(),
                at,
            })?;
            Ok(Cow::Owned(text))
        };
        let pair = match (&self.pair, pair) {
            // An optional text may be null.
            (Some(_), Some(None)) if !source.task.pair_required => None,
            (Some(column), Some(pair)) => Some(string(column, pair)?),
            _ => None,
        };
        let hub = source.task.hub.is_some();
        let written = label.flatten();
        let label = match written.filter(|l| !(hub && NO_LABEL.contains(&l.as_str()))) {
            Some(label) => source.label(at, Cow::Owned(label))?,
            None if source.labels == LabelUse::Required && source.task.no_label.is_none() => {
                return Err(source.missing_label(at));
            }
            None => None,
        };
        Ok(Row {
            at,
            text: string(&self.text, text)?,
            pair,
            label,
        })
    }
}

/// One flat column of the file.
struct Column {
    name: String,
    leaf: usize,
    physical: Physical,
    max_level: i16,
}

impl Column {
    /// The first of `names` that the file has.
    fn find(
        source: &Source<'_>,
        schema: &SchemaDescriptor,
        names: &[String],
    ) -> Result<Option<Self>, DataError> {
        let fields = schema.root_schema().get_fields();
        let Some(field) = names
            .iter()
            .find_map(|name| fields.iter().find(|field| field.name() == name))
        else {
            return Ok(None);
        };
        let name = field.name();
        let flat =
            field.is_primitive() && field.get_basic_info().repetition() != Repetition::REPEATED;
        let mut leaves = schema.columns().iter();
        let leaf = leaves.position(|leaf| flat && leaf.path().parts() == [name]);
        let Some(leaf) = leaf else {
            return Err(source.field_type(Place::File, name, "one value a row", "nested"));
        };
        let column = schema.column(leaf);
        Ok(Some(Self {
            name: name.to_owned(),
            leaf,
            physical: column.physical_type(),
            max_level: column.max_def_level(),
        }))
    }

    fn wrong_type(&self, source: &Source<'_>, expected: &'static str) -> DataError {
        let found = match self.physical {
            Physical::BOOLEAN => "a boolean",
            Physical::INT32 | Physical::INT64 => "an integer",
            Physical::FLOAT | Physical::DOUBLE => "a number with a fraction",
            Physical::BYTE_ARRAY => "a string",
            Physical::INT96 | Physical::FIXED_LEN_BYTE_ARRAY => "of another type",
        };
        source.field_type(Place::File, &self.name, expected, found)
    }

    fn reader(
        &self,
        source: &Source<'_>,
        group: &dyn RowGroupReader,
    ) -> Result<ColumnReader, DataError> {
        let reader = group.get_column_reader(self.leaf);
        reader.map_err(|reason| broken(source, reason))
    }

    fn texts(
        &self,
        source: &Source<'_>,
        group: &dyn RowGroupReader,
    ) -> Result<Vec<Option<ByteArray>>, DataError> {
        match self.reader(source, group)? {
            ColumnReader::ByteArrayColumnReader(reader) => {
                self.values(source, group, reader, |text| text)
            }
            _ => Err(self.wrong_type(source, "a string")),
        }
    }

    /// The labels as they would be written in a text file.
    fn labels(
        &self,
        source: &Source<'_>,
        group: &dyn RowGroupReader,
    ) -> Result<Vec<Option<String>>, DataError> {
        let regression = source.task.kind == TaskKind::Regression;
        match self.reader(source, group)? {
            ColumnReader::ByteArrayColumnReader(reader) => {
                let text = |bytes: ByteArray| String::from_utf8_lossy(bytes.data()).into_owned();
                self.values(source, group, reader, text)
            }
            ColumnReader::Int32ColumnReader(reader) => {
                self.values(source, group, reader, |label| label.to_string())
            }
            ColumnReader::Int64ColumnReader(reader) => {
                self.values(source, group, reader, |label| label.to_string())
            }
            ColumnReader::BoolColumnReader(reader) if !regression => {
                self.values(source, group, reader, |label| label.to_string())
            }
            // The shortest digits of a single: 3.8 is meant, not 3.799999952316284.
            ColumnReader::FloatColumnReader(reader) if regression => {
                self.values(source, group, reader, |label| format!("{label:?}"))
            }
            ColumnReader::DoubleColumnReader(reader) if regression => {
                self.values(source, group, reader, |label| format!("{label:?}"))
            }
            _ => Err(self.wrong_type(source, source.label_types())),
        }
    }

    /// The values of this column in one row group; `None` for null.
    fn values<T: DataType, V>(
        &self,
        source: &Source<'_>,
        group: &dyn RowGroupReader,
        mut reader: ColumnReaderImpl<T>,
        convert: impl Fn(T::T) -> V,
    ) -> Result<Vec<Option<V>>, DataError> {
        let rows = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        let mut read = 0;
        while read < rows {
            let (records, _, _) = reader
                .read_records(rows - read, Some(&mut levels), None, &mut values)
                .map_err(|reason| broken(source, reason))?;
            if records == 0 {
                let name = &self.name;
                return Err(broken(
                    source,
                    format!("column `{name}` ends after {read} of {rows} rows"),
                ));
            }
            read += records;
        }
        let mut values = values.into_iter().map(convert);
        if self.max_level == 0 {
            return Ok(values.map(Some).collect());
        }
        let present = |level| level == self.max_level;
        Ok(levels
            .into_iter()
            .map(|level| if present(level) { values.next() } else { None })
            .collect())
    }
}
