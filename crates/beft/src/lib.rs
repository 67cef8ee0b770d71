//! Bias-efficient fine-tuning (BEFT, ACL 2026) in a few calls: rank the biases of a pretrained
//! transformer, pick the best of query, key and value, train only that, evaluate it.
//!
//! * [`Base`]: a pretrained model folder with its tokenizer.
//! * [`TaskData`]: a task's training subset and dev split, tokenised.
//! * [`tune`], [`rank`], [`evaluate`], [`run`]: the high-level calls.
//! * [`tune_together`]: several trainings in one pass over one backbone.
//! * [`compare`]: many of them, over models, tasks, regimes, modes and seeds.
//!
//! The crates underneath are re-exported; each can be used alone.

pub use beft_checkpoint as checkpoint;
pub use beft_core as core;
pub use beft_decoder as decoder;
pub use beft_encoder as encoder;
pub use beft_eval as eval;
pub use beft_hub as hub;
pub use beft_modes as modes;
pub use beft_nn as nn;
pub use beft_score as score;
pub use beft_tasks as tasks;
pub use beft_train as train;

mod answers;
mod base;
mod class_order;
pub mod compare;
mod data;
mod device;
mod differences;
mod error;
mod evaluate;
mod find;
mod heatmap;
mod memory;
mod misfit;
mod model;
mod open;
mod plan;
mod prompts;
mod rank;
mod record;
mod report;
mod results;
mod resume;
mod run;
mod tune;

pub use answers::{PromptOptions, evaluate_prompts};
pub use base::{Base, Encoded, find_task};
pub use beft_nn::Precision;
pub use data::{DataOptions, DevSet, TaskData};
pub use device::{BACKENDS, Backend, DeviceError, NamedDevice, parse_device, supported_dtypes};
pub use differences::Difference;
pub use error::Error;
pub use evaluate::{Evaluation, Predicted, Tuned, evaluate, metric_suffix, task_metrics};
pub use find::{find_data, find_model};
pub use heatmap::heatmap_svg;
pub use memory::{available_memory, check_training_memory};
pub use misfit::check_mode;
pub use model::Model;
pub use open::open_tuned;
pub use plan::{MemoryPlan, PlanOptions, plan_memory};
pub use prompts::{Objective, Questions};
pub use rank::{Ranking, pick, rank, train_for};
pub use record::TrainingRecord;
pub use report::{modes_table, ranking_table, report_markdown};
pub use results::{EpochResult, ModeResult, RunResults, Settings, TuneResults, ranked_scores};
pub use resume::{finished_run, finished_tune};
pub use run::{RunEvent, RunOptions, RunOutcome, run, save_heatmaps, settings, write_json};
pub use tune::{
    TuneJob, TuneOptions, TuneOutcome, check_output, saved_folder, tune, tune_together,
};
