use serde::{Deserialize, Serialize};

/// Settings of single modes. [`ModeSettings::default`] has the values of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModeSettings {
    /// Rank of LoRA's update.
    pub lora_rank: usize,
    /// LoRA's update is scaled by `alpha / rank`.
    pub lora_alpha: f64,
    /// Number of entries that the mode `random` trains; `None` for the number of biases.
    pub random_entries: Option<usize>,
    /// Seed of everything that a mode draws: random masks, LoRA's first factors.
    pub seed: u64,
}

impl Default for ModeSettings {
    fn default() -> Self {
        Self {
            lora_rank: 8,
            lora_alpha: 16.0,
            random_entries: None,
            seed: 0,
        }
    }
}

/// The settings that a mode uses; `None` for the others.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RecordedSettings {
    /// Rank of LoRA's update.
    pub lora_rank: Option<usize>,
    /// LoRA's alpha.
    pub lora_alpha: Option<f64>,
    /// Entries that the mode `random` trains.
    pub random_entries: Option<usize>,
}
