//! DistilBERT: `DistilBertConfig` in `configuration_distilbert.py`, `DistilBertForSequenceClassification` in
//! `modeling_distilbert.py`. It has BERT's layers under other names, no segments, and drops nothing behind attention.

use beft_checkpoint::rows::{linear, same};
use beft_checkpoint::{Fields, HeadTables, KeyTable, MODEL_KEYS, NameTable};

use beft_core::Pooling;

use super::read::{only_gelu, positive, probability, size};
use super::{Architecture, DenseLayer, Protocol};
use crate::EncoderConfig;
use crate::facts::{
    Activation, Distances, Dropouts, HeadConfig, NativeBiases, Order, Positions, Segments,
};

/// DistilBERT.
pub const DISTILBERT: Architecture = Architecture {
    model_type: "distilbert",
    class_prefix: "DistilBert",
    heads: heads!(NAMES),
    bias_keys: &[],
    keys: &[&MODEL_KEYS, &KEYS],
    protocol: Protocol::Other,
    dense: DenseLayer::Head,
    read,
};

/// Of layer norms, which no key says.
const EPSILON: f64 = 1e-12;

fn read(fields: &Fields<'_>) -> Result<EncoderConfig, String> {
    let hidden = named_twice(fields, ("dim", "hidden_size"), 768)?;
    let dropout = probability(fields, "dropout", 0.1)?;
    only_gelu(fields, "activation")?;
    Ok(EncoderConfig {
        architecture: &DISTILBERT,
        vocab_size: size(fields, "vocab_size", Some(30_522))?,
        hidden_size: hidden,
        embedding_size: hidden,
        num_hidden_layers: named_twice(fields, ("n_layers", "num_hidden_layers"), 6)?,
        num_attention_heads: named_twice(fields, ("n_heads", "num_attention_heads"), 12)?,
        intermediate_size: size(fields, "hidden_dim", Some(4 * 768))?,
        max_position_embeddings: size(fields, "max_position_embeddings", Some(512))?,
        positions: Positions::FromZero,
        segments: Segments::None,
        distances: Distances::None,
        order: Order::PostNorm,
        native: NativeBiases::ALL,
        layer_norm_eps: EPSILON,
        head: HeadConfig {
            pooling: Pooling::FirstToken,
            activation: Activation::Relu,
            norm: false,
            of_tokens: false,
        },
        dropouts: Dropouts {
            embeddings: dropout,
            distances: 0.0,
            attention: probability(fields, "attention_dropout", 0.1)?,
            attention_output: 0.0,
            wide: 0.0,
            output: dropout,
            head_input: 0.0,
            head: probability(fields, "seq_classif_dropout", 0.2)?,
            tokens: dropout,
            spans: probability(fields, "qa_dropout", 0.1)?,
        },
        initializer_range: positive(fields, "initializer_range", 0.02)?,
    })
}

/// A size that has a name of its own here, and the usual one as well (`attribute_map`).
fn named_twice(
    fields: &Fields<'_>,
    (own, usual): (&str, &str),
    default: usize,
) -> Result<usize, String> {
    let read = |name| match fields.get(name) {
        Some(_) => size(fields, name, None).map(Some),
        None => Ok(None),
    };
    match (read(own)?, read(usual)?) {
        (Some(a), Some(b)) if a != b => Err(format!(
            "`{own}` is {a} and `{usual}` is {b}; they mean the same: take one of them out"
        )),
        (a, b) => Ok(a.or(b).unwrap_or(default)),
    }
}

/// Sinusoidal positions are a table in the checkpoint, like learned ones, and of
/// `tie_weights_`, which the first files have, nothing reads.
const KEYS: KeyTable = KeyTable {
    applied: &[
        "activation",
        "attention_dropout",
        "dim",
        "dropout",
        "hidden_dim",
        "hidden_size",
        "initializer_range",
        "max_position_embeddings",
        "n_heads",
        "n_layers",
        "num_attention_heads",
        "num_hidden_layers",
        "qa_dropout",
        "seq_classif_dropout",
    ],
    immaterial: &["sinusoidal_pos_embds", "tie_weights_"],
    only: &[],
};

#[rustfmt::skip]
const NAMES: NameTable = NameTable {
    backbone_prefix: "distilbert.",
    rows: &[
        same("encoder.embeddings.word", "distilbert.embeddings.word_embeddings.weight"),
        same("encoder.embeddings.position", "distilbert.embeddings.position_embeddings.weight"),
        same("encoder.embeddings.norm_gamma", "distilbert.embeddings.LayerNorm.weight"),
        same("encoder.embeddings.norm_bias", "distilbert.embeddings.LayerNorm.bias"),
        linear("encoder.layers.{l}.query", "distilbert.transformer.layer.{l}.attention.q_lin.weight"),
        same("encoder.layers.{l}.biases.q", "distilbert.transformer.layer.{l}.attention.q_lin.bias"),
        linear("encoder.layers.{l}.key", "distilbert.transformer.layer.{l}.attention.k_lin.weight"),
        same("encoder.layers.{l}.biases.k", "distilbert.transformer.layer.{l}.attention.k_lin.bias"),
        linear("encoder.layers.{l}.value", "distilbert.transformer.layer.{l}.attention.v_lin.weight"),
        same("encoder.layers.{l}.biases.v", "distilbert.transformer.layer.{l}.attention.v_lin.bias"),
        linear("encoder.layers.{l}.attention_output", "distilbert.transformer.layer.{l}.attention.out_lin.weight"),
        same("encoder.layers.{l}.biases.m1", "distilbert.transformer.layer.{l}.attention.out_lin.bias"),
        same("encoder.layers.{l}.norm1_gamma", "distilbert.transformer.layer.{l}.sa_layer_norm.weight"),
        same("encoder.layers.{l}.biases.ln1", "distilbert.transformer.layer.{l}.sa_layer_norm.bias"),
        linear("encoder.layers.{l}.intermediate", "distilbert.transformer.layer.{l}.ffn.lin1.weight"),
        same("encoder.layers.{l}.biases.m2", "distilbert.transformer.layer.{l}.ffn.lin1.bias"),
        linear("encoder.layers.{l}.output", "distilbert.transformer.layer.{l}.ffn.lin2.weight"),
        same("encoder.layers.{l}.biases.m3", "distilbert.transformer.layer.{l}.ffn.lin2.bias"),
        same("encoder.layers.{l}.norm2_gamma", "distilbert.transformer.layer.{l}.output_layer_norm.weight"),
        same("encoder.layers.{l}.biases.ln2", "distilbert.transformer.layer.{l}.output_layer_norm.bias"),
    ],
    head: &[
        linear("pooler.weight", "pre_classifier.weight").optional(),
        same("pooler.bias", "pre_classifier.bias").optional(),
        linear("classifier.weight", "classifier.weight").optional(),
        same("classifier.bias", "classifier.bias").optional(),
    ],
    bare: false,
    ignored: &["embeddings.position_ids", "vocab_transform.", "vocab_layer_norm.", "vocab_projector.", "pre_classifier.", "classifier.", "qa_outputs."],
    tied: &[],
};
