use beft_checkpoint::{CheckpointError, ModelDir, check_sizes};
use beft_core::{BiasTerm, Encoding, HeadCounts, TaskType};
use beft_nn::Norm;
use burn::nn::Initializer;
use serde_json::{Map, Value};

use crate::architectures::{ALL, Architecture};
use beft_checkpoint::Fields;
use beft_nn::RotaryConfig;

/// What the computation of a causal language model depends on, read from the `config.json` of any
/// [`Architecture`].
#[derive(Clone, Debug)]
pub struct DecoderConfig {
    /// Which architecture.
    pub architecture: &'static Architecture,
    /// Number of tokens.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the token embeddings; OPT-350m's is smaller than `hidden_size`.
    pub embedding_size: usize,
    /// Number of layers.
    pub layers: usize,
    /// Number of attention heads.
    pub heads: usize,
    /// Number of key and value heads; divides `heads`.
    pub key_value_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Width of the feed-forward block.
    pub intermediate_size: usize,
    /// Activation of the feed-forward block.
    pub activation: Activation,
    /// How a layer's parts follow one another.
    pub order: Order,
    /// Kind of norm.
    pub norm: Norm,
    /// Added to the variance, or the mean square, in norms.
    pub epsilon: f64,
    /// Whether there is a norm behind the last layer.
    pub final_norm: bool,
    /// How tokens know their places.
    pub positions: Positions,
    /// Longest input in tokens.
    pub max_tokens: usize,
    /// Whether the output head's weights are the token embeddings.
    pub tied_head: bool,
    /// Whether the output head has a bias.
    pub head_bias: bool,
    /// Whether the checkpoint has biases of query, key and value.
    pub native_qkv_biases: bool,
    /// Whether the checkpoint has a bias of attention's output projection.
    pub native_output_bias: bool,
    /// Whether the gate of the feed-forward block has a bias (LLaMA with `mlp_bias`).
    pub gate_bias: bool,
    /// Dropout behind the embeddings.
    pub embedding_dropout: f64,
    /// Dropout behind attention and the feed-forward block.
    pub residual_dropout: f64,
    /// Dropout on attention weights.
    pub attention_dropout: f64,
    /// Standard deviation of newly initialised weights.
    pub initializer_range: f64,
    /// Dropout before the head of token classification.
    pub tokens_dropout: f64,
    /// Token id of padding: a head that reads the last token passes it over.
    pub pad: Option<u32>,
    /// Token ids that end a text.
    pub eos: Vec<u32>,
    /// Token id that begins a text.
    pub bos: Option<u32>,
}

/// How a layer's parts follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `h = x + attention(norm(x))`, `y = h + mlp(norm(h))`.
    PreNorm,
    /// `h = norm(x + attention(x))`, `y = norm(h + mlp(h))`: OPT-350m.
    PostNorm,
    /// `y = x + attention(n) + mlp(n)` with `n = norm(x)`: GPT-J.
    Parallel,
}

/// How tokens know their places.
#[derive(Clone, Debug, PartialEq)]
pub enum Positions {
    /// An embedding of each position, the first at this row.
    Learned {
        /// Row of the first position: 2 in OPT.
        offset: usize,
    },
    /// Queries and keys are rotated by their position.
    Rotary(RotaryConfig),
}

/// Activation of the feed-forward block, under HF's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `relu`.
    Relu,
    /// `gelu`, with the error function.
    Gelu,
    /// `gelu_new`, `gelu_pytorch_tanh`: the approximation by tanh.
    GeluTanh,
    /// `silu`, of a gate that multiplies the first projection (SwiGLU).
    SiluGate,
}

impl Activation {
    /// What the backward pass needs from the forward pass, per row, in widths of the feed-forward block.
    pub fn kept_widths(self) -> usize {
        match self {
            Self::Relu | Self::Gelu => 1,
            Self::GeluTanh => 2,
            // SiLU keeps its input and its sigmoid, and the gate keeps both factors.
            Self::SiluGate => 4,
        }
    }
}

