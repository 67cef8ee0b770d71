use std::fmt;

/// A place in a file, counted from 1. Messages show it after the path: `a.tsv:3`, or `a.parquet, row 3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The file as a whole.
    File,
    /// A line of a text file, as an editor shows it.
    Line(usize),
    /// A row of a Parquet file, which has no lines.
    Row(usize),
    /// A question of a JSON document, which may be all on one line.
    Item(usize),
}

impl Place {
    /// The number of the line, row or question; 0 for the file as a whole.
    pub const fn number(self) -> usize {
        match self {
            Self::File => 0,
            Self::Line(number) | Self::Row(number) | Self::Item(number) => number,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => Ok(()),
            Self::Line(line) => write!(f, ":{line}"),
            Self::Row(row) => write!(f, ", row {row}"),
            Self::Item(item) => write!(f, ", item {item}"),
        }
    }
}
