//! The architectures that can be computed, one file each: HF's class, how its config.json is read, what is done
//! with each key of it, and the tensor names. [`ALL`] lists them.

/// The head of sequence classification.
const SCORE: &[TensorName] = &[linear("classifier.weight", "score.weight").optional()];

/// The head of token classification.
const TOKEN_SCORE: &[TensorName] = &[
    linear("classifier.weight", "score.weight").optional(),
    same("classifier.bias", "score.bias").optional(),
];

/// The head of question answering.
const SPAN_HEAD: &[TensorName] = &[
    linear("classifier.weight", "qa_outputs.weight").optional(),
    same("classifier.bias", "qa_outputs.bias").optional(),
];

/// The tables of an architecture with its heads for one output of each input, for tokens and for spans, of which it
/// may lack the last two.
macro_rules! heads {
    ($names:expr, $tokens:expr, $spans:expr) => {
        HeadTables {
            sequence: &NameTable {
                head: super::SCORE,
                ..$names
            },
            tokens: $tokens,
            spans: $spans,
            backbone: None,
        }
    };
}

mod gpt2;
mod gptj;
mod llama;
mod mistral;
mod opt;
mod qwen2;

use beft_checkpoint::rows::{linear, same};
use beft_checkpoint::{HeadTables, KeyTable, NameTable, Stored, TensorName};

use beft_core::BiasTerm;

use crate::DecoderConfig;
use crate::config::Activation;
use beft_checkpoint::Fields;

pub use gpt2::GPT2;
pub use gptj::GPTJ;
pub use llama::LLAMA;
pub use mistral::MISTRAL;
pub use opt::OPT;
pub use qwen2::QWEN2;

/// Every architecture.
pub const ALL: [&Architecture; 6] = [&OPT, &LLAMA, &QWEN2, &MISTRAL, &GPTJ, &GPT2];

/// An architecture of causal language models in Hugging Face's layout.
#[derive(Debug)]
pub struct Architecture {
    /// Its name in config.json (`model_type`).
    pub model_type: &'static str,
    /// HF's class of the model with its output head, as in `architectures` of config.json.
    pub causal_lm_class: &'static str,
    /// What HF's names of its other classes begin with.
    pub class_prefix: &'static str,
    /// Where the parameters are in a checkpoint of a model with a head of another kind.
    pub heads: HeadTables,
    /// Where the parameters are in a checkpoint. The output head is the tensor of path `head`, the token
    /// embeddings that of `decoder.tokens`.
    pub names: &'static NameTable,
    /// The keys of its config.json that give its layers biases, each with the terms.
    pub bias_keys: &'static [(&'static str, &'static [BiasTerm])],
    /// The tables that the keys of its config.json are checked against.
    pub keys: &'static [&'static KeyTable],
    /// Reads its config.json, or that of the architecture that it is an alias of.
    pub(crate) read: fn(&Fields<'_>) -> Result<DecoderConfig, String>,
}

impl Architecture {
    /// Finds an architecture by its name in config.json.
    pub fn named(model_type: &str) -> Option<&'static Self> {
        ALL.into_iter().find(|known| known.model_type == model_type)
    }

    /// Whether query, key and value lie in one matrix of the checkpoint.
    pub fn fuses_projections(&self) -> bool {
        let mut rows = self.names.rows.iter();
        rows.any(|row| row.stored.part().is_some())
    }
}

/// A bias that the architecture may not have: it is zero then.
const fn added(path: &'static str, hf: &'static str) -> TensorName {
    same(path, hf).optional()
}

/// One of three parts of a tensor that holds query, key and value side by side.
const fn third(path: &'static str, hf: &'static str, part: usize) -> TensorName {
    TensorName {
        stored: Stored::Third(part),
        ..same(path, hf)
    }
}

/// The share that the head of token classification drops (`GenericForTokenClassification`).
fn token_dropout(fields: &Fields<'_>) -> Result<f64, String> {
    let other = fields.number_or("hidden_dropout", 0.1)?;
    fields.number_or("classifier_dropout", other)
}

/// The width of a head.
fn divided(hidden: usize, heads: usize) -> Result<usize, String> {
    match heads > 0 && hidden.is_multiple_of(heads) {
        true => Ok(hidden / heads),
        false => Err(format!(
            "hidden_size {hidden} is not a multiple of num_attention_heads {heads}"
        )),
    }
}

fn activation(name: &str) -> Result<Activation, String> {
    match name {
        "relu" => Ok(Activation::Relu),
        "gelu" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Ok(Activation::GeluTanh),
        _ => Err(format!(
            "`activation_function` is `{name}`; relu, gelu, gelu_new and gelu_pytorch_tanh are implemented"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, Value};

    /// As `xtask/python/config_fields.py` lists them.
    fn reference() -> Map<String, Value> {
        serde_json::from_str(include_str!("../../tests/reference/keys.json")).unwrap()
    }

    #[test]
    fn every_key_of_transformers_stands_in_one_table_and_its_default_is_implemented() {
        let reference = reference();
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
        }
    }
}
