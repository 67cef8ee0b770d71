//! GPT-2: `GPT2Config` in `configuration_gpt2.py`, `GPT2LMHeadModel` in `modeling_gpt2.py`. Its linear layers are
//! stored `[in, out]`, query, key and value as one.

use beft_checkpoint::rows::{linear, same};
use beft_checkpoint::{HeadTables, KeyTable, MODEL_KEYS, NameTable, TensorName};
use beft_nn::Norm;

use super::{Architecture, activation, divided, third, token_dropout};
use crate::config::{DecoderConfig, Order, Positions};
use beft_checkpoint::Fields;

/// GPT-2.
pub const GPT2: Architecture = Architecture {
    model_type: "gpt2",
    causal_lm_class: "GPT2LMHeadModel",
    class_prefix: "GPT2",
    heads: heads!(
        NAMES,
        Some(&NameTable {
            head: TOKEN_HEAD,
            ..NAMES
        }),
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

/// Reads GPT-2's config, which has GPT-J's keys.
pub(super) fn read(fields: &Fields<'_>) -> Result<DecoderConfig, String> {
    let hidden = fields.size("n_embd")?;
    let heads = fields.size("n_head")?;
    if !fields.flag_or("scale_attn_weights", true)? {
        return Err("`scale_attn_weights` is false; true is implemented".to_owned());
    }
    if fields.flag_or("scale_attn_by_inverse_layer_idx", false)? {
        return Err("`scale_attn_by_inverse_layer_idx` is true; false is implemented".to_owned());
    }
    Ok(DecoderConfig {
        architecture: &GPT2,
        vocab_size: fields.size("vocab_size")?,
        hidden_size: hidden,
        embedding_size: hidden,
        layers: fields.size("n_layer")?,
        heads,
        key_value_heads: heads,
        head_dim: divided(hidden, heads)?,
        intermediate_size: match fields.size_or("n_inner", 0)? {
            0 => 4 * hidden,
            inner => inner,
        },
        activation: activation(fields.text_or("activation_function", "gelu_new")?)?,
        order: Order::PreNorm,
        norm: Norm::Layer,
        epsilon: fields.number_or("layer_norm_epsilon", 1e-5)?,
        final_norm: true,
        positions: Positions::Learned { offset: 0 },
        max_tokens: fields.size("n_positions")?,
        tied_head: fields.flag_or("tie_word_embeddings", true)?,
        head_bias: false,
        native_qkv_biases: true,
        native_output_bias: true,
        gate_bias: false,
        embedding_dropout: fields.number_or("embd_pdrop", 0.1)?,
        residual_dropout: fields.number_or("resid_pdrop", 0.1)?,
        attention_dropout: fields.number_or("attn_pdrop", 0.1)?,
        initializer_range: fields.number_or("initializer_range", 0.02)?,
        tokens_dropout: token_dropout(fields)?,
        pad: fields.ids("pad_token_id")?.first().copied(),
        eos: fields.ids("eos_token_id")?,
        bos: fields.ids("bos_token_id")?.first().copied(),
    })
}

/// GPT-J's too. The summary is another head's; the order of an upcast changes no f32 result.
pub(super) const KEYS: KeyTable = KeyTable {
    applied: &[
        "activation_function",
        "attn_pdrop",
        "classifier_dropout",
        "embd_pdrop",
        "hidden_dropout",
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

/// The head of token classification, which has another name here.
const TOKEN_HEAD: &[TensorName] = &[
    linear("classifier.weight", "classifier.weight").optional(),
    same("classifier.bias", "classifier.bias").optional(),
];

#[rustfmt::skip]
const NAMES: NameTable = NameTable {
    backbone_prefix: "transformer.",
    rows: &[
        same("decoder.tokens", "transformer.wte.weight"),
        same("decoder.positions", "transformer.wpe.weight"),
        third("decoder.layers.{l}.query", "transformer.h.{l}.attn.c_attn.weight", 0),
        third("decoder.layers.{l}.key", "transformer.h.{l}.attn.c_attn.weight", 1),
        third("decoder.layers.{l}.value", "transformer.h.{l}.attn.c_attn.weight", 2),
        third("decoder.layers.{l}.biases.q", "transformer.h.{l}.attn.c_attn.bias", 0),
        third("decoder.layers.{l}.biases.k", "transformer.h.{l}.attn.c_attn.bias", 1),
        third("decoder.layers.{l}.biases.v", "transformer.h.{l}.attn.c_attn.bias", 2),
        same("decoder.layers.{l}.attention_output", "transformer.h.{l}.attn.c_proj.weight"),
        same("decoder.layers.{l}.biases.m1", "transformer.h.{l}.attn.c_proj.bias"),
        same("decoder.layers.{l}.norm1_gamma", "transformer.h.{l}.ln_1.weight"),
        same("decoder.layers.{l}.biases.ln1", "transformer.h.{l}.ln_1.bias"),
        same("decoder.layers.{l}.intermediate", "transformer.h.{l}.mlp.c_fc.weight"),
        same("decoder.layers.{l}.biases.m2", "transformer.h.{l}.mlp.c_fc.bias"),
        same("decoder.layers.{l}.output", "transformer.h.{l}.mlp.c_proj.weight"),
        same("decoder.layers.{l}.biases.m3", "transformer.h.{l}.mlp.c_proj.bias"),
        same("decoder.layers.{l}.norm2_gamma", "transformer.h.{l}.ln_2.weight"),
        same("decoder.layers.{l}.biases.ln2", "transformer.h.{l}.ln_2.bias"),
        same("decoder.final_gamma", "transformer.ln_f.weight"),
        same("decoder.final_bias", "transformer.ln_f.bias"),
        linear("head", "lm_head.weight"),
    ],
    head: &[],
    bare: false,
    // Causal masks, and other heads.
    ignored: &["lm_head.", "score.", "classifier.", "qa_outputs.", "*.attn.bias", "*.attn.masked_bias"],
    tied: &[("transformer.wte.weight", "lm_head.weight")],
};
