//! What is done with each key of a causal language model's `config.json`.

use beft_checkpoint::{KeyTable, MODEL_KEYS};

use crate::Architecture;

/// `OPTConfig`. Whole layers are never dropped in training here.
const OPT: KeyTable = KeyTable {
    applied: &[
        "_remove_final_layer_norm",
        "activation_function",
        "attention_dropout",
        "do_layer_norm_before",
        "dropout",
        "enable_bias",
        "ffn_dim",
        "hidden_size",
        "init_std",
        "layer_norm_elementwise_affine",
        "max_position_embeddings",
        "num_attention_heads",
        "num_hidden_layers",
        "word_embed_proj_dim",
    ],
    // What older releases wrote.
    immaterial: &["activation_dropout"],
    only: &[("layerdrop", "0.0")],
};

/// `LlamaConfig`.
const LLAMA: KeyTable = KeyTable {
    applied: &[
        "attention_bias",
        "attention_dropout",
        "head_dim",
        "hidden_act",
        "hidden_size",
        "initializer_range",
        "intermediate_size",
        "max_position_embeddings",
        "mlp_bias",
        "num_attention_heads",
        "num_hidden_layers",
        "num_key_value_heads",
        "original_max_position_embeddings",
        "rms_norm_eps",
        "rope_parameters",
        "rope_scaling",
        "rope_theta",
    ],
    immaterial: &[],
    only: &[
        ("partial_rotary_factor", "1.0"),
        ("pretraining_tp", "1"),
        ("sliding_window", "null"),
        ("use_sliding_window", "false"),
    ],
};

/// `Qwen2Config`. A window's size matters only where windows are used.
const QWEN2: KeyTable = KeyTable {
    applied: &[
        "attention_dropout",
        "head_dim",
        "hidden_act",
        "hidden_size",
        "initializer_range",
        "intermediate_size",
        "layer_types",
        "max_position_embeddings",
        "num_attention_heads",
        "num_hidden_layers",
        "num_key_value_heads",
        "original_max_position_embeddings",
        "rms_norm_eps",
        "rope_parameters",
        "rope_scaling",
        "rope_theta",
        "use_sliding_window",
    ],
    immaterial: &["max_window_layers", "sliding_window"],
    only: &[("partial_rotary_factor", "1.0")],
};

/// `GPTJConfig`, `GPT2Config`. The summary is another head's; the order of an upcast changes no f32 result.
const GPT: KeyTable = KeyTable {
    applied: &[
        "activation_function",
        "attn_pdrop",
        "embd_pdrop",
        "initializer_range",
        "layer_norm_epsilon",
        "n_embd",
        "n_head",
        "n_inner",
        "n_layer",
        "n_positions",
        "resid_pdrop",
        "rotary_dim",
        "scale_attn_by_inverse_layer_idx",
        "scale_attn_weights",
    ],
    immaterial: &[
        "n_ctx",
        "reorder_and_upcast_attn",
        "rotary",
        "scale_attn",
        "summary_activation",
        "summary_first_dropout",
        "summary_proj_to_labels",
        "summary_type",
        "summary_use_proj",
    ],
    only: &[],
};

/// The tables that the keys of an architecture's config are checked against.
pub fn config_keys(architecture: Architecture) -> [&'static KeyTable; 2] {
    let own = match architecture {
        Architecture::Opt => &OPT,
        Architecture::Llama => &LLAMA,
        Architecture::Qwen2 => &QWEN2,
        Architecture::Gptj | Architecture::Gpt2 => &GPT,
    };
    [&MODEL_KEYS, own]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, Value};

    /// As `xtask/python/config_fields.py` lists them.
    fn reference() -> Map<String, Value> {
        serde_json::from_str(include_str!("../tests/reference/keys.json")).unwrap()
    }

    #[test]
    fn every_key_of_transformers_stands_in_one_table_and_its_default_is_implemented() {
        let reference = reference();
        for name in Architecture::SUPPORTED {
            let architecture = serde_json::from_value(Value::String(name.to_owned())).unwrap();
            let tables = config_keys(architecture);
            let keys = reference[name].as_object().unwrap();
            for key in keys.keys() {
                let count = tables.iter().filter(|table| table.names(key)).count();
                assert_eq!(count, 1, "{name}: {key}");
            }
            let unknown = KeyTable::check(&tables, keys).unwrap();
            assert!(unknown.is_empty(), "{name}: {unknown:?}");
        }
    }
}
