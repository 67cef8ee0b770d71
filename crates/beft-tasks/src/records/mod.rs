//! The rows of a file, whatever its format.

mod conll;
mod csv;
mod dialect;
mod header;
pub(crate) mod json;
mod jsonl;
mod lines;
mod parquet;
mod physical;
pub(crate) mod raw;
mod row;
pub(crate) mod stream;
mod tsv;

pub(crate) use jsonl::{document, type_name, whole, whole_of};
pub(crate) use lines::Input;

use std::borrow::Cow;
use std::path::Path;

use raw::Record;
use stream::{Names, Records};

use crate::classes::KnownLabels;
use crate::dataset::read_whole;
use crate::prompt::document_records;
use crate::tags::Words;
use crate::{DataError, LabelTarget, LabelledTask, Place, Split, TaskKind};

/// What data sets have in place of a label that is kept back.
pub(crate) const HIDDEN: [&str; 2] = ["-1", "-1.0"];

/// The format of a data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InputFormat {
    /// One text per line, without a header. An empty line is an empty text, so that line numbers of inputs
    /// and predictions agree.
    Lines,
    /// Tab-separated with a header line; double quotes have no meaning.
    Tsv,
    /// Comma-separated with a header line, quoted as in RFC 4180. Semicolons or tabs separate where
    /// the header line has no comma.
    Csv,
    /// One JSON object per line.
    Jsonl,
    /// One JSON array of objects, or one object per line.
    Json,
    /// A word a line with its tag in the last column, and a blank line between texts.
    Conll,
    /// Parquet, as the hub ships its data sets: texts in string columns, labels as strings,
    /// integers, booleans or whole floats, or as any floats in regression tasks.
    Parquet,
}

impl InputFormat {
    /// Returns the format of a file by its extension: `.tsv`, `.csv`, `.jsonl`, `.json`, `.parquet`, `.conll` (or
    /// `.bio`, `.iob`, `.iob2`), or `.txt` for lines.
    pub fn of_path(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "txt" => Some(Self::Lines),
            "tsv" => Some(Self::Tsv),
            "csv" => Some(Self::Csv),
            "jsonl" => Some(Self::Jsonl),
            "json" => Some(Self::Json),
            "parquet" => Some(Self::Parquet),
            "conll" | "bio" | "iob" | "iob2" => Some(Self::Conll),
            _ => None,
        }
    }
}

/// What to do with the label column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LabelUse {
    /// It must be there, filled in on every row.
    Required,
    /// Read where the file and the row have it.
    IfPresent,
    /// Not read.
    Ignored,
}

impl LabelUse {
    /// What the labels of a split are read for.
    pub(crate) const fn of(split: Split) -> Self {
        match split {
            Split::Train | Split::Dev | Split::DevMismatched => Self::Required,
            Split::Test | Split::TestMismatched => Self::IfPresent,
        }
    }
}

/// One row, borrowed from the file where the format allows it.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) at: Place,
    pub(crate) text: Cow<'a, str>,
    pub(crate) pair: Option<Cow<'a, str>>,
    /// Not empty; `None` where it is not read, or the row says that it has none.
    pub(crate) label: Option<Cow<'a, str>>,
    /// The text in words, where the row has it so.
    pub(crate) words: Option<Words>,
}

impl Row<'_> {
    /// Whether it has a label or tags.
    pub(crate) fn is_labelled(&self) -> bool {
        let tags = self.words.as_ref().and_then(|words| words.tags.as_ref());
        self.label.is_some() || tags.is_some()
    }
}

/// What a reader of rows needs to know.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) task: &'a LabelledTask,
    pub(crate) path: &'a Path,
    pub(crate) labels: LabelUse,
    /// What stands for the labels of a known set; `None` where they are gathered, or values.
    pub(crate) known: Option<&'a KnownLabels>,
    /// What the numbers of tags stand for; none where the file does not say.
    pub(crate) classes: &'a [String],
}

/// What a reader has to say beside the rows.
pub(crate) type Notes = Vec<String>;

/// Where rows go, and errors that concern a single row; an error from there stops the reading.
pub(crate) type Sink<'s> = dyn FnMut(Result<Row<'_>, DataError>) -> Result<(), DataError> + 's;

