//! Bias-only training.
//!
//! [`train`] takes a model, tokenised data and a [`TrainConfig`] whose [`Mode`](beft_modes::Mode)
//! says which biases learn (or what they are compared with); everything else stays as it was, bit
//! for bit. The protocol is the paper's (section 4): AdamW without decay, constant learning rate,
//! gradients clipped to a global norm of 1, dropout as in the model's config, a metric after each
//! epoch. The same seed gives the same result, byte for byte, on the same machine and backend with
//! the same number of threads.
//!
//! [`train_together`] runs several such trainings in one pass over one frozen backbone.
//!
//! ```
//! use beft_modes::Mode;
//! use beft_train::{Schedule, TrainConfig};
//!
//! let mode: Mode = "v".parse().unwrap();
//! let (learning_rate, epochs, seed) = (4e-4, 10, 0);
//! let config = TrainConfig {
//!     schedule: Schedule::Linear,
//!     ..TrainConfig::new(mode, learning_rate, epochs, seed)
//! };
//! assert_eq!(config.max_grad_norm, 1.0);
//! ```

mod clip;
mod config;
mod error;
mod gradients;
mod joint;
mod loss;
mod lower_layers;
mod mask;
mod recompute;
mod run;
mod select;
mod sets;
mod state;
mod step;

pub use clip::clip_global_norm;
pub use config::{Checkpoint, Schedule, Selection, TrainConfig};
pub use error::{Failure, TrainError};
pub use gradients::{fisher, gradient_norm, gradients_by_path};
pub use joint::{Job, train, train_together};
pub use loss::batch_loss;
pub use mask::GradMasks;
pub use run::{EpochRecord, Event, Metrics, Trained, epoch_order, training_step};
pub use select::{Prepared, prepare, trainable_count, unchanged_layers, with_trainable};
