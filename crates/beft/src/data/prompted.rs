//! Tasks of prompts, for decoders.

use std::path::Path;

use beft_core::Outputs;
use beft_tasks::{PromptExample, PromptKind, PromptTask, Split, training_subset};
use sha2::{Digest, Sha256};

use super::class_weights::ClassWeights;
use super::{DataOptions, DevSet, Prompter, TaskData, left_out_note, plain, short_hex};
use crate::{Base, Error};

/// Reads and tokenises. The dev split is cut to the protocol's number of examples, drawn by seed 0.
pub(super) fn load(
    task: &PromptTask,
    data: &Path,
    base: &Base,
    options: &DataOptions,
) -> Result<TaskData, Error> {
    let train = task.load(data, Split::Train)?;
    let available = train.examples.len();
    let (size, fewer) = options.size(task.defaults.train_size, available, &train.path)?;
    let chosen: Vec<PromptExample> = training_subset(options.seed, available, size)
        .into_iter()
        .map(|index| train.examples[index].clone())
        .collect();
    let found = task.load(data, Split::Dev)?;
    let mut notes: Vec<String> = fewer.into_iter().collect();
    for set in [&train, &found] {
        notes.extend(set.notes.iter().cloned());
        notes.extend(left_out_note(&set.path, &set.skipped));
    }
    let examples = dev_sample(task, found.examples, options.limit);
    let asked = options.asked;
    let shots = chosen.get(..asked.shots).ok_or(Error::Shots {
        asked: asked.shots,
        available: size,
    })?;
    let prompter = Prompter::new(base, task, shots, options.reserved);
    let dev = prompter.dev_set(&examples, asked.calibrated)?;
    let bare = Prompter::new(base, task, &[], options.reserved);
    let mut train_set = bare.train(&chosen, options.objective)?;
    if task.balanced {
        let weights = ClassWeights::of(&train_set.targets, train.labels.len());
        if weights.balanced.is_empty() {
            return Err(Error::NothingToBalance(task.name.clone()));
        }
        train_set.class_weights = weights.balanced;
    }
    notes.extend(prompter.cut_note("dev"));
    notes.extend(bare.cut_note("train"));
    let mut hash = Sha256::new();
    for example in chosen.iter().chain(&examples) {
        hash.update(format!("{example:?}\n"));
    }
    hash.update(format!("{asked:?} {:?}", options.objective));
    Ok(TaskData {
        task: task.clone().into(),
        outputs: match task.kind() {
            PromptKind::Classification => Outputs::Classes(train.labels),
            PromptKind::MultipleChoice => Outputs::Classes(choice_names(&dev)),
            PromptKind::Generation => Outputs::Text,
        },
        text_pairs: false,
        train: train_set,
        train_examples: chosen.iter().map(plain).collect(),
        dev: vec![dev],
        fingerprint: short_hex(hash),
        notes,
        objective: options.objective,
        split_file: None,
    })
}

/// The dev examples that are measured on.
pub fn dev_sample(
    task: &PromptTask,
    examples: Vec<PromptExample>,
    limit: Option<usize>,
) -> Vec<PromptExample> {
    let (available, most) = (examples.len(), task.dev_size);
    let mut examples = match available > most {
        true => training_subset(0, available, most)
            .into_iter()
            .map(|index| examples[index].clone())
            .collect(),
        false => examples,
    };
    if let Some(limit) = limit {
        examples.truncate(limit.max(1));
    }
    examples
}

/// Numbered names of candidates that each example has for itself.
fn choice_names(dev: &DevSet) -> Vec<String> {
    let encodings = dev.inputs.encodings().iter();
    let most = encodings.map(|e| e.branches.len()).max().unwrap_or(0);
    (1..=most).map(|number| format!("choice{number}")).collect()
}