impl Source<'_> {
    /// Reads all rows of `input` into `sink`, in file order.
    pub(crate) fn read(
        &self,
        mut input: Input,
        format: InputFormat,
        sink: &mut Sink<'_>,
    ) -> Result<Notes, DataError> {
        let columnar = format == InputFormat::Parquet;
        // Lists are read row by row.
        if columnar && !self.task.has_lists() {
            return parquet::read(self, &read_whole(self.path, &mut input)?, sink);
        }
        let columns = self.task.columns();
        let names = self.task.names_of(&columns, Some(&columns));
        let mut records = document_records(self.path, input, format, names, self.task.form())?;
        while let Some(record) = records.next() {
            match record {
                Ok(record) => sink(self.row(&records, &record))?,
                Err(error) => sink(Err(error))?,
            }
        }
        records.check_any()?;
        Ok(records.notes())
    }

    /// The row that one of `records` is.
    pub(crate) fn row<'r>(
        &self,
        records: &Records,
        record: &'r Record,
    ) -> Result<Row<'r>, DataError> {
        // A question needs its context, and what is compared a second text, which a line has not.
        let line = records.line_of(record);
        if let Some(text) = line.filter(|_| !self.task.target.kind().compares_texts()) {
            return Ok(Row {
                at: record.at,
                text: Cow::Borrowed(text),
                pair: None,
                label: None,
                words: None,
            });
        }
        row::row(self, records.header(), record, records.has_word_lines())
    }

    pub(crate) fn missing_column(
        &self,
        at: Place,
        expected: &[String],
        found: Vec<String>,
    ) -> DataError {
        DataError::MissingColumn {
            path: self.path.to_owned(),
            at,
            expected: expected.to_vec(),
            found,
        }
    }

    pub(crate) fn field_type(
        &self,
        at: Place,
        field: &str,
        expected: &'static str,
        found: &'static str,
    ) -> DataError {
        DataError::FieldType {
            path: self.path.to_owned(),
            at,
            field: field.to_owned(),
            expected,
            found,
        }
    }

    /// The types that a label may have, where the format has types.
    pub(crate) fn label_types(&self) -> &'static str {
        match self.task.target.kind() {
            TaskKind::Classification => "a string, an integer or a boolean",
            TaskKind::MultiLabel => "a list of labels, or a text with all of them",
            TaskKind::TokenClassification => "a list of tags, one for each word",
            TaskKind::Regression | TaskKind::Similarity => "a number",
            TaskKind::Ranking => "a text",
            TaskKind::QuestionAnswering => {
                "a text, a list of texts, or an object of both `text` and `answer_start`"
            }
        }
    }

    /// The label of a row without outer spaces; `None` where the row has none. That is an error
    /// where labels are needed, unless the task has such rows, see [`TaskInfo::no_label`](crate::TaskInfo::no_label).
    fn label<'b>(
        &self,
        at: Place,
        label: Option<Cow<'b, str>>,
    ) -> Result<Option<Cow<'b, str>>, DataError> {
        let label = label.map(|label| match label {
            Cow::Borrowed(label) => Cow::Borrowed(label.trim()),
            Cow::Owned(label) if label.trim().len() == label.len() => Cow::Owned(label),
            Cow::Owned(label) => Cow::Owned(label.trim().to_owned()),
        });
        let no_label = self.task.no_label.as_deref();
        // Where several may hold, nothing says that none does.
        let blank = !self.task.has_lists();
        let label = label.filter(|label| !(blank && label.is_empty() || self.is_hidden(label)));
        match label {
            Some(label) => Ok(Some(label).filter(|label| Some(&**label) != no_label)),
            // In the files of a benchmark something is wrong then; in others it may be so, and is counted.
            None if self.labels == LabelUse::Required
                && no_label.is_none()
                && self.task.hub.is_some() =>
            {
                Err(self.missing_label(at))
            }
            None => Ok(None),
        }
    }

    /// Whether this stands for a label that is kept back. In the user's own data -1 may be a label,
    /// and is a value.
    fn is_hidden(&self, label: &str) -> bool {
        let (task, hub) = (self.task, self.task.hub.is_some());
        HIDDEN.contains(&label)
            && match (&task.target, self.known) {
                (LabelTarget::Classes(_), Some(known)) => known.index(label).is_none(),
                (LabelTarget::Classes(_), None) => hub || self.labels != LabelUse::Required,
                (LabelTarget::Labels(_) | LabelTarget::Tags(_) | LabelTarget::Answer(_), _) => {
                    false
                }
                (LabelTarget::Similarity((low, _)), _) => hub || *low > -1.0,
                (LabelTarget::Ranking, _) => false,
                (LabelTarget::Value(range), _) => hub || range.is_some_and(|(low, _)| low > -1.0),
            }
    }

    fn missing_label(&self, at: Place) -> DataError {
        DataError::MissingLabel {
            path: self.path.to_owned(),
            at,
            columns: self.task.label_columns.clone(),
        }
    }
}

/// The text of a file, without the byte order mark that it may begin with.
pub(crate) fn utf8<'b>(path: &Path, bytes: &'b [u8]) -> Result<&'b str, DataError> {
    let content = std::str::from_utf8(bytes).map_err(|error| DataError::NotUtf8 {
        path: path.to_owned(),
        at: Place::Line(1 + count_lines(&bytes[..error.valid_up_to()])),
    })?;
    Ok(content.strip_prefix('\u{feff}').unwrap_or(content))
}

