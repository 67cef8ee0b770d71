//! What a training's result follows from.

use std::fs;

use beft_checkpoint::TOKENIZER_FILES;
use beft_modes::Mode;
use beft_tasks::Task;
use beft_train::TrainSettings;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::data::short_hex;
use crate::{Base, Error, Objective};

/// Everything that a training's result follows from, to the last bit. Two trainings with equal records
/// give the same model.
///
/// A training is resumed, and a finished trial of a comparison is reused, only if the records are equal. A
/// setting that changes a result has to be in here, and nowhere else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingRecord {
    /// Version of this crate.
    pub beft_version: String,
    /// Digest of the model's weights, config and tokenizer.
    pub model: String,
    /// Name of the task.
    pub task: String,
    /// Digest of what the task is.
    pub task_definition: String,
    /// Digest of the examples, or of the files that they come from.
    pub data: String,
    /// Number of training examples; `None` for the whole file.
    pub train_size: Option<usize>,
    /// Number of dev examples; `None` for the whole files.
    pub dev_size: Option<usize>,
    /// What a decoder learns by.
    pub objective: Objective,
    /// What is trained, as the user writes it.
    pub terms: String,
    /// Longest input in tokens.
    pub max_length: usize,
    /// First word of the device's name.
    pub device: String,
    /// What the frozen weight matrices are kept in.
    pub precision: String,
    /// How it was trained.
    #[serde(flatten)]
    pub settings: TrainSettings,
}

/// What decides a training beside its settings.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The model.
    pub base: &'a Base,
    /// [`model_digest`] of the base.
    pub model: String,
    /// The task.
    pub task: &'a Task,
    /// Digest of the examples, or of the files that they come from.
    pub data: String,
    /// Number of training and of dev examples; `None` for whole files.
    pub sizes: (Option<usize>, Option<usize>),
    /// What a decoder learns by.
    pub objective: Objective,
    /// First word of the device's name.
    pub device: String,
    /// What the frozen weight matrices are kept in.
    pub precision: String,
}

impl TrainingRecord {
    /// The record of a training in a mode.
    pub fn new(inputs: Inputs<'_>, mode: &Mode, settings: &TrainSettings) -> Self {
        Self {
            beft_version: env!("CARGO_PKG_VERSION").to_owned(),
            model: inputs.model,
            task: inputs.task.name.clone(),
            task_definition: digest([inputs.task.definition().to_string()]),
            data: inputs.data,
            train_size: inputs.sizes.0,
            dev_size: inputs.sizes.1,
            objective: inputs.objective,
            terms: mode.to_string(),
            max_length: inputs.base.max_length(),
            device: inputs.device,
            precision: inputs.precision,
            settings: settings.identity(mode),
        }
    }

    pub(crate) fn fields(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        }
    }

    /// What an adapter keeps of it: the settings that are not the usual ones, and nothing that only
    /// identifies files.
    pub(crate) fn facts(&self) -> Map<String, Value> {
        let mut facts = self.fields();
        let identities = ["model", "task_definition", "data", "dev_size", "device"];
        let usual = [
            ("objective", "task"),
            ("precision", "f32"),
            ("keep", "last"),
        ];
        facts.retain(|name, value| {
            let said = match value {
                Value::Null => false,
                Value::Bool(value) => !(*value && name == "dropout"),
                Value::Array(values) => !values.is_empty(),
                Value::String(value) => !usual.contains(&(name, value)),
                _ => true,
            };
            said && !identities.contains(&name.as_str())
        });
        facts
    }
}

/// Files beside the weights that decide what a model makes of a text.
const CONFIGS: [&str; 2] = ["config.json", "generation_config.json"];

/// Identity of a model's weights, config and tokenizer.
///
/// # Errors
///
/// When a file cannot be read.
pub fn model_digest(base: &Base) -> Result<String, Error> {
    let mut parts = vec![base.tensors().digest().as_bytes().to_vec()];
    for name in CONFIGS.into_iter().chain(TOKENIZER_FILES) {
        let path = base.dir().path().join(name);
        match fs::read(&path) {
            Ok(bytes) => parts.extend([name.as_bytes().to_vec(), bytes]),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::Read { path, source }),
        }
    }
    Ok(digest(parts))
}

fn digest<T: AsRef<[u8]>>(parts: impl IntoIterator<Item = T>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.as_ref().len() as u64).to_le_bytes());
        hash.update(part);
    }
    short_hex(hash)
}

#[cfg(test)]
pub(crate) mod tests {
    use beft_modes::ModeSettings;
    use beft_nn::{Padding, Savings};
    use beft_train::Keep;

    use super::*;

    /// A training of LoRA.
    pub(crate) fn record() -> TrainingRecord {
        TrainingRecord {
            beft_version: "0.1.0".to_owned(),
            model: "m".to_owned(),
            task: "sst2".to_owned(),
            task_definition: "t".to_owned(),
            data: "d".to_owned(),
            train_size: Some(10),
            dev_size: Some(5),
            objective: Objective::Task,
            terms: "lora-v".to_owned(),
            max_length: 128,
            device: "flex".to_owned(),
            precision: "f32".to_owned(),
            settings: TrainSettings {
                modes: ModeSettings {
                    lora_rank: Some(8),
                    lora_alpha: Some(16.0),
                    random_entries: None,
                },
                ..TrainSettings::new(4e-4, 2, 0)
            },
        }
    }

    #[test]
    fn facts_are_what_is_not_usual() {
        let names = |record: &TrainingRecord| -> Vec<String> {
            let facts = record.facts();
            facts.keys().cloned().collect()
        };
        let usual = names(&record());
        let expected = [
            "beft_version",
            "task",
            "train_size",
            "terms",
            "max_length",
            "learning_rate",
            "epochs",
            "batch_size",
            "seed",
            "lora_rank",
            "lora_alpha",
        ];
        assert_eq!(usual, expected);
        let mut other = TrainingRecord {
            precision: "bf16".to_owned(),
            objective: Objective::Text,
            ..record()
        };
        other.settings.micro_batch = Some(2);
        other.settings.dropout = false;
        other.settings.savings = Savings::none(Padding::Longest);
        other.settings.keep = Keep::Best;
        other.settings.patience = Some(1);
        other.settings.modes.random_entries = Some(1);
        assert_eq!(names(&other).len(), usual.len() + 8);
    }
}
