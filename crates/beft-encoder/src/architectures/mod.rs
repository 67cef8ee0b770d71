//! The architectures that can be computed: HF's class, tensor names, and which computation they share. [`ALL`] lists
//! them.

use beft_checkpoint::NameTable;
use serde::{Deserialize, Deserializer, Serializer, de};

/// The rows of the backbone, which all share but for the prefix, and those of the head.
macro_rules! rows {
    ($prefix:literal, $($head:expr),+ $(,)?) => {
        &[
            same("encoder.embeddings.word", concat!($prefix, "embeddings.word_embeddings.weight")),
            same("encoder.embeddings.position", concat!($prefix, "embeddings.position_embeddings.weight")),
            same("encoder.embeddings.token_type", concat!($prefix, "embeddings.token_type_embeddings.weight")),
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

mod bert;
mod roberta;

pub use bert::{BERT, BERT_NAMES, MASKED_LM_NAMES};
pub use roberta::{CAMEMBERT, ROBERTA, ROBERTA_NAMES, XLM_ROBERTA};

/// Every architecture.
pub const ALL: [&Architecture; 4] = [&BERT, &ROBERTA, &XLM_ROBERTA, &CAMEMBERT];

/// An architecture of encoders in Hugging Face's layout.
#[derive(Debug)]
pub struct Architecture {
    /// Its name in config.json (`model_type`).
    pub model_type: &'static str,
    /// HF's class of the model with a classification head, as in `architectures` of config.json.
    pub classifier_class: &'static str,
    /// Where the parameters are in a checkpoint.
    pub names: &'static NameTable,
    /// How it is computed.
    pub family: Family,
}

/// How an encoder is computed where the two differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// HF `modeling_bert.py`: segments, positions from 0, and a pooler that is part of the pretrained model.
    Bert,
    /// HF `modeling_roberta.py`: one segment, positions from behind the padding token's id, and a head with a
    /// dense layer of its own.
    Roberta,
}

impl Architecture {
    /// Finds an architecture by its name in config.json.
    pub fn named(model_type: &str) -> Option<&'static Self> {
        ALL.into_iter().find(|known| known.model_type == model_type)
    }
}

/// Writes an architecture as its name.
pub(crate) fn serialize<S: Serializer>(
    architecture: &&'static Architecture,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(architecture.model_type)
}

/// Reads an architecture's name.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<&'static Architecture, D::Error> {
    let name = String::deserialize(deserializer)?;
    Architecture::named(&name)
        .ok_or_else(|| de::Error::custom(format!("unknown architecture `{name}`")))
}
