use std::path::{Path, PathBuf};

use beft_core::TermSetError;
use beft_modes::Misfit;
use beft_nn::ForwardPrecision;
use serde::{Deserialize, Serialize};

/// Why a training cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The term set does not fit the model.
    #[error(transparent)]
    Terms(#[from] TermSetError),
    /// There is nothing to train on.
    #[error("the training set is empty")]
    NoData,
    /// A label is not one of the model's classes.
    #[error("example {index} has label {label}, but the model has {classes} classes")]
    LabelOutOfRange {
        /// Index in the training set.
        index: usize,
        /// Its label.
        label: usize,
        /// Number of classes.
        classes: usize,
    },
    /// An answer ends behind its input.
    #[error(
        "example {index} has an answer that ends at token {token}, but has {tokens} tokens: make the answer of the same tokenizer's tokens"
    )]
    SpanOutOfRange {
        /// Index in the training set.
        index: usize,
        /// The last token of its answer.
        token: usize,
        /// Its number of tokens.
        tokens: usize,
    },
    /// The forward pass cannot be computed in this precision.
    #[error("a training cannot multiply in {forward}, because {reason}: train with f32 products")]
    Forward {
        /// The precision.
        forward: ForwardPrecision,
        /// Why not.
        reason: &'static str,
    },
    /// Whatever compares evaluations has one only.
    #[error(
        "{0} compares the evaluations of several epochs, and one alone is evaluated: train several and evaluate each, or each Nth"
    )]
    OneEvaluation(&'static str),
    /// A setting has a value that cannot be used.
    #[error("{0}")]
    Config(&'static str),
    /// The state of a training cannot be written or read.
    #[error("{}: {reason}", .path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The state is of a training with another identity.
    #[error(
        "{}: it belongs to a training with other settings ({theirs}), not to this one ({ours}); delete it, or give another file",
        .path.display()
    )]
    OtherTraining {
        /// The file.
        path: PathBuf,
        /// [`TrainConfig::identity`](crate::TrainConfig::identity) of this training.
        ours: String,
        /// That of the training in the file.
        theirs: String,
    },
    /// What the unchanged layers give was to be kept in a temporary file, and that failed.
    #[error(
        "cannot keep what the unchanged layers give in a temporary file: {0}; set TMPDIR to a folder with room, or train with the saving `reuse` off"
    )]
    Kept(#[source] std::io::Error),
    /// A process of the same training has another one.
    #[error(
        "process {rank} trains something else ({ours} is not {theirs}): give all processes the same model, data and options"
    )]
    OtherPeer {
        /// Its number.
        rank: usize,
        /// Identity of the training here.
        ours: String,
        /// Identity of the training there.
        theirs: String,
    },
    /// Somebody wished so.
    #[error("the training was stopped{}", kept(.state.as_deref()))]
    Stopped {
        /// The file that it continues from, if it has one.
        state: Option<PathBuf>,
    },
    /// Processes that compute a training together.
    #[error("the processes of this training cannot go on: {0}")]
    Peers(String),
}

impl From<Misfit> for TrainError {
    fn from(misfit: Misfit) -> Self {
        match misfit {
            Misfit::Terms(error) => Self::Terms(error),
            Misfit::Refused(text) => Self::Config(text),
        }
    }
}

/// Why a training stopped: the loss or a trained value was no longer finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("the training loss is not finite at step {step} of epoch {epoch}: {}", advice(*.epoch, *.step))]
pub struct Failure {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Step within the epoch, from 1.
    pub step: usize,
}

fn kept(state: Option<&Path>) -> String {
    state.map_or_else(String::new, |path| {
        format!(", and its state is in {}", path.display())
    })
}

fn advice(epoch: usize, step: usize) -> &'static str {
    if (epoch, step) == (1, 1) {
        "nothing was trained yet, so the model's weights or config are damaged"
    } else {
        "lower the learning rate"
    }
}
