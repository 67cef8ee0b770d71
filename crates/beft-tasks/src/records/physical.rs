//! What a Parquet file says of its columns: their types, compressions and class names.

use std::path::Path;

use parquet::basic::{Compression, ConvertedType, LogicalType, Type};
use parquet::file::metadata::ParquetMetaData;
use parquet::schema::types::ColumnDescriptor;
use serde_json::Value;

use crate::DataError;

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Boolean,
    Signed,
    Unsigned,
    Float,
    /// Nulls alone, as a column without any value is written.
    Nothing,
    /// Dates, decimals and the like.
    Other,
}

impl Kind {
    pub(super) fn of(column: &ColumnDescriptor) -> Self {
        // Of old files there is the converted type alone; of some new types the logical one.
        let (logical, converted) = (column.logical_type_ref(), column.converted_type());
        match (column.physical_type(), converted) {
            (_, ConvertedType::NONE) if matches!(logical, Some(LogicalType::Unknown)) => {
                Self::Nothing
            }
            (_, ConvertedType::NONE) if logical.is_some() => Self::Other,
            (Type::BOOLEAN, ConvertedType::NONE) => Self::Boolean,
            (Type::INT32 | Type::INT64, converted) => match converted {
                ConvertedType::NONE
                | ConvertedType::INT_8
                | ConvertedType::INT_16
                | ConvertedType::INT_32
                | ConvertedType::INT_64 => Self::Signed,
                ConvertedType::UINT_8
                | ConvertedType::UINT_16
                | ConvertedType::UINT_32
                | ConvertedType::UINT_64 => Self::Unsigned,
                _ => Self::Other,
            },
            (Type::FLOAT | Type::DOUBLE, ConvertedType::NONE) => Self::Float,
            (
                Type::BYTE_ARRAY,
                ConvertedType::NONE
                | ConvertedType::UTF8
                | ConvertedType::ENUM
                | ConvertedType::JSON,
            ) => Self::Text,
            _ => Self::Other,
        }
    }

    /// As messages say it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Boolean => "a boolean",
            Self::Signed | Self::Unsigned => "an integer",
            Self::Float => "a number with a fraction",
            Self::Nothing => "null",
            Self::Other => "of another type",
        }
    }
}

/// Fails when a column that `read` names is in a compression that this program has no code for.
pub(super) fn check_compression(
    path: &Path,
    metadata: &ParquetMetaData,
    read: impl Fn(usize) -> bool,
) -> Result<(), DataError> {
    let groups = metadata.row_groups().iter();
    let columns = groups.flat_map(|group| group.columns().iter().enumerate());
    for (_, column) in columns.filter(|(index, _)| read(*index)) {
        match column.compression() {
            Compression::UNCOMPRESSED
            | Compression::SNAPPY
            | Compression::GZIP(_)
            | Compression::LZ4
            | Compression::LZ4_RAW
            | Compression::ZSTD(_) => {}
            other => {
                let name = format!("{other:?}").to_lowercase();
                return Err(DataError::ParquetCodec {
                    path: path.to_owned(),
                    codec: name.split('(').next().unwrap_or_default().to_owned(),
                });
            }
        }
    }
    Ok(())
}

/// The names that `datasets` keeps for the integers of a column of classes, or of one of lists of them.
pub(super) fn class_names(metadata: &ParquetMetaData, column: &str) -> Option<Vec<String>> {
    let mut pairs = metadata.file_metadata().key_value_metadata()?.iter();
    let kept = pairs
        .find(|pair| pair.key == "huggingface")?
        .value
        .as_ref()?;
    let kept: Value = serde_json::from_str(kept).ok()?;
    let feature = &kept["info"]["features"][column];
    let features = [feature, &feature["feature"], &feature[0]];
    let names = features.iter().find_map(|f| f["names"].as_array())?;
    let names = names.iter().map(|name| name.as_str().map(str::to_owned));
    names.collect()
}
