//! The readers.

mod adapters;
mod comparisons;
mod data;
mod models;
mod requests;
mod trainings;

use std::path::PathBuf;

use crate::{Sample, Target};

/// All of them.
pub const TARGETS: &[Target] = &[
    Target {
        name: "safetensors",
        samples: models::weights,
        read: models::read,
    },
    Target {
        name: "shards",
        samples: models::indices,
        read: models::read,
    },
    Target {
        name: "pickle",
        samples: models::pickles,
        read: models::read,
    },
    Target {
        name: "config",
        samples: models::configs,
        read: models::read_and_train,
    },
    Target {
        name: "tokenizer",
        samples: models::tokenizers,
        read: models::read,
    },
    Target {
        name: "adapter",
        samples: adapters::samples,
        read: adapters::read,
    },
    Target {
        name: "tsv",
        samples: data::tsv,
        read: data::read,
    },
    Target {
        name: "csv",
        samples: data::csv,
        read: data::read,
    },
    Target {
        name: "jsonl",
        samples: data::jsonl,
        read: data::read,
    },
    Target {
        name: "json",
        samples: data::json,
        read: data::read,
    },
    Target {
        name: "parquet",
        samples: data::parquet,
        read: data::read,
    },
    Target {
        name: "conll",
        samples: data::conll,
        read: data::read,
    },
    Target {
        name: "task",
        samples: data::task_files,
        read: data::read_task,
    },
    Target {
        name: "plan",
        samples: comparisons::plans,
        read: comparisons::read_plan,
    },
    Target {
        name: "cell",
        samples: comparisons::cells,
        read: comparisons::read_cell,
    },
    Target {
        name: "state",
        samples: trainings::states,
        read: trainings::resume,
    },
    Target {
        name: "request",
        samples: requests::samples,
        read: requests::send,
    },
];

/// An error with its causes.
fn words(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(found) = cause {
        text = format!("{text}: {found}");
        cause = found.source();
    }
    text
}

/// What another program wrote for the tests of the command.
fn interop(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../crates/beft-cli/tests/interop")
        .join(name)
}

/// A folder of them as a sample.
fn written(name: &str) -> Sample {
    Sample::folder(&interop(name))
}

/// A few labelled sentences.
fn table(separator: char, rows: usize) -> String {
    let mut text = format!("text{separator}label\n");
    for row in 0..rows {
        let (word, label) = [("good", "yes"), ("bad", "no")][row % 2];
        text.push_str(&format!("the movie was {word} {row}{separator}{label}\n"));
    }
    text
}
