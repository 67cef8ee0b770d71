//! Tasks of labelled texts, for encoders.

use std::path::Path;

use beft_core::{EncodedSet, Outputs, Targets};
use beft_tasks::{
    Dataset, Example, Label, LabelTarget, LabelledTask, Split, TaskKind, training_subset,
};
use sha2::{Digest, Sha256};

use super::class_weights::ClassWeights;
use super::{
    DataOptions, DevInputs, DevSet, Objective, SpanQuestions, TaggedSet, TaskData, compared_set,
    left_out_note, short_hex,
};
use crate::{Base, Error};

pub(super) fn load(
    task: &LabelledTask,
    data: &Path,
    base: &Base,
    options: &DataOptions,
) -> Result<TaskData, Error> {
    let train = task.load(data, Split::Train, None)?;
    let text_pairs = has_pairs(&train.examples);
    let mut notes = notes_of(&train);
    let mut dev = Vec::new();
    for split in task.dev_splits() {
        let mut found = task.load(data, *split, Some(&train.labels))?;
        if text_pairs != has_pairs(&found.examples) {
            return Err(Error::MixedPairs {
                train: train.path,
                dev: found.path,
            });
        }
        notes.extend(notes_of(&found));
        if let Some(limit) = options.limit {
            found.examples.truncate(limit.max(1));
        }
        let (inputs, note) = encode(base, task, &found.examples, &train.labels, &found.path)?;
        notes.extend(note);
        dev.push(DevSet {
            split: *split,
            examples: found.examples,
            inputs,
        });
    }
    let available = train.examples.len();
    let (size, fewer) = options.size(task.defaults.train_size, available, &train.path)?;
    notes.extend(fewer);
    let chosen: Vec<Example> = training_subset(options.seed, available, size)
        .into_iter()
        .map(|index| train.examples[index].clone())
        .collect();
    let dev_examples = dev.iter().flat_map(|dev| &dev.examples);
    let (inputs, note) = encode(base, task, &chosen, &train.labels, &train.path)?;
    notes.extend(note);
    let mut train_set = inputs.into_set();
    let weights = ClassWeights::of(&train_set.targets, train.labels.len());
    // That most words are no entity goes without saying.
    if task.target.kind() != TaskKind::TokenClassification {
        let file = train.path.display().to_string();
        notes.extend(weights.note(&train.labels, task.balanced, &file));
    }
    if task.balanced {
        train_set.class_weights = weights.balanced;
    }
    Ok(TaskData {
        task: task.clone().into(),
        outputs: match task.target {
            LabelTarget::Classes(_) => Outputs::Classes(train.labels),
            LabelTarget::Labels(_) => Outputs::Labels(train.labels),
            LabelTarget::Tags(_) => Outputs::Tags(train.labels),
            LabelTarget::Value(_) => Outputs::Value,
            LabelTarget::Answer(_) => Outputs::Span,
            LabelTarget::Similarity(_) | LabelTarget::Ranking => Outputs::Embedding,
        },
        text_pairs,
        fingerprint: fingerprint(chosen.iter().chain(dev_examples)),
        train: train_set,
        train_examples: chosen,
        dev,
        notes,
        objective: Objective::Task,
        split_file: None,
    })
}

/// What to say about a file, and about lines that were left out of it.
fn notes_of(data: &Dataset) -> Vec<String> {
    let mut notes = data.notes.clone();
    notes.extend(left_out_note(&data.path, &data.skipped));
    notes
}

fn fingerprint<'a>(examples: impl Iterator<Item = &'a Example>) -> String {
    let mut hash = Sha256::new();
    for example in examples {
        hash.update(format!(
            "{:?}\n",
            (&example.text, &example.text_pair, &example.label)
        ));
    }
    short_hex(hash)
}

/// Whether any example is a pair of texts.
fn has_pairs(examples: &[Example]) -> bool {
    examples.iter().any(|e| e.text_pair.is_some())
}

/// Tokenised examples, and what to say of them; `path` is their file, and `names` are those of the labels.
fn encode(
    base: &Base,
    task: &LabelledTask,
    examples: &[Example],
    names: &[String],
    path: &Path,
) -> Result<(DevInputs, Vec<String>), Error> {
    let file = path.display().to_string();
    match task.target {
        LabelTarget::Tags(_) => {
            let examples: Vec<&Example> = examples.iter().collect();
            let (tagged, notes) = TaggedSet::new(base, &examples, names, &file)?;
            return Ok((DevInputs::Tagged(tagged), notes));
        }
        LabelTarget::Answer(answerable) => {
            let questions = SpanQuestions::new(base, answerable, examples, &file)?;
            let notes = questions.notes(base, &file);
            return Ok((DevInputs::Spans(questions), notes));
        }
        LabelTarget::Similarity(_) | LabelTarget::Ranking => {
            let (set, notes) = compared_set(base, task, examples, &file)?;
            return Ok((DevInputs::Compared(set), notes));
        }
        LabelTarget::Classes(_) | LabelTarget::Labels(_) | LabelTarget::Value(_) => {}
    }
    let texts = examples
        .iter()
        .map(|e| (e.text.as_str(), e.text_pair.as_deref()));
    let encoded = base.encode(texts)?;
    let notes = base.input_notes(&file, encoded.counts);
    let set = EncodedSet::new(encoded.encodings, targets(task, examples.iter()));
    Ok((DevInputs::Labelled(set), notes))
}

/// The label of each example, or of words the tags, which every example that is read with labels has.
pub(crate) fn targets<'a>(
    task: &LabelledTask,
    examples: impl Iterator<Item = &'a Example>,
) -> Targets {
    let labels = examples.filter_map(|e| e.label.as_ref());
    match task.target {
        LabelTarget::Classes(_) => Targets::Classes(labels.filter_map(Label::class).collect()),
        LabelTarget::Labels(_) => {
            let sets = labels.filter_map(Label::labels);
            Targets::Labels(sets.map(<[usize]>::to_vec).collect())
        }
        // Several inputs have them together, see `compared_set`.
        LabelTarget::Similarity(_) | LabelTarget::Ranking => Targets::Ranked(0),
        // Windows have them, not questions, see `SpanQuestions`.
        LabelTarget::Answer(_) => Targets::Spans(Vec::new()),
        LabelTarget::Tags(_) => {
            let tags = labels.filter_map(Label::tags);
            let tags = tags.map(|tags| tags.iter().copied().map(Some).collect());
            Targets::Tags(tags.collect())
        }
        LabelTarget::Value(_) => {
            let values = labels.filter_map(Label::value);
            Targets::Values(values.map(|value| value as f32).collect())
        }
    }
}
