//! Adapters on disk: `adapter_config.json` and `adapter_model.safetensors` as PEFT's
//! `src/peft/tuners/{beft,lora,prefix_tuning}` read and write them, `beft.json` beside them for facts of our
//! own (PEFT drops keys it does not know), and `extra_biases.safetensors` for what its tuner cannot hold.

mod config;
mod keys;
mod read;
mod targets;
mod write;

pub use targets::{Names, Targets};
pub use write::{ADAPTER_CONFIG, ADAPTER_SIDECAR, ADAPTER_WEIGHTS, EXTRA_BIASES};

pub(crate) use keys::adapter_keys;
pub(crate) use targets::{is_part, is_suffix};
pub(crate) use write::EXTRA_BIASES_SCRIPT;

/// PEFT wraps the model twice; the backbone's own names follow.
const WRAPPERS: &str = "base_model.model.";
const DELTA: &str = ".beft_bias";
const SEQ_CLS: &str = "SEQ_CLS";
const CAUSAL_LM: &str = "CAUSAL_LM";
/// PEFT's name for the keys and values of prefix tuning.
const PROMPT: &str = "prompt_embeddings";
const LORA_A: &str = ".lora_A.weight";
const LORA_B: &str = ".lora_B.weight";
/// PEFT's word for a config that targets no module at all (`DUMMY_TARGET_MODULES`).
const NO_TARGETS: &str = "dummy-target-modules";
