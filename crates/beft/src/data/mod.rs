//! A task's examples in tokens.

mod class_order;
mod class_weights;
mod compared;
mod dev;
mod labelled;
mod prompted;
mod prompts;
mod spans;
mod tagged;

use std::collections::BTreeSet;
use std::path::Path;

use beft_core::{Answerable, EncodedSet, Outputs};
use beft_modes::{Asked, Mode};
use beft_tasks::{Example, LabelTarget, Task};
use sha2::{Digest, Sha256};

pub(crate) use class_order::in_task_order;
pub(crate) use compared::{compare, compared_set, cosine, normalize};
pub use dev::{DevInputs, DevSet, plain};
pub(crate) use labelled::targets;
pub use prompted::dev_sample;
pub use prompts::{Calibration, Choices, Objective, Questions};
pub(crate) use prompts::{Prompter, prompt_facts};
pub use spans::{ChosenSpan, SpanQuestions};
pub use tagged::TaggedSet;
pub(crate) use tagged::{compared, tag_name, tags_of};

use crate::{Base, Error};

/// A task's training subset and dev splits, tokenised once.
#[derive(Clone, Debug)]
pub struct TaskData {
    /// The task.
    pub task: Task,
    /// What a model's outputs stand for.
    pub outputs: Outputs,
    /// Whether the inputs are pairs of texts.
    pub text_pairs: bool,
    /// The training subset, in numpy's order (see [`training_subset`](beft_tasks::training_subset)).
    pub train: EncodedSet,
    /// Its texts.
    pub train_examples: Vec<Example>,
    /// The whole dev splits, one but for MNLI.
    pub dev: Vec<DevSet>,
    /// Identity of the examples, training and dev.
    pub fingerprint: String,
    /// What the user should hear about the files.
    pub notes: Vec<String>,
    /// What a decoder learns by.
    pub objective: Objective,
    /// Digest of the file that was split, where the data are one file.
    pub split_file: Option<String>,
}

/// Which of a task's examples are taken, and in which form.
#[derive(Clone, Debug, Default)]
pub struct DataOptions {
    /// Training examples, the first of numpy's permutation by the seed; all when `None`.
    pub train_size: Option<usize>,
    /// Dev examples at most, the first of each split.
    pub limit: Option<usize>,
    /// Chooses the training examples.
    pub seed: u32,
    /// How a decoder is asked where nothing is trained.
    pub asked: Asked,
    /// What a decoder learns by.
    pub objective: Objective,
    /// Positions that are left free in a decoder's inputs, for a prefix.
    pub reserved: usize,
}

impl DataOptions {
    /// The same for a mode: how it asks, and what it needs beside the inputs.
    pub fn for_mode(self, mode: &Mode) -> Self {
        Self {
            asked: mode.asked().unwrap_or_default(),
            reserved: mode.prefix_tokens(),
            ..self
        }
    }

    /// The size of the training subset where there are `available` examples in the file at `path`, and a note where
    /// they are fewer than the `usual` ones of the task: then all are taken.
    ///
    /// # Errors
    ///
    /// When it is 0, or more than there are.
    pub fn size(
        &self,
        usual: Option<usize>,
        available: usize,
        path: &Path,
    ) -> Result<(usize, Option<String>), Error> {
        let size = self.train_size.unwrap_or(available);
        if self.train_size == usual && size > available && available > 0 {
            let note = format!(
                "{}: {available} examples, fewer than the {size} that the task takes: all are trained on",
                path.display()
            );
            return Ok((available, Some(note)));
        }
        match size == 0 || size > available {
            true => Err(Error::TrainSize {
                size,
                path: path.to_owned(),
                available,
            }),
            false => Ok((size, None)),
        }
    }
}

impl TaskData {
    /// Reads the `train` and `dev` files of the folder `data`, takes the training subset (numpy's legacy
    /// permutation), and tokenises.
    ///
    /// # Errors
    ///
    /// When a file is missing or malformed (file and line are named), only one of them has pairs,
    /// or the size of the subset is 0 or more than there is.
    pub fn load(
        task: &Task,
        data: &Path,
        base: &Base,
        options: &DataOptions,
    ) -> Result<Self, Error> {
        base.check_task(task)?;
        let mut loaded = match task {
            Task::Labelled(task) => labelled::load(task, data, base, options),
            Task::Prompted(task) => prompted::load(task, data, base, options),
        }?;
        // What is said of one file that is read for both splits is said once.
        let mut said = BTreeSet::new();
        loaded.notes.retain(|note| said.insert(note.clone()));
        if task.held_out.is_some() && data.is_file() {
            loaded.split_file = Some(file_digest(data)?);
        }
        Ok(loaded)
    }

    /// Whether its predictions depend on thresholds: where several labels may hold, or questions have no answer.
    pub(crate) fn has_thresholds(&self) -> bool {
        match &self.task {
            Task::Labelled(task) => match task.target {
                LabelTarget::Labels(_) | LabelTarget::Answer(Answerable::Sometimes) => true,
                LabelTarget::Answer(Answerable::Always) => false,
                LabelTarget::Classes(_) | LabelTarget::Tags(_) | LabelTarget::Value(_) => false,
                LabelTarget::Similarity(_) | LabelTarget::Ranking => false,
            },
            Task::Prompted(_) => false,
        }
    }

    /// Number of dev examples.
    pub fn dev_len(&self) -> usize {
        self.dev.iter().map(|dev| dev.examples.len()).sum()
    }
}

/// Returns a note on the lines that were left out of a file; none if none were.
pub fn left_out_note(path: &Path, skipped: &[usize]) -> Option<String> {
    let first = skipped.first()?;
    Some(format!(
        "{}: {} lines without a label (or malformed) left out, the first is line {first}",
        path.display(),
        skipped.len()
    ))
}

/// Identity of a file's content.
///
/// # Errors
///
/// When it cannot be read.
pub fn file_digest(path: &Path) -> Result<String, Error> {
    let mut hash = Sha256::new();
    let copied = std::fs::File::open(path).and_then(|mut file| std::io::copy(&mut file, &mut hash));
    copied.map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(short_hex(hash))
}

/// The first 16 hexadecimal digits of a digest.
pub(crate) fn short_hex(hash: Sha256) -> String {
    format!("{:.16x}", hash.finalize())
}
