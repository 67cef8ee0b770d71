//! Rows to predict, one after another, with all their columns.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::dataset::open;
use crate::prompt::document_records;
use crate::records::raw::Record;
use crate::records::stream::Records;
use crate::records::{Input, LabelUse, Source};
use crate::{DataError, Example, InputFormat, LabelledTask, Place, PromptExample, Task};

/// A text, a pair of texts, or a prompt to predict.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskInput {
    /// A text or a pair of texts, without its label.
    Text(Example),
    /// A prompt with its candidates, without its answers.
    Prompt(PromptExample),
}

impl From<&str> for TaskInput {
    fn from(text: &str) -> Self {
        Self::Text(Example {
            text: text.to_owned(),
            words: None,
            text_pair: None,
            label: None,
            line: 0,
        })
    }
}

impl From<(&str, &str)> for TaskInput {
    fn from((text, pair): (&str, &str)) -> Self {
        Self::Text(Example {
            text: text.to_owned(),
            words: None,
            text_pair: Some(pair.to_owned()),
            label: None,
            line: 0,
        })
    }
}

/// A row to predict.
#[derive(Clone, Debug, PartialEq)]
pub struct InputRow {
    /// What the model is given.
    pub input: TaskInput,
    /// All columns of the row, in the order of the file. A file of plain lines has one, with the name of the text's
    /// column.
    pub columns: Map<String, Value>,
}

/// Rows to predict, read as they are asked for. TSV, CSV, JSON Lines and plain lines take memory for one row
/// at a time, JSON and Parquet for the whole file. Labels are not read. A source without rows is no error.
pub struct Inputs {
    task: Task,
    path: PathBuf,
    records: Records,
    /// Whether the first row is a pair of texts; `None` before it.
    pairs: Option<bool>,
    /// The rest of what one record was expanded to.
    expanded: VecDeque<InputRow>,
    over: bool,
}

impl Task {
    /// Rows to predict from `reader`, such as standard input; `name` stands for it in errors.
    ///
    /// # Errors
    ///
    /// What is wrong with the first line, or with a JSON or Parquet file.
    ///
    /// # Examples
    ///
    /// ```
    /// use beft_tasks::{InputFormat, LabelledTask, Task, TaskInput};
    ///
    /// # fn main() -> Result<(), beft_tasks::DataError> {
    /// let task = Task::from(LabelledTask::named("text").unwrap());
    /// let csv = "id,text\n7,\"good, really\"\n".as_bytes();
    /// let mut rows = task.inputs("tickets.csv".as_ref(), csv, InputFormat::Csv)?;
    /// let row = rows.next().unwrap()?;
    /// assert_eq!(row.columns["id"], "7");
    /// assert!(matches!(row.input, TaskInput::Text(example) if example.text == "good, really"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn inputs(
        &self,
        name: &Path,
        reader: impl BufRead + Send + 'static,
        format: InputFormat,
    ) -> Result<Inputs, DataError> {
        self.read_inputs(name, Box::new(reader), format)
    }

    /// Whether a model is asked prompts.
    pub fn is_prompted(&self) -> bool {
        matches!(self, Self::Prompted(_))
    }

    /// Whether a row of a file means the same to another task, labels apart.
    pub fn reads_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Labelled(a), Self::Labelled(b)) => {
                let columns = |task: &LabelledTask| {
                    let texts = [&task.text_columns, &task.pair_columns];
                    (texts.map(Clone::clone), task.pair_required)
                };
                columns(a) == columns(b)
            }
            (Self::Prompted(a), Self::Prompted(b)) => {
                (&a.template, &a.candidates, &a.form) == (&b.template, &b.candidates, &b.form)
            }
            (Self::Labelled(_), Self::Prompted(_)) | (Self::Prompted(_), Self::Labelled(_)) => {
                false
            }
        }
    }

    /// Rows to predict from a file. `format` is by default that of its extension.
    ///
    /// # Errors
    ///
    /// As [`Task::inputs`]; when there is no such file, or its name does not tell the format.
    pub fn open_inputs(
        &self,
        path: &Path,
        format: Option<InputFormat>,
    ) -> Result<Inputs, DataError> {
        let input = open(path)?;
        let format = format.or_else(|| InputFormat::of_path(path));
        let format = format.ok_or_else(|| DataError::UnknownExtension {
            path: path.to_owned(),
        })?;
        self.read_inputs(path, input, format)
    }

    fn read_inputs(
        &self,
        name: &Path,
        input: Input,
        format: InputFormat,
    ) -> Result<Inputs, DataError> {
        let records = match self {
            Self::Labelled(task) => {
                let known = task.columns();
                let names = task.names_of(&known, None);
                document_records(name, input, format, names, task.form())?
            }
            Self::Prompted(task) => task.records(name, input, format)?,
        };
        Ok(Inputs {
            task: self.clone(),
            path: name.to_owned(),
            records,
            pairs: None,
            expanded: VecDeque::new(),
            over: false,
        })
    }
}

impl Inputs {
    /// What there is to say of the source, once it is read.
    pub fn notes(&self) -> Vec<String> {
        self.records.notes()
    }

    /// Fails if a source without rows lacks a column, as it would with rows.
    fn check_header(&mut self) -> Result<(), DataError> {
        let Some((line, names)) = self.records.header().filter(|_| self.pairs.is_none()) else {
            return Ok(());
        };
        let fields = names.iter().map(|name| (name.clone(), Value::from("")));
        let record = Record::new(Place::Line(line), fields.collect());
        let read = self.read(record);
        self.expanded.clear();
        read
    }

    fn read(&mut self, record: Record) -> Result<(), DataError> {
        match &self.task {
            Task::Labelled(task) => {
                let source = Source {
                    task,
                    path: &self.path,
                    labels: LabelUse::Ignored,
                    known: None,
                    classes: &[],
                };
                let row = source.row(&self.records, &record)?;
                let pair = row.pair.is_some();
                if *self.pairs.get_or_insert(pair) != pair {
                    return Err(DataError::MixedPairs {
                        path: self.path.clone(),
                        at: row.at,
                        pair,
                    });
                }
                let example = Example {
                    text: row.text.into_owned(),
                    words: row.words.map(|words| words.words),
                    text_pair: row.pair.map(Cow::into_owned),
                    label: None,
                    line: row.at.number(),
                };
                self.expanded.push_back(InputRow {
                    input: TaskInput::Text(example),
                    columns: record.fields,
                });
            }
            Task::Prompted(task) => {
                self.pairs = Some(false);
                let examples = task.unlabelled(&self.path, record)?.into_iter();
                self.expanded
                    .extend(examples.map(|(example, record)| InputRow {
                        input: TaskInput::Prompt(example),
                        columns: record.fields,
                    }));
            }
        }
        Ok(())
    }
}

impl Iterator for Inputs {
    type Item = Result<InputRow, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.expanded.pop_front() {
                return Some(Ok(row));
            }
            if self.over {
                return None;
            }
            let Some(record) = self.records.next() else {
                self.over = true;
                return self.check_header().err().map(Err);
            };
            // Nothing is passed over: predictions have to stand beside the rows.
            if let Err(error) = record.and_then(|record| self.read(record)) {
                self.over = true;
                return Some(Err(error));
            }
        }
    }
}
