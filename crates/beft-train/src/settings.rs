use std::path::PathBuf;

use crate::{Evaluate, Team};
use beft_core::Stop;
use beft_modes::{Mode, ModeSettings};
use beft_nn::{ForwardPrecision, Padding, Savings};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The settings of a training. [`TrainSettings::new`] gives the paper's protocol.
///
/// What is serialised is what the result depends on: a training is resumed, and a finished one is reused, only
/// if that is the same. A setting that changes no result is marked `serde(skip)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainSettings {
    /// Learning rate, at the first step.
    pub learning_rate: f64,
    /// Passes over the training examples.
    pub epochs: usize,
    /// Examples per step; the last step of an epoch may have fewer.
    pub batch_size: usize,
    /// Examples of each training that are computed at a time, their gradients added up; `None` for all of a
    /// step.
    pub micro_batch: Option<usize>,
    /// Decides the head, the order of examples, dropout and what a mode draws.
    pub seed: u32,
    /// Whether values are dropped in training, as the model's config says.
    pub dropout: bool,
    /// What is left out or done in a cheaper way; the result differs in its rounding at most.
    #[serde(rename = "without", with = "left_out")]
    pub savings: Savings,
    /// What the frozen matrices are multiplied in, forward.
    #[serde(
        default,
        skip_serializing_if = "ForwardPrecision::is_f32",
        with = "as_text"
    )]
    pub forward: ForwardPrecision,
    /// The settings that belong to modes.
    #[serde(flatten)]
    pub modes: ModeSettings,
    /// Which epoch's model is kept.
    pub keep: Keep,
    /// Training stops after this many epochs without a better one by the main metric.
    pub patience: Option<usize>,
    /// After which epochs it is evaluated.
    #[serde(default, skip_serializing_if = "Evaluate::is_each")]
    pub evaluate: Evaluate,
    /// Whether the thresholds of labels, where several may hold, are chosen on the dev split when training is over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tune_thresholds: bool,
    /// Whether of a forward pass only the layers' inputs are kept, and each layer is computed anew in the
    /// backward pass (gradient checkpointing): less memory, more time, the same bits.
    #[serde(skip)]
    pub checkpointing: bool,
    /// What unchanged layers give is kept in memory up to this many bytes, else in a temporary file.
    #[serde(skip, default = "kept_memory")]
    pub kept_memory: u64,
    /// Where the state is written after each epoch, to be resumed from.
    #[serde(skip)]
    pub checkpoint: Option<Checkpoint>,
    /// The devices and processes that compute each step together.
    #[serde(skip)]
    pub team: Team,
    /// Stops the training after the step under way, or in an evaluation, with its state written.
    #[serde(skip)]
    pub stop: Stop,
}

/// Which epoch's model is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// The last.
    #[default]
    Last,
    /// The best by the main metric, the first of equals.
    Best,
}

/// A file that a training survives in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The file, replaced whole after each epoch.
    pub path: PathBuf,
    /// Whether to continue from what the file holds, if it exists.
    pub resume: bool,
}

const fn kept_memory() -> u64 {
    2 << 30
}

impl TrainSettings {
    /// The paper's protocol: batches of 16, dropout, LoRA of rank 8 and alpha 16, the last epoch.
    pub fn new(learning_rate: f64, epochs: usize, seed: u32) -> Self {
        Self {
            learning_rate,
            epochs,
            batch_size: 16,
            micro_batch: None,
            seed,
            dropout: true,
            savings: Savings::default(),
            forward: ForwardPrecision::default(),
            modes: ModeSettings::default(),
            keep: Keep::default(),
            patience: None,
            evaluate: Evaluate::default(),
            tune_thresholds: false,
            checkpointing: false,
            kept_memory: kept_memory(),
            checkpoint: None,
            team: Team::default(),
            stop: Stop::default(),
        }
    }

    /// The same without what changes nothing in a mode: settings of other modes, and a part of a step that is
    /// no smaller than the whole.
    pub fn identity(&self, mode: &Mode) -> Self {
        Self {
            micro_batch: self.micro_batch.filter(|size| *size < self.batch_size),
            modes: mode.recorded(&self.modes),
            ..self.clone()
        }
    }
}

/// A value as it is written and read elsewhere.
mod as_text {
    use super::*;

    pub(super) fn serialize<S: Serializer>(
        value: &ForwardPrecision,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<ForwardPrecision, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Savings as the names of those that are left out: without them a result differs in its rounding.
mod left_out {
    use super::*;

    const PADDING: &str = "padding-to-";

    pub(super) fn serialize<S: Serializer>(savings: &Savings, out: S) -> Result<S::Ok, S::Error> {
        let names = Savings::NAMES.into_iter();
        let off = names.filter(|name| savings.without(name) == Some(*savings));
        let mut off: Vec<String> = off.map(str::to_owned).collect();
        if let Padding::To(length) = savings.padding {
            off.push(format!("{PADDING}{length}"));
        }
        off.serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Savings, D::Error> {
        let mut savings = Savings::default();
        for name in Vec::<String>::deserialize(from)? {
            let unknown = || de::Error::custom(format!("unknown saving `{name}`"));
            match name.strip_prefix(PADDING) {
                Some(length) => {
                    savings.padding = Padding::To(length.parse().map_err(|_| unknown())?)
                }
                None => savings = savings.without(&name).ok_or_else(unknown)?,
            }
        }
        Ok(savings)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn savings_that_are_left_out_have_names() {
        for (savings, names) in [
            (Savings::default(), vec![]),
            (Savings::none(Padding::Longest), Savings::NAMES.to_vec()),
            (Savings::from(Padding::To(64)), vec!["padding-to-64"]),
        ] {
            let settings = TrainSettings {
                savings,
                ..TrainSettings::new(4e-4, 2, 1)
            };
            let value = serde_json::to_value(&settings).unwrap();
            assert_eq!(value["without"], json!(names));
            let read: TrainSettings = serde_json::from_value(value).unwrap();
            assert_eq!(read.savings, savings);
        }
    }

    #[test]
    fn what_changes_the_result_is_written_and_read() {
        let settings = TrainSettings {
            savings: Savings::none(Padding::To(64)),
            keep: Keep::Best,
            patience: Some(3),
            ..TrainSettings::new(4e-4, 2, 1)
        };
        let mut lora = settings.identity(&"lora-v".parse().unwrap());
        let value = serde_json::to_value(&lora).unwrap();
        assert_eq!(value["lora_rank"], 8);
        // In the place of packing, the first.
        let mut off = Savings::NAMES[1..].to_vec();
        off.push("padding-to-64");
        assert_eq!(value["without"], json!(off));
        lora.checkpointing = false;
        assert_eq!(
            serde_json::from_value::<TrainSettings>(value).unwrap(),
            lora
        );

        let usual = TrainSettings {
            micro_batch: Some(16),
            ..TrainSettings::new(4e-4, 2, 1)
        };
        let value = serde_json::to_value(usual.identity(&"v".parse().unwrap())).unwrap();
        let expected = json!({
            "learning_rate": 4e-4, "epochs": 2, "batch_size": 16, "micro_batch": null, "seed": 1,
            "dropout": true, "without": [], "lora_rank": null, "lora_alpha": null,
            "random_entries": null, "keep": "last", "patience": null,
        });
        assert_eq!(value, expected);
    }
}
