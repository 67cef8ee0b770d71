//! Bias-only training.
//!
//! [`train`] takes a model, tokenised data and a [`TrainConfig`] whose [`Mode`](beft_modes::Mode)
//! says which biases learn (or what they are compared with); everything else stays as it was, bit
//! for bit. The protocol is the paper's (section 4): AdamW without decay, constant learning rate,
//! gradients clipped to a global norm of 1, dropout as in the model's config, a metric after each
//! epoch. The same seed gives the same result, byte for byte, on the same machine and backend with
//! the same number of threads.
//!
//! [`train_together`] runs several such trainings in one pass over one frozen backbone. A [`Team`] of devices and
//! processes computes the steps of one together.
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

mod config;
mod error;
mod evaluate;
mod gradients;
mod joint;
mod moments;
mod run;
mod select;
mod settings;
mod step;
mod team;

pub use config::{Schedule, TrainConfig};
pub use error::{Failure, TrainError};
pub use evaluate::{Evaluate, EvaluateError};
pub use gradients::gradients_by_path;
pub use joint::{Job, NOT_PACKED, is_whole_state, packs_layers, train, train_together};
pub use moments::{first_gradient, gradient_moments};
pub use run::{EpochRecord, Event, Metrics, Trained, epoch_order, training_step};
pub use select::{GradMasks, Prepared, prepare, trainable_count, unchanged_layers, with_trainable};
pub use settings::{Checkpoint, Keep, TrainSettings};
pub use step::{batch_loss, clip_global_norm};
pub use team::{Peers, Team};
