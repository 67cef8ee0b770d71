use beft_checkpoint::{CheckpointError, ModelDir};
use burn::nn::Initializer;
use serde::{Deserialize, Serialize};

use crate::Architecture;

/// The fields of a BERT or RoBERTa `config.json` that the computation depends on, under HF's names
/// (`BertConfig` in `configuration_bert.py`, `RobertaConfig`) with HF's defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncoderConfig {
    /// Which of the two.
    pub model_type: Architecture,
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

impl EncoderConfig {
    /// The shape of `bert-base-cased`.
    pub fn base_cased() -> Self {
        Self {
            model_type: Architecture::Bert,
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
        if !Architecture::SUPPORTED.contains(&found.as_str()) {
            return Err(CheckpointError::UnsupportedArchitecture {
                path: dir.config_path(),
                found,
                supported: Architecture::SUPPORTED.join(", "),
            });
        }
        let config: Self = dir.config()?;
        config.check().map_err(|reason| CheckpointError::Config {
            path: dir.config_path(),
            reason,
        })?;
        Ok(config)
    }

    /// Position number of the first token: 0, or for RoBERTa the one behind the padding token's id
    /// (`create_position_ids_from_input_ids` in `modeling_roberta.py`).
    pub fn first_position(&self) -> usize {
        match self.model_type {
            Architecture::Bert => 0,
            Architecture::Roberta => self.pad_token_id.unwrap_or(1) + 1,
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
                "`hidden_act` is `{}`; `gelu` is implemented",
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
