//! BERT: `modeling_bert.py`.

use beft_checkpoint::NameTable;
use beft_checkpoint::rows::{linear, same};

use super::{Architecture, Family};

/// BERT.
pub const BERT: Architecture = Architecture {
    model_type: "bert",
    classifier_class: "BertForSequenceClassification",
    names: &BERT_NAMES,
    family: Family::Bert,
};

/// Parameter paths and HF tensor names of BERT with pooler and classification head
/// (`BertForSequenceClassification` in `modeling_bert.py`).
#[rustfmt::skip]
pub const BERT_NAMES: NameTable = NameTable {
    backbone_prefix: "bert.",
    rows: rows!["bert.",
        linear("pooler.weight", "bert.pooler.dense.weight").optional(),
        same("pooler.bias", "bert.pooler.dense.bias").optional(),
        linear("classifier.weight", "classifier.weight").optional(),
        same("classifier.bias", "classifier.bias").optional(),
    ],
    ignored: &["embeddings.position_ids", "embeddings.token_type_ids", "cls."],
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
    ignored: &["bert.", "classifier."],
    tied: &[],
};