/// The terms of a layer with one norm.
const WITHOUT_LN2: [BiasTerm; 7] = [
    BiasTerm::Q,
    BiasTerm::K,
    BiasTerm::V,
    BiasTerm::M1,
    BiasTerm::Ln1,
    BiasTerm::M2,
    BiasTerm::M3,
];

/// Far above any model: a config that asks for more is damaged.
const MOST_LAYERS: usize = 1000;

impl DecoderConfig {
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

    /// How new weights are drawn.
    pub(crate) fn weight_init(&self) -> Initializer {
        Initializer::Normal {
            mean: 0.0,
            std: self.initializer_range,
        }
    }

    /// The token that begins a text.
    pub fn start(&self) -> Option<u32> {
        self.bos.or(self.eos.first().copied())
    }

    /// Whether a checkpoint has the bias of a term in each layer.
    pub(crate) fn has_bias(&self, term: BiasTerm) -> bool {
        match term {
            BiasTerm::Q | BiasTerm::K | BiasTerm::V => self.native_qkv_biases,
            BiasTerm::M1 => self.native_output_bias,
            BiasTerm::M2 | BiasTerm::M3 => self.norm == Norm::Layer || self.gate_bias,
            BiasTerm::Ln1 | BiasTerm::Ln2 => self.norm == Norm::Layer,
        }
    }

    /// For each term whether a checkpoint has its bias.
    pub(crate) fn native_terms(&self) -> [bool; BiasTerm::ALL.len()] {
        BiasTerm::ALL.map(|term| self.has_bias(term))
    }

    /// Ends an input where the head of sequence classification reads it: at the last token that is not padding. No
    /// later token changes that one's state. An empty text becomes the token that begins texts.
    pub fn prepare(&self, encoding: &mut Encoding, task_type: TaskType) {
        if task_type == TaskType::SequenceClassification {
            let last = encoding.ids.iter().rposition(|id| Some(*id) != self.pad);
            encoding.ids.truncate(last.unwrap_or(0) + 1);
        }
        if encoding.ids.is_empty() {
            encoding.ids.push(self.start().unwrap_or(0));
        }
        encoding.type_ids.clear();
    }

    /// Numbers of attention heads of a layer.
    pub fn head_counts(&self) -> HeadCounts {
        HeadCounts {
            query: self.heads,
            key_value: self.key_value_heads,
        }
    }

