use beft_checkpoint::{CheckpointError, KeyTable, MODEL_KEYS, ModelDir};
use beft_core::Encoding;
use burn::nn::Initializer;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::architectures::{ALL, Architecture, BERT, Family};

/// The fields of a BERT or RoBERTa `config.json` that the computation depends on, under HF's names
/// (`BertConfig` in `configuration_bert.py`, `RobertaConfig`) with HF's defaults.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EncoderConfig {
    /// Which architecture; `model_type` in the file.
    #[serde(rename = "model_type", with = "crate::architectures")]
    pub architecture: &'static Architecture,
    /// Number of word pieces.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Number of attention heads; divides `hidden_size`.
    pub num_attention_heads: usize,
    /// Width of the feed-forward block.
    pub intermediate_size: usize,
    /// Activation of the feed-forward block: `gelu`, computed with the exact error function.
    #[serde(default = "defaults::hidden_act")]
    pub hidden_act: String,
    /// Dropout after embeddings, attention output, feed-forward output and pooler.
    #[serde(default = "defaults::dropout")]
    pub hidden_dropout_prob: f64,
    /// Dropout on attention weights.
    #[serde(default = "defaults::dropout")]
    pub attention_probs_dropout_prob: f64,
    /// Dropout before the classifier; `hidden_dropout_prob` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classifier_dropout: Option<f64>,
    /// Longest input.
    #[serde(default = "defaults::max_position_embeddings")]
    pub max_position_embeddings: usize,
    /// Number of segments.
    #[serde(default = "defaults::type_vocab_size")]
    pub type_vocab_size: usize,
    /// Token id of padding; RoBERTa's positions begin behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pad_token_id: Option<usize>,
    /// Added to the variance in layer norms.
    #[serde(default = "defaults::layer_norm_eps")]
    pub layer_norm_eps: f64,
    /// Standard deviation of newly initialised weights.
    #[serde(default = "defaults::initializer_range")]
    pub initializer_range: f64,
    /// Whether attention is causal; not implemented.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_decoder: bool,
    /// Kind of position embedding; `absolute` is implemented.
    #[serde(default = "defaults::position_embedding_type")]
    pub position_embedding_type: String,
}

/// Keys of `BertConfig` and `RobertaConfig`. BERT's padding id matters to training from scratch alone; MODEL_KEYS
/// has it for RoBERTa's positions.
const KEYS: KeyTable = KeyTable {
    applied: &[
        "attention_probs_dropout_prob",
        "classifier_dropout",
        "hidden_act",
        "hidden_dropout_prob",
        "hidden_size",
        "initializer_range",
        "intermediate_size",
        "layer_norm_eps",
        "max_position_embeddings",
        "num_attention_heads",
        "num_hidden_layers",
        "position_embedding_type",
        "type_vocab_size",
    ],
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

/// Far above any BERT: a config that asks for more is damaged.
const MOST_LAYERS: usize = 1000;

mod defaults {
    pub(super) fn hidden_act() -> String {
        "gelu".to_owned()
    }
    pub(super) fn dropout() -> f64 {
        0.1
    }
    pub(super) fn max_position_embeddings() -> usize {
        512
    }
    pub(super) fn type_vocab_size() -> usize {
        2
    }
    pub(super) fn layer_norm_eps() -> f64 {
        1e-12
    }
    pub(super) fn initializer_range() -> f64 {
        0.02
    }
    pub(super) fn position_embedding_type() -> String {
        "absolute".to_owned()
    }
}

/// An input that a model cannot be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// A token that the model does not know.
    #[error("token id {id} is not among the {rows} tokens of the model (vocab_size)")]
    Token {
        /// The token.
        id: u32,
        /// Number of tokens that it knows.
        rows: usize,
    },
    /// A pair of texts for a model without a second segment.
    #[error(
        "a pair of texts needs two segments, and the model knows {segments} (type_vocab_size in config.json): join \
         the texts to one, or take a model that was trained on pairs"
    )]
    Segments {
        /// Number of segments that it knows.
        segments: usize,
    },
    /// An input that is too long.
    #[error("it has {tokens} tokens, and the model takes {most} (max_position_embeddings)")]
    Length {
        /// Its number of tokens.
        tokens: usize,
        /// How many the model takes.
        most: usize,
    },
}

impl EncoderConfig {
    /// The shape of `bert-base-cased`.
    pub fn base_cased() -> Self {
        Self {
            architecture: &BERT,
            vocab_size: 28996,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: defaults::hidden_act(),
            hidden_dropout_prob: 0.1,
            attention_probs_dropout_prob: 0.1,
            classifier_dropout: None,
            max_position_embeddings: 512,
            type_vocab_size: 2,
            pad_token_id: None,
            layer_norm_eps: 1e-12,
            initializer_range: 0.02,
            is_decoder: false,
            position_embedding_type: defaults::position_embedding_type(),
        }
    }

