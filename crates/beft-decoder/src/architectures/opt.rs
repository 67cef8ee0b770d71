//! OPT: `OPTConfig` in `configuration_opt.py`, `OPTForCausalLM` in `modeling_opt.py`.

use beft_checkpoint::rows::{linear, same};
use beft_checkpoint::{HeadTables, KeyTable, MODEL_KEYS, NameTable};
use beft_nn::Norm;

use super::{Architecture, activation, divided};
use crate::config::{DecoderConfig, Order, Positions};
use beft_checkpoint::Fields;

/// OPT.
pub const OPT: Architecture = Architecture {
    model_type: "opt",
    causal_lm_class: "OPTForCausalLM",
    class_prefix: "OPT",
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
    keys: &[&MODEL_KEYS, &KEYS],
    read,
};

fn read(fields: &Fields<'_>) -> Result<DecoderConfig, String> {
    let hidden = fields.size("hidden_size")?;
    let heads = fields.size("num_attention_heads")?;
    for name in ["enable_bias", "layer_norm_elementwise_affine"] {
        if !fields.flag_or(name, true)? {
            return Err(format!("`{name}` is false; true is implemented"));
        }
    }
    let pre_norm = fields.flag_or("do_layer_norm_before", true)?;
    Ok(DecoderConfig {
        architecture: &OPT,
        vocab_size: fields.size("vocab_size")?,
        hidden_size: hidden,
        embedding_size: fields.size_or("word_embed_proj_dim", hidden)?,
        layers: fields.size("num_hidden_layers")?,
        heads,
        key_value_heads: heads,
        head_dim: divided(hidden, heads)?,
        intermediate_size: fields.size("ffn_dim")?,
        activation: activation(fields.text_or("activation_function", "relu")?)?,
        order: if pre_norm {
            Order::PreNorm
        } else {
            Order::PostNorm
        },
        norm: Norm::Layer,
        epsilon: 1e-5,
        final_norm: pre_norm && !fields.flag_or("_remove_final_layer_norm", false)?,
        positions: Positions::Learned { offset: 2 },
        max_tokens: fields.size("max_position_embeddings")?,
        tied_head: fields.flag_or("tie_word_embeddings", true)?,
        head_bias: false,
        native_qkv_biases: true,
        native_output_bias: true,
        gate_bias: false,
        embedding_dropout: 0.0,
        residual_dropout: fields.number_or("dropout", 0.1)?,
        attention_dropout: fields.number_or("attention_dropout", 0.0)?,
        initializer_range: fields.number_or("init_std", 0.02)?,
        tokens_dropout: 0.0,
        // transformers' default is a token of its own.
        pad: match fields.names("pad_token_id") {
            true => fields.ids("pad_token_id")?.first().copied(),
            false => Some(1),
        },
        eos: fields.ids("eos_token_id")?,
        bos: fields.ids("bos_token_id")?.first().copied(),
    })
}

/// `OPTConfig`. Whole layers are never dropped in training here.
const KEYS: KeyTable = KeyTable {
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

#[rustfmt::skip]
const NAMES: NameTable = NameTable {
    backbone_prefix: "model.",
    rows: &[
        same("decoder.tokens", "model.decoder.embed_tokens.weight"),
        same("decoder.positions", "model.decoder.embed_positions.weight"),
        linear("decoder.project_in", "model.decoder.project_in.weight"),
        linear("decoder.project_out", "model.decoder.project_out.weight"),
        linear("decoder.layers.{l}.query", "model.decoder.layers.{l}.self_attn.q_proj.weight"),
        same("decoder.layers.{l}.biases.q", "model.decoder.layers.{l}.self_attn.q_proj.bias"),
        linear("decoder.layers.{l}.key", "model.decoder.layers.{l}.self_attn.k_proj.weight"),
        same("decoder.layers.{l}.biases.k", "model.decoder.layers.{l}.self_attn.k_proj.bias"),
        linear("decoder.layers.{l}.value", "model.decoder.layers.{l}.self_attn.v_proj.weight"),
        same("decoder.layers.{l}.biases.v", "model.decoder.layers.{l}.self_attn.v_proj.bias"),
        linear("decoder.layers.{l}.attention_output", "model.decoder.layers.{l}.self_attn.out_proj.weight"),
        same("decoder.layers.{l}.biases.m1", "model.decoder.layers.{l}.self_attn.out_proj.bias"),
        same("decoder.layers.{l}.norm1_gamma", "model.decoder.layers.{l}.self_attn_layer_norm.weight"),
        same("decoder.layers.{l}.biases.ln1", "model.decoder.layers.{l}.self_attn_layer_norm.bias"),
        linear("decoder.layers.{l}.intermediate", "model.decoder.layers.{l}.fc1.weight"),
        same("decoder.layers.{l}.biases.m2", "model.decoder.layers.{l}.fc1.bias"),
        linear("decoder.layers.{l}.output", "model.decoder.layers.{l}.fc2.weight"),
        same("decoder.layers.{l}.biases.m3", "model.decoder.layers.{l}.fc2.bias"),
        same("decoder.layers.{l}.norm2_gamma", "model.decoder.layers.{l}.final_layer_norm.weight"),
        same("decoder.layers.{l}.biases.ln2", "model.decoder.layers.{l}.final_layer_norm.bias"),
        same("decoder.final_gamma", "model.decoder.final_layer_norm.weight"),
        same("decoder.final_bias", "model.decoder.final_layer_norm.bias"),
        linear("head", "lm_head.weight"),
    ],
    head: &[],
    bare: false,
    ignored: &["lm_head.", "score.", "qa_outputs."],
    tied: &[("model.decoder.embed_tokens.weight", "lm_head.weight")],
};
