//! Values that several architectures have in their config.json.

use beft_checkpoint::{Fields, KeyTable};
use beft_core::Pooling;

use super::BERT;
use crate::EncoderConfig;
use crate::facts::{
    Activation, Distances, Dropouts, HeadConfig, NativeBiases, Order, Positions, Segments,
};

/// What transformers takes where a config.json does not say; `None` for a size that has to be there.
pub(super) struct Defaults {
    pub(super) vocab_size: Option<usize>,
    pub(super) hidden_size: Option<usize>,
    pub(super) num_hidden_layers: Option<usize>,
    pub(super) num_attention_heads: Option<usize>,
    pub(super) intermediate_size: Option<usize>,
    pub(super) layer_norm_eps: f64,
}

/// Keys that [`bert_like`] reads.
pub(super) const SHARED_KEYS: KeyTable = KeyTable {
    applied: &[
        "attention_probs_dropout_prob",
        "hidden_act",
        "hidden_dropout_prob",
        "hidden_size",
        "initializer_range",
        "intermediate_size",
        "layer_norm_eps",
        "max_position_embeddings",
        "num_attention_heads",
        "num_hidden_layers",
    ],
    immaterial: &[],
    // What BERT's code read once, and an older config.json still has. Other kinds were never those of another model.
    only: &[("position_embedding_type", "\"absolute\"")],
};

/// Reads what BERT and the architectures made from it have in common: BERT without segments and with a tanh head.
pub(super) fn bert_like(fields: &Fields<'_>, defaults: &Defaults) -> Result<EncoderConfig, String> {
    let hidden = size(fields, "hidden_size", defaults.hidden_size)?;
    let dropout = probability(fields, "hidden_dropout_prob", 0.1)?;
    only_gelu(fields, "hidden_act")?;
    Ok(EncoderConfig {
        architecture: &BERT,
        vocab_size: size(fields, "vocab_size", defaults.vocab_size)?,
        hidden_size: hidden,
        embedding_size: hidden,
        num_hidden_layers: size(fields, "num_hidden_layers", defaults.num_hidden_layers)?,
        num_attention_heads: size(fields, "num_attention_heads", defaults.num_attention_heads)?,
        intermediate_size: size(fields, "intermediate_size", defaults.intermediate_size)?,
        max_position_embeddings: size(fields, "max_position_embeddings", Some(512))?,
        positions: Positions::FromZero,
        segments: Segments::None,
        distances: Distances::None,
        order: Order::PostNorm,
        native: NativeBiases::ALL,
        layer_norm_eps: positive(fields, "layer_norm_eps", defaults.layer_norm_eps)?,
        head: HeadConfig {
            pooling: Pooling::FirstToken,
            activation: Activation::Tanh,
            norm: false,
            of_tokens: false,
        },
        dropouts: Dropouts {
            embeddings: dropout,
            distances: 0.0,
            attention: probability(fields, "attention_probs_dropout_prob", 0.1)?,
            attention_output: dropout,
            wide: 0.0,
            output: dropout,
            head_input: 0.0,
            head: dropout,
            tokens: dropout,
            spans: 0.0,
        },
        initializer_range: positive(fields, "initializer_range", 0.02)?,
    })
}

/// A whole number above 0.
pub(super) fn size(
    fields: &Fields<'_>,
    name: &str,
    default: Option<usize>,
) -> Result<usize, String> {
    let size = match default {
        Some(default) => fields.size_or(name, default)?,
        None => fields.size(name)?,
    };
    match size {
        0 => Err(format!("`{name}` is 0; it must be above 0")),
        size => Ok(size),
    }
}

/// A share of values that dropout drops.
pub(super) fn probability(fields: &Fields<'_>, name: &str, default: f64) -> Result<f64, String> {
    let p = fields.number_or(name, default)?;
    match (0.0..1.0).contains(&p) {
        true => Ok(p),
        false => Err(format!(
            "`{name}` is {p}; it must be at least 0 and below 1"
        )),
    }
}

/// A number above 0 that is not lost in f32.
pub(super) fn positive(fields: &Fields<'_>, name: &str, default: f64) -> Result<f64, String> {
    let x = fields.number_or(name, default)?;
    match (x as f32).is_finite() && x as f32 > 0.0 {
        true => Ok(x),
        false => Err(format!("`{name}` is {x}; it must be positive")),
    }
}

/// Fails for another activation than GELU with the error function.
pub(super) fn only_gelu(fields: &Fields<'_>, name: &str) -> Result<(), String> {
    match fields.text_or(name, "gelu")? {
        "gelu" => Ok(()),
        other => Err(format!(
            "`{name}` is `{other}`; `gelu` is implemented: compute such a model with transformers"
        )),
    }
}
