//! MPNet: `MPNetConfig` in `configuration_mpnet.py`, `MPNetForSequenceClassification` in `modeling_mpnet.py`. It has
//! RoBERTa's positions and head, no segments, and a learned number for each distance of two tokens.

use beft_checkpoint::rows::{linear, same};
use beft_checkpoint::{Fields, HeadTables, KeyTable, MODEL_KEYS, NameTable};

use super::read::{Defaults, SHARED_KEYS, bert_like, size};
use super::{Architecture, DenseLayer, Protocol};
use crate::EncoderConfig;
use crate::distances::BUCKETS;
use crate::facts::{Distances, Dropouts, Positions};

/// MPNet.
pub const MPNET: Architecture = Architecture {
    model_type: "mpnet",
    class_prefix: "MPNet",
    heads: heads!(NAMES),
    bias_keys: &[],
    keys: &[&MODEL_KEYS, &SHARED_KEYS, &KEYS],
    protocol: Protocol::Other,
    dense: DenseLayer::Head,
    read,
};

const DEFAULTS: Defaults = Defaults {
    vocab_size: Some(30_527),
    hidden_size: Some(768),
    num_hidden_layers: Some(12),
    num_attention_heads: Some(12),
    intermediate_size: Some(3072),
    layer_norm_eps: 1e-12,
};

/// What positions begin behind, whatever `pad_token_id` says (`MPNetEmbeddings.padding_idx`).
const PADDING: usize = 1;

fn read(fields: &Fields<'_>) -> Result<EncoderConfig, String> {
    let config = bert_like(fields, &DEFAULTS)?;
    let buckets = size(fields, "relative_attention_num_buckets", Some(BUCKETS))?;
    if buckets < BUCKETS {
        return Err(format!(
            "`relative_attention_num_buckets` is {buckets}; transformers uses {BUCKETS} of them whatever it says: give \
             a table with as many rows"
        ));
    }
    Ok(EncoderConfig {
        positions: Positions::BehindPadding(PADDING),
        distances: Distances::Buckets(buckets),
        dropouts: Dropouts {
            head_input: config.dropouts.head,
            ..config.dropouts
        },
        ..config
    })
}

const KEYS: KeyTable = KeyTable {
    applied: &["relative_attention_num_buckets"],
    immaterial: &[],
    only: &[],
};

#[rustfmt::skip]
const NAMES: NameTable = NameTable {
    backbone_prefix: "mpnet.",
    rows: &[
        same("encoder.embeddings.word", "mpnet.embeddings.word_embeddings.weight"),
        same("encoder.embeddings.position", "mpnet.embeddings.position_embeddings.weight"),
        same("encoder.embeddings.norm_gamma", "mpnet.embeddings.LayerNorm.weight"),
        same("encoder.embeddings.norm_bias", "mpnet.embeddings.LayerNorm.bias"),
        same("encoder.embeddings.distances", "mpnet.encoder.relative_attention_bias.weight"),
        linear("encoder.layers.{l}.query", "mpnet.encoder.layer.{l}.attention.attn.q.weight"),
        same("encoder.layers.{l}.biases.q", "mpnet.encoder.layer.{l}.attention.attn.q.bias"),
        linear("encoder.layers.{l}.key", "mpnet.encoder.layer.{l}.attention.attn.k.weight"),
        same("encoder.layers.{l}.biases.k", "mpnet.encoder.layer.{l}.attention.attn.k.bias"),
        linear("encoder.layers.{l}.value", "mpnet.encoder.layer.{l}.attention.attn.v.weight"),
        same("encoder.layers.{l}.biases.v", "mpnet.encoder.layer.{l}.attention.attn.v.bias"),
        linear("encoder.layers.{l}.attention_output", "mpnet.encoder.layer.{l}.attention.attn.o.weight"),
        same("encoder.layers.{l}.biases.m1", "mpnet.encoder.layer.{l}.attention.attn.o.bias"),
        same("encoder.layers.{l}.norm1_gamma", "mpnet.encoder.layer.{l}.attention.LayerNorm.weight"),
        same("encoder.layers.{l}.biases.ln1", "mpnet.encoder.layer.{l}.attention.LayerNorm.bias"),
        linear("encoder.layers.{l}.intermediate", "mpnet.encoder.layer.{l}.intermediate.dense.weight"),
        same("encoder.layers.{l}.biases.m2", "mpnet.encoder.layer.{l}.intermediate.dense.bias"),
        linear("encoder.layers.{l}.output", "mpnet.encoder.layer.{l}.output.dense.weight"),
        same("encoder.layers.{l}.biases.m3", "mpnet.encoder.layer.{l}.output.dense.bias"),
        same("encoder.layers.{l}.norm2_gamma", "mpnet.encoder.layer.{l}.output.LayerNorm.weight"),
        same("encoder.layers.{l}.biases.ln2", "mpnet.encoder.layer.{l}.output.LayerNorm.bias"),
    ],
    head: &[
        linear("pooler.weight", "classifier.dense.weight").optional(),
        same("pooler.bias", "classifier.dense.bias").optional(),
        linear("classifier.weight", "classifier.out_proj.weight").optional(),
        same("classifier.bias", "classifier.out_proj.bias").optional(),
    ],
    bare: false,
    ignored: &["embeddings.position_ids", "pooler.", "lm_head.", "classifier.", "qa_outputs."],
    tied: &[],
};