    /// Reads the config of a model folder and checks that it can be computed here.
    ///
    /// # Errors
    ///
    /// For another architecture (the supported ones are named), a missing field, or a value that
    /// is not implemented.
    pub fn load(dir: &ModelDir) -> Result<Self, CheckpointError> {
        let found = dir.model_type()?;
        if Architecture::named(&found).is_none() {
            return Err(CheckpointError::UnsupportedArchitecture {
                path: dir.config_path(),
                found,
                supported: ALL.map(|known| known.model_type).join(", "),
            });
        }
        let fail = |reason| CheckpointError::Config {
            path: dir.config_path(),
            reason,
        };
        let keys: Map<String, Value> = dir.config()?;
        KeyTable::check(&Self::keys(), &keys)
            .map_err(|reason| fail(format!("{reason}: compute such a model with transformers")))?;
        // transformers takes null for absent, too.
        let config: Self = dir.config_without_null()?;
        config.check().map_err(fail)?;
        Ok(config)
    }

    /// The tables that the keys of the config are checked against.
    pub fn keys() -> [&'static KeyTable; 2] {
        [&MODEL_KEYS, &KEYS]
    }

    /// Fails for an input that the model cannot be given, and sets the positions that its tokens have where they
    /// are not 0, 1, 2 and so on.
    ///
    /// # Errors
    ///
    /// What is out of the model's range: a token, a segment (of a pair, where the model knows one), the length.
    pub fn prepare(&self, encoding: &mut Encoding) -> Result<(), InputError> {
        let rows = self.vocab_size;
        if let Some(id) = encoding.ids.iter().find(|id| **id as usize >= rows) {
            return Err(InputError::Token { id: *id, rows });
        }
        let segments = match self.architecture.family {
            Family::Bert => self.type_vocab_size,
            // It is given no segments (`RobertaEmbeddings`).
            Family::Roberta => usize::MAX,
        };
        if encoding
            .type_ids
            .iter()
            .any(|segment| *segment as usize >= segments)
        {
            return Err(InputError::Segments { segments });
        }
        if encoding.len() > self.max_tokens() {
            return Err(InputError::Length {
                tokens: encoding.len(),
                most: self.max_tokens(),
            });
        }
        let padding = match self.architecture.family {
            Family::Bert => None,
            Family::Roberta => Some(self.pad_token_id.unwrap_or(1)),
        };
        let is_padding = |id: &u32| padding == Some(*id as usize);
        if encoding.ids.iter().any(is_padding) {
            // `create_position_ids_from_input_ids` counts the other tokens, and puts padding before the first.
            let mut next = 0;
            let place = |id: &u32| match is_padding(id) {
                true => -1,
                false => {
                    next += 1;
                    next - 1
                }
            };
            encoding.positions = encoding.ids.iter().map(place).collect();
        }
        Ok(())
    }

    /// Position number of the first token: 0, or for RoBERTa the one behind the padding token's id
    /// (`create_position_ids_from_input_ids` in `modeling_roberta.py`).
    pub fn first_position(&self) -> usize {
        match self.architecture.family {
            Family::Bert => 0,
            Family::Roberta => self.pad_token_id.unwrap_or(1) + 1,
        }
    }

    /// Longest input in tokens, special tokens included.
    pub fn max_tokens(&self) -> usize {
        self.max_position_embeddings
            .saturating_sub(self.first_position())
    }

