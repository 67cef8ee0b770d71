//! Bias-efficient fine-tuning (BEFT, ACL 2026) in a few calls: rank the biases of a pretrained
//! transformer, pick the best of query, key and value, train only that, evaluate it.
//!
//! * [`Base`]: a pretrained model folder with its tokenizer.
//! * [`TaskData`]: a task's training subset and dev split, tokenised.
//! * [`tune`], [`rank`], [`evaluate`], [`run`]: the high-level calls.
//! * [`TextGenerator`]: texts that a causal language model writes, token by token.
//! * [`tune_together`]: several trainings in one pass over one backbone.
//!
//! The crates underneath can be used alone; comparisons of many trainings are in `beft-compare`.
//!
//! ```no_run
//! use std::path::Path;
//! use beft::{Base, DataOptions, TaskData, parse_device, protocol, tune};
//! use beft_tasks::{LabelledTask, Task};
//!
//! # fn main() -> Result<(), beft::Error> {
//! let task = Task::from(LabelledTask::named("sst2")?);
//! let base = Base::open("models/minilm", task.defaults.max_length, &parse_device("flex")?)?;
//! let data = TaskData::load(&task, Path::new("SST-2"), &base, &DataOptions::default())?;
//! let mode = "v".parse().expect("a term");
//! let settings = protocol(&task, &mode, &base, 0);
//! let outcome = tune(&base, &data, &mode, &settings, |_| ())?;
//! println!("{} of {} values were trained", outcome.trainable, outcome.parameters);
//! # Ok(())
//! # }
//! ```

mod base;
mod data;
mod error;
mod evaluate;
mod generate;
mod latex;
mod memory;
#[cfg(feature = "report")]
mod page;
#[cfg(feature = "report")]
mod pictures;
#[cfg(feature = "report")]
mod report;
mod run;
mod set;
pub mod table;
mod tune;
mod tuned;

pub use base::{Base, Encoded, InputCounts, Model, ModelConfig, find_data, find_model, find_task};
pub use beft_device::{
    BACKENDS, Backend, DeviceError, NamedDevice, parse_device, parse_devices, supported_dtypes,
};
pub use beft_nn::Precision;
pub use beft_nn::Worker;
pub use data::{
    Calibration, Choices, DataOptions, DevInputs, DevSet, Objective, Questions, TaggedSet,
    TaskData, dev_sample, file_digest, left_out_note, plain,
};
pub use error::{AdapterProblem, Error, TaskForm};
pub use evaluate::{
    Baseline, ClassDetails, Details, Evaluation, Judged, PromptOptions, evaluate, evaluate_prompts,
    metric_suffix, task_metrics,
};
pub use generate::{
    Prompt, TextDelta, TextGenerator, TextLogprobs, TextOptions, TextStream, TextToken,
};
pub use memory::{
    MemoryPlan, MemoryUse, MemoryWarning, PlanOptions, available_memory, check_training_memory,
    plan_memory,
};
#[cfg(feature = "report")]
pub use page::{About, page, rows_of, save_report};
#[cfg(feature = "report")]
pub use pictures::{
    bars_picture, curves_picture, heads_pictures, heatmap_picture, heatmaps, pictures,
    scatter_picture,
};
#[cfg(feature = "report")]
pub use report::{modes_table, ranking_table, report};
pub use run::{
    BudgetPart, BudgetResult, HeadScores, ModeResult, Ranker, Ranking, RunResults, Settings,
    TuneResults, check_budget, check_scored, pick, rank, ranked_scores, settings, train_for,
    write_json,
};
#[cfg(feature = "report")]
pub use run::{RunEvent, RunOptions, RunOutcome, finished_run, run, save_run_report};
pub use set::{AdapterSet, LanguageModel, Member, MemberInput, SetAnswers, compute};
pub use tune::{
    Difference, Inputs, TrainingRecord, TuneJob, TuneOutcome, check_mode, check_output,
    differences, finished_tune, left_folder, model_digest, protocol, saved_folder, tune,
    tune_together,
};
pub use tuned::{
    Answer, Answers, FoundEntity, InferencePrecision, InspectedTensor, Inspection, OpenOptions,
    Pace, Predictor, Prepared, Streamed, Tuned, inspect, merge, open_tuned, stream_rows,
};
