//! In what encoders differ: the values that an [`EncoderConfig`](crate::EncoderConfig) is made of.

use beft_core::{BiasTerm, Pooling};

/// The table of position embeddings, whose rows are added to those of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positions {
    /// There is none: attention alone knows where a token is (ModernBERT).
    None,
    /// The first token has row 0 (BERT).
    FromZero,
    /// The first token has the row behind this one, which padding inside texts has (RoBERTa,
    /// `create_position_ids_from_input_ids`).
    BehindPadding(usize),
}

/// The table of segment embeddings, with so many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segments {
    /// There is none (DistilBERT).
    None,
    /// Every token is of the first segment (RoBERTa).
    First(usize),
    /// The texts of a pair are told apart (BERT).
    Told(usize),
}

/// What attention knows of the distance between two tokens.
#[derive(Clone, Debug, PartialEq)]
pub enum Distances {
    /// Nothing.
    None,
    /// A learned number for each head and bucket of distances, shared by all layers; so many rows (MPNet).
    Buckets(usize),
    /// A table with a row for each distance, whose keys meet the queries of tokens, and whose queries meet the keys of
    /// tokens (DeBERTa).
    Disentangled(Disentangled),
    /// Queries and keys are rotated by their position, and some layers see near tokens alone (ModernBERT).
    Rotary(RotaryLayers),
}

/// How attention knows distances by a table (`DisentangledSelfAttention`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disentangled {
    /// Number of buckets of distances in one direction; `None` for a row for each distance.
    pub buckets: Option<usize>,
    /// The farthest distance that is told apart.
    pub farthest: usize,
    /// Whether the queries of tokens meet keys of distances (`c2p`).
    pub keys: bool,
    /// Whether the keys of tokens meet queries of distances (`p2c`).
    pub queries: bool,
    /// Whether keys and queries of distances are projected as those of tokens are, with the same biases.
    pub shared: bool,
    /// Whether the table is normalised.
    pub norm: bool,
}

/// How the layers of a model rotate queries and keys.
#[derive(Clone, Debug, PartialEq)]
pub struct RotaryLayers {
    /// Base of the frequencies in layers that see all tokens.
    pub theta: f64,
    /// Base of the frequencies in layers that see near tokens.
    pub near_theta: f64,
    /// The farthest distance that these see.
    pub window: usize,
    /// For each layer, from the input up, whether it sees near tokens alone.
    pub near: Vec<bool>,
}

/// How the parts of a layer follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// A norm behind each part and its residual, and a feed-forward block `act(x W + m2) W + m3` (BERT).
    PostNorm,
    /// A norm before each part but the first layer's attention, and a gated feed-forward block
    /// `(act(a) b) W + m3` with `a, b = x W + m2`; one more norm behind the last layer (ModernBERT).
    PreNormGated,
}

/// Which biases a checkpoint has. Those that it lacks are added, and are zero before training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NativeBiases {
    /// Of queries, keys, values and attention's output.
    pub attention: bool,
    /// Of the feed-forward block.
    pub feed_forward: bool,
    /// Of norms, outside the layers as well.
    pub norms: bool,
    /// Of the dense layer in front of the class scores.
    pub dense: bool,
}

impl NativeBiases {
    /// All of them.
    pub const ALL: Self = Self {
        attention: true,
        feed_forward: true,
        norms: true,
        dense: true,
    };

    /// Whether a checkpoint has the bias of a term in its layers.
    pub fn has(self, term: BiasTerm) -> bool {
        match term {
            BiasTerm::Q | BiasTerm::K | BiasTerm::V | BiasTerm::M1 => self.attention,
            BiasTerm::M2 | BiasTerm::M3 => self.feed_forward,
            BiasTerm::Ln1 | BiasTerm::Ln2 => self.norms,
        }
    }
}

/// The classification head: `classifier(dropout(norm(act(pooled W + b))))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadConfig {
    /// What it reads of the last layer.
    pub pooling: Pooling,
    /// Its activation.
    pub activation: Activation,
    /// Whether it has a norm.
    pub norm: bool,
    /// Whether heads that read all tokens have the dense layer and its norm, too.
    pub of_tokens: bool,
}

/// The activation of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Hyperbolic tangent.
    Tanh,
    /// Rectified linear.
    Relu,
    /// With the error function.
    Gelu,
}

/// Shares of values that dropout drops in training, by place.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dropouts {
    /// Behind the embeddings.
    pub embeddings: f64,
    /// Of the table of distances, in each layer.
    pub distances: f64,
    /// Of attention weights.
    pub attention: f64,
    /// Behind attention's output projection.
    pub attention_output: f64,
    /// Before the second feed-forward projection.
    pub wide: f64,
    /// Behind the second feed-forward projection.
    pub output: f64,
    /// Before the head's dense layer.
    pub head_input: f64,
    /// Before the last layer of a head that reads one state of each input.
    pub head: f64,
    /// Before that of token classification.
    pub tokens: f64,
    /// Before that of question answering.
    pub spans: f64,
}
