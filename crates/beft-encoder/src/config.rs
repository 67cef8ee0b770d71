use beft_checkpoint::{CheckpointError, Fields, ModelDir, check_sizes};
use beft_core::{BiasSite, BiasTerm, Encoding, HeadCounts, Pooling};
use burn::nn::Initializer;
use serde_json::{Map, Value};

use crate::architectures::{ALL, Architecture, BERT};
use crate::facts::{
    Activation, Distances, Dropouts, HeadConfig, NativeBiases, Order, Positions, Segments,
};

/// What the computation of an encoder depends on. The `read` of its architecture makes it of a `config.json`, with
/// transformers' defaults.
#[derive(Clone, Debug)]
pub struct EncoderConfig {
    /// Which architecture; `model_type` in the file.
    pub architecture: &'static Architecture,
    /// Number of word pieces.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the embeddings; where it is another one than that of the residual stream, a linear layer lies between.
    pub embedding_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Number of attention heads; divides `hidden_size`.
    pub num_attention_heads: usize,
    /// Width of the feed-forward block.
    pub intermediate_size: usize,
    /// Number of rows of the position embeddings; without these the longest input.
    pub max_position_embeddings: usize,
    /// The position embeddings.
    pub positions: Positions,
    /// The segment embeddings.
    pub segments: Segments,
    /// What attention knows of the distance between two tokens.
    pub distances: Distances,
    /// How the parts of a layer follow one another.
    pub order: Order,
    /// Which biases a checkpoint has.
    pub native: NativeBiases,
    /// Added to the variance in layer norms.
    pub layer_norm_eps: f64,
    /// The classification head.
    pub head: HeadConfig,
    /// Shares of values that dropout drops in training.
    pub dropouts: Dropouts,
    /// Standard deviation of newly initialised weights.
    pub initializer_range: f64,
}

