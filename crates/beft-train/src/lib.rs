//! Bias-only training.
//!
//! [`train`] takes a model, tokenised data and a [`TrainConfig`] whose
//! [`TermSet`](beft_core::TermSet) says which biases learn; everything else stays as it was, bit
//! for bit. The protocol is the paper's (section 4): AdamW without decay, constant learning rate,
//! gradients clipped to a global norm of 1, dropout as in the model's config, a metric after each
//! epoch. The same seed gives the same result, byte for byte, on the same machine and backend.
//!
//! [`core`] and [`nn`] are re-exported, so that a program needs this crate and a model's alone.

mod clip;
mod config;
mod run;
mod select;

pub use beft_core as core;
pub use beft_nn as nn;
pub use clip::clip_global_norm;
pub use config::TrainConfig;
pub use run::{EpochRecord, Event, Failure, Metrics, Trained, train, training_step};
pub use select::{TrainError, trainable_count, with_trainable};
