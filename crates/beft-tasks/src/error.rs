use std::io;
use std::path::PathBuf;

use crate::{Place, Split};

/// Data that cannot be read. Lines and rows count from 1, as an editor shows them.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Neither a file nor a folder.
    #[error("{}: no such file or folder: check the spelling and the current folder", .path.display())]
    NotFound {
        /// The path.
        path: PathBuf,
    },
    /// A file where a folder is needed.
    #[error("{}: is a file: give the folder that holds the train and dev files", .path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// A folder where a file is needed.
    #[error("{}: is a folder: give one file", .path.display())]
    IsFolder {
        /// The path.
        path: PathBuf,
    },
    /// A folder without a file for the split.
    #[error("{}: no {split} file in this folder: looked for {}", .path.display(), listed(.looked_for))]
    NoSplitFile {
        /// The folder.
        path: PathBuf,
        /// The split.
        split: Split,
        /// File names looked for.
        looked_for: Vec<String>,
    },
    /// A Parquet file in parts, of which one is missing.
    #[error(
        "{}: no such file, but there are others of its {count} parts: fetch all of them",
        .path.display()
    )]
    MissingShard {
        /// The part that is missing.
        path: PathBuf,
        /// How many parts there should be.
        count: usize,
    },
    /// A file that the system does not let us read.
    #[error("{}: cannot be read ({reason}): check its permissions and the disk", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: io::Error,
    },
    /// A file name that does not tell the format.
    #[error(
        "{}: the file name does not tell the format: rename the file to end in .tsv, .csv, .jsonl or .parquet",
        .path.display()
    )]
    UnknownExtension {
        /// The file.
        path: PathBuf,
    },
    /// Bytes that are not UTF-8.
    #[error("{}{at}: not UTF-8: save the file in the UTF-8 encoding", .path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line or row.
        at: Place,
    },
    /// Nothing in the file.
    #[error("{}: the file is empty", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A header line and nothing behind it.
    #[error("{}: a header line but no rows", .path.display())]
    NoRows {
        /// The file.
        path: PathBuf,
    },
    /// A needed column that is not in the header, or a needed field that is not in a JSON object.
    #[error(
        "{}{at}: no column {}: found {}; rename or add a column",
        .path.display(), either(.expected), listed(.found)
    )]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// Line of the header or the object; a Parquet file has neither.
        at: Place,
        /// Accepted names of the column.
        expected: Vec<String>,
        /// The columns that are there.
        found: Vec<String>,
    },
    /// A column that the header names twice.
    #[error("{}:{line}: column {} is there twice: rename one", .path.display(), quoted(.column))]
    DuplicateColumn {
        /// The file.
        path: PathBuf,
        /// Line of the header.
        line: usize,
        /// The column.
        column: String,
    },
    /// A single text among pairs, or the other way round.
    #[error(
        "{}{at}: {} text, unlike the rows before: give every row a pair, or none",
        .path.display(), if *.pair { "a second" } else { "no second" }
    )]
    MixedPairs {
        /// The file.
        path: PathBuf,
        /// The line or row.
        at: Place,
        /// Whether this row is a pair.
        pair: bool,
    },
    /// A row longer or shorter than the first line.
    #[error(
        "{}:{line}: found {found} columns, expected {expected} as in the first line: \
         check the separators in this line",
        .path.display()
    )]
    ColumnCount {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// Columns of the first line.
        expected: usize,
        /// Columns of the row.
        found: usize,
    },
    /// A CSV quote that opens and never closes.
    #[error(
        "{}:{line}: a double quote opens in this row and never closes: \
         close it, or write a literal quote as \"\" inside a quoted field",
        .path.display()
    )]
    UnclosedQuote {
        /// The file.
        path: PathBuf,
        /// Line where the row begins.
        line: usize,
    },
    /// Not Parquet, or Parquet that this program does not know.
    #[error(
        "{}: cannot be read as Parquet ({reason}): fetch the file again, or write it with snappy \
         compression or none",
        .path.display()
    )]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A line that is not JSON.
    #[error(
        "{}:{line}: not valid JSON ({message}, column {column}): write one JSON object a line",
        .path.display()
    )]
    JsonSyntax {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// Column within the line, in bytes from 1 (0 when the line ends too early at once).
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// A line that is JSON but no object.
    #[error("{}:{line}: found {found}: write one JSON object a line", .path.display())]
    NotAnObject {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The type found.
        found: &'static str,
    },
    /// A JSON field or a Parquet column of a type that cannot be used.
    #[error("{}{at}: field `{field}` is {found}: it must be {expected}", .path.display())]
    FieldType {
        /// The file.
        path: PathBuf,
        /// The line or row; the file for all of a column.
        at: Place,
        /// The field.
        field: String,
        /// The types that can be used.
        expected: &'static str,
        /// The type found.
        found: &'static str,
    },
    /// A JSON document (not JSON Lines) that cannot be read.
    #[error(
        "{}:{line}: not valid JSON ({message}, column {column}): fetch the file again, or name it \
         .jsonl when it has one object a line",
        .path.display()
    )]
    JsonDocument {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// Column within the line, in bytes from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// A field that has the right type but says something that cannot be used.
    #[error("{}{at}: field `{field}`: {message}", .path.display())]
    BadField {
        /// The file.
        path: PathBuf,
        /// The line, row or question.
        at: Place,
        /// The field.
        field: String,
        /// What is wrong, and what to do.
        message: String,
    },
    /// A field for whose value a template has no case.
    #[error(
        "{}{at}: field `{field}` is {}, for which the template has no case (it has {}): \
         correct it, or add the case",
        .path.display(), quoted(.value), listed(.cases)
    )]
    UnknownCase {
        /// The file.
        path: PathBuf,
        /// The line, row or question.
        at: Place,
        /// The field.
        field: String,
        /// The value found.
        value: String,
        /// The values that the template knows.
        cases: Vec<String>,
    },
    /// A row without a label.
    #[error("{}{at}: the label is missing: fill in the column {}", .path.display(), either(.columns))]
    MissingLabel {
        /// The file.
        path: PathBuf,
        /// The line or row.
        at: Place,
        /// Accepted names of the label column.
        columns: Vec<String>,
    },
    /// A label outside the label set.
    #[error(
        "{}{at}: label {} is not one of {}: correct it, or use the labels of the training file",
        .path.display(), quoted(.label), listed(.labels)
    )]
    UnknownLabel {
        /// The file.
        path: PathBuf,
        /// The line or row.
        at: Place,
        /// The label found.
        label: String,
        /// The label set.
        labels: Vec<String>,
    },
    /// A label of a regression task that is no finite number.
    #[error("{}{at}: label {} is no finite number: correct it", .path.display(), quoted(.label))]
    NotANumber {
        /// The file.
        path: PathBuf,
        /// The line or row.
        at: Place,
        /// The label found.
        label: String,
    },
    /// A file in which every row was passed over.
    #[error(
        "{}: none of its {rows} rows has a label and the right number of columns: \
         check the separators and the label column",
        .path.display()
    )]
    AllSkipped {
        /// The file.
        path: PathBuf,
        /// How many rows.
        rows: usize,
    },
    /// A training file in which fewer than two labels occur.
    #[error(
        "{}: every row has the label {}: at least two different labels are needed to train",
        .path.display(), quoted(.label)
    )]
    OneLabel {
        /// The file.
        path: PathBuf,
        /// The only label.
        label: String,
    },
}

