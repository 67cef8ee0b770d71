//! Answers to rows, one chunk after another.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use beft_tasks::{DataError, InputRow, Inputs, TaskInput};

use super::{Answer, Predictor};
use crate::Error;
use crate::base::InputCounts;

/// When rows are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// In chunks of as many rows as are computed well together. For files.
    Chunks,
    /// As soon as they arrive, together with those that arrived meanwhile. For a program that waits for an answer
    /// before it writes the next row.
    Arrival,
}

/// What there is to say when all rows are answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Streamed {
    /// How the inputs fit the model.
    pub counts: InputCounts,
    /// What the user should hear about the source.
    pub notes: Vec<String>,
}

/// The first chunks are small, so that the first answers are there at once, and soon it is known whether anyone reads
/// them.
const FIRST_CHUNK: usize = 32;
/// Enough to put texts of like length side by side.
const CHUNK: usize = 1024;
/// Bytes of text that end a chunk before it is full.
const CHUNK_BYTES: usize = 4 << 20;
/// Rows that are read ahead while a chunk is computed.
const AHEAD: usize = 256;

/// What the reading thread sends: rows, and at the end the notes.
enum Message {
    Row(Result<Box<InputRow>, DataError>),
    End(Vec<String>),
}

impl Predictor {
    /// Answers rows in their order, a chunk at a time: memory does not grow with their number. `on_chunk` is
    /// given each chunk with its answers.
    ///
    /// # Errors
    ///
    /// As [`Predictor::predict`]; when a row cannot be read, after the rows before it were answered; and what
    /// `on_chunk` fails with.
    pub fn stream<E: From<Error>>(
        &self,
        rows: Inputs,
        pace: Pace,
        on_chunk: impl FnMut(Vec<(InputRow, Answer)>) -> Result<(), E>,
    ) -> Result<Streamed, E> {
        let answer = |rows: &[InputRow]| {
            let inputs: Vec<&TaskInput> = rows.iter().map(|row| &row.input).collect();
            let found = self.answers(&inputs)?;
            Ok((found.answers, found.counts))
        };
        stream_rows(rows, pace, answer, on_chunk)
    }
}

/// Rows go through `answer` in their order, a chunk at a time, and come with what it gives each to `on_chunk`.
///
/// # Errors
///
/// What `answer` and `on_chunk` fail with; and when a row cannot be read, after those before it.
pub fn stream_rows<T, E: From<Error>>(
    rows: Inputs,
    pace: Pace,
    answer: impl FnMut(&[InputRow]) -> Result<(Vec<T>, InputCounts), Error>,
    on_chunk: impl FnMut(Vec<(InputRow, T)>) -> Result<(), E>,
) -> Result<Streamed, E> {
    let mut stream = Stream {
        answer,
        on_chunk,
        streamed: Streamed::default(),
    };
    match pace {
        Pace::Chunks => stream.in_chunks(rows)?,
        Pace::Arrival => stream.on_arrival(rows)?,
    }
    Ok(stream.streamed)
}

struct Stream<A, C> {
    answer: A,
    on_chunk: C,
    streamed: Streamed,
}

impl<A, C> Stream<A, C> {
    fn in_chunks<T, E: From<Error>>(&mut self, mut rows: Inputs) -> Result<(), E>
    where
        A: FnMut(&[InputRow]) -> Result<(Vec<T>, InputCounts), Error>,
        C: FnMut(Vec<(InputRow, T)>) -> Result<(), E>,
    {
        let mut most = FIRST_CHUNK;
        loop {
            let mut chunk = Chunk::new(most);
            let failed = loop {
                match rows.next() {
                    Some(Ok(row)) => {
                        if !chunk.push(row) {
                            break None;
                        }
                    }
                    Some(Err(error)) => break Some(error),
                    None => break None,
                }
            };
            let done = chunk.rows.is_empty();
            self.pass_on(chunk)?;
            if let Some(error) = failed {
                return Err(Error::from(error).into());
            }
            if done {
                self.streamed.notes = rows.notes();
                return Ok(());
            }
            most = self.streamed.counts.all.clamp(FIRST_CHUNK, CHUNK);
        }
    }

    fn on_arrival<T, E: From<Error>>(&mut self, mut rows: Inputs) -> Result<(), E>
    where
        A: FnMut(&[InputRow]) -> Result<(Vec<T>, InputCounts), Error>,
        C: FnMut(Vec<(InputRow, T)>) -> Result<(), E>,
    {
        let (send, receive) = sync_channel(AHEAD);
        // Not joined: it may wait for a row that never comes, after the receiver has failed.
        thread::spawn(move || {
            for row in &mut rows {
                if send.send(Message::Row(row.map(Box::new))).is_err() {
                    return;
                }
            }
            // Nobody is left to hear them where this fails.
            let _ = send.send(Message::End(rows.notes()));
        });
        loop {
            let (chunk, end) = arrived(&receive);
            self.pass_on(chunk)?;
            match end {
                None => {}
                Some(Ok(notes)) => {
                    self.streamed.notes = notes;
                    return Ok(());
                }
                Some(Err(error)) => return Err(Error::from(error).into()),
            }
        }
    }

    fn pass_on<T, E: From<Error>>(&mut self, chunk: Chunk) -> Result<(), E>
    where
        A: FnMut(&[InputRow]) -> Result<(Vec<T>, InputCounts), Error>,
        C: FnMut(Vec<(InputRow, T)>) -> Result<(), E>,
    {
        if chunk.rows.is_empty() {
            return Ok(());
        }
        let (found, counts) = (self.answer)(&chunk.rows)?;
        self.streamed.counts += counts;
        (self.on_chunk)(chunk.rows.into_iter().zip(found).collect())
    }
}

/// Rows to answer together.
struct Chunk {
    rows: Vec<InputRow>,
    bytes: usize,
    most: usize,
}

impl Chunk {
    fn new(most: usize) -> Self {
        Self {
            rows: Vec::new(),
            bytes: 0,
            most,
        }
    }

    /// Adds a row; whether there is room for another.
    fn push(&mut self, row: InputRow) -> bool {
        self.bytes += match &row.input {
            TaskInput::Text(example) => example.text.len(),
            TaskInput::Prompt(example) => example.prompt.len(),
        };
        self.rows.push(row);
        self.rows.len() < self.most && self.bytes < CHUNK_BYTES
    }
}

/// Waits for a row, and takes those that are there too; at the end what the source had to say, or its error.
fn arrived(receive: &Receiver<Message>) -> (Chunk, Option<Result<Vec<String>, DataError>>) {
    let mut chunk = Chunk::new(CHUNK);
    let mut next = receive.recv().ok();
    loop {
        match next {
            Some(Message::Row(Ok(row))) => {
                if !chunk.push(*row) {
                    return (chunk, None);
                }
            }
            Some(Message::Row(Err(error))) => return (chunk, Some(Err(error))),
            Some(Message::End(notes)) => return (chunk, Some(Ok(notes))),
            // The thread is gone without an end.
            None if chunk.rows.is_empty() => return (chunk, Some(Ok(Vec::new()))),
            None => return (chunk, None),
        }
        next = receive.try_recv().ok();
    }
}
