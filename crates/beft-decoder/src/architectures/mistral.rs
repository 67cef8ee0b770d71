//! Mistral, LLaMA under another name whose attention may be cut to a window: `MistralConfig` in
//! `configuration_mistral.py`, `MistralForCausalLM` in `modeling_mistral.py`.

use beft_checkpoint::{HeadTables, KeyTable, MODEL_KEYS, NameTable};

use super::{Architecture, llama};
use crate::config::DecoderConfig;
use beft_checkpoint::Fields;

/// Mistral.
pub const MISTRAL: Architecture = Architecture {
    model_type: "mistral",
    causal_lm_class: "MistralForCausalLM",
    class_prefix: "Mistral",
    heads: heads!(
        llama::NAMES,
        Some(&NameTable {
            head: super::TOKEN_SCORE,
            ..llama::NAMES
        }),
        Some(&NameTable {
            head: super::SPAN_HEAD,
            ..llama::NAMES
        })
    ),
    names: &llama::NAMES,
    bias_keys: &[],
    keys: &[&MODEL_KEYS, &llama::SHARED_KEYS, &KEYS],
    read,
};

fn read(fields: &Fields<'_>) -> Result<DecoderConfig, String> {
    let mut config = llama::without_biases(fields, 131_072)?;
    if !fields.names("num_key_value_heads") {
        config.key_value_heads = 8;
    }
    // A file without the key means the default, one with null no window.
    let window = match fields.names("sliding_window") {
        true => fields.size_or("sliding_window", usize::MAX)?,
        false => 4096,
    };
    match window < config.max_tokens {
        true => Err(format!(
            "`sliding_window` is {window}, and inputs may have {} tokens; attention over all tokens is implemented: \
             set `max_position_embeddings` to {window}, so that inputs are cut to it",
            config.max_tokens
        )),
        false => Ok(config),
    }
}

const KEYS: KeyTable = KeyTable {
    applied: &["sliding_window"],
    immaterial: &[],
    only: &[],
};
