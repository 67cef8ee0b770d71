//! The readers.

mod adapters;
mod comparisons;
mod data;
mod models;
mod requests;
mod trainings;

use std::path::{Path, PathBuf};

use beft::{Base, DataOptions, TaskData, protocol, tune};
use beft_tasks::{LabelledTask, Task};
use beft_train::{Event, TrainSettings};

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
        name: "embedding",
        samples: models::embeddings,
        read: models::embed,
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

/// A model in `model/`, and a few labelled sentences in `data/`.
fn model_and_data() -> Sample {
    Sample::default()
        .nested("model", &written("bert"))
        .with("data/train.tsv", table('\t', 4))
        .with("data/dev.tsv", table('\t', 2))
}

/// Trains a model on labelled sentences.
fn tuned(
    model: &Path,
    data: &Path,
    mode: &str,
    change: impl FnOnce(&mut TrainSettings),
    on_event: impl FnMut(Event<'_>),
) -> Result<(), String> {
    let device = beft_device::parse_device("flex").map_err(words)?;
    let task = Task::from(LabelledTask::named("text").map_err(words)?);
    let base = Base::open(&model.display().to_string(), None, &device);
    let base = base.and_then(|base| base.for_task(&task)).map_err(words)?;
    let data = TaskData::load(&task, data, &base, &DataOptions::default()).map_err(words)?;
    let mode = mode.parse().map_err(words)?;
    let mut settings = protocol(&task, &mode, &base, 0);
    change(&mut settings);
    let outcome = tune(&base, &data, &mode, &settings, on_event);
    outcome.map(drop).map_err(words)
}