/// Numbered lines without their ends; the end of the last line does not start another.
fn lines(content: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(content.lines())
}

fn count_lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&b| b == b'\n').count()
}

impl LabelledTask {
    /// The columns that are read, by all their names.
    pub(crate) fn columns(&self) -> Vec<String> {
        let texts = self.text_columns.names().iter();
        let texts = texts.chain(self.pair_columns.names());
        texts.chain(&self.label_columns).cloned().collect()
    }

    /// How the columns of files are named, of which those in `kept` are kept. `known` are [`LabelledTask::columns`].
    pub(crate) fn names_of<'a>(
        &'a self,
        known: &'a [String],
        kept: Option<&'a [String]>,
    ) -> Names<'a> {
        Names {
            line: self
                .text_columns
                .names()
                .first()
                .map_or("text", String::as_str),
            tags: self.label_columns.first().map_or("label", String::as_str),
            headerless: &self.headerless,
            known,
            kept,
        }
    }
}

/// Helpers shared by the tests of the formats.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Line, text, pair and label of a row; its tags with a space between them.
    pub(crate) type Plain = (usize, String, Option<String>, Option<String>);

    pub(crate) fn rows_of(
        task: &LabelledTask,
        labels: LabelUse,
        format: InputFormat,
        bytes: &[u8],
    ) -> Result<Vec<Plain>, DataError> {
        let source = Source {
            task,
            path: Path::new("in.file"),
            labels,
            known: None,
            classes: &[],
        };
        let mut rows = Vec::new();
        let input = Box::new(std::io::Cursor::new(bytes.to_vec()));
        source.read(input, format, &mut |row| {
            let row = row?;
            rows.push((
                row.at.number(),
                row.text.into_owned(),
                row.pair.map(Cow::into_owned),
                row.label
                    .map(Cow::into_owned)
                    .or_else(|| Some(row.words?.tags?.join(" "))),
            ));
            Ok(())
        })?;
        Ok(rows)
    }

    pub(crate) fn text_task() -> LabelledTask {
        LabelledTask::named("text").unwrap()
    }

    pub(crate) fn error_of(labels: LabelUse, format: InputFormat, bytes: &[u8]) -> String {
        rows_of(&text_task(), labels, format, bytes)
            .unwrap_err()
            .to_string()
    }

    pub(crate) fn plain(line: usize, text: &str, label: &str) -> Plain {
        (line, text.to_owned(), None, Some(label.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::testing::*;
    use super::*;

    const TEXT: [InputFormat; 5] = [
        InputFormat::Lines,
        InputFormat::Tsv,
        InputFormat::Csv,
        InputFormat::Jsonl,
        InputFormat::Json,
    ];

    #[test]
    fn the_file_name_tells_the_format() {
        for (name, format) in [
            ("a.tsv", Some(InputFormat::Tsv)),
            ("a.b/C.CSV", Some(InputFormat::Csv)),
            ("a.jsonl", Some(InputFormat::Jsonl)),
            ("a-00000-of-00001.parquet", Some(InputFormat::Parquet)),
            ("a.txt", Some(InputFormat::Lines)),
            ("a.json", Some(InputFormat::Json)),
            ("a.xlsx", None),
            ("tsv", None),
        ] {
            assert_eq!(InputFormat::of_path(Path::new(name)), format, "{name}");
        }
    }

    #[test]
    fn nothing_in_the_file() {
        for format in TEXT {
            let contents: &[&str] = match format {
                InputFormat::Lines => &["", "\u{feff}"],
                _ => &["", "\u{feff}", "\n", "\r\n\r\n"],
            };
            for content in contents {
                assert_eq!(
                    error_of(LabelUse::Required, format, content.as_bytes()),
                    "in.file: the file is empty: give one with rows"
                );
            }
        }
    }

    #[test]
    fn not_utf8_names_the_line() {
        for format in TEXT {
            let content: &[u8] = match format {
                InputFormat::Jsonl => b"{\"text\": \"a\"}\n\n{\"text\": \"caf\xe9\"}\n",
                _ => b"text\nfine\ncaf\xe9\n",
            };
            assert_eq!(
                error_of(LabelUse::Ignored, format, content),
                "in.file:3: not UTF-8, or with zero bytes: save the file in the UTF-8 encoding, without zero bytes"
            );
        }
    }

    #[test]
    fn lines_are_texts_as_they_stand() {
        let rows = rows_of(
            &text_task(),
            LabelUse::Ignored,
            InputFormat::Lines,
            "\u{feff}one \r\n\n\"two\"\tx".as_bytes(),
        )
        .unwrap();
        let expected = [(1, "one "), (2, ""), (3, "\"two\"\tx")];
        assert!(rows.iter().map(|r| (r.0, r.1.as_str())).eq(expected));
    }
}
