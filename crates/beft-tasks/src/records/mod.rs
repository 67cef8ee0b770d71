//! The rows of a file, whatever its format.

mod delimited;
mod jsonl;

use std::borrow::Cow;
use std::path::Path;

use crate::{DataError, Task};

/// How inputs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InputFormat {
    /// One text a line, no header. An empty line is an empty text, so that line numbers of inputs
    /// and predictions agree.
    Lines,
    /// Tab-separated with a header line; double quotes have no meaning.
    Tsv,
    /// Comma-separated with a header line, quoted as in RFC 4180.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

impl InputFormat {
    /// The format that a file name tells: `.tsv`, `.csv`, `.jsonl`, or `.txt` for lines.
    pub fn of_path(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "txt" => Some(Self::Lines),
            "tsv" => Some(Self::Tsv),
            "csv" => Some(Self::Csv),
            "jsonl" => Some(Self::Jsonl),
            _ => None,
        }
    }
}

/// What to do with the label column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LabelUse {
    /// It must be there, filled in on every row.
    Required,
    /// As required when the file has it.
    IfPresent,
    /// Not read.
    Ignored,
}

/// One row, borrowed from the file where the format allows it.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) line: usize,
    pub(crate) text: Cow<'a, str>,
    pub(crate) pair: Option<Cow<'a, str>>,
    pub(crate) label: Option<Cow<'a, str>>,
}

/// What a reader of rows needs to know.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) task: &'a Task,
    pub(crate) path: &'a Path,
    pub(crate) labels: LabelUse,
}

/// Where rows go; an error stops the reading.
pub(crate) type Sink<'s> = dyn FnMut(Row<'_>) -> Result<(), DataError> + 's;

impl Source<'_> {
    /// Reads all rows of `bytes` into `sink`, in file order.
    pub(crate) fn read(
        &self,
        bytes: &[u8],
        format: InputFormat,
        sink: &mut Sink<'_>,
    ) -> Result<(), DataError> {
        let content = self.utf8(bytes)?;
        let content = content.strip_prefix('\u{feff}').unwrap_or(content);
        let blank = content.bytes().all(|b| matches!(b, b'\n' | b'\r'));
        // Lines of nothing are texts of nothing, but no bytes at all are no text.
        if content.is_empty() || (blank && format != InputFormat::Lines) {
            return Err(DataError::Empty {
                path: self.path.to_owned(),
            });
        }
        match format {
            InputFormat::Lines => read_lines(content, sink),
            InputFormat::Tsv => delimited::read_tsv(self, content, sink),
            InputFormat::Csv => delimited::read_csv(self, content, sink),
            InputFormat::Jsonl => jsonl::read(self, content, sink),
        }
    }

    fn utf8<'b>(&self, bytes: &'b [u8]) -> Result<&'b str, DataError> {
        std::str::from_utf8(bytes).map_err(|error| DataError::NotUtf8 {
            path: self.path.to_owned(),
            line: 1 + count_lines(&bytes[..error.valid_up_to()]),
        })
    }

    fn missing_column(&self, line: usize, expected: &[String], found: Vec<String>) -> DataError {
        DataError::MissingColumn {
            path: self.path.to_owned(),
            line,
            expected: expected.to_vec(),
            found,
        }
    }

    /// A label without outer spaces, which must not be empty.
    fn label<'b>(&self, line: usize, label: Cow<'b, str>) -> Result<Cow<'b, str>, DataError> {
        let label = match label {
            Cow::Borrowed(label) => Cow::Borrowed(label.trim()),
            Cow::Owned(label) if label.trim().len() == label.len() => Cow::Owned(label),
            Cow::Owned(label) => Cow::Owned(label.trim().to_owned()),
        };
        if label.is_empty() {
            return Err(self.missing_label(line));
        }
        Ok(label)
    }

    fn missing_label(&self, line: usize) -> DataError {
        DataError::MissingLabel {
            path: self.path.to_owned(),
            line,
            column: self.task.label_column.clone(),
        }
    }
}

/// Numbered lines without their ends; the end of the last line does not start another.
fn lines(content: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(content.lines())
}

fn count_lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&b| b == b'\n').count()
}

fn read_lines(content: &str, sink: &mut Sink<'_>) -> Result<(), DataError> {
    for (line, text) in lines(content) {
        sink(Row {
            line,
            text: Cow::Borrowed(text),
            pair: None,
            label: None,
        })?;
    }
    Ok(())
}

/// Helpers shared by the tests of the formats.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Line, text, pair and label of a row.
    pub(crate) type Plain = (usize, String, Option<String>, Option<String>);

    pub(crate) fn rows_of(
        task: &Task,
        labels: LabelUse,
        format: InputFormat,
        bytes: &[u8],
    ) -> Result<Vec<Plain>, DataError> {
        let source = Source {
            task,
            path: Path::new("in.file"),
            labels,
        };
        let mut rows = Vec::new();
        source.read(bytes, format, &mut |row| {
            rows.push((
                row.line,
                row.text.into_owned(),
                row.pair.map(Cow::into_owned),
                row.label.map(Cow::into_owned),
            ));
            Ok(())
        })?;
        Ok(rows)
    }

    pub(crate) fn text_task() -> Task {
        Task::named("text").unwrap()
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

    const ALL: [InputFormat; 4] = [
        InputFormat::Lines,
        InputFormat::Tsv,
        InputFormat::Csv,
        InputFormat::Jsonl,
    ];

    #[test]
    fn the_file_name_tells_the_format() {
        for (name, format) in [
            ("a.tsv", Some(InputFormat::Tsv)),
            ("a.b/C.CSV", Some(InputFormat::Csv)),
            ("a.jsonl", Some(InputFormat::Jsonl)),
            ("a.txt", Some(InputFormat::Lines)),
            ("a.json", None),
            ("tsv", None),
        ] {
            assert_eq!(InputFormat::of_path(Path::new(name)), format, "{name}");
        }
    }

    #[test]
    fn nothing_in_the_file() {
        for format in ALL {
            let contents: &[&str] = match format {
                InputFormat::Lines => &["", "\u{feff}"],
                _ => &["", "\u{feff}", "\n", "\r\n\r\n"],
            };
            for content in contents {
                assert_eq!(
                    error_of(LabelUse::Required, format, content.as_bytes()),
                    "in.file: the file is empty"
                );
            }
        }
    }

    #[test]
    fn not_utf8_names_the_line() {
        for format in ALL {
            assert_eq!(
                error_of(LabelUse::Ignored, format, b"text\nfine\ncaf\xe9\n"),
                "in.file:3: not UTF-8: save the file in the UTF-8 encoding"
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
