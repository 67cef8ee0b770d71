//! TSV, row by row.

use std::collections::VecDeque;
use std::path::Path;

use serde_json::Value;

use super::dialect::Quotes;
use super::header::Header;
use super::lines::LineReader;
use super::raw::Record;
use crate::DataError;

/// Reads TSV as GLUE has it: a tab always separates and a quote is a quote.
pub(super) struct Tsv {
    lines: LineReader,
    headerless: Vec<String>,
    pub(super) quotes: Quotes,
    /// Blank lines that are rows only if another row follows.
    blank: VecDeque<usize>,
    /// The row that follows them.
    held: Option<(usize, String)>,
}

impl Tsv {
    pub(super) fn new(lines: LineReader, headerless: &[String]) -> Self {
        Self {
            lines,
            headerless: headerless.to_vec(),
            quotes: Quotes::default(),
            blank: VecDeque::new(),
            held: None,
        }
    }

    pub(super) fn read(
        &mut self,
        path: &Path,
        header: &mut Option<Header>,
        kept: Option<&[String]>,
    ) -> Result<Option<Record>, DataError> {
        if header.is_none() {
            *header = self.header(path, kept)?;
        }
        let Some(header) = header else {
            return Ok(None);
        };
        loop {
            let held = self.held.take();
            if let (Some(line), true) = (self.blank.front(), held.is_some()) {
                let record = header.record(path, *line, "".split('\t'));
                self.blank.pop_front();
                self.held = held;
                return record.map(Some);
            }
            if let Some((line, row)) = held {
                return record(path, header, &mut self.quotes, line, &row).map(Some);
            }
            let Some((line, row)) = self.lines.next(path)? else {
                return Ok(None);
            };
            let spaces = header.names.len() > 1 && row.chars().all(|c| c == ' ');
            if row.is_empty() || spaces {
                self.blank.push_back(line);
            } else if self.blank.is_empty() {
                return record(path, header, &mut self.quotes, line, row).map(Some);
            } else {
                self.held = Some((line, row.to_owned()));
            }
        }
    }

    /// Reads the first line. If it does not name the columns, it is the first row.
    fn header(
        &mut self,
        path: &Path,
        kept: Option<&[String]>,
    ) -> Result<Option<Header>, DataError> {
        while let Some((line, row)) = self.lines.next(path)? {
            if row.is_empty() {
                continue;
            }
            let (header, is_row) =
                Header::first(path, line, row.split('\t'), &self.headerless, kept)?;
            if is_row {
                self.held = Some((line, row.to_owned()));
            }
            return Ok(Some(header));
        }
        Ok(None)
    }
}

fn record(
    path: &Path,
    header: &Header,
    quotes: &mut Quotes,
    line: usize,
    row: &str,
) -> Result<Record, DataError> {
    let record = header.record(path, line, row.split('\t'))?;
    quotes.see(record.fields.values().filter_map(Value::as_str));
    Ok(record)
}
