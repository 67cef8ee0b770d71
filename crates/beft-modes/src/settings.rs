use serde::{Deserialize, Serialize};

/// The settings that belong to modes; `None` for the protocol's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModeSettings {
    /// Rank of LoRA's update (protocol: 8).
    pub lora_rank: Option<usize>,
    /// LoRA's update is scaled by `alpha / rank` (protocol: 16).
    pub lora_alpha: Option<f64>,
    /// Entries that the mode `random` trains (protocol: as many as the model has biases).
    pub random_entries: Option<usize>,
}

impl ModeSettings {
    /// Rank of LoRA's update.
    pub fn rank(&self) -> usize {
        self.lora_rank.unwrap_or(8)
    }

    /// LoRA's alpha.
    pub fn alpha(&self) -> f64 {
        self.lora_alpha.unwrap_or(16.0)
    }
}
