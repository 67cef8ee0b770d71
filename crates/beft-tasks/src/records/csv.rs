//! CSV, record by record.

use std::io::{self, BufRead, Cursor, Read};
use std::path::Path;

use super::count_lines;
use super::dialect::delimiter;
use super::lines::{Input, LineReader};
use crate::dataset::unreadable;
use crate::{DataError, Place};

/// Reads the records of a CSV file, each with the line on which it begins.
pub(super) struct CsvReader<R> {
    input: R,
    core: csv_core::Reader,
    fields: Vec<u8>,
    ends: Vec<usize>,
    /// The line that comes next, from 1.
    line: usize,
}

/// What ends the reading of a record.
pub(super) enum CsvError {
    /// The input cannot be read.
    Io(io::Error),
    /// A quote opens in the record that begins on this line, and never closes.
    UnclosedQuote(usize),
    /// A field of the record that begins on this line is not UTF-8.
    NotUtf8(usize),
}

impl CsvError {
    pub(super) fn at(self, path: &Path) -> DataError {
        let path = path.to_owned();
        match self {
            Self::Io(reason) => unreadable(&path, reason),
            Self::UnclosedQuote(line) => DataError::UnclosedQuote { path, line },
            Self::NotUtf8(line) => {
                let at = Place::Line(line);
                DataError::NotUtf8 { path, at }
            }
        }
    }
}

/// A record: the line on which it begins, and its fields.
pub(super) type CsvRecord<'r> = (usize, Vec<&'r str>);

impl<R: BufRead> CsvReader<R> {
    /// `line` is the number of the first line of `input`, `by` separates fields.
    pub(super) fn new(input: R, by: u8, line: usize) -> Self {
        Self {
            input,
            core: csv_core::ReaderBuilder::new().delimiter(by).build(),
            fields: vec![0; 1 << 10],
            ends: vec![0; 16],
            line,
        }
    }

    /// The next record, as RFC 4180 has it; blank lines are skipped. `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<CsvRecord<'_>>, CsvError> {
        if !self.skip_ends().map_err(CsvError::Io)? {
            return Ok(None);
        }
        let start = self.line;
        let (mut length, mut count) = (0, 0);
        let mut at_end = false;
        loop {
            let buffer = self.input.fill_buf().map_err(CsvError::Io)?;
            // A line break ends the last record, unless it is within quotes.
            let added: &[u8] = match (buffer.is_empty(), at_end) {
                (false, _) => buffer,
                (true, false) => b"\n",
                (true, true) => return Err(CsvError::UnclosedQuote(start)),
            };
            let (result, read, wrote, ended) =
                self.core
                    .read_record(added, &mut self.fields[length..], &mut self.ends[count..]);
            (length, count) = (length + wrote, count + ended);
            if buffer.is_empty() {
                at_end |= read > 0;
            } else {
                self.line += count_lines(&buffer[..read]);
                self.input.consume(read);
            }
            match result {
                csv_core::ReadRecordResult::InputEmpty => {}
                csv_core::ReadRecordResult::OutputFull => {
                    self.fields.resize(2 * self.fields.len(), 0);
                }
                csv_core::ReadRecordResult::OutputEndsFull => {
                    self.ends.resize(2 * self.ends.len(), 0);
                }
                csv_core::ReadRecordResult::Record => break,
                csv_core::ReadRecordResult::End => return Ok(None),
            }
        }
        let mut begin = 0;
        let fields = self.ends[..count].iter().map(|end| {
            let field = &self.fields[begin..*end];
            begin = *end;
            let text = std::str::from_utf8(field).ok();
            let text = text.filter(|text| !text.contains('\0'));
            text.ok_or(CsvError::NotUtf8(start))
        });
        Ok(Some((start, fields.collect::<Result<_, _>>()?)))
    }

    /// Passes over blank lines and what is left of the end of a line; whether anything follows.
    fn skip_ends(&mut self) -> io::Result<bool> {
        loop {
            let buffer = self.input.fill_buf()?;
            let ends = buffer.iter().take_while(|b| matches!(b, b'\n' | b'\r'));
            let (count, all) = (ends.count(), buffer.len());
            self.line += count_lines(&buffer[..count]);
            self.input.consume(count);
            if count < all {
                return Ok(true);
            }
            if all == 0 {
                return Ok(false);
            }
        }
    }
}

/// A CSV reader that knows what separates, and what to say of that.
pub(super) fn open(
    path: &Path,
    mut input: Input,
    known: &[String],
) -> Result<(CsvReader<Input>, Option<String>), DataError> {
    let mut lines = LineReader::new(input);
    let mut first = String::new();
    while let Some((_, line)) = lines.next(path)? {
        if !line.is_empty() {
            first = line.to_owned();
            break;
        }
    }
    let number;
    (input, number) = lines.rest();
    let (by, note) = delimiter(path, &first, |name| known.iter().any(|n| n == name));
    // The line is read a second time, as the beginning of a record that may go on.
    let input: Input = Box::new(Cursor::new(format!("{first}\n")).chain(input));
    Ok((CsvReader::new(input, by, number.max(1)), note))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(content: &str, at_a_time: usize) -> Vec<(usize, Vec<String>)> {
        let input = io::BufReader::with_capacity(at_a_time, content.as_bytes());
        let mut reader = CsvReader::new(input, b',', 1);
        let mut found = Vec::new();
        while let Some((line, fields)) = reader.next().map_err(|e| e.at(Path::new("a"))).unwrap() {
            found.push((line, fields.into_iter().map(str::to_owned).collect()));
        }
        found
    }

    #[test]
    fn records_do_not_depend_on_how_much_is_read_at_a_time() {
        let long = "x".repeat(5000);
        let many = "a,".repeat(50);
        let content =
            format!("\r\na,\"b\r\nc\"\r\n\r\n\"d\"\"e\",\u{e9}\n\n{long},1\n{many}\n,\n\"last");
        let content = content + "\"";
        let whole = records(&content, 1 << 16);
        assert_eq!(whole[0], (2, vec!["a".to_owned(), "b\r\nc".to_owned()]));
        assert_eq!(whole[1], (5, vec!["d\"e".to_owned(), "\u{e9}".to_owned()]));
        assert_eq!((whole[2].0, whole[2].1[0].len()), (7, 5000));
        assert_eq!((whole[3].0, whole[3].1.len()), (8, 51));
        assert_eq!(whole[4], (9, vec![String::new(); 2]));
        assert_eq!(whole[5], (10, vec!["last".to_owned()]));
        for at_a_time in [1, 2, 3, 7, 64] {
            assert_eq!(records(&content, at_a_time), whole, "{at_a_time}");
        }
    }
}
