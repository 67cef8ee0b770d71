use std::path::Path;

use beft_core::{EncodedSet, Targets};
use beft_modes::{Asked, Mode};
use beft_tasks::{
    Dataset, Example, Label, PromptExample, PromptKind, PromptTask, Split, Task, TaskKind,
    training_subset,
};
use sha2::{Digest, Sha256};

use crate::prompts::{Calibration, Prompter};
use crate::{Base, Error, Objective, Questions};

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
    /// What a decoder learns by.
    pub objective: Objective,
}

/// A dev split.
#[derive(Clone, Debug)]
pub struct DevSet {
    /// Which one.
    pub split: Split,
    /// The texts.
    pub examples: Vec<Example>,
    /// The same, tokenised; of prompts with all candidates, or none where the answer is to be generated.
    pub set: EncodedSet,
    /// For each prompt all of its right candidates; empty for an encoder's task.
    pub(crate) right: Vec<Vec<usize>>,
    /// What is to be answered in the model's own words.
    pub questions: Option<Questions>,
    /// What predictions are calibrated with.
    pub(crate) calibration: Option<Calibration>,
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
        let &DataOptions {
            train_size,
            limit,
            seed,
            ..
        } = options;
        check_kind(base, task)?;
        if let Some(prompt) = &task.prompt {
            return Self::load_prompts(task, prompt, data, base, options);
        }
        let train = task.load(data, Split::Train, None)?;
        let text_pairs = has_pairs(&train.examples);
        let mut notes = notes_of(&train);
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
            notes.extend(notes_of(&found));
            if let Some(limit) = limit {
                found.examples.truncate(limit.max(1));
            }
            let (set, note) = encode(base, task, found.examples.iter().collect(), &found.path)?;
            notes.extend(note);
            dev.push(DevSet {
                split: *split,
                set,
                examples: found.examples,
                right: Vec::new(),
                questions: None,
                calibration: None,
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
        let (train_set, note) = encode(base, task, chosen.iter().collect(), &train.path)?;
        notes.extend(note);
        Ok(Self {
            task: task.clone(),
            text_pairs,
            fingerprint: fingerprint(chosen.iter().chain(dev_examples)),
            train: train_set,
            train_examples: chosen,
            dev,
            labels: train.labels,
            notes,
            objective: Objective::Task,
        })
    }

    /// The same of a decoder's task. The dev split is cut to the protocol's number of examples, drawn by
    /// seed 0.
    fn load_prompts(
        task: &Task,
        prompt: &PromptTask,
        data: &Path,
        base: &Base,
        options: &DataOptions,
    ) -> Result<Self, Error> {
        let train = prompt.load(data, Split::Train)?;
        let available = train.examples.len();
        // The protocol's 1,000 are all where there are fewer.
        let size = match options.train_size {
            Some(size) if Some(size) == task.defaults.train_size => size.min(available),
            size => size.unwrap_or(available),
        };
        if size == 0 || size > available {
            return Err(Error::Usage(format!(
                "--train-size {size} does not fit {}: it has {available} examples",
                train.path.display()
            )));
        }
        let chosen: Vec<PromptExample> = training_subset(options.seed, available, size)
            .into_iter()
            .map(|index| train.examples[index].clone())
            .collect();
        let found = prompt.load(data, Split::Dev)?;
        let mut notes = Vec::new();
        for set in [&train, &found] {
            notes.extend(set.notes.iter().cloned());
            notes.extend(note_left_out(&set.path, &set.skipped));
        }
        let examples = dev_sample(prompt, found.examples, options.limit);
        let asked = options.asked;
        if asked.shots > size {
            return Err(Error::Usage(format!(
                "{} worked examples are asked for, there are {size}",
                asked.shots
            )));
        }
        let prompter = Prompter::new(base, prompt, &chosen[..asked.shots], options.reserved);
        let dev = prompter.dev_set(&examples, asked.calibrated)?;
        let bare = Prompter::new(base, prompt, &[], options.reserved);
        let train_set = bare.train(&chosen, options.objective)?;
        notes.extend(prompter.cut_note("dev"));
        notes.extend(bare.cut_note("train"));
        let mut hash = Sha256::new();
        for example in chosen.iter().chain(&examples) {
            hash.update(format!("{example:?}\n"));
        }
        hash.update(format!("{asked:?} {:?}", options.objective));
        Ok(Self {
            task: task.clone(),
            labels: choice_names(train.labels, &dev),
            text_pairs: false,
            train: train_set,
            train_examples: chosen.iter().map(plain).collect(),
            dev: vec![dev],
            fingerprint: short_hex(hash),
            notes,
            objective: options.objective,
        })
    }

    /// Number of outputs of a model for it: the classes, or 1.
    pub fn outputs(&self) -> usize {
        self.labels.len().max(1)
    }

    /// Number of dev examples.
    pub fn dev_len(&self) -> usize {
        self.dev.iter().map(|dev| dev.examples.len()).sum()
    }
}

/// Fails for an encoder's task on a decoder, and the other way round.
pub(crate) fn check_kind(base: &Base, task: &Task) -> Result<(), Error> {
    match (base.decoder_config(), &task.prompt) {
        (Some(_), None) => Err(Error::Usage(format!(
            "task {} is in the form for encoders, and {} is a decoder (find_task gives the other)",
            task.name,
            base.name()
        ))),
        (None, Some(_)) => Err(Error::Usage(format!(
            "task {} is in the form for decoders, and {} is an encoder (find_task gives the other)",
            task.name,
            base.name()
        ))),
        _ => Ok(()),
    }
}

/// The dev examples that are measured on.
pub(crate) fn dev_sample(
    prompt: &PromptTask,
    examples: Vec<PromptExample>,
    limit: Option<usize>,
) -> Vec<PromptExample> {
    let (available, most) = (examples.len(), prompt.defaults.dev_size);
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

impl Prompter<'_> {
    /// Examples to measure on.
    pub(crate) fn dev_set(
        &self,
        examples: &[PromptExample],
        calibrated: bool,
    ) -> Result<DevSet, Error> {
        let text = self.kind() == PromptKind::Generation;
        let generates = text && !self.measures_likelihood();
        if text && calibrated {
            return Err(Error::Usage(
                "answers that are generated cannot be calibrated".to_owned(),
            ));
        }
        let (set, right) = match (text, generates) {
            (_, true) => (
                EncodedSet {
                    encodings: Vec::new(),
                    targets: Targets::Classes(Vec::new()),
                },
                Vec::new(),
            ),
            (true, _) => (self.train(examples, Objective::Text)?, Vec::new()),
            (false, _) => {
                let choices = self.choices(examples)?;
                (choices.set, choices.right)
            }
        };
        Ok(DevSet {
            split: Split::Dev,
            examples: examples.iter().map(plain).collect(),
            set,
            right,
            questions: generates.then(|| self.questions(examples)).transpose()?,
            calibration: calibrated.then(|| self.calibration(examples)).transpose()?,
        })
    }
}

/// A prompt as a text with its label.
pub(crate) fn plain(example: &PromptExample) -> Example {
    Example {
        text: example.prompt.clone(),
        text_pair: None,
        label: example.right.first().map(|right| Label::Class(*right)),
        line: example.line,
    }
}

/// The labels, or where each example has candidates of its own their numbers.
pub(crate) fn choice_names(labels: Vec<String>, dev: &DevSet) -> Vec<String> {
    if !labels.is_empty() || dev.right.is_empty() {
        return labels;
    }
    let encodings = dev.set.encodings.iter();
    let most = encodings.map(|e| e.branches.len()).max().unwrap_or(0);
    (1..=most).map(|number| format!("choice{number}")).collect()
}

/// What to say about a file, and about lines that were left out of it.
fn notes_of(data: &Dataset) -> Vec<String> {
    let mut notes = data.notes.clone();
    notes.extend(note_left_out(&data.path, &data.skipped));
    notes
}

pub(crate) fn note_left_out(path: &Path, skipped: &[usize]) -> Vec<String> {
    let Some(first) = skipped.first() else {
        return Vec::new();
    };
    vec![format!(
        "{}: {} malformed or unlabelled lines left out, the first is line {first}",
        path.display(),
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
    short_hex(hash)
}

fn short_hex(hash: Sha256) -> String {
    let digest = hash.finalize();
    digest.iter().take(8).map(|b| format!("{b:02x}")).collect()
}

/// Whether any example is a pair of texts.
pub(crate) fn has_pairs(examples: &[Example]) -> bool {
    examples.iter().any(|e| e.text_pair.is_some())
}

/// Tokenised examples, and what to say of them; `path` is their file.
fn encode(
    base: &Base,
    task: &Task,
    examples: Vec<&Example>,
    path: &Path,
) -> Result<(EncodedSet, Vec<String>), Error> {
    let texts = examples
        .iter()
        .map(|e| (e.text.as_str(), e.text_pair.as_deref()));
    let encoded = base.encode(texts)?;
    let notes = base.input_notes(&path.display().to_string(), &encoded);
    let set = EncodedSet {
        encodings: encoded.encodings,
        targets: targets(task, examples.into_iter()),
    };
    Ok((set, notes))
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
