//! LLaMA: `LlamaConfig` in `configuration_llama.py`, `LlamaForCausalLM` in `modeling_llama.py`. deepseek-coder is one.

use beft_checkpoint::rows::{linear, same};
use beft_checkpoint::{HeadTables, KeyTable, MODEL_KEYS, NameTable};
use beft_core::BiasTerm;
use beft_nn::Norm;

use super::{Architecture, added, divided, token_dropout};
use crate::config::{Activation, DecoderConfig, Order, Positions};
use crate::rotary;
use beft_checkpoint::Fields;

/// LLaMA.
pub const LLAMA: Architecture = Architecture {
    model_type: "llama",
    causal_lm_class: "LlamaForCausalLM",
    class_prefix: "Llama",
    heads: heads!(
        NAMES,
        Some(&NameTable {
            head: super::TOKEN_SCORE,
            ..NAMES
        }),
        None
    ),
    names: &NAMES,
    bias_keys: &[
        (
            "attention_bias",
            &[BiasTerm::Q, BiasTerm::K, BiasTerm::V, BiasTerm::M1],
        ),
        ("mlp_bias", &[BiasTerm::M2, BiasTerm::M3]),
    ],
    keys: &[&MODEL_KEYS, &SHARED_KEYS, &KEYS],
    read,
};

fn read(fields: &Fields<'_>) -> Result<DecoderConfig, String> {
    let biased = fields.flag_or("attention_bias", false)?;
    Ok(DecoderConfig {
        native_qkv_biases: biased,
        native_output_bias: biased,
        gate_bias: fields.flag_or("mlp_bias", false)?,
        ..without_biases(fields, 2048)?
    })
}

/// Reads what LLaMA and the architectures made from it have in common, with so many positions where the file
/// does not say.
pub(super) fn without_biases(
    fields: &Fields<'_>,
    positions: usize,
) -> Result<DecoderConfig, String> {
    let hidden = fields.size("hidden_size")?;
    let heads = fields.size("num_attention_heads")?;
    let head_dim = match fields.size_or("head_dim", 0)? {
        0 => divided(hidden, heads)?,
        head_dim => head_dim,
    };
    let activation = fields.text_or("hidden_act", "silu")?;
    if activation != "silu" {
        return Err(format!(
            "`hidden_act` is `{activation}`; `silu` is implemented"
        ));
    }
    if fields.flag_or("use_sliding_window", false)? {
        return Err(
            "`use_sliding_window` is true; attention over all tokens is implemented".to_owned(),
        );
    }
    fields.only_in_list("layer_types", "full_attention")?;
    let max_tokens = fields.size_or("max_position_embeddings", positions)?;
    Ok(DecoderConfig {
        architecture: &LLAMA,
        vocab_size: fields.size("vocab_size")?,
        hidden_size: hidden,
        embedding_size: hidden,
        layers: fields.size("num_hidden_layers")?,
        heads,
        key_value_heads: fields.size_or("num_key_value_heads", heads)?,
        head_dim,
        intermediate_size: fields.size("intermediate_size")?,
        activation: Activation::SiluGate,
        order: Order::PreNorm,
        norm: Norm::RootMeanSquare,
        epsilon: fields.number_or("rms_norm_eps", 1e-6)?,
        final_norm: true,
        positions: Positions::Rotary(rotary::read(fields, head_dim, max_tokens)?),
        max_tokens,
        tied_head: fields.flag_or("tie_word_embeddings", false)?,
        head_bias: false,
        native_qkv_biases: false,
        native_output_bias: false,
        gate_bias: false,
        embedding_dropout: 0.0,
        residual_dropout: 0.0,
        attention_dropout: fields.number_or("attention_dropout", 0.0)?,
        initializer_range: fields.number_or("initializer_range", 0.02)?,
        tokens_dropout: token_dropout(fields)?,
        pad: fields.ids("pad_token_id")?.first().copied(),
        eos: fields.ids("eos_token_id")?,
        bos: fields.ids("bos_token_id")?.first().copied(),
    })
}

/// Keys that the architectures made from LLaMA have too.
pub(super) const SHARED_KEYS: KeyTable = KeyTable {
    applied: &[
        "attention_dropout",
        "classifier_dropout",
        "head_dim",
        "hidden_dropout",
        "hidden_act",
        "hidden_size",
        "initializer_range",
        "intermediate_size",
        "max_position_embeddings",
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
    only: &[("partial_rotary_factor", "1.0")],
};

const KEYS: KeyTable = KeyTable {
    applied: &["attention_bias", "mlp_bias"],
    immaterial: &[],
    only: &[
        ("pretraining_tp", "1"),
        ("sliding_window", "null"),
        ("use_sliding_window", "false"),
    ],
};

/// The tensor names of LLaMA and of the architectures made from it.
#[rustfmt::skip]
pub(super) const NAMES: NameTable = NameTable {
    backbone_prefix: "model.",
    rows: &[
        same("decoder.tokens", "model.embed_tokens.weight"),
        linear("decoder.layers.{l}.query", "model.layers.{l}.self_attn.q_proj.weight"),
        added("decoder.layers.{l}.biases.q", "model.layers.{l}.self_attn.q_proj.bias"),
        linear("decoder.layers.{l}.key", "model.layers.{l}.self_attn.k_proj.weight"),
        added("decoder.layers.{l}.biases.k", "model.layers.{l}.self_attn.k_proj.bias"),
        linear("decoder.layers.{l}.value", "model.layers.{l}.self_attn.v_proj.weight"),
        added("decoder.layers.{l}.biases.v", "model.layers.{l}.self_attn.v_proj.bias"),
        linear("decoder.layers.{l}.attention_output", "model.layers.{l}.self_attn.o_proj.weight"),
        added("decoder.layers.{l}.biases.m1", "model.layers.{l}.self_attn.o_proj.bias"),
        same("decoder.layers.{l}.norm1_gamma", "model.layers.{l}.input_layernorm.weight"),
        added("decoder.layers.{l}.biases.ln1", "model.layers.{l}.input_layernorm.bias"),
        linear("decoder.layers.{l}.intermediate", "model.layers.{l}.mlp.up_proj.weight"),
        added("decoder.layers.{l}.biases.m2", "model.layers.{l}.mlp.up_proj.bias"),
        linear("decoder.layers.{l}.gate", "model.layers.{l}.mlp.gate_proj.weight"),
        same("decoder.layers.{l}.gate_bias", "model.layers.{l}.mlp.gate_proj.bias"),
        linear("decoder.layers.{l}.output", "model.layers.{l}.mlp.down_proj.weight"),
        added("decoder.layers.{l}.biases.m3", "model.layers.{l}.mlp.down_proj.bias"),
        same("decoder.layers.{l}.norm2_gamma", "model.layers.{l}.post_attention_layernorm.weight"),
        added("decoder.layers.{l}.biases.ln2", "model.layers.{l}.post_attention_layernorm.bias"),
        same("decoder.final_gamma", "model.norm.weight"),
        linear("head", "lm_head.weight"),
    ],
    head: &[],
    bare: false,
    ignored: &["lm_head.", "score.", "qa_outputs.", "*rotary_emb.inv_freq"],
    tied: &[("model.embed_tokens.weight", "lm_head.weight")],
};
