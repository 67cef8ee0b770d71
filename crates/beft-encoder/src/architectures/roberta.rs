//! RoBERTa: `modeling_roberta.py`, and what is computed like it under another name.

use beft_checkpoint::NameTable;
use beft_checkpoint::rows::{linear, same};

use super::{Architecture, Family};

/// RoBERTa.
pub const ROBERTA: Architecture = Architecture {
    model_type: "roberta",
    classifier_class: "RobertaForSequenceClassification",
    names: &ROBERTA_NAMES,
    family: Family::Roberta,
};

/// XLM-RoBERTa, RoBERTa with another vocabulary (`modeling_xlm_roberta.py`).
pub const XLM_ROBERTA: Architecture = Architecture {
    model_type: "xlm-roberta",
    classifier_class: "XLMRobertaForSequenceClassification",
    ..ROBERTA
};

/// CamemBERT, RoBERTa with another vocabulary (`modeling_camembert.py`).
pub const CAMEMBERT: Architecture = Architecture {
    model_type: "camembert",
    classifier_class: "CamembertForSequenceClassification",
    ..ROBERTA
};

/// Parameter paths and HF tensor names of RoBERTa with classification head
/// (`RobertaForSequenceClassification` in `modeling_roberta.py`). Its head has a dense layer of its
/// own where BERT has the pooler.
#[rustfmt::skip]
pub const ROBERTA_NAMES: NameTable = NameTable {
    backbone_prefix: "roberta.",
    rows: rows!["roberta.",
        linear("pooler.weight", "classifier.dense.weight").optional(),
        same("pooler.bias", "classifier.dense.bias").optional(),
        linear("classifier.weight", "classifier.out_proj.weight").optional(),
        same("classifier.bias", "classifier.out_proj.bias").optional(),
    ],
    ignored: &["embeddings.position_ids", "embeddings.token_type_ids", "pooler.", "lm_head."],
    tied: &[],
};
