//! The rows of a file one after another, with all their columns, while the file is being read.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::conll::Conll;
use super::csv::{self, CsvReader};
use super::header::Header;
use super::lines::{Input, LineReader};
use super::raw::{Record, parquet_rows};
use super::tsv::Tsv;
use super::{InputFormat, Notes, json, jsonl, utf8};
use crate::dataset::read_whole;
use crate::{DataError, Place};

/// Reads records. After an error that is not about a single row there are no more.
pub(crate) struct Records {
    path: PathBuf,
    rows: Rows,
    header: Option<Header>,
    kept: Option<Vec<String>>,
    notes: Notes,
    count: usize,
}

/// How the columns are named.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a> {
    /// The column that a line of plain text is.
    pub(crate) line: &'a str,
    /// The field that the tags of a CoNLL file are; its words are `line`.
    pub(crate) tags: &'a str,
    /// The columns of a TSV or CSV file whose first line does not name them.
    pub(crate) headerless: &'a [String],
    /// Names of columns, which may hold what separates columns elsewhere.
    pub(crate) known: &'a [String],
    /// The columns to keep; `None` for all.
    pub(crate) kept: Option<&'a [String]>,
}

enum Rows {
    /// A text a line; the name of its column.
    Lines(LineReader, String),
    Tsv(Tsv),
    /// With the columns of a file whose first line does not name them.
    Csv(Box<CsvReader<Input>>, Vec<String>),
    Jsonl(LineReader),
    Conll(Conll),
    /// What cannot be read in parts.
    Read(std::vec::IntoIter<Record>),
    Over,
}

impl Records {
    /// Reads from `input`; `path` stands for it in errors. Nothing is read yet, but of a JSON or Parquet file,
    /// which cannot be read in parts, everything; and the first line of CSV, which tells what separates.
    pub(crate) fn new(
        path: &Path,
        mut input: Input,
        format: InputFormat,
        names: Names<'_>,
    ) -> Result<Self, DataError> {
        let mut notes = Notes::new();
        let rows = match format {
            InputFormat::Parquet => {
                Rows::Read(parquet_rows(path, read_whole(path, &mut input)?)?.into_iter())
            }
            InputFormat::Json => {
                let rows = match utf8(path, &read_whole(path, &mut input)?)? {
                    blank if blank.trim().is_empty() => Vec::new(),
                    content => json::rows(path, content)?,
                };
                let records = rows.into_iter().map(|(at, fields)| Record::new(at, fields));
                Rows::Read(records.collect::<Vec<_>>().into_iter())
            }
            InputFormat::Lines => Rows::Lines(LineReader::new(input), names.line.to_owned()),
            InputFormat::Jsonl => Rows::Jsonl(LineReader::new(input)),
            InputFormat::Conll => {
                Rows::Conll(Conll::new(LineReader::new(input), names.line, names.tags))
            }
            InputFormat::Tsv => Rows::Tsv(Tsv::new(LineReader::new(input), names.headerless)),
            InputFormat::Csv => {
                let (reader, note) = csv::open(path, input, names.known)?;
                notes.extend(note);
                Rows::Csv(Box::new(reader), names.headerless.to_vec())
            }
        };
        Ok(Self {
            path: path.to_owned(),
            rows,
            header: None,
            kept: names.kept.map(<[String]>::to_vec),
            notes,
            count: 0,
        })
    }

    /// Records that were read elsewhere.
    pub(crate) fn of(path: &Path, records: Vec<Record>) -> Self {
        Self {
            path: path.to_owned(),
            rows: Rows::Read(records.into_iter()),
            header: None,
            kept: None,
            notes: Notes::new(),
            count: 0,
        }
    }

    /// The line that names the columns, and all their names, where there is one.
    pub(crate) fn header(&self) -> Option<(usize, &[String])> {
        let header = self.header.as_ref()?;
        Some((header.line, &header.names))
    }

    /// Whether each word of a text has a line of its own.
    pub(crate) fn has_word_lines(&self) -> bool {
        matches!(self.rows, Rows::Conll(_))
    }

