use serde::{Deserialize, Serialize};

/// The settings that belong to modes. [`ModeSettings::default`] has those of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModeSettings {
    /// Rank of LoRA's update.
    pub lora_rank: usize,
    /// LoRA's update is scaled by `alpha / rank`.
    pub lora_alpha: f64,
    /// Entries that the mode `random` trains; `None` for as many as the model has biases.
    pub random_entries: Option<usize>,
    /// Decides what a mode draws: random masks, LoRA's first factors.
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

/// The settings that a mode reads; `None` for the others.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RecordedSettings {
    /// Rank of LoRA's update.
    pub lora_rank: Option<usize>,
    /// LoRA's alpha.
    pub lora_alpha: Option<f64>,
    /// Entries that the mode `random` trains.
    pub random_entries: Option<usize>,
}
