use std::io;
use std::path::PathBuf;

use crate::remedies::{column_remedy, label_remedy};
use crate::shown::{either, listed, quoted};
use crate::{ComparedError, Metric, Place, Split, SplitError, TagError};

/// Why data cannot be read. Lines and rows count from 1, as an editor shows them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The path is neither a file nor a folder.
    #[error("{}: no such file or folder: check the spelling and the current folder", .path.display())]
    NotFound {
        /// The path.
        path: PathBuf,
    },
    /// The path is a file, and a folder is needed.
    #[error(
        "{}: is a file: give the folder that holds the train and dev files, or the share of this file to measure on",
        .path.display()
    )]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// A file that cannot be split into train and dev.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// The path is a folder, and a file is needed.
    #[error("{}: is a folder: give one file", .path.display())]
    IsFolder {
        /// The path.
        path: PathBuf,
    },
    /// The folder has no file for the split.
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
    /// The file cannot be read.
    #[error("{}: cannot be read ({reason}): check its permissions and the disk", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: io::Error,
    },
    /// A file name that does not tell the format.
    #[error(
        "{}: the file name does not tell the format: rename the file to end in .tsv, .csv, .jsonl, .json or .parquet",
        .path.display()
    )]
    UnknownExtension {
        /// The file.
        path: PathBuf,
    },
    /// The file has bytes that are not UTF-8, or zero bytes, as UTF-16 has.
    #[error("{}{at}: not UTF-8, or with zero bytes: save the file in the UTF-8 encoding, without zero bytes", .path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line or row.
        at: Place,
    },
    /// The file is empty.
    #[error("{}: the file is empty: give one with rows", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file has a header line and nothing else.
    #[error("{}: a header line but no rows", .path.display())]
    NoRows {
        /// The file.
        path: PathBuf,
    },
    /// A needed column that is not in the header, or a needed field that is not in a JSON object.
    #[error(
        "{}{at}: no column {}: found {}; {}",
        .path.display(), either(.expected), listed(.found), column_remedy(.found)
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
    /// The header names a column twice.
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
    /// A Parquet file in a compression that this program does not read.
    #[error(
        "{}: compressed with {codec}, which is not read here: write it anew in Python, \
         `import pandas; pandas.read_parquet(\"old.parquet\").to_parquet(\"new.parquet\")`",
        .path.display()
    )]
    ParquetCodec {
        /// The file.
        path: PathBuf,
        /// The name of the compression.
        codec: String,
    },
    /// Two files that say to be the same part of a Parquet file.
    #[error(
        "{}: says to be the same part as {}, or one of another number of parts: \
         keep the files of one version and remove the others",
        .path.display(), .other.display()
    )]
    AmbiguousShards {
        /// The one.
        path: PathBuf,
        /// The other.
        other: PathBuf,
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
    /// A line is JSON, but not an object.
    #[error("{}:{line}: found {found}: write one JSON object a line", .path.display())]
    NotAnObject {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The type found.
        found: &'static str,
    },
    /// A JSON field or a Parquet column has a type that cannot be used.
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
    /// A JSON document that is not a list of rows.
    #[error(
        "{}: {found}: write rows, in Python with pandas \
         `frame.to_json(\"new.json\", orient=\"records\", lines=True)`",
        .path.display()
    )]
    JsonShape {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        found: &'static str,
    },
    /// A field has the right type, but a value that cannot be used.
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
    /// A cell with several labels that is a broken list.
    #[error("{}{at}: the labels {} are no list: write [\"a\", \"b\"], or the labels with a separator", .path.display(), quoted(.label))]
    NotAList {
        /// The file.
        path: PathBuf,
        /// The line or row.
        at: Place,
        /// The cell.
        label: String,
    },
    /// A field for whose value a template has no case.
    #[error("{}{at}: field `{field}` is {}, for which the template has no case (it has {}): correct it, or add the case",
        .path.display(), quoted(.value), listed(.cases))]
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
    /// A row has no label.
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
        "{}{at}: label {} is not one of {}: {}",
        .path.display(), quoted(.label), listed(.labels), label_remedy(.labels)
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
    /// Classes of a model that are not those of the task.
    #[error(
        "the classes of the model are {}, those of task {task} are {}: give a model of this task, \
         or a task file in which `labels` has both names of each class",
        listed(.model), listed(.labels)
    )]
    OtherClasses {
        /// The task.
        task: String,
        /// The names that the model gives.
        model: Vec<String>,
        /// The names that the task has.
        labels: Vec<String>,
    },
    /// A metric of two classes where there are others.
    #[error(
        "{}: there are {} labels ({}), and the metric `{metric}` is of two: \
         write `macro_f1` in the `metrics` of the task",
        .path.display(), .labels.len(), listed(.labels)
    )]
    MetricClasses {
        /// The file.
        path: PathBuf,
        /// The metric.
        metric: Metric,
        /// The labels.
        labels: Vec<String>,
    },
    /// A label of a regression task is not a finite number.
    #[error("{}{at}: label {} is no finite number: correct it", .path.display(), quoted(.label))]
    NotANumber {
        /// The file.
        path: PathBuf,
        /// The line or row.
        at: Place,
        /// The label found.
        label: String,
    },
    /// Texts that cannot be compared.
    #[error(transparent)]
    Compared(#[from] ComparedError),
    /// Tags of words that cannot be used.
    #[error(transparent)]
    Tags(#[from] TagError),
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