    /// The bias terms that its layers have: GPT-J's have one norm.
    pub fn terms(&self) -> &'static [BiasTerm] {
        match self.order {
            Order::Parallel => &WITHOUT_LN2,
            Order::PreNorm | Order::PostNorm => &BiasTerm::ALL,
        }
    }

    fn check(&self) -> Result<(), String> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("word_embed_proj_dim", self.embedding_size),
            ("num_hidden_layers", self.layers),
            ("num_attention_heads", self.heads),
            ("num_key_value_heads", self.key_value_heads),
            ("head_dim", self.head_dim),
            ("intermediate_size", self.intermediate_size),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Err(format!("`{name}` is 0; it must be above 0"));
        }
        if self.max_tokens < 2 {
            return Err(format!(
                "max_position_embeddings leaves room for {} tokens",
                self.max_tokens
            ));
        }
        if !self.heads.is_multiple_of(self.key_value_heads) {
            return Err(format!(
                "{} attention heads (num_attention_heads) cannot share {} key and value heads (num_key_value_heads)",
                self.heads, self.key_value_heads
            ));
        }
        if self.layers > MOST_LAYERS {
            return Err(format!("num_hidden_layers is {}", self.layers));
        }
        let positions = ("max_position_embeddings", self.max_tokens);
        check_sizes(sizes.into_iter().chain([positions]))?;
        if let Positions::Rotary(rotary) = &self.positions
            && (rotary.width > self.head_dim
                || rotary.width == 0
                || !rotary.width.is_multiple_of(2))
        {
            return Err(format!(
                "{} values of each head are rotated, of {} (head_dim): the number must be even, more than 0 and no larger",
                rotary.width, self.head_dim
            ));
        }
        let positive = |x: f64| (x as f32).is_finite() && x as f32 > 0.0;
        if !(positive(self.epsilon) && positive(self.initializer_range)) {
            return Err(
                "the norms' epsilon (layer_norm_eps) and initializer_range must be positive"
                    .to_owned(),
            );
        }
        let dropouts = [
            self.embedding_dropout,
            self.residual_dropout,
            self.attention_dropout,
        ];
        if let Some(bad) = dropouts.iter().find(|p| !(0.0..1.0).contains(*p)) {
            return Err(format!(
                "a probability of dropout is {bad}; it must be in [0, 1)"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architectures::{LLAMA, MISTRAL, OPT, QWEN2};

    fn read(architecture: &'static Architecture, json: &str) -> Result<DecoderConfig, String> {
        DecoderConfig::read(architecture, &serde_json::from_str(json).unwrap())
    }

    const SIZES: &str = r#""vocab_size": 10, "hidden_size": 8, "intermediate_size": 16,
        "num_hidden_layers": 2, "num_attention_heads": 4"#;

    #[test]
    fn missing_fields_have_transformers_defaults() {
        let config = read(&LLAMA, &format!("{{{SIZES}}}")).unwrap();
        assert_eq!((config.key_value_heads, config.head_dim), (4, 2));
        assert!(!config.tied_head && !config.native_qkv_biases && config.final_norm);
        let config = read(&QWEN2, &format!("{{{SIZES}}}")).unwrap();
        assert!(config.native_qkv_biases);
    }

    #[test]
    fn what_cannot_be_computed_is_named() {
        let error = |more: &str| read(&LLAMA, &format!("{{{SIZES}, {more}}}")).unwrap_err();
        for (more, name) in [
            (r#""num_key_value_heads": 3"#, "3 key and value heads"),
            (r#""hidden_act": "gelu""#, "hidden_act"),
            (r#""use_sliding_window": true"#, "use_sliding_window"),
            (r#""rope_scaling": {"rope_type": "dynamic"}"#, "dynamic"),
            (
                r#""rope_parameters": {"rope_type": "default"}, "rope_scaling": {"rope_type": "dynamic"}"#,
                "dynamic",
            ),
            (r#""num_hidden_layers": "two""#, "num_hidden_layers"),
            (r#""rms_norm_eps": 0"#, "epsilon"),
            (r#""head_dim": 3"#, "even"),
            (r#""rope_theta": 1"#, "rope_theta"),
            (r#""rope_scaling": {"rope_type": "linear"}"#, "factor"),
        ] {
            assert!(error(more).contains(name), "{}", error(more));
        }
        let mistral = |window: &str| {
            let more =
                format!(r#""num_key_value_heads": null, "max_position_embeddings": 64{window}"#);
            read(&MISTRAL, &format!("{{{SIZES}, {more}}}"))
        };
        for window in [
            "",
            r#", "sliding_window": null"#,
            r#", "sliding_window": 64"#,
        ] {
            assert_eq!(mistral(window).unwrap().key_value_heads, 4);
        }
        let error = mistral(r#", "sliding_window": 63"#).unwrap_err();
        assert!(
            error.contains("`sliding_window` is 63") && error.contains("cut"),
            "{error}"
        );
        let error = read(&MISTRAL, &format!("{{{SIZES}}}")).unwrap_err();
        assert!(error.contains("`sliding_window` is 4096"), "{error}");
        let error = read(&OPT, "{}").unwrap_err();
        assert!(error.contains("hidden_size"), "{error}");
    }
}
