//! Parquet, as the hub ships its data sets: one column a field, labels as indices.

use std::borrow::Cow;
use std::fmt::Display;

use beft_core::guarded;
use bytes::Bytes;
use parquet::basic::Repetition;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::schema::types::SchemaDescriptor;

use super::physical::{Kind, check_compression, class_names};
use super::{LabelUse, Notes, Row, Sink, Source, whole};
use crate::columns::joined;
use crate::{DataError, Place, TextColumns};

/// Reads all rows of a file that may have any number of them.
pub(super) fn read(
    source: &Source<'_>,
    bytes: &[u8],
    sink: &mut Sink<'_>,
) -> Result<Notes, DataError> {
    let (file, columns) = caught(source, || {
        let file = SerializedFileReader::new(Bytes::copy_from_slice(bytes));
        let file = file.map_err(|reason| broken(source, reason))?;
        let columns = Columns::of_schema(source, file.metadata())?;
        check_compression(source.path, file.metadata(), |leaf| columns.has(leaf))?;
        Ok((file, columns))
    })?;
    let mut row = 0;
    for index in 0..file.num_row_groups() {
        let (texts, pairs, mut labels) = caught(source, || {
            let group = file.get_row_group(index);
            let group = &*group.map_err(|reason| broken(source, reason))?;
            let texts = |columns: &Vec<Column>| {
                let columns = columns.iter().map(|column| column.texts(source, group));
                columns.collect::<Result<Vec<_>, _>>()
            };
            let labels = columns.label.as_ref().map(|c| c.labels(source, group));
            Ok((
                texts(&columns.text)?,
                columns.pair.as_ref().map(texts).transpose()?,
                labels.transpose()?.map(Vec::into_iter),
            ))
        })?;
        for index in 0..texts.first().map_or(0, Vec::len) {
            row += 1;
            let at = Place::Row(row);
            let label = labels.as_mut().and_then(Iterator::next).flatten();
            sink(columns.row(source, at, index, &texts, pairs.as_deref(), label))?;
        }
    }
    Ok(Notes::new())
}

/// What `read` gives; the library panics on some damaged files, which is an error here.
fn caught<T>(
    source: &Source<'_>,
    read: impl FnOnce() -> Result<T, DataError>,
) -> Result<T, DataError> {
    guarded(read).unwrap_or_else(|| Err(broken(source, "damaged")))
}

fn broken(source: &Source<'_>, reason: impl Display) -> DataError {
    DataError::Parquet {
        path: source.path.to_owned(),
        reason: reason.to_string(),
    }
}

/// Which columns are read.
struct Columns {
    text: Vec<Column>,
    pair: Option<Vec<Column>>,
    label: Option<Column>,
    /// What the integers of the label stand for, where all of these are labels that are known.
    classes: Vec<String>,
}

/// The texts of one column in a row group; `None` for null.
type Texts = Vec<Option<ByteArray>>;

/// A label as it would be written in a text file, or what it is instead.
type Written = Result<String, &'static str>;

