//! Evaluation: the prediction loop, and metrics as scikit-learn and scipy define them.

mod metrics;
mod outcomes;
mod predict;
mod significance;
mod text;

pub use metrics::*;
pub use outcomes::Outcomes;
pub use predict::{RepeatedPrediction, argmax, predict};
pub use significance::*;
pub use text::*;
