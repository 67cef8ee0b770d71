use std::path::PathBuf;

use beft_checkpoint::CheckpointError;
use beft_core::{SnapshotError, TermSetError};
use beft_hub::HubError;
use beft_score::ScoreError;
use beft_tasks::{DataError, TaskError};
use beft_train::{Failure, TrainError};

use crate::DeviceError;
use crate::differences::{Difference, explain};

/// Anything that can go wrong between a command and its result. The text is meant for the user.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Model, tokenizer or adapter.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A model or data set that cannot be had.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// Data files.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Unknown task.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// Unknown or absent device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A term set that does not fit.
    #[error(transparent)]
    Terms(#[from] TermSetError),
    /// Training that cannot start.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Biases that cannot be compared.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Scores that cannot be computed.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// Training that diverged; what was good until then is kept.
    #[error("{failure} (what was last good is in {})", .dir.display())]
    Diverged {
        /// Where.
        failure: Failure,
        /// Where the last good adapter or model was saved.
        dir: PathBuf,
    },
    /// Training that diverged before anything good was learned.
    #[error("{0} (nothing was learned until then, so nothing was saved)")]
    NothingGood(Failure),
    /// A model or training that does not fit the memory that there is.
    #[error(
        "out of memory: {model} needs {:.1} GB or more for {what}, and {:.1} GB are available: {remedy}",
        *.needed as f64 / 1e9,
        *.available as f64 / 1e9
    )]
    Memory {
        /// The model.
        model: String,
        /// What of it.
        what: String,
        /// Bytes that it takes at least.
        needed: u64,
        /// Bytes that there are.
        available: u64,
        /// What to do.
        remedy: String,
    },
    /// The training to resume has other settings.
    #[error("{}: {}", .path.display(), explain(.differences, .state))]
    OtherSettings {
        /// Where the other one's settings are.
        path: PathBuf,
        /// Whether that one is `interrupted` or `finished`.
        state: &'static str,
        /// The settings that differ.
        differences: Vec<Difference>,
    },
    /// An output that cannot be written.
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Settings that contradict each other or the model.
    #[error("{0}")]
    Usage(String),
}
