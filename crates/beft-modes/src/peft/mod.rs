//! Adapters on disk: `adapter_config.json` and `adapter_model.safetensors` as PEFT's
//! `src/peft/tuners/{beft,lora,prefix_tuning}` read and write them, `beft.json` beside them for facts of our
//! own (PEFT drops keys it does not know), and `extra_biases.safetensors` for what its tuner cannot hold.
//!
//! What one of PEFT's types has for itself stands in the file of its mode.

mod config;
mod keys;
mod layout;
mod read;
mod targets;
mod write;

pub use targets::{Names, Targets};
pub use write::{ADAPTER_CONFIG, ADAPTER_WEIGHTS, EXTRA_BIASES};

pub(crate) use keys::{Keys, as_size};
pub(crate) use layout::{
    FileTensor, Layout, PeftLayout, PeftType, Problem, Reader, TargetKind, check_vector,
};
pub(crate) use targets::{is_part, is_suffix, pattern_value};
pub(crate) use write::EXTRA_BIASES_SCRIPT;

/// PEFT wraps the model twice; the backbone's own names follow.
pub(crate) const WRAPPERS: &str = "base_model.model.";
/// PEFT's word for a config that targets no module at all (`DUMMY_TARGET_MODULES`).
const NO_TARGETS: &str = "dummy-target-modules";
