use std::path::PathBuf;

use beft_modes::{Mode, ModeSettings};
use beft_nn::Savings;
use burn::optim::{AdamWConfig, ModuleOptimizer};

/// How to train. [`TrainConfig::new`] gives the paper's protocol.
#[derive(Clone, Debug)]
pub struct TrainConfig {
    /// What learns. The head always does.
    pub mode: Mode,
    /// Learning rate, at the first step.
    pub learning_rate: f64,
    /// How it goes on.
    pub schedule: Schedule,
    /// Passes over the data.
    pub epochs: usize,
    /// Examples per step; the last step of an epoch may have fewer.
    pub batch_size: usize,
    /// Examples of each training that are computed at a time, their gradients added up; `None` for all of a
    /// step.
    pub micro_batch: Option<usize>,
    /// Whether of a forward pass only the layers' inputs are kept, and each layer is computed anew in the
    /// backward pass (gradient checkpointing): less memory, more time, the same result.
    pub checkpointing: bool,
    /// Decides the order of examples and the dropout masks.
    pub seed: u64,
    /// Gradients are scaled down to this norm over all trained parameters together.
    pub max_grad_norm: f32,
    /// What is left out or done in a cheaper way; the result does not depend on it.
    pub savings: Savings,
    /// What unchanged layers give is kept in memory up to this many bytes, else in a temporary file.
    pub kept_memory: u64,
    /// The settings that belong to modes.
    pub modes: ModeSettings,
    /// Which epoch's model is kept, and when to stop early.
    pub selection: Selection,
    /// Where the state is written after each epoch, to be resumed from.
    pub checkpoint: Option<Checkpoint>,
}

/// What becomes of the learning rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schedule {
    /// It stays.
    #[default]
    Constant,
    /// It falls by the same amount at every step, to 0 behind the last (the `linear` schedule of HF's
    /// trainer, without warm-up).
    Linear,
}

impl Schedule {
    /// The learning rate's share at a step, counted from 0, of so many.
    pub(crate) fn share(self, step: usize, steps: usize) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Linear => 1.0 - step as f64 / steps.max(1) as f64,
        }
    }
}

/// Which epoch's model is kept, and when to stop early. By default the last one, never.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The metric that decides, larger is better.
    pub metric: String,
    /// Keep the epoch that was best by the metric (the first of equals) instead of the last.
    pub keep_best: bool,
    /// Stop after this many epochs without a better one.
    pub patience: Option<usize>,
}

/// A file that a training survives in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The file, replaced whole after each epoch.
    pub path: PathBuf,
    /// Go on from what the file holds, if it exists.
    pub resume: bool,
    /// Everything that decides the run's result (model, data, settings), as text. A file with another
    /// identity is refused ([`TrainError::OtherTraining`](crate::TrainError::OtherTraining)).
    pub identity: String,
}

impl TrainConfig {
    /// The paper's protocol: batches of 16, clipping at 1.0; LoRA of rank 8 and alpha 16.
    pub fn new(mode: impl Into<Mode>, learning_rate: f64, epochs: usize, seed: u64) -> Self {
        Self {
            mode: mode.into(),
            learning_rate,
            schedule: Schedule::default(),
            epochs,
            batch_size: 16,
            micro_batch: None,
            checkpointing: false,
            seed,
            max_grad_norm: 1.0,
            savings: Savings::default(),
            kept_memory: 2 << 30,
            modes: ModeSettings {
                seed,
                ..ModeSettings::default()
            },
            selection: Selection::default(),
            checkpoint: None,
        }
    }

    /// AdamW with the paper's constants: betas 0.9 and 0.999, epsilon 1e-6, no weight decay, bias
    /// correction.
    pub fn optimizer(&self) -> ModuleOptimizer {
        AdamWConfig::new()
            .with_beta_1(0.9)
            .with_beta_2(0.999)
            .with_epsilon(1e-6)
            .with_weight_decay(0.0)
            .init()
    }
}
