//! The line that names the columns of a delimited file.

use std::path::Path;

use serde_json::Value;

use super::raw::Record;
use crate::{DataError, Place};

/// The columns of a file.
pub(super) struct Header {
    /// The line, from 1.
    pub(super) line: usize,
    /// All columns, as many as every row has.
    pub(super) names: Vec<String>,
    /// Numbers of those that are kept.
    kept: Vec<usize>,
}

impl Header {
    /// The columns of a file whose first line is this, and whether that line is already a row: it is where it has as many
    /// cells as there are columns `without` such a line, and names none of them.
    pub(super) fn first<'h>(
        path: &Path,
        line: usize,
        cells: impl Iterator<Item = &'h str> + Clone,
        without: &'h [String],
        kept: Option<&[String]>,
    ) -> Result<(Self, bool), DataError> {
        let named = |cell: &str| without.iter().any(|name| name == cell.trim());
        let is_row = cells.clone().count() == without.len() && !cells.clone().any(named);
        let header = match is_row {
            true => Self::new(path, line, without.iter().map(String::as_str), kept),
            false => Self::new(path, line, cells, kept),
        };
        Ok((header?, is_row))
    }

    fn new<'h>(
        path: &Path,
        line: usize,
        cells: impl Iterator<Item = &'h str>,
        kept: Option<&[String]>,
    ) -> Result<Self, DataError> {
        let named = |(index, cell): (usize, &str)| match cell.trim() {
            "" => format!("column_{}", index + 1),
            name => name.to_owned(),
        };
        let names: Vec<String> = cells.enumerate().map(named).collect();
        let is_kept = |name: &String| kept.is_none_or(|kept| kept.contains(name));
        let kept: Vec<usize> = (0..names.len()).filter(|i| is_kept(&names[*i])).collect();
        for index in &kept {
            let column = &names[*index];
            if names[..*index].contains(column) {
                return Err(DataError::DuplicateColumn {
                    path: path.to_owned(),
                    line,
                    column: column.clone(),
                });
            }
        }
        Ok(Self { line, names, kept })
    }

    pub(super) fn record<'c>(
        &self,
        path: &Path,
        line: usize,
        cells: impl Iterator<Item = &'c str>,
    ) -> Result<Record, DataError> {
        let cells: Vec<&str> = cells.collect();
        if cells.len() != self.names.len() {
            return Err(DataError::ColumnCount {
                path: path.to_owned(),
                line,
                expected: self.names.len(),
                found: cells.len(),
            });
        }
        let kept = self.kept.iter();
        let fields = kept.map(|i| (self.names[*i].clone(), Value::from(cells[*i])));
        Ok(Record::new(Place::Line(line), fields.collect()))
    }
}
