use std::path::PathBuf;

use beft_checkpoint::CheckpointError;
use beft_core::{SnapshotError, TermSetError};
use beft_hub::HubError;
use beft_score::ScoreError;
use beft_tasks::{DataError, TaskError};
use beft_train::{Failure, TrainError};

use crate::DeviceError;

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
