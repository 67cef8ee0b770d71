//! Evaluation: the prediction loop, and metrics as scikit-learn and scipy define them.

mod metrics;
mod predict;

pub use metrics::*;
pub use predict::{argmax, predict};
