use beft_checkpoint::NameTable;
use serde::{Deserialize, Serialize};

use crate::{BERT_NAMES, ROBERTA_NAMES};

/// The `model_type` of config.json.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// HF `modeling_bert.py`.
    Bert,
    /// HF `modeling_roberta.py`: BERT's layers with positions counted from behind the padding
    /// token's id, one segment, and another classification head.
    Roberta,
}

impl Architecture {
    /// Their names in config.json.
    pub const SUPPORTED: [&str; 2] = ["bert", "roberta"];

    /// Where the parameters are in a checkpoint.
    pub fn names(self) -> &'static NameTable {
        match self {
            Self::Bert => &BERT_NAMES,
            Self::Roberta => &ROBERTA_NAMES,
        }
    }

    /// HF's class of the model with a classification head, as in `architectures` of config.json.
    pub fn classifier_class(self) -> &'static str {
        match self {
            Self::Bert => "BertForSequenceClassification",
            Self::Roberta => "RobertaForSequenceClassification",
        }
    }
}
