//! ELECTRA: `ElectraConfig` in `configuration_electra.py`, `ElectraForSequenceClassification` in
//! `modeling_electra.py`. It has BERT's layers, embeddings that may be narrower, and a GELU head.

use beft_checkpoint::rows::{linear, same};
use beft_checkpoint::{Fields, HeadTables, KeyTable, MODEL_KEYS, NameTable};

use super::read::{Defaults, SHARED_KEYS, bert_like, probability, size};
use super::{Architecture, DenseLayer, Protocol};
use crate::EncoderConfig;
use crate::facts::{Activation, Dropouts, HeadConfig, Segments};

/// ELECTRA.
pub const ELECTRA: Architecture = Architecture {
    model_type: "electra",
    class_prefix: "Electra",
    heads: heads!(NAMES),
    bias_keys: &[],
    keys: &[&MODEL_KEYS, &SHARED_KEYS, &KEYS],
    protocol: Protocol::Other,
    dense: DenseLayer::Head,
    read,
};

const DEFAULTS: Defaults = Defaults {
    vocab_size: Some(30_522),
    hidden_size: Some(256),
    num_hidden_layers: Some(12),
    num_attention_heads: Some(4),
    intermediate_size: Some(1024),
    layer_norm_eps: 1e-12,
};

fn read(fields: &Fields<'_>) -> Result<EncoderConfig, String> {
    let config = bert_like(fields, &DEFAULTS)?;
    let dropout = probability(fields, "classifier_dropout", config.dropouts.head)?;
    Ok(EncoderConfig {
        embedding_size: size(fields, "embedding_size", Some(128))?,
        segments: Segments::Told(size(fields, "type_vocab_size", Some(2))?),
        head: HeadConfig {
            activation: Activation::Gelu,
            ..config.head
        },
        dropouts: Dropouts {
            head_input: dropout,
            head: dropout,
            tokens: dropout,
            ..config.dropouts
        },
        ..config
    })
}

/// The summaries are another head's.
const KEYS: KeyTable = KeyTable {
    applied: &["classifier_dropout", "embedding_size", "type_vocab_size"],
    immaterial: &[
        "summary_activation",
        "summary_last_dropout",
        "summary_type",
        "summary_use_proj",
    ],
    only: &[],
};

#[rustfmt::skip]
const NAMES: NameTable = NameTable {
    backbone_prefix: "electra.",
    rows: rows!["electra.",
        same("encoder.embeddings.token_type", "electra.embeddings.token_type_embeddings.weight"),
        linear("encoder.embeddings.project", "electra.embeddings_project.weight"),
        same("encoder.embeddings.project_bias", "electra.embeddings_project.bias"),
    ],
    head: &[
        linear("pooler.weight", "classifier.dense.weight").optional(),
        same("pooler.bias", "classifier.dense.bias").optional(),
        linear("classifier.weight", "classifier.out_proj.weight").optional(),
        same("classifier.bias", "classifier.out_proj.bias").optional(),
    ],
    bare: false,
    ignored: &["embeddings.position_ids", "embeddings.token_type_ids", "discriminator_predictions.", "generator_predictions.", "generator_lm_head.", "pooler.", "classifier.", "qa_outputs."],
    tied: &[],
};