/// The longest list and the longest name that a message shows in full.
const MOST_NAMES: usize = 20;
const MOST_CHARS: usize = 60;

/// `name` in backticks, with invisible characters made visible and the end of a long one cut off.
fn quoted(name: &str) -> String {
    let shown: String = name.chars().take(MOST_CHARS).collect();
    let dots = if shown.len() < name.len() { "..." } else { "" };
    let visible: String = shown
        .chars()
        .map(|c| {
            if c.is_control() {
                c.escape_debug().to_string()
            } else {
                c.to_string()
            }
        })
        .collect();
    format!("`{visible}{dots}`")
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let shown: Vec<_> = names.iter().take(MOST_NAMES).map(|n| quoted(n)).collect();
    let mut list = shown.join(", ");
    if names.len() > MOST_NAMES {
        list.push_str(&format!(" and {} more", names.len() - MOST_NAMES));
    }
    list
}

fn either(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|n| quoted(n)).collect();
    names.join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_odd_names_stay_readable() {
        assert_eq!(quoted("caf\u{e9} \"x\""), "`caf\u{e9} \"x\"`");
        assert_eq!(quoted("a\n\tb"), "`a\\n\\tb`");
        assert_eq!(quoted(&"y".repeat(61)), format!("`{}...`", "y".repeat(60)));
        let names: Vec<String> = (0..22).map(|n| n.to_string()).collect();
        assert!(listed(&names).ends_with("`19` and 2 more"));
        assert_eq!(listed(&[]), "none");
    }
}