    fn check(&self) -> Result<(), String> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.max_position_embeddings),
            ("type_vocab_size", self.type_vocab_size),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Err(format!("`{name}` is 0"));
        }
        if self.max_tokens() < 2 {
            return Err(format!(
                "`max_position_embeddings` {} leaves no room for tokens",
                self.max_position_embeddings
            ));
        }
        let (hidden, heads) = (self.hidden_size, self.num_attention_heads);
        if !hidden.is_multiple_of(heads) {
            return Err(format!(
                "`hidden_size` {hidden} is not a multiple of `num_attention_heads` {heads}"
            ));
        }
        if self.num_hidden_layers > MOST_LAYERS {
            return Err(format!("`num_hidden_layers` is {}", self.num_hidden_layers));
        }
        let positive = |x: f64| (x as f32).is_finite() && x as f32 > 0.0;
        if !(positive(self.layer_norm_eps) && positive(self.initializer_range)) {
            return Err("`layer_norm_eps` and `initializer_range` must be positive".to_owned());
        }
        if self.hidden_act != "gelu" {
            return Err(format!(
                "`hidden_act` is `{}`; `gelu` is implemented: compute such a model with transformers",
                self.hidden_act
            ));
        }
        if self.is_decoder {
            return Err("`is_decoder` is true; an encoder is implemented".to_owned());
        }
        if self.position_embedding_type != "absolute" {
            return Err(format!(
                "`position_embedding_type` is `{}`; `absolute` is implemented",
                self.position_embedding_type
            ));
        }
        let dropouts = [
            ("hidden_dropout_prob", self.hidden_dropout_prob),
            (
                "attention_probs_dropout_prob",
                self.attention_probs_dropout_prob,
            ),
            ("classifier_dropout", self.classifier_dropout()),
        ];
        if let Some((name, p)) = dropouts.iter().find(|(_, p)| !(0.0..1.0).contains(p)) {
            return Err(format!(
                "`{name}` is {p}; it must be at least 0 and below 1"
            ));
        }
        Ok(())
    }

    /// Dropout before the classifier.
    pub fn classifier_dropout(&self) -> f64 {
        self.classifier_dropout.unwrap_or(self.hidden_dropout_prob)
    }

    pub(super) fn weight_init(&self) -> Initializer {
        Initializer::Normal {
            mean: 0.0,
            std: self.initializer_range,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architectures::ROBERTA;

    #[test]
    fn every_key_of_transformers_stands_in_one_table_and_its_default_is_implemented() {
        let reference = include_str!("../tests/reference/keys.json");
        let reference: Map<String, Value> = serde_json::from_str(reference).unwrap();
        for name in ALL.map(|known| known.model_type) {
            let keys = reference.get(name).and_then(Value::as_object);
            let keys =
                keys.unwrap_or_else(|| panic!("{name}: add it to xtask/python/config_fields.py"));
            let tables = EncoderConfig::keys();
            for key in keys.keys() {
                let count = tables.iter().filter(|table| table.names(key)).count();
                assert_eq!(count, 1, "{name}: {key}");
            }
            let unknown = KeyTable::check(&tables, keys).unwrap();
            assert!(unknown.is_empty(), "{name}: {unknown:?}");
        }
    }

    #[test]
    fn inputs_are_checked_and_padding_inside_texts_has_no_place_of_its_own() {
        let encoding = |ids: &[u32], type_ids: &[u32]| Encoding {
            ids: ids.to_vec(),
            type_ids: type_ids.to_vec(),
            ..Encoding::default()
        };
        let mut bert = EncoderConfig::base_cased();
        let mut pair = encoding(&[101, 0, 102, 7, 102], &[0, 0, 0, 1, 1]);
        bert.prepare(&mut pair).unwrap();
        assert!(pair.positions.is_empty());
        bert.type_vocab_size = 1;
        let refused = |input: &mut Encoding| bert.prepare(input).unwrap_err();
        assert_eq!(refused(&mut pair), InputError::Segments { segments: 1 });
        let unknown = refused(&mut encoding(&[28996], &[0])).to_string();
        assert!(unknown.contains("28996"), "{unknown}");
        let long = refused(&mut encoding(&[1; 513], &[0; 513])).to_string();
        assert!(long.contains("512"), "{long}");

        let roberta = EncoderConfig {
            architecture: &ROBERTA,
            pad_token_id: Some(1),
            ..bert
        };
        let mut padded = encoding(&[0, 9, 1, 1, 8, 2], &[0, 0, 0, 0, 1, 1]);
        roberta.prepare(&mut padded).unwrap();
        assert_eq!(padded.positions, [0, 1, -1, -1, 2, 3]);
    }

    #[test]
    fn refuses_what_it_cannot_compute() {
        let base = EncoderConfig::base_cased();
        assert_eq!(base.check(), Ok(()));
        let wrong = |change: fn(&mut EncoderConfig)| {
            let mut config = base.clone();
            change(&mut config);
            config.check().unwrap_err()
        };
        assert!(wrong(|c| c.num_attention_heads = 7).contains("not a multiple"));
        assert!(wrong(|c| c.hidden_act = "relu".into()).contains("`relu`"));
        assert!(wrong(|c| c.position_embedding_type = "relative_key".into()).contains("absolute"));
        assert!(wrong(|c| c.hidden_dropout_prob = 1.0).contains("hidden_dropout_prob"));
        assert!(wrong(|c| c.num_hidden_layers = 1 << 40).contains("num_hidden_layers"));
        assert!(wrong(|c| c.initializer_range = f64::INFINITY).contains("initializer_range"));
        assert!(wrong(|c| c.layer_norm_eps = -1.0).contains("layer_norm_eps"));
        assert!(wrong(|c| c.num_hidden_layers = 0).contains("num_hidden_layers"));
    }
}
