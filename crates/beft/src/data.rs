use std::path::Path;

use beft_core::EncodedSet;
use beft_tasks::{Example, Split, Task, training_subset};

use crate::{Base, Error};

/// A task's training subset and dev split, tokenised once.
#[derive(Clone, Debug)]
pub struct TaskData {
    /// The task.
    pub task: Task,
    /// Class names, by class index.
    pub labels: Vec<String>,
    /// Whether the inputs are pairs of texts.
    pub text_pairs: bool,
    /// The training subset, in numpy's order (see [`training_subset`]).
    pub train: EncodedSet,
    /// The whole dev split.
    pub dev: EncodedSet,
}

impl TaskData {
    /// Reads the `train` and `dev` files of the folder `data`, takes the first `train_size`
    /// training examples of numpy's legacy permutation by `seed` (all when `None`), and tokenises.
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
        seed: u32,
    ) -> Result<Self, Error> {
        let train = task.load(data, Split::Train, None)?;
        let dev = task.load(data, Split::Dev, Some(&train.labels))?;
        let text_pairs = has_pairs(&train.examples);
        if text_pairs != has_pairs(&dev.examples) {
            return Err(Error::Usage(format!(
                "of {} and {} one has pairs of texts, the other single texts",
                train.path.display(),
                dev.path.display()
            )));
        }
        let available = train.examples.len();
        let size = train_size.unwrap_or(available);
        if size == 0 || size > available {
            return Err(Error::Usage(format!(
                "--train-size {size} does not fit {}: it has {available} examples",
                train.path.display()
            )));
        }
        let chosen: Vec<&Example> = training_subset(seed, available, size)
            .into_iter()
            .map(|index| &train.examples[index])
            .collect();
        Ok(Self {
            task: task.clone(),
            text_pairs,
            train: encode(base, chosen)?,
            dev: encode(base, dev.examples.iter().collect())?,
            labels: train.labels,
        })
    }
}

/// Whether any example is a pair of texts.
pub(crate) fn has_pairs(examples: &[Example]) -> bool {
    examples.iter().any(|e| e.text_pair.is_some())
}

pub(crate) fn encode(base: &Base, examples: Vec<&Example>) -> Result<EncodedSet, Error> {
    let texts = examples
        .iter()
        .map(|e| (e.text.as_str(), e.text_pair.as_deref()));
    Ok(EncodedSet {
        encodings: base.encode(texts)?,
        labels: examples
            .iter()
            .map(|e| e.label.unwrap_or_default())
            .collect(),
    })
}
