//! Tasks and their data.
//!
//! * [`Task`]: a task as data, labelled texts ([`LabelledTask`]) or prompts ([`PromptTask`]): columns,
//!   labels, metrics and default settings; built in or described by the user in a TOML file.
//! * [`Dataset`]: labelled examples read from a TSV, CSV, JSON or Parquet file.
//! * [`PromptTask`]: what a causal language model is asked: a [`Template`] over the columns, and what
//!   may follow it.
//! * [`LabelledTask::write_glue`]: predictions as the GLUE server wants them.
//! * [`training_subset`]: the very examples that numpy's legacy generator picks for a seed, so that
//!   published low-data runs can be repeated.
//!
//! This crate knows nothing of tokens, tensors or models. Every error about data names the file, the
//! line as an editor counts it (of Parquet the row), and what to do.
//!
//! ```no_run
//! use std::path::Path;
//! use beft_tasks::{LabelledTask, Split, training_subset};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let task = LabelledTask::named("sst2")?;
//! let folder = Path::new("data/SST-2");
//! let train = task.load(folder, Split::Train, None)?;
//! let dev = task.load(folder, Split::Dev, Some(&train.labels))?;
//! let subset = training_subset(0, train.examples.len(), 1000);
//! # let _ = (dev, subset);
//! # Ok(())
//! # }
//! ```

mod answers;
mod carried;
mod changes;
mod classes;
mod columns;
mod dataset;
mod error;
mod gathered;
mod glue;
mod held_out;
mod inputs;
mod labels;
mod permutation;
mod place;
mod prompt;
mod question_keys;
mod reading;
mod records;
mod regime;
mod remedies;
mod shown;
mod split;
mod table;
mod tag_error;
mod tags;
mod target;
mod task;
mod task_checks;
mod task_error;
mod task_file;
mod written;

pub use answers::GoldAnswer;
pub use beft_core::{Answerable, Metric};
pub use changes::TaskChanges;
pub use classes::ClassNames;
pub use columns::TextColumns;
pub use dataset::{Dataset, Example};
pub use error::DataError;
pub use held_out::SplitError;
pub use inputs::{InputRow, Inputs, TaskInput};
pub use labels::Label;
pub use permutation::{numpy_permutation, training_subset};
pub use place::Place;
pub use prompt::{
    Candidates, Form, PromptExample, PromptKind, PromptSet, PromptTask, Template, TemplateError,
};
pub use records::InputFormat;
pub use regime::{ProtocolColumn, Regime, Regimes, UnknownRegime};
pub use split::Split;
pub use tag_error::TagError;
pub use target::{ClassLabel, ComparedError, LabelForm, LabelTarget, MultiLabel, TaskKind};
pub use task::{Defaults, HeldOut, Hub, LabelledTask, Task, TaskInfo};
pub use task_error::TaskError;
