//! The lines of a reader, one after another.

use std::io::BufRead;
use std::path::Path;

use crate::dataset::unreadable;
use crate::{DataError, Place};

/// Where bytes come from.
pub(crate) type Input = Box<dyn BufRead + Send>;

/// Reads lines without their ends, and numbers them from 1.
pub(super) struct LineReader {
    input: Input,
    buffer: Vec<u8>,
    number: usize,
}

impl LineReader {
    pub(super) fn new(input: Input) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            number: 0,
        }
    }

    /// The next line with its number; `None` at the end. The end of the last line does not start another.
    pub(super) fn next(&mut self, path: &Path) -> Result<Option<(usize, &str)>, DataError> {
        self.buffer.clear();
        let read = self.input.read_until(b'\n', &mut self.buffer);
        if read.map_err(|reason| unreadable(path, reason))? == 0 {
            return Ok(None);
        }
        self.number += 1;
        let mut line = self.buffer.as_slice();
        line = line.strip_suffix(b"\n").unwrap_or(line);
        line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.number == 1 {
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
            if line.is_empty() && !self.buffer.ends_with(b"\n") {
                return Ok(None);
            }
        }
        match std::str::from_utf8(line) {
            // UTF-16 without a mark is UTF-8 with zeros in it.
            Ok(line) if !line.contains('\0') => Ok(Some((self.number, line))),
            Ok(_) | Err(_) => Err(DataError::NotUtf8 {
                path: path.to_owned(),
                at: Place::Line(self.number),
            }),
        }
    }

    /// Everything that has not been read yet, and the number of lines before it.
    pub(super) fn rest(self) -> (Input, usize) {
        (self.input, self.number)
    }
}

/// What some programs put in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
