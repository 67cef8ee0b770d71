use std::path::PathBuf;

use crate::table::TABLE;
use crate::{DataError, PromptTask, Regime};

/// Why a task cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// A name that is no task.
    #[error(
        "unknown task `{name}`: expected one of {}, or the path of a task file that ends in .toml",
        TABLE.map(|row| row.name).join(", ")
    )]
    Unknown {
        /// The name as written.
        name: String,
    },
    /// A name that is no prompt task.
    #[error(
        "unknown prompt task `{name}`: expected one of {}, or the path of a task file that ends in \
         .toml and has a [prompt] table",
        PromptTask::names().collect::<Vec<_>>().join(", ")
    )]
    UnknownPrompt {
        /// The name as written.
        name: String,
    },
    /// The task has no size for the regime.
    #[error("task {task} has no {regime} regime ({}): give the number of training examples", regimes(.known))]
    NoRegime {
        /// The task.
        task: String,
        /// The regime asked for.
        regime: Regime,
        /// The regimes that it has.
        known: Vec<Regime>,
    },
    /// The task file cannot be read.
    #[error(transparent)]
    Unreadable(#[from] DataError),
    /// A change that is not for this task.
    #[error("task {task} cannot be changed so: {message}")]
    Change {
        /// The task.
        task: String,
        /// Why.
        message: String,
    },
    /// An adapter carries a definition of its task that cannot be used.
    #[error("{message}")]
    Definition {
        /// What is wrong.
        message: String,
    },
    /// The task file has a mistake.
    #[error("{}:{line}: {message}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
}

fn regimes(known: &[Regime]) -> String {
    if known.is_empty() {
        return "it has none".to_owned();
    }
    let names: Vec<_> = known.iter().map(|regime| regime.name()).collect();
    format!("it has {}", names.join(", "))
}
