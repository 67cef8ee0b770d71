//! RoBERTa: `RobertaConfig` in `configuration_roberta.py`, `RobertaForSequenceClassification` in `modeling_roberta.py`,
//! and what is computed like it under another name.

use beft_checkpoint::rows::{linear, same};
use beft_checkpoint::{Fields, HeadTables, MODEL_KEYS, NameTable};

use super::read::{SHARED_KEYS, bert_like, probability, size};
use super::{Architecture, DenseLayer, Protocol, bert};
use crate::EncoderConfig;
use crate::facts::{Dropouts, Positions, Segments};

/// RoBERTa.
pub const ROBERTA: Architecture = Architecture {
    model_type: "roberta",
    class_prefix: "Roberta",
    heads: heads!(ROBERTA_NAMES),
    bias_keys: &[],
    keys: &[&MODEL_KEYS, &SHARED_KEYS, &bert::KEYS],
    protocol: Protocol::Roberta,
    dense: DenseLayer::Head,
    read,
};

/// XLM-RoBERTa, RoBERTa with another vocabulary (`modeling_xlm_roberta.py`).
pub const XLM_ROBERTA: Architecture = Architecture {
    model_type: "xlm-roberta",
    class_prefix: "XLMRoberta",
    ..ROBERTA
};

/// CamemBERT, RoBERTa with another vocabulary (`modeling_camembert.py`).
pub const CAMEMBERT: Architecture = Architecture {
    model_type: "camembert",
    class_prefix: "Camembert",
    ..ROBERTA
};

fn read(fields: &Fields<'_>) -> Result<EncoderConfig, String> {
    let config = bert_like(fields, &bert::DEFAULTS)?;
    let dropout = probability(fields, "classifier_dropout", config.dropouts.head)?;
    Ok(EncoderConfig {
        positions: Positions::BehindPadding(fields.size_or("pad_token_id", 1)?),
        segments: Segments::First(size(fields, "type_vocab_size", Some(2))?),
        dropouts: Dropouts {
            head_input: dropout,
            head: dropout,
            tokens: dropout,
            ..config.dropouts
        },
        ..config
    })
}

/// Parameter paths and HF tensor names of RoBERTa with classification head. Its head has a dense layer of its own
/// where BERT has the pooler.
#[rustfmt::skip]
pub const ROBERTA_NAMES: NameTable = NameTable {
    backbone_prefix: "roberta.",
    rows: rows!["roberta.",
        same("encoder.embeddings.token_type", "roberta.embeddings.token_type_embeddings.weight"),
    ],
    head: &[
        linear("pooler.weight", "classifier.dense.weight").optional(),
        same("pooler.bias", "classifier.dense.bias").optional(),
        linear("classifier.weight", "classifier.out_proj.weight").optional(),
        same("classifier.bias", "classifier.out_proj.bias").optional(),
    ],
    bare: false,
    ignored: &["embeddings.position_ids", "embeddings.token_type_ids", "pooler.", "lm_head.", "classifier.", "qa_outputs."],
    tied: &[],
};
