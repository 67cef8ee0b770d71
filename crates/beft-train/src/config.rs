use std::path::PathBuf;

use beft_modes::{Mode, ModeSettings};
use beft_nn::Savings;
use burn::optim::{AdamWConfig, ModuleOptimizer};

/// The recipe of a training. [`TrainConfig::new`] gives the paper's protocol.
#[derive(Clone, Debug)]
pub struct TrainConfig {
    /// The mode, which says what is trained. The head is always trained.
    pub mode: Mode,
    /// Learning rate at the first step.
    pub learning_rate: f64,
    /// The learning rate at later steps.
    pub schedule: Schedule,
    /// Passes over the data.
    pub epochs: usize,
    /// Examples per step; the last step of an epoch may have fewer.
    pub batch_size: usize,
    /// Number of examples of each training to compute at a time; the gradients of a step are summed. `None`
    /// for all of a step.
    pub micro_batch: Option<usize>,
    /// Gradient checkpointing: a forward pass keeps only the inputs of the layers, and the backward pass
    /// computes each layer again. It takes less memory and more time and gives the same result.
    pub checkpointing: bool,
    /// Seed of the order of examples and of the dropout masks.
    pub seed: u64,
    /// Gradients are scaled down to this norm over all trained parameters together.
    pub max_grad_norm: f32,
    /// Computations to leave out or to do more cheaply. The result does not depend on them.
    pub savings: Savings,
    /// Bytes of memory for the outputs of unchanged layers. Larger outputs go to a temporary file.
    pub kept_memory: u64,
    /// Settings of single modes.
    pub modes: ModeSettings,
    /// Which epoch's model is kept, and when to stop early.
    pub selection: Selection,
    /// The file to which the state is written after each epoch.
    pub checkpoint: Option<Checkpoint>,
}

/// How the learning rate changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schedule {
    /// It is constant.
    #[default]
    Constant,
    /// It falls by the same amount at every step and is 0 after the last one (the `linear` schedule of HF's
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

/// Which epoch's model is kept, and when to stop early. By default the last epoch is kept and training never
/// stops early.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The metric that decides, larger is better.
    pub metric: String,
    /// Keep the epoch that was best by the metric (the first of equals) instead of the last.
    pub keep_best: bool,
    /// Stop after this many epochs without a better one.
    pub patience: Option<usize>,
}

/// The file that holds the state of a training between two epochs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The path of the file, which is replaced as a whole after each epoch.
    pub path: PathBuf,
    /// Whether to continue from the state in the file, if the file exists.
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
