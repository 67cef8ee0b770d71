use std::io;
use std::path::{Path, PathBuf};

use crate::TensorProblem;

/// Why a checkpoint, tokenizer or adapter cannot be used. The text names the file and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// A file of the folder is missing.
    #[error("{} is missing: a model folder needs {needed}", .path.display())]
    MissingFile {
        /// The file.
        path: PathBuf,
        /// What the folder needs.
        needed: &'static str,
    },
    /// Reading or writing failed.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// `read`, `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A JSON file is malformed or lacks a field.
    #[error("{}: {source}; correct the file, or save it again with the program that wrote it", .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A config value is understood, but cannot be used.
    #[error("{}: {reason}", .path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// The architecture is not implemented.
    #[error("{}: model_type `{found}` is not supported here; supported: {supported}", .path.display())]
    UnsupportedArchitecture {
        /// The config file.
        path: PathBuf,
        /// The `model_type` found.
        found: String,
        /// The ones that are.
        supported: String,
    },
    /// A file of weights is damaged.
    #[error("{} is not a whole file of weights: {reason}; download or copy it again", .path.display())]
    BadTensorFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Tensors that do not fit the architecture.
    #[error("{} does not fit the model in config.json:\n{}", .path.display(), list(.problems))]
    Tensors {
        /// The folder or file.
        path: PathBuf,
        /// Every misfit, by tensor.
        problems: Vec<TensorProblem>,
    },
    /// The tokenizer cannot be loaded or failed.
    #[error("{}: {reason}", .path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A question so long that an input has no token of its context.
    #[error(
        "question {question} takes {tokens} tokens with special tokens, and inputs have at most {most}, which leaves no \
         room for its context: shorten the question, or allow longer inputs"
    )]
    LongQuestion {
        /// Its number, from 0.
        question: usize,
        /// Its tokens.
        tokens: usize,
        /// How many an input has.
        most: usize,
    },
    /// The adapter was trained on another base model.
    #[error(
        "adapter {}: it was trained on another base model (`{trained_on}`, weights {recorded}; these are {found})",
        .path.display()
    )]
    OtherBase {
        /// The folder.
        path: PathBuf,
        /// The base model that the adapter names.
        trained_on: String,
        /// The fingerprint of its weights.
        recorded: String,
        /// The fingerprint of the model at hand.
        found: String,
    },
    /// The adapter was trained on a model with another value in its config.json.
    #[error("adapter {}: it was trained on a model with another config.json: {difference}", .path.display())]
    OtherConfig {
        /// The folder.
        path: PathBuf,
        /// The key, its value then, and the file with its value now.
        difference: String,
    },
    /// The adapter is damaged, of another kind, or does not fit the model.
    #[error("adapter {}: {reason}", .path.display())]
    Adapter {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
}

impl CheckpointError {
    /// Reading or writing this file failed.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

fn list(problems: &[TensorProblem]) -> String {
    const SHOWN: usize = 12;
    let mut lines: Vec<String> = problems
        .iter()
        .take(SHOWN)
        .map(|p| format!("  {p}"))
        .collect();
    if problems.len() > SHOWN {
        lines.push(format!("  ... and {} more", problems.len() - SHOWN));
    }
    lines.join("\n")
}