    /// The text of a record that is a line of plain text.
    pub(crate) fn line_of<'r>(&self, record: &'r Record) -> Option<&'r str> {
        match &self.rows {
            Rows::Lines(_, column) => record.fields.get(column)?.as_str(),
            _ => None,
        }
    }

    /// What there is to say of the file once it is read.
    pub(crate) fn notes(&self) -> Notes {
        let quotes = match &self.rows {
            Rows::Tsv(tsv) => tsv.quotes.note(&self.path),
            _ => None,
        };
        self.notes.iter().cloned().chain(quotes).collect()
    }

    /// Fails if there was no row.
    pub(crate) fn check_any(&self) -> Result<(), DataError> {
        let path = self.path.clone();
        match (self.count, &self.header) {
            (0, Some(_)) => Err(DataError::NoRows { path }),
            (0, None) => Err(DataError::Empty { path }),
            _ => Ok(()),
        }
    }

    fn read(&mut self) -> Result<Option<Record>, DataError> {
        let path = &self.path;
        match &mut self.rows {
            Rows::Over => Ok(None),
            Rows::Read(rows) => Ok(rows.next()),
            Rows::Lines(lines, column) => Ok(lines.next(path)?.map(|(line, text)| {
                let mut fields = Map::new();
                fields.insert(column.clone(), Value::from(text));
                Record::new(Place::Line(line), fields)
            })),
            Rows::Jsonl(lines) => loop {
                match lines.next(path)? {
                    None => return Ok(None),
                    Some((_, json)) if json.trim().is_empty() => {}
                    Some((line, json)) => {
                        let fields = jsonl::object(path, line, json)?;
                        return Ok(Some(Record::new(Place::Line(line), fields)));
                    }
                }
            },
            Rows::Csv(reader, headerless) => loop {
                let Some((line, cells)) = reader.next().map_err(|error| error.at(path))? else {
                    return Ok(None);
                };
                match &self.header {
                    Some(header) => return header.record(path, line, cells.into_iter()).map(Some),
                    None => {
                        let kept = self.kept.as_deref();
                        let cells = cells.into_iter();
                        let (header, is_row) =
                            Header::first(path, line, cells.clone(), headerless, kept)?;
                        let header = self.header.insert(header);
                        if is_row {
                            return header.record(path, line, cells).map(Some);
                        }
                    }
                }
            },
            Rows::Conll(conll) => conll.read(path),
            Rows::Tsv(tsv) => tsv.read(path, &mut self.header, self.kept.as_deref()),
        }
    }
}

impl Iterator for Records {
    type Item = Result<Record, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read();
        match &read {
            Ok(None) => {}
            // The next row may be as it should.
            Ok(Some(_)) | Err(DataError::ColumnCount { .. }) => self.count += 1,
            Err(_) => self.rows = Rows::Over,
        }
        read.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::super::InputFormat::{Csv, Tsv};
    use super::super::LabelUse;
    use super::super::testing::*;
    use crate::{InputFormat, LabelledTask};

    fn rows(format: InputFormat, content: &str) -> Vec<Plain> {
        rows_of(&text_task(), LabelUse::Required, format, content.as_bytes()).unwrap()
    }

    fn error(format: InputFormat, content: &str) -> String {
        error_of(LabelUse::Required, format, content.as_bytes())
    }

    #[test]
    fn tsv_takes_text_as_it_stands() {
        let content = "\u{feff}id\tsentence\tlabel\r\n1\t\"quoted, and open \t 0 \r\n2\tx\t1\n\n";
        assert_eq!(
            rows(Tsv, content),
            [plain(2, "\"quoted, and open ", "0"), plain(3, "x", "1")]
        );
    }

    #[test]
    fn csv_takes_quotes_and_counts_lines_as_an_editor_does() {
        let content = "\u{feff}label,text\r\n0,\"say \"\"hi\"\",\r\nthere \"\r\n\r\n1,5\" wide\r\n";
        assert_eq!(
            rows(Csv, content),
            [
                plain(2, "say \"hi\",\r\nthere ", "0"),
                plain(5, "5\" wide", "1")
            ]
        );
        assert_eq!(
            rows(Csv, "\n\nlabel,text\n\n0,a\n\n\n1,b"),
            [plain(5, "a", "0"), plain(8, "b", "1")]
        );
    }

    #[test]
    fn the_text_column_may_have_either_name_and_a_pair() {
        let content = "text_pair\tsentence\ttext\tlabel\nb\tno\ta\t1\n";
        let pair = (2, "a".into(), Some("b".into()), Some("1".into()));
        assert_eq!(rows(Tsv, content), [pair]);
        assert_eq!(rows(Csv, &content.replace('\t', ",")), rows(Tsv, content));
    }

    #[test]
    fn missing_columns() {
        for (format, tab) in [(Tsv, "\t"), (Csv, ",")] {
            assert_eq!(
                error(format, &"body#label\na#1\n".replace('#', tab)),
                "in.file:1: no column `text` or `sentence`: found `body`, `label`; \
                 rename or add a column"
            );
            assert_eq!(
                error(format, "text\na\n"),
                "in.file:1: no column `label`: found `text`; rename or add a column"
            );
        }
        let task = LabelledTask {
            pair_required: true,
            ..text_task()
        };
        let found = rows_of(&task, LabelUse::Ignored, Tsv, b"text\na\n");
        assert_eq!(
            found.unwrap_err().to_string(),
            "in.file:1: no column `text_pair`: found `text`; rename or add a column"
        );
    }

