use std::path::Path;

use beft_core::{EncodedSet, Targets};
use beft_tasks::{Dataset, Example, Label, Split, Task, TaskKind, training_subset};
use sha2::{Digest, Sha256};

use crate::{Base, Error};

/// A task's training subset and dev splits, tokenised once.
#[derive(Clone, Debug)]
pub struct TaskData {
    /// The task.
    pub task: Task,
    /// Class names, by class index; none for a regression.
    pub labels: Vec<String>,
    /// Whether the inputs are pairs of texts.
    pub text_pairs: bool,
    /// The training subset, in numpy's order (see [`training_subset`]).
    pub train: EncodedSet,
    /// Its texts.
    pub train_examples: Vec<Example>,
    /// The whole dev splits, one but for MNLI.
    pub dev: Vec<DevSet>,
    /// Identity of the examples, training and dev.
    pub fingerprint: String,
    /// What the user should hear about the files.
    pub notes: Vec<String>,
}

/// A dev split.
#[derive(Clone, Debug)]
pub struct DevSet {
    /// Which one.
    pub split: Split,
    /// The texts.
    pub examples: Vec<Example>,
    /// The same, tokenised.
    pub set: EncodedSet,
}

impl TaskData {
    /// Reads the `train` and `dev` files of the folder `data`, takes the first `train_size`
    /// training examples of numpy's legacy permutation by `seed` (all when `None`), and tokenises.
    /// With `limit`, the first so many of each dev split are taken.
    ///
    /// # Errors
    ///
    /// When a file is missing or malformed (file and line are named), only one of them has pairs,
    /// or `train_size` is 0 or more than there is.
    pub fn load(
        task: &Task,
        data: &Path,
        base: &Base,
        train_size: Option<usize>,
        limit: Option<usize>,
        seed: u32,
    ) -> Result<Self, Error> {
        let train = task.load(data, Split::Train, None)?;
        let text_pairs = has_pairs(&train.examples);
        let mut notes = note_skipped(&train);
        let mut dev = Vec::new();
        for split in task.dev_splits() {
            let mut found = task.load(data, *split, Some(&train.labels))?;
            if text_pairs != has_pairs(&found.examples) {
                return Err(Error::Usage(format!(
                    "of {} and {} one has pairs of texts, the other single texts",
                    train.path.display(),
                    found.path.display()
                )));
            }
            notes.extend(note_skipped(&found));
            if let Some(limit) = limit {
                found.examples.truncate(limit.max(1));
            }
            dev.push(DevSet {
                split: *split,
                set: encode(base, task, found.examples.iter().collect())?,
                examples: found.examples,
            });
        }
        let available = train.examples.len();
        let size = train_size.unwrap_or(available);
        if size == 0 || size > available {
            return Err(Error::Usage(format!(
                "--train-size {size} does not fit {}: it has {available} examples",
                train.path.display()
            )));
        }
        let chosen: Vec<Example> = training_subset(seed, available, size)
            .into_iter()
            .map(|index| train.examples[index].clone())
            .collect();
        let dev_examples = dev.iter().flat_map(|dev| &dev.examples);
        Ok(Self {
            task: task.clone(),
            text_pairs,
            fingerprint: fingerprint(chosen.iter().chain(dev_examples)),
            train: encode(base, task, chosen.iter().collect())?,
            train_examples: chosen,
            dev,
            labels: train.labels,
            notes,
        })
    }

    /// Number of outputs of a model for it: the classes, or 1.
    pub fn outputs(&self) -> usize {
        self.labels.len().max(1)
    }

    /// Number of dev examples.
    pub fn dev_len(&self) -> usize {
        self.dev.iter().map(|dev| dev.set.len()).sum()
    }
}

/// What to say about lines that were left out.
fn note_skipped(data: &Dataset) -> Vec<String> {
    let skipped = &data.skipped;
    let Some(first) = skipped.first() else {
        return Vec::new();
    };
    vec![format!(
        "{}: {} malformed or unlabelled lines left out, the first is line {first}",
        data.path.display(),
        skipped.len()
    )]
}

fn fingerprint<'a>(examples: impl Iterator<Item = &'a Example>) -> String {
    let mut hash = Sha256::new();
    for example in examples {
        hash.update(format!(
            "{:?}\n",
            (&example.text, &example.text_pair, example.label)
        ));
    }
    let digest = hash.finalize();
    digest.iter().take(8).map(|b| format!("{b:02x}")).collect()
}

/// Whether any example is a pair of texts.
pub(crate) fn has_pairs(examples: &[Example]) -> bool {
    examples.iter().any(|e| e.text_pair.is_some())
}

fn encode(base: &Base, task: &Task, examples: Vec<&Example>) -> Result<EncodedSet, Error> {
    let texts = examples
        .iter()
        .map(|e| (e.text.as_str(), e.text_pair.as_deref()));
    Ok(EncodedSet {
        encodings: base.encode(texts)?,
        targets: targets(task, examples.into_iter()),
    })
}

/// What is to be said of each example; the first class or 0 where there is no label.
pub(crate) fn targets<'a>(task: &Task, examples: impl Iterator<Item = &'a Example>) -> Targets {
    match task.kind {
        TaskKind::Classification => Targets::Classes(
            examples
                .map(|e| match e.label {
                    Some(Label::Class(class)) => class,
                    _ => 0,
                })
                .collect(),
        ),
        TaskKind::Regression => Targets::Values(
            examples
                .map(|e| match e.label {
                    Some(Label::Value(value)) => value as f32,
                    _ => 0.0,
                })
                .collect(),
        ),
    }
}
