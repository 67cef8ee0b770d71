//! GPT-J: `GPTJConfig` in `configuration_gptj.py`, `GPTJForCausalLM` in `modeling_gptj.py`.

use beft_checkpoint::rows::{linear, same};
use beft_checkpoint::{HeadTables, MODEL_KEYS, NameTable};

use super::{Architecture, added, gpt2};
use crate::config::{DecoderConfig, Order, Positions};
use beft_checkpoint::Fields;
use beft_nn::RotaryConfig;

/// GPT-J.
pub const GPTJ: Architecture = Architecture {
    model_type: "gptj",
    causal_lm_class: "GPTJForCausalLM",
    class_prefix: "GPTJ",
    heads: heads!(
        NAMES,
        None,
        Some(&NameTable {
            head: super::SPAN_HEAD,
            ..NAMES
        })
    ),
    names: &NAMES,
    bias_keys: &[],
    keys: &[&MODEL_KEYS, &gpt2::KEYS],
    read,
};

fn read(fields: &Fields<'_>) -> Result<DecoderConfig, String> {
    let config = gpt2::read(fields)?;
    let width = match fields.size_or("rotary_dim", 0)? {
        0 => config.head_dim,
        width => width,
    };
    Ok(DecoderConfig {
        order: Order::Parallel,
        positions: Positions::Rotary(RotaryConfig::interleaved(width)),
        tied_head: fields.flag_or("tie_word_embeddings", false)?,
        head_bias: true,
        native_qkv_biases: false,
        native_output_bias: false,
        embedding_dropout: fields.number_or("embd_pdrop", 0.0)?,
        residual_dropout: fields.number_or("resid_pdrop", 0.0)?,
        attention_dropout: fields.number_or("attn_pdrop", 0.0)?,
        ..config
    })
}

#[rustfmt::skip]
const NAMES: NameTable = NameTable {
    backbone_prefix: "transformer.",
    rows: &[
        same("decoder.tokens", "transformer.wte.weight"),
        linear("decoder.layers.{l}.query", "transformer.h.{l}.attn.q_proj.weight"),
        added("decoder.layers.{l}.biases.q", "transformer.h.{l}.attn.q_proj.bias"),
        linear("decoder.layers.{l}.key", "transformer.h.{l}.attn.k_proj.weight"),
        added("decoder.layers.{l}.biases.k", "transformer.h.{l}.attn.k_proj.bias"),
        linear("decoder.layers.{l}.value", "transformer.h.{l}.attn.v_proj.weight"),
        added("decoder.layers.{l}.biases.v", "transformer.h.{l}.attn.v_proj.bias"),
        linear("decoder.layers.{l}.attention_output", "transformer.h.{l}.attn.out_proj.weight"),
        added("decoder.layers.{l}.biases.m1", "transformer.h.{l}.attn.out_proj.bias"),
        same("decoder.layers.{l}.norm1_gamma", "transformer.h.{l}.ln_1.weight"),
        same("decoder.layers.{l}.biases.ln1", "transformer.h.{l}.ln_1.bias"),
        linear("decoder.layers.{l}.intermediate", "transformer.h.{l}.mlp.fc_in.weight"),
        same("decoder.layers.{l}.biases.m2", "transformer.h.{l}.mlp.fc_in.bias"),
        linear("decoder.layers.{l}.output", "transformer.h.{l}.mlp.fc_out.weight"),
        same("decoder.layers.{l}.biases.m3", "transformer.h.{l}.mlp.fc_out.bias"),
        same("decoder.final_gamma", "transformer.ln_f.weight"),
        same("decoder.final_bias", "transformer.ln_f.bias"),
        linear("head", "lm_head.weight"),
        same("head_bias", "lm_head.bias"),
    ],
    // Causal masks, and an embedding of positions that is computed.
    head: &[],
    bare: false,
    ignored: &["lm_head.", "score.", "qa_outputs.", "*.attn.bias", "*.attn.masked_bias", "*.attn.embed_positions"],
    tied: &[("transformer.wte.weight", "lm_head.weight")],
};
