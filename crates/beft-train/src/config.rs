use beft_modes::Mode;
use burn::optim::{AdamWConfig, ModuleOptimizer};

use crate::TrainSettings;

/// A training: what is trained, how, and what belongs to the model and the task.
#[derive(Clone, Debug)]
pub struct TrainConfig {
    /// The mode, which says what is trained. The head is always trained.
    pub mode: Mode,
    /// How.
    pub settings: TrainSettings,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// The metric by which epochs are compared, larger is better.
    pub metric: String,
    /// Gradients are scaled down to this norm over all trained parameters together.
    pub max_grad_norm: f32,
    /// Everything that decides the run's result (model, data, settings), as text. A checkpoint with another
    /// identity is refused ([`TrainError::OtherTraining`](crate::TrainError::OtherTraining)).
    pub identity: String,
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

impl TrainConfig {
    /// A training in the paper's protocol: [`TrainSettings::new`], clipping at 1.0.
    pub fn new(mode: impl Into<Mode>, learning_rate: f64, epochs: usize, seed: u32) -> Self {
        Self::of(mode, TrainSettings::new(learning_rate, epochs, seed))
    }

    /// A training with these settings; the rest as in the paper's protocol.
    pub fn of(mode: impl Into<Mode>, settings: TrainSettings) -> Self {
        Self {
            mode: mode.into(),
            settings,
            schedule: Schedule::default(),
            metric: String::new(),
            max_grad_norm: 1.0,
            identity: String::new(),
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