/// Far above any encoder: a config that asks for more is damaged.
const MOST_LAYERS: usize = 1000;

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
            embedding_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            max_position_embeddings: 512,
            positions: Positions::FromZero,
            segments: Segments::Told(2),
            distances: Distances::None,
            order: Order::PostNorm,
            native: NativeBiases::ALL,
            layer_norm_eps: 1e-12,
            head: HeadConfig {
                pooling: Pooling::FirstToken,
                activation: Activation::Tanh,
                norm: false,
                of_tokens: false,
            },
            dropouts: Dropouts {
                embeddings: 0.1,
                distances: 0.0,
                attention: 0.1,
                attention_output: 0.1,
                wide: 0.0,
                output: 0.1,
                head_input: 0.0,
                head: 0.1,
                tokens: 0.1,
                spans: 0.0,
            },
            initializer_range: 0.02,
        }
    }

    /// The same in another width: of the residual stream and the embeddings, with a feed-forward block four times as
    /// wide.
    pub fn with_width(self, hidden_size: usize) -> Self {
        Self {
            hidden_size,
            embedding_size: hidden_size,
            intermediate_size: 4 * hidden_size,
            ..self
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
        let Some(architecture) = Architecture::named(&found) else {
            return Err(CheckpointError::UnsupportedArchitecture {
                path: dir.config_path(),
                found,
                supported: ALL.map(|known| known.model_type).join(", "),
            });
        };
        dir.read_config(architecture.keys, |keys| Self::read(architecture, keys))
    }

    /// Reads the config of an architecture from the fields of its `config.json`.
    ///
    /// # Errors
    ///
    /// What is missing or not implemented.
    pub fn read(
        architecture: &'static Architecture,
        fields: &Map<String, Value>,
    ) -> Result<Self, String> {
        let config = Self {
            architecture,
            ..(architecture.read)(&Fields(fields))?
        };
        config.check()?;
        Ok(config)
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
        let segments = match self.segments {
            Segments::Told(segments) => segments,
            // It is given no segments.
            Segments::None | Segments::First(_) => usize::MAX,
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
        let padding = match self.positions {
            Positions::None | Positions::FromZero => None,
            Positions::BehindPadding(padding) => Some(padding),
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

    /// Row of the first token in the table of position embeddings.
    pub fn first_position(&self) -> usize {
        match self.positions {
            Positions::None | Positions::FromZero => 0,
            Positions::BehindPadding(padding) => padding.saturating_add(1),
        }
    }

    /// Longest input in tokens, special tokens included.
    pub fn max_tokens(&self) -> usize {
        self.max_position_embeddings
            .saturating_sub(self.first_position())
    }

    /// Numbers of attention heads of a layer.
    pub fn head_counts(&self) -> HeadCounts {
        HeadCounts {
            query: self.num_attention_heads,
            key_value: self.num_attention_heads,
        }
    }

    /// Whether the model tells the two texts of a pair apart.
    pub fn has_segments(&self) -> bool {
        match self.segments {
            Segments::Told(_) => true,
            Segments::None | Segments::First(_) => false,
        }
    }

    /// Whether a key bias changes nothing: where what it adds to the scores of a query is the same for all keys.
    pub fn ignores_key_bias(&self) -> bool {
        match self.distances {
            Distances::None | Distances::Buckets(_) => true,
            Distances::Rotary(_) => false,
            // It meets another query of distances at each key.
            Distances::Disentangled(distances) => !distances.queries,
        }
    }

    /// Whether a checkpoint has the bias of a site. The first layer of a pre-norm model has no norm before attention.
    pub fn has_bias(&self, site: BiasSite) -> bool {
        let first_norm = site.layer == 0 && site.term == BiasTerm::Ln1;
        self.native.has(site.term) && !(first_norm && self.order == Order::PreNormGated)
    }

    /// What no single key of the file is to blame for.
    fn check(&self) -> Result<(), String> {
        if self.max_tokens() < 2 {
            return Err(format!(
                "`max_position_embeddings` {} leaves no room for tokens",
                self.max_position_embeddings
            ));
        }
        let (hidden, heads) = (self.hidden_size, self.num_attention_heads);
        if !hidden.is_multiple_of(heads) {
            return Err(format!(
                "hidden_size {hidden} is not a multiple of num_attention_heads {heads}"
            ));
        }
        if matches!(self.distances, Distances::Rotary(_)) && !(hidden / heads).is_multiple_of(2) {
            return Err(format!(
                "the heads are {} values wide (hidden_size / num_attention_heads); rotations need an even number",
                hidden / heads
            ));
        }
        if self.num_hidden_layers > MOST_LAYERS {
            return Err(format!("num_hidden_layers is {}", self.num_hidden_layers));
        }
        check_sizes([
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.max_position_embeddings),
        ])
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
    use beft_checkpoint::KeyTable;
    use serde_json::json;

    /// The shape of `bert-base-cased` with some keys changed.
    fn read(
        architecture: &'static Architecture,
        changes: &[(&str, Value)],
    ) -> Result<EncoderConfig, String> {
        let base = json!({"vocab_size": 28996, "hidden_size": 768, "num_hidden_layers": 12,
            "num_attention_heads": 12, "intermediate_size": 3072});
        let mut fields = base.as_object().cloned().unwrap();
        fields.extend(
            changes
                .iter()
                .map(|(key, v)| ((*key).to_owned(), v.clone())),
        );
        EncoderConfig::read(architecture, &fields)
    }

    #[test]
    fn inputs_are_checked_and_padding_inside_texts_has_no_place_of_its_own() {
        let encoding = |ids: &[u32], type_ids: &[u32]| Encoding {
            ids: ids.to_vec(),
            type_ids: type_ids.to_vec(),
            ..Encoding::default()
        };
        let bert = EncoderConfig::base_cased();
        let mut pair = encoding(&[101, 0, 102, 7, 102], &[0, 0, 0, 1, 1]);
        bert.prepare(&mut pair).unwrap();
        assert!(pair.positions.is_empty());
        let bert = read(&BERT, &[("type_vocab_size", json!(1))]).unwrap();
        let refused = |input: &mut Encoding| bert.prepare(input).unwrap_err();
        assert_eq!(refused(&mut pair), InputError::Segments { segments: 1 });
        let unknown = refused(&mut encoding(&[28996], &[0])).to_string();
        assert!(unknown.contains("28996"), "{unknown}");
        let long = refused(&mut encoding(&[1; 513], &[0; 513])).to_string();
        assert!(long.contains("512"), "{long}");

        let roberta = read(&ROBERTA, &[("type_vocab_size", json!(1))]).unwrap();
        let mut padded = encoding(&[0, 9, 1, 1, 8, 2], &[0, 0, 0, 0, 1, 1]);
        roberta.prepare(&mut padded).unwrap();
        assert_eq!(padded.positions, [0, 1, -1, -1, 2, 3]);
    }

    #[test]
    fn refuses_what_it_cannot_compute() {
        assert!(read(&BERT, &[]).is_ok());
        let wrong = |key, value| read(&BERT, &[(key, value)]).unwrap_err();
        assert!(wrong("num_attention_heads", json!(7)).contains("not a multiple"));
        assert!(wrong("hidden_act", json!("relu")).contains("`relu`"));
        for (key, value) in [
            ("hidden_dropout_prob", json!(1.0)),
            ("classifier_dropout", json!(-0.1)),
            ("num_hidden_layers", json!(1_u64 << 40)),
            ("num_hidden_layers", json!(0)),
            ("initializer_range", json!(1e300)),
            ("layer_norm_eps", json!(-1.0)),
            ("vocab_size", json!("many")),
            ("hidden_size", Value::Null),
        ] {
            let error = wrong(key, value);
            assert!(error.contains(key), "{error}");
        }
        let keys = json!({"position_embedding_type": "relative_key"});
        let error = KeyTable::check(BERT.keys, keys.as_object().unwrap()).unwrap_err();
        assert!(error.contains("absolute"), "{error}");
    }
}
