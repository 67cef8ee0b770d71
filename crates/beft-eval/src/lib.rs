//! Evaluation: the prediction loop, and metrics as scikit-learn and scipy define them.
//!
//! ```
//! assert_eq!(beft_eval::accuracy(&[0, 1, 1, 0], &[0, 1, 0, 0]), 0.75);
//! // A correlation with a constant is not defined.
//! assert_eq!(beft_eval::pearson(&[1.0, 1.0], &[0.1, 0.5]), None);
//! ```

mod calibration;
mod classes;
mod entities;
mod metrics;
mod outcomes;
mod predict;
mod shared;
mod significance;
mod spans;
mod text;

pub use calibration::{Calibration, CalibrationBin};
pub use classes::*;
pub use entities::*;
pub use metrics::*;
pub use outcomes::{Outcomes, predicted_labels};
pub use predict::{Part, RepeatedPrediction, argmax, predict, sigmoid, softmax};
pub use shared::{SharedInput, Sharing, predict_shared};
pub use significance::*;
pub use spans::{SpanChoice, WindowScores, best_no_answer_threshold, best_span};
pub use text::*;
