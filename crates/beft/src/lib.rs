//! Bias-efficient fine-tuning (BEFT, ACL 2026) in a few calls: rank the biases of a pretrained
//! transformer, pick the best of query, key and value, train only that, evaluate it.
//!
//! * [`Base`]: a pretrained model folder with its tokenizer.
//! * [`TaskData`]: a task's training subset and dev split, tokenised.
//! * [`tune`], [`rank`], [`evaluate`], [`run`]: the high-level calls.
//!
//! The crates underneath are re-exported; each can be used alone.

pub use beft_checkpoint as checkpoint;
pub use beft_core as core;
pub use beft_encoder as encoder;
pub use beft_eval as eval;
pub use beft_nn as nn;
pub use beft_score as score;
pub use beft_tasks as tasks;
pub use beft_train as train;

mod base;
mod data;
mod device;
mod error;
mod evaluate;
mod heatmap;
mod rank;
mod report;
mod results;
mod run;
mod tune;

pub use base::Base;
pub use beft_nn::Precision;
pub use data::TaskData;
pub use device::{BACKENDS, Backend, DeviceError, NamedDevice, parse_device, supported_dtypes};
pub use error::Error;
pub use evaluate::{Evaluation, Tuned, evaluate, open_tuned};
pub use heatmap::heatmap_svg;
pub use rank::{Ranking, rank};
pub use report::{modes_table, ranking_table, report_markdown};
pub use results::{EpochResult, ModeResult, RunResults, Settings};
pub use run::{RunEvent, RunOptions, RunOutcome, run, save_heatmaps, settings, write_json};
pub use tune::{TuneOptions, TuneOutcome, tune};
