use beft_core::TermSet;
use beft_nn::Padding;
use burn::optim::{AdamWConfig, ModuleOptimizer};

/// How to train. [`TrainConfig::new`] gives the paper's protocol.
#[derive(Clone, Debug)]
pub struct TrainConfig {
    /// Which biases learn. The head always does.
    pub terms: TermSet,
    /// Constant learning rate.
    pub learning_rate: f64,
    /// Passes over the data.
    pub epochs: usize,
    /// Examples per step; the last step of an epoch may have fewer.
    pub batch_size: usize,
    /// Decides the order of examples and the dropout masks.
    pub seed: u64,
    /// Gradients are scaled down to this norm over all trained parameters together.
    pub max_grad_norm: f32,
    /// How much padding is computed; the result does not depend on it except through dropout.
    pub padding: Padding,
}

impl TrainConfig {
    /// The paper's protocol: batches of 16, clipping at 1.0.
    pub fn new(terms: TermSet, learning_rate: f64, epochs: usize, seed: u64) -> Self {
        Self {
            terms,
            learning_rate,
            epochs,
            batch_size: 16,
            seed,
            max_grad_norm: 1.0,
            padding: Padding::default(),
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