impl Columns {
    fn of_schema(source: &Source<'_>, metadata: &ParquetMetaData) -> Result<Self, DataError> {
        let task = source.task;
        let schema = metadata.file_metadata().schema_descr();
        let fields = schema.root_schema().get_fields();
        let missing = |expected: &[String]| {
            let found = fields.iter().map(|field| field.name().to_owned()).collect();
            source.missing_column(Place::File, expected, found)
        };
        let has = |name: &String| fields.iter().any(|field| field.name() == name);
        let texts = |columns: &TextColumns| {
            let names = columns.find(|name| has(name).then(|| name.clone()));
            let names = names.map_err(missing)?;
            let columns = names.iter().map(|name| Column::of(source, schema, name));
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            let wrong = columns.iter().find(|column| !column.is_text());
            wrong.map_or(Ok(()), |column| Err(column.wrong_type(source, "a string")))?;
            Ok(columns)
        };
        let text = texts(&task.text_columns)?;
        let pair = match texts(&task.pair_columns) {
            Err(DataError::MissingColumn { .. }) if !task.pair_required => None,
            pair => Some(pair?),
        };
        let name = task.label_columns.iter().find(|name| has(name));
        let label = match (source.labels, name) {
            (LabelUse::Ignored, _) | (LabelUse::IfPresent, None) => None,
            (LabelUse::Required, None) => return Err(missing(&task.label_columns)),
            (_, Some(name)) => Some(Column::of(source, schema, name)?),
        };
        let names = label.as_ref().filter(|label| label.kind == Kind::Signed);
        let names = names.and_then(|label| class_names(metadata, &label.name));
        let known = |name: &String| source.known?.index(name);
        let classes = names.filter(|names| names.iter().all(|name| known(name).is_some()));
        Ok(Self {
            text,
            pair,
            label,
            classes: classes.unwrap_or_default(),
        })
    }

    fn has(&self, leaf: usize) -> bool {
        let pair = self.pair.iter().flatten();
        let mut all = self.text.iter().chain(pair).chain(&self.label);
        all.any(|column| column.leaf == leaf)
    }

    fn row(
        &self,
        source: &Source<'_>,
        at: Place,
        index: usize,
        texts: &[Texts],
        pairs: Option<&[Texts]>,
        label: Option<Written>,
    ) -> Result<Row<'static>, DataError> {
        let text = |columns: &[Column], texts: &[Texts]| {
            let mut parts = Vec::new();
            for (column, texts) in columns.iter().zip(texts) {
                match texts.get(index).and_then(Option::as_ref) {
                    Some(text) => parts.push(utf8(source, at, text)?),
                    None if columns.len() > 1 => {}
                    None => return Err(source.field_type(at, &column.name, "a string", "null")),
                }
            }
            match (parts.is_empty(), columns.first()) {
                (true, Some(column)) => {
                    Err(source.field_type(at, &column.name, "a string", "null"))
                }
                _ => Ok(joined(parts)),
            }
        };
        let all_null = |texts: &[Texts]| {
            texts
                .iter()
                .all(|t| t.get(index).is_none_or(Option::is_none))
        };
        let pair = match (&self.pair, pairs) {
            // An optional text may be null.
            (_, Some(pairs)) if !source.task.pair_required && all_null(pairs) => None,
            (Some(columns), Some(pairs)) => Some(text(columns, pairs)?),
            _ => None,
        };
        let class = |label: &String| self.classes.get(label.parse::<usize>().ok()?).cloned();
        let label = match &self.label {
            Some(column) => {
                let label = label.transpose().map_err(|found| {
                    source.field_type(at, &column.name, source.label_types(), found)
                })?;
                let label = label.map(|label| class(&label).unwrap_or(label));
                source.label(at, label.map(Cow::Owned))?
            }
            None => None,
        };
        Ok(Row {
            at,
            text: text(&self.text, texts)?,
            pair,
            label,
            words: None,
        })
    }
}

