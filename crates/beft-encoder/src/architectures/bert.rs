//! BERT: `BertConfig` in `configuration_bert.py`, `BertForSequenceClassification` in `modeling_bert.py`.

use beft_checkpoint::rows::{linear, same};
use beft_checkpoint::{Fields, HeadTables, KeyTable, MODEL_KEYS, NameTable};

use super::read::{Defaults, SHARED_KEYS, bert_like, probability, size};
use super::{Architecture, DenseLayer, Protocol};
use crate::EncoderConfig;
use crate::facts::{Dropouts, Segments};

/// BERT.
pub const BERT: Architecture = Architecture {
    model_type: "bert",
    class_prefix: "Bert",
    heads: heads!(BERT_NAMES),
    bias_keys: &[],
    keys: &[&MODEL_KEYS, &SHARED_KEYS, &KEYS],
    protocol: Protocol::Bert,
    dense: DenseLayer::Pretrained,
    read,
};

fn read(fields: &Fields<'_>) -> Result<EncoderConfig, String> {
    let config = bert_like(fields, &DEFAULTS)?;
    let dropout = probability(fields, "classifier_dropout", config.dropouts.head)?;
    Ok(EncoderConfig {
        segments: Segments::Told(size(fields, "type_vocab_size", Some(2))?),
        dropouts: Dropouts {
            head: dropout,
            tokens: dropout,
            ..config.dropouts
        },
        ..config
    })
}

/// RoBERTa's too. A BERT whose file does not say its sizes is damaged.
pub(super) const DEFAULTS: Defaults = Defaults {
    vocab_size: None,
    hidden_size: None,
    num_hidden_layers: None,
    num_attention_heads: None,
    intermediate_size: None,
    layer_norm_eps: 1e-12,
};

/// RoBERTa's too.
pub(super) const KEYS: KeyTable = KeyTable {
    applied: &["classifier_dropout", "type_vocab_size"],
    // What other programs wrote beside the first BERTs, and no release of transformers reads.
    immaterial: &[
        "directionality",
        "pooler_fc_size",
        "pooler_num_attention_heads",
        "pooler_num_fc_layers",
        "pooler_size_per_head",
        "pooler_type",
    ],
    only: &[],
};

/// Parameter paths and HF tensor names of BERT with pooler and classification head.
#[rustfmt::skip]
pub const BERT_NAMES: NameTable = NameTable {
    backbone_prefix: "bert.",
    rows: rows!["bert.",
        same("encoder.embeddings.token_type", "bert.embeddings.token_type_embeddings.weight"),
    ],
    head: &[
        linear("pooler.weight", "bert.pooler.dense.weight").optional(),
        same("pooler.bias", "bert.pooler.dense.bias").optional(),
        linear("classifier.weight", "classifier.weight").optional(),
        same("classifier.bias", "classifier.bias").optional(),
    ],
    bare: false,
    ignored: &["embeddings.position_ids", "embeddings.token_type_ids", "cls.", "pooler.", "classifier.", "qa_outputs."],
    tied: &[],
};

/// The names of the masked-language-modelling head (`BertForMaskedLM`), for the backbone's see
/// [`BERT_NAMES`]. The output weights are the word embeddings (tied).
#[rustfmt::skip]
pub const MASKED_LM_NAMES: NameTable = NameTable {
    backbone_prefix: "bert.",
    rows: &[
        linear("transform", "cls.predictions.transform.dense.weight"),
        same("transform_bias", "cls.predictions.transform.dense.bias"),
        same("norm_gamma", "cls.predictions.transform.LayerNorm.weight"),
        same("norm_bias", "cls.predictions.transform.LayerNorm.bias"),
        same("output_bias", "cls.predictions.bias"),
    ],
    head: &[],
    bare: false,
    ignored: &["bert.", "classifier."],
    tied: &[],
};
