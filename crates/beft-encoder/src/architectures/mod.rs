//! The architectures that can be computed, one file each: HF's class, how its config.json is read, what is done with
//! each key of it, and the tensor names. [`ALL`] lists them.

use beft_checkpoint::rows::{linear, same};
use beft_checkpoint::{Fields, HeadTables, KeyTable, TensorName};
use beft_core::{BiasTerm, TaskType};

use crate::EncoderConfig;

/// The rows of a backbone with BERT's names, which differ in the prefix, and further rows.
macro_rules! rows {
    ($prefix:literal, $($head:expr),+ $(,)?) => {
        &[
            same("encoder.embeddings.word", concat!($prefix, "embeddings.word_embeddings.weight")),
            same("encoder.embeddings.position", concat!($prefix, "embeddings.position_embeddings.weight")),
            same("encoder.embeddings.norm_gamma", concat!($prefix, "embeddings.LayerNorm.weight")),
            same("encoder.embeddings.norm_bias", concat!($prefix, "embeddings.LayerNorm.bias")),
            linear("encoder.layers.{l}.query", concat!($prefix, "encoder.layer.{l}.attention.self.query.weight")),
            same("encoder.layers.{l}.biases.q", concat!($prefix, "encoder.layer.{l}.attention.self.query.bias")),
            linear("encoder.layers.{l}.key", concat!($prefix, "encoder.layer.{l}.attention.self.key.weight")),
            same("encoder.layers.{l}.biases.k", concat!($prefix, "encoder.layer.{l}.attention.self.key.bias")),
            linear("encoder.layers.{l}.value", concat!($prefix, "encoder.layer.{l}.attention.self.value.weight")),
            same("encoder.layers.{l}.biases.v", concat!($prefix, "encoder.layer.{l}.attention.self.value.bias")),
            linear("encoder.layers.{l}.attention_output", concat!($prefix, "encoder.layer.{l}.attention.output.dense.weight")),
            same("encoder.layers.{l}.biases.m1", concat!($prefix, "encoder.layer.{l}.attention.output.dense.bias")),
            same("encoder.layers.{l}.norm1_gamma", concat!($prefix, "encoder.layer.{l}.attention.output.LayerNorm.weight")),
            same("encoder.layers.{l}.biases.ln1", concat!($prefix, "encoder.layer.{l}.attention.output.LayerNorm.bias")),
            linear("encoder.layers.{l}.intermediate", concat!($prefix, "encoder.layer.{l}.intermediate.dense.weight")),
            same("encoder.layers.{l}.biases.m2", concat!($prefix, "encoder.layer.{l}.intermediate.dense.bias")),
            linear("encoder.layers.{l}.output", concat!($prefix, "encoder.layer.{l}.output.dense.weight")),
            same("encoder.layers.{l}.biases.m3", concat!($prefix, "encoder.layer.{l}.output.dense.bias")),
            same("encoder.layers.{l}.norm2_gamma", concat!($prefix, "encoder.layer.{l}.output.LayerNorm.weight")),
            same("encoder.layers.{l}.biases.ln2", concat!($prefix, "encoder.layer.{l}.output.LayerNorm.bias")),
            $($head),+
        ]
    };
}

/// The tables of an architecture whose heads for tokens are one linear layer.
macro_rules! heads {
    ($names:expr) => {
        HeadTables {
            sequence: &$names,
            tokens: Some(&NameTable {
                head: super::TOKEN_HEAD,
                ..$names
            }),
            spans: Some(&NameTable {
                head: super::SPAN_HEAD,
                ..$names
            }),
            backbone: Some(&NameTable {
                head: &[],
                bare: true,
                ..$names
            }),
        }
    };
}

mod bert;
mod deberta_v2;
mod distilbert;
mod electra;
mod modernbert;
mod mpnet;
mod read;
mod roberta;