fn utf8(source: &Source<'_>, at: Place, text: &ByteArray) -> Result<Cow<'static, str>, DataError> {
    let text = String::from_utf8(text.data().to_vec());
    let text = text.map_err(|_| DataError::NotUtf8 {
        path: source.path.to_owned(),
        at,
    })?;
    Ok(Cow::Owned(text))
}

/// One flat column of the file.
struct Column {
    name: String,
    leaf: usize,
    kind: Kind,
    max_level: i16,
}

impl Column {
    /// The column `name`, which the file has.
    fn of(source: &Source<'_>, schema: &SchemaDescriptor, name: &str) -> Result<Self, DataError> {
        let mut fields = schema.root_schema().get_fields().iter();
        let flat = fields.any(|field| {
            field.name() == name
                && field.is_primitive()
                && field.get_basic_info().repetition() != Repetition::REPEATED
        });
        let mut leaves = schema.columns().iter();
        let leaf = leaves.position(|leaf| flat && leaf.path().parts() == [name]);
        let Some(leaf) = leaf else {
            return Err(source.field_type(Place::File, name, "one value a row", "nested"));
        };
        let column = schema.column(leaf);
        Ok(Self {
            name: name.to_owned(),
            leaf,
            kind: Kind::of(&column),
            max_level: column.max_def_level(),
        })
    }

    fn is_text(&self) -> bool {
        matches!(self.kind, Kind::Text | Kind::Nothing)
    }

    fn wrong_type(&self, source: &Source<'_>, expected: &'static str) -> DataError {
        source.field_type(Place::File, &self.name, expected, self.kind.name())
    }

    fn reader(
        &self,
        source: &Source<'_>,
        group: &dyn RowGroupReader,
    ) -> Result<ColumnReader, DataError> {
        let reader = group.get_column_reader(self.leaf);
        reader.map_err(|reason| broken(source, reason))
    }

    fn texts(&self, source: &Source<'_>, group: &dyn RowGroupReader) -> Result<Texts, DataError> {
        match self.reader(source, group)? {
            _ if self.kind == Kind::Nothing => Ok(nulls(group)),
            ColumnReader::ByteArrayColumnReader(reader) => {
                self.values(source, group, reader, |text| text)
            }
            _ => Err(self.wrong_type(source, "a string")),
        }
    }

    /// The labels as they would be written in a text file; a float that is no number is null.
    fn labels(
        &self,
        source: &Source<'_>,
        group: &dyn RowGroupReader,
    ) -> Result<Vec<Option<Written>>, DataError> {
        use ColumnReader as R;
        let numeric = source.task.target.kind().is_numeric();
        // The shortest digits of a single: 3.8 is meant, not 3.799999952316284.
        let float = |label: f64, digits: String| match label {
            label if label.is_nan() => Ok(String::new()),
            _ if numeric => Ok(digits),
            label => whole(label).ok_or("a number with a fraction"),
        };
        match (self.kind, self.reader(source, group)?) {
            (Kind::Nothing, _) => Ok(nulls(group)),
            (Kind::Text, R::ByteArrayColumnReader(reader)) => {
                let text = |bytes: ByteArray| String::from_utf8(bytes.data().to_vec());
                let text = |bytes| text(bytes).map_err(|_| "not UTF-8");
                self.values(source, group, reader, text)
            }
            (Kind::Signed, R::Int32ColumnReader(reader)) => {
                self.values(source, group, reader, |label| Ok(label.to_string()))
            }
            (Kind::Signed, R::Int64ColumnReader(reader)) => {
                self.values(source, group, reader, |label| Ok(label.to_string()))
            }
            (Kind::Unsigned, R::Int32ColumnReader(reader)) => {
                let text = |label: i32| Ok(label.cast_unsigned().to_string());
                self.values(source, group, reader, text)
            }
            (Kind::Unsigned, R::Int64ColumnReader(reader)) => {
                let text = |label: i64| Ok(label.cast_unsigned().to_string());
                self.values(source, group, reader, text)
            }
            (Kind::Boolean, R::BoolColumnReader(reader)) if !numeric => {
                self.values(source, group, reader, |label| Ok(label.to_string()))
            }
            (Kind::Float, R::FloatColumnReader(reader)) => {
                let text = |label: f32| float(label.into(), format!("{label:?}"));
                self.values(source, group, reader, text)
            }
            (Kind::Float, R::DoubleColumnReader(reader)) => {
                let text = |label: f64| float(label, format!("{label:?}"));
                self.values(source, group, reader, text)
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

/// As many nulls as a row group has rows.
fn nulls<V>(group: &dyn RowGroupReader) -> Vec<Option<V>> {
    let rows = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
    (0..rows).map(|_| None).collect()
}
