//! Qwen2, LLaMA with biases of query, key and value: `Qwen2Config` in `configuration_qwen2.py`,
//! `Qwen2ForCausalLM` in `modeling_qwen2.py`. Qwen2.5 is one.

use beft_checkpoint::{HeadTables, KeyTable, MODEL_KEYS, NameTable};

use super::{Architecture, llama};
use crate::config::DecoderConfig;
use beft_checkpoint::Fields;

/// Qwen2.
pub const QWEN2: Architecture = Architecture {
    model_type: "qwen2",
    causal_lm_class: "Qwen2ForCausalLM",
    class_prefix: "Qwen2",
    heads: heads!(
        llama::NAMES,
        Some(&NameTable {
            head: super::TOKEN_SCORE,
            ..llama::NAMES
        }),
        None
    ),
    names: &llama::NAMES,
    bias_keys: &[],
    keys: &[&MODEL_KEYS, &llama::SHARED_KEYS, &KEYS],
    read,
};

fn read(fields: &Fields<'_>) -> Result<DecoderConfig, String> {
    Ok(DecoderConfig {
        native_qkv_biases: true,
        ..llama::without_biases(fields, 2048)?
    })
}

/// A window's size matters only where windows are used.
const KEYS: KeyTable = KeyTable {
    applied: &["layer_types", "use_sliding_window"],
    immaterial: &["max_window_layers", "sliding_window"],
    only: &[],
};