pub use bert::{BERT, BERT_NAMES, MASKED_LM_NAMES};
pub use deberta_v2::DEBERTA_V2;
pub use distilbert::DISTILBERT;
pub use electra::ELECTRA;
pub use modernbert::MODERNBERT;
pub use mpnet::MPNET;
pub use roberta::{CAMEMBERT, ROBERTA, ROBERTA_NAMES, XLM_ROBERTA};

/// The head of token classification.
const TOKEN_HEAD: &[TensorName] = &[
    linear("classifier.weight", "classifier.weight").optional(),
    same("classifier.bias", "classifier.bias").optional(),
];

/// The head of question answering.
const SPAN_HEAD: &[TensorName] = &[
    linear("classifier.weight", "qa_outputs.weight").optional(),
    same("classifier.bias", "qa_outputs.bias").optional(),
];

/// Every architecture.
pub const ALL: [&Architecture; 9] = [
    &BERT,
    &ROBERTA,
    &XLM_ROBERTA,
    &CAMEMBERT,
    &DISTILBERT,
    &ELECTRA,
    &MPNET,
    &MODERNBERT,
    &DEBERTA_V2,
];

/// An architecture of encoders in Hugging Face's layout. How it is computed says the [`EncoderConfig`] that
/// `read` makes of config.json.
#[derive(Debug)]
pub struct Architecture {
    /// Its name in config.json (`model_type`).
    pub model_type: &'static str,
    /// What HF's names of its classes begin with, as in `architectures` of config.json.
    pub class_prefix: &'static str,
    /// Where the parameters are in a checkpoint.
    pub heads: HeadTables,
    /// The keys of its config.json that give its layers biases, each with the terms.
    pub bias_keys: &'static [(&'static str, &'static [BiasTerm])],
    /// The tables that the keys of its config.json are checked against.
    pub keys: &'static [&'static KeyTable],
    /// Whose values of the paper's protocol are its defaults.
    pub protocol: Protocol,
    /// What the dense layer in front of the class scores belongs to.
    pub dense: DenseLayer,
    /// Reads its config.json, or that of the architecture that it is an alias of.
    pub(crate) read: fn(&Fields<'_>) -> Result<EncoderConfig, String>,
}

/// The models that the paper's protocol has values for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// BERT.
    Bert,
    /// RoBERTa.
    Roberta,
    /// A model that the paper does not train.
    Other,
}

/// What the dense layer in front of the class scores belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenseLayer {
    /// The pretrained model, BERT's pooler: its weight stays, and its bias is trained along with any other.
    Pretrained,
    /// The head: it is new, and always trained.
    Head,
}

impl Architecture {
    /// Finds an architecture by its name in config.json.
    pub fn named(model_type: &str) -> Option<&'static Self> {
        ALL.into_iter().find(|known| known.model_type == model_type)
    }

    /// HF's class of the model with such a head, as in `architectures` of config.json.
    pub fn class(&self, task: TaskType) -> String {
        format!("{}{}", self.class_prefix, task.class_suffix())
    }

    /// Whether query, key and value lie in one matrix of the checkpoint.
    pub fn fuses_projections(&self) -> bool {
        let mut rows = self.heads.sequence.rows.iter();
        rows.any(|row| row.stored.part().is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, Value};

    #[test]
    fn every_key_of_transformers_stands_in_one_table_and_its_default_is_implemented() {
        let reference = include_str!("../../tests/reference/keys.json");
        let reference: Map<String, Value> = serde_json::from_str(reference).unwrap();
        for architecture in ALL {
            let (name, tables) = (architecture.model_type, architecture.keys);
            let keys = reference.get(name).and_then(Value::as_object);
            let keys =
                keys.unwrap_or_else(|| panic!("{name}: add it to xtask/python/config_fields.py"));
            for key in keys.keys() {
                let count = tables.iter().filter(|table| table.names(key)).count();
                assert_eq!(count, 1, "{name}: {key}");
            }
            let unknown = KeyTable::check(tables, keys).unwrap();
            assert!(unknown.is_empty(), "{name}: {unknown:?}");
            let config = EncoderConfig::read(architecture, keys).unwrap();
            assert_eq!(config.architecture.model_type, name);
        }
    }
}
