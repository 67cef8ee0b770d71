//! Tasks and their data.
//!
//! * [`Task`]: a task as data: columns, labels, metrics and default settings.
//! * [`Dataset`]: labelled examples read from a TSV, CSV or JSON Lines file.
//! * [`training_subset`]: the very examples that numpy's legacy generator picks for a seed, so that
//!   published low-data runs can be repeated.
//!
//! This crate knows nothing of tokens, tensors or models. Every error about data names the file, the
//! line as an editor counts it, and what to do.
//!
//! ```no_run
//! use std::path::Path;
//! use beft_tasks::{Split, Task, training_subset};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let task = Task::named("sst2")?;
//! let folder = Path::new("data/SST-2");
//! let train = task.load(folder, Split::Train, None)?;
//! let dev = task.load(folder, Split::Dev, Some(&train.labels))?;
//! let subset = training_subset(0, train.examples.len(), 1000);
//! # let _ = (dev, subset);
//! # Ok(())
//! # }
//! ```

mod dataset;
mod error;
mod labels;
mod metric;
mod permutation;
mod records;
mod split;
mod task;

pub use dataset::{Dataset, Example};
pub use error::DataError;
pub use metric::Metric;
pub use permutation::{numpy_permutation, training_subset};
pub use records::InputFormat;
pub use split::Split;
pub use task::{Defaults, Task, TaskError};
