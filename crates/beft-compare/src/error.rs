use std::path::PathBuf;

use beft_modes::ModeError;
use beft_nn::PrecisionError;
use beft_score::{BudgetError, UnknownScorer};
use beft_tasks::UnknownRegime;

/// Passes over the training examples at most.
pub(crate) const MOST_EPOCHS: usize = 1_000_000;

/// Anything that can go wrong in a comparison.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// A model, its data or its training.
    #[error(transparent)]
    Beft(#[from] beft::Error),
    /// Unknown mode.
    #[error(transparent)]
    Mode(#[from] ModeError),
    /// Something that is meant to be a budget.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// Unknown precision.
    #[error(transparent)]
    Precision(#[from] PrecisionError),
    /// Unknown scorer.
    #[error(transparent)]
    Scorer(#[from] UnknownScorer),
    /// Unknown regime.
    #[error(transparent)]
    Regime(#[from] UnknownRegime),
    /// A file that is no comparison.
    #[error("{}: {source}", .path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: toml::de::Error,
    },
    /// Settings of a mode that cannot be read.
    #[error("mode.{name}: {source}")]
    ModeSettings {
        /// The mode as written.
        name: String,
        /// Why.
        source: Box<CompareError>,
    },
    /// Settings of a mode that is not compared.
    #[error("mode.{0}: `{0}` is not among the modes")]
    OtherMode(String),
    /// An empty list.
    #[error("there are no {0} to compare")]
    Nothing(&'static str),
    /// A list that has something twice.
    #[error("the {0} name {1} twice: leave one out")]
    Twice(&'static str, String),
    /// A journal of another comparison.
    #[error("{} is of another comparison: {reason}", .path.display())]
    OtherPlan {
        /// The file that says of which.
        path: PathBuf,
        /// In what they differ.
        reason: String,
    },
    /// A journal that does not say of what it is.
    #[error("{} is damaged: delete it, and run the command again", .path.display())]
    DamagedPlan {
        /// The file.
        path: PathBuf,
    },
    /// No passes, or more than anybody waits for.
    #[error("epochs is {0}: give 1 to {MOST_EPOCHS}")]
    Epochs(usize),
    /// A learning rate that trains nothing.
    #[error("lr is {0}: give a number above 0")]
    LearningRate(f64),
    /// Two data folders of one task, which the tables could not tell apart.
    #[error("the task {task} is there twice, with {} and {}: compare each of them in a folder of its own", .data.0.display(), .data.1.display())]
    TaskTwice {
        /// The task's name.
        task: String,
        /// The two folders.
        data: Box<(PathBuf, PathBuf)>,
    },
    /// Scorers that have nothing to score.
    #[error(
        "scorers compare the biases before and after training all of them: add the mode all, or leave the scorers out"
    )]
    NothingScored,
    /// Heads of decoders, and there are none.
    #[error("head is for decoders, and there are none among the models: leave it out")]
    HeadOfEncoders,
    /// What decoders learn by that are asked prompts, and there are none.
    #[error(
        "objective is for decoders that are asked prompts, and there are none among the models: leave it out"
    )]
    NoPrompts,
    /// A sweep without learning rates.
    #[error("there are no learning rates to try")]
    NoRates,
}