    #[test]
    fn a_header_line_may_be_missing_where_the_task_says_so() {
        let task = LabelledTask::named("cola").unwrap();
        let read = |labels, content: &str| rows_of(&task, labels, Tsv, content.as_bytes());
        let train = "gj04\t1\t\tOne more.\ngj04\t0\t*\t\"Two.\n";
        let rows = [plain(1, "One more.", "1"), plain(2, "\"Two.", "0")];
        assert_eq!(read(LabelUse::Required, train).unwrap(), rows);
        assert_eq!(read(LabelUse::Ignored, train).unwrap().len(), 2);
        let test = read(LabelUse::IfPresent, "index\tsentence\n0\tThree.\n").unwrap();
        assert_eq!(test, [(2, "Three.".into(), None, None)]);
        let named = read(LabelUse::Required, "sentence\tx\ty\tlabel\na\t\t\t1\n").unwrap();
        assert_eq!(named, [plain(2, "a", "1")]);
        let error = |content: &str| read(LabelUse::Required, content).unwrap_err().to_string();
        assert!(error("text\tlabel\na\t1\n").starts_with("in.file:1: no column `sentence`"));
        assert!(error("a\t1\t\tb\na\t1\tb\n").starts_with("in.file:2: found 3 columns"));
    }

    #[test]
    fn the_first_accepted_column_is_read() {
        let task = LabelledTask::named("mnli").unwrap();
        let content = "hypothesis\tsentence2\tsentence1\tlabel\tgold_label\n\
                       h\tb\ta\tx\tneutral\nh\td\tc\tx\t-\n";
        let rows = rows_of(&task, LabelUse::Required, Tsv, content.as_bytes()).unwrap();
        let pair = |line, text: &str, pair: &str, label: Option<&str>| {
            let label = label.map(str::to_owned);
            (line, text.to_owned(), Some(pair.to_owned()), label)
        };
        assert_eq!(
            rows,
            [pair(2, "a", "b", Some("neutral")), pair(3, "c", "d", None)]
        );
    }

    #[test]
    fn a_header_but_no_rows() {
        for content in ["text,label", "text,label\r\n\r\n"] {
            let expected = "in.file: a header line but no rows";
            assert_eq!(error(Csv, content), expected);
            assert_eq!(error(Tsv, &content.replace(',', "\t")), expected);
        }
    }

    #[test]
    fn wrong_column_count() {
        for (format, tab) in [(Tsv, "\t"), (Csv, ",")] {
            for (row, found) in [("a", 1), ("a#1#x", 3)] {
                let content = format!("text#label\r\nb#0\r\n{row}\r\nc#1\r\n").replace('#', tab);
                assert_eq!(
                    error(format, &content),
                    format!(
                        "in.file:3: found {found} columns, expected 2 as in the first line: \
                         check the separators in this line"
                    )
                );
            }
        }
        assert!(
            error(Tsv, "text\tlabel\nb\t0\n\nc\t1\n").starts_with("in.file:3: found 1 columns")
        );
    }

    #[test]
    fn unclosed_quotes() {
        for last in ["\"a,1\n", "a,\"1", "\"a\"\",1\nb,0\n"] {
            assert_eq!(
                error(Csv, &format!("text,label\r\nb,\"0\"\r\n{last}")),
                "in.file:3: a double quote opens in this row and never closes: \
                 close it, or write a literal quote as \"\" inside a quoted field"
            );
        }
        assert_eq!(rows(Csv, "text,label\na,\"1\"\n\n"), [plain(2, "a", "1")]);
        assert_eq!(rows(Csv, "text,label\na,\"1\n\""), [plain(2, "a", "1")]);
    }

    #[test]
    fn labels_missing_or_not_wanted() {
        for (format, tab) in [(Tsv, "\t"), (Csv, ",")] {
            let content = "sentence#label\na#1\nb# \n".replace('#', tab);
            let benchmark = LabelledTask::named("sst2").unwrap();
            let found = rows_of(&benchmark, LabelUse::Required, format, content.as_bytes());
            assert_eq!(
                found.unwrap_err().to_string(),
                "in.file:3: the label is missing: fill in the column `label`"
            );
            let task = text_task();
            let found = rows_of(&task, LabelUse::Ignored, format, content.as_bytes());
            assert!(found.unwrap().iter().all(|row| row.3.is_none()));
            let found = rows_of(&task, LabelUse::IfPresent, format, b"text\na\n");
            assert_eq!(found.unwrap(), [(2, "a".into(), None, None)]);
        }
    }
}
