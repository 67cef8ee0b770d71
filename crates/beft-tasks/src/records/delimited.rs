//! TSV and CSV: a header line, then rows of as many columns.

use std::borrow::Cow;
use std::path::Path;

use super::dialect::{Quotes, delimiter, without_blank_end};
use super::{LabelUse, Notes, Row, Sink, Source, count_lines, lines};
use crate::columns::joined;
use crate::{DataError, Place};

/// Which columns of the header are read.
struct Columns {
    text: Vec<usize>,
    pair: Option<Vec<usize>>,
    label: Option<usize>,
    count: usize,
}

impl Columns {
    fn of_header<'h>(
        source: &Source<'_>,
        line: usize,
        header: impl Iterator<Item = &'h str>,
    ) -> Result<Self, DataError> {
        let header: Vec<&str> = header.map(str::trim).collect();
        let position = |name: &String| header.iter().position(|column| column == name);
        let missing = |expected: &[String]| {
            let found = header.iter().map(|&column| column.to_owned()).collect();
            source.missing_column(Place::Line(line), expected, found)
        };

        let task = source.task;
        let (text, pair) = (&task.text_columns, &task.pair_columns);
        let wanted = text.names().iter().chain(pair.names());
        for name in wanted.chain(&task.label_columns) {
            if header.iter().filter(|column| *column == name).count() > 1 {
                return Err(DataError::DuplicateColumn {
                    path: source.path.to_owned(),
                    line,
                    column: name.clone(),
                });
            }
        }
        let pair = match pair.find(position) {
            Err(expected) if task.pair_required => return Err(missing(expected)),
            found => found.ok(),
        };
        let label = match source.labels {
            LabelUse::Ignored => None,
            LabelUse::IfPresent | LabelUse::Required => {
                task.label_columns.iter().find_map(position)
            }
        };
        if label.is_none() && source.labels == LabelUse::Required {
            return Err(missing(&task.label_columns));
        }
        Ok(Self {
            text: text.find(position).map_err(missing)?,
            pair,
            label,
            count: header.len(),
        })
    }

    /// The row made of `fields`, or an error when there are too many or too few of them.
    fn row<'f>(
        &self,
        source: &Source<'_>,
        line: usize,
        fields: impl Iterator<Item = &'f str>,
    ) -> Result<Row<'f>, DataError> {
        let fields: Vec<&str> = fields.collect();
        if fields.len() != self.count {
            return Err(DataError::ColumnCount {
                path: source.path.to_owned(),
                line,
                expected: self.count,
                found: fields.len(),
            });
        }
        let at = Place::Line(line);
        let text = |columns: &Vec<usize>| joined(columns.iter().map(|i| Cow::Borrowed(fields[*i])));
        let label = self.label.map(|index| Cow::Borrowed(fields[index]));
        Ok(Row {
            at,
            text: text(&self.text),
            pair: self.pair.as_ref().map(text),
            label: source.label(at, label)?,
        })
    }

    /// The fields of a line that hold texts.
    fn texts<'f>(&self, fields: impl Iterator<Item = &'f str>) -> impl Iterator<Item = &'f str> {
        let texts = |index: &usize| {
            let pair = self.pair.iter().flatten();
            self.text.iter().chain(pair).any(|text| text == index)
        };
        let numbered = fields.enumerate().filter(move |(index, _)| texts(index));
        numbered.map(|(_, field)| field)
    }
}

fn no_rows(source: &Source<'_>) -> DataError {
    DataError::NoRows {
        path: source.path.to_owned(),
    }
}

/// Reads TSV as GLUE has it: a tab always separates and a quote is a quote.
pub(super) fn read_tsv(
    source: &Source<'_>,
    content: &str,
    sink: &mut Sink<'_>,
) -> Result<Notes, DataError> {
    let mut lines = lines(without_blank_end(content)).peekable();
    let Some(&(line, first)) = lines.peek() else {
        return Err(no_rows(source));
    };
    let columns = if lacks_header(source, first) {
        let names = source.task.headerless.iter().map(String::as_str);
        Columns::of_header(source, line, names)?
    } else {
        lines.next();
        Columns::of_header(source, line, first.split('\t'))?
    };
    if lines.peek().is_none() {
        return Err(no_rows(source));
    }
    let mut quotes = Quotes::default();
    for (line, row) in lines {
        quotes.see(columns.texts(row.split('\t')));
        sink(columns.row(source, line, row.split('\t')))?;
    }
    Ok(quotes.note(source.path).into_iter().collect())
}

/// Whether the task has files without a header line, and this is the first line of one.
fn lacks_header(source: &Source<'_>, first: &str) -> bool {
    let task = source.task;
    let mut fields = first.split('\t').map(str::trim);
    fields.clone().count() == task.headerless.len()
        && !fields.any(|field| {
            task.text_columns
                .names()
                .iter()
                .any(|column| column == field)
        })
}

/// Reads CSV as RFC 4180 has it. Blank lines are skipped.
pub(super) fn read_csv(
    source: &Source<'_>,
    content: &str,
    sink: &mut Sink<'_>,
) -> Result<Notes, DataError> {
    let mut columns: Option<Columns> = None;
    let mut rows = 0;
    let names = source.task.text_columns.names();
    let (by, note) = delimiter(source.path, content, |name| names.iter().any(|n| n == name));
    csv_records(source.path, content, by, &mut |line, record| {
        match &columns {
            None => columns = Some(Columns::of_header(source, line, record.iter())?),
            Some(columns) => {
                sink(columns.row(source, line, record.iter()))?;
                rows += 1;
            }
        }
        Ok(())
    })?;
    if rows == 0 {
        return Err(no_rows(source));
    }
    Ok(note.into_iter().collect())
}

/// Calls `each` with every record, the header among them, and the line on which it begins. `by` is
/// what separates fields.
pub(super) fn csv_records(
    path: &Path,
    content: &str,
    by: u8,
    each: &mut dyn FnMut(usize, &csv::StringRecord) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let mut reader = csv_reader(content, by);
    let mut record = csv::StringRecord::new();
    let mut counted = 0;
    let mut line = 1;
    loop {
        // The reader's own line numbers lag behind after CRLF ends and blank lines: it passes over
        // what is left of them only on the way to the next record.
        let before = reader.position().byte() as usize;
        let ends = content.as_bytes()[before..]
            .iter()
            .take_while(|b| matches!(b, b'\n' | b'\r'));
        let start = before + ends.count();
        line += count_lines(&content.as_bytes()[counted..start]);
        counted = start;

        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                return Err(DataError::Unreadable {
                    path: path.to_owned(),
                    reason: error.into(),
                });
            }
        }
        let end = reader.position().byte() as usize == content.len();
        if end && unclosed_quote(&content[start..], by) {
            return Err(DataError::UnclosedQuote {
                path: path.to_owned(),
                line,
            });
        }
        each(line, &record)?;
    }
    Ok(())
}

fn csv_reader(content: &str, by: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(by)
        // Row lengths are checked here, for an error that names the line.
        .flexible(true)
        .from_reader(content.as_bytes())
}

/// Whether a quote in the last record never closes: then it swallows a line put behind it.
fn unclosed_quote(last_record: &str, by: u8) -> bool {
    last_record.contains('"')
        && csv_reader(&format!("{last_record}\nprobe"), by)
            .into_records()
            .take(2)
            .count()
            == 1
}

#[cfg(test)]
mod tests {
    use super::super::InputFormat::{Csv, Tsv};
    use super::super::testing::*;
    use super::*;
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
            let content = "text#label\na#1\nb# \n".replace('#', tab);
            assert_eq!(
                error(format, &content),
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
