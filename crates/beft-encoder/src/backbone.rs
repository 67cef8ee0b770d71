use std::ops::Range;

use beft_core::{OuterTerm, Pooling};
use beft_nn::{Batch, Group, OuterBias, RotaryConfig, Rows, outer_norm, zeros_if};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

use crate::context::Reach;
use crate::disentangled::DistanceTable;
use crate::distances::{bucket_scores, window_scores};
use crate::embeddings::EncoderEmbeddings;
use crate::facts::{Distances, Order};
use crate::layer::EncoderLayer;
use crate::{EncoderConfig, ForwardContext};

/// The backbone: embeddings and layers, HF `BertModel` and `RobertaModel` without a
/// pooler.
#[derive(Module, Debug)]
pub struct EncoderModel {
    /// Embeddings.
    pub embeddings: EncoderEmbeddings,
    /// Layers, from the input up.
    pub layers: Vec<EncoderLayer>,
    /// Weight of the norm behind the last layer, `[hidden]` (ModernBERT).
    pub final_gamma: Option<Param<Tensor<1>>>,
    /// Its bias, `[hidden]`.
    pub final_bias: Option<Param<Tensor<1>>>,
    epsilon: f64,
    #[module(skip)]
    pub(crate) distances: Distances,
}

impl EncoderModel {
    /// A newly initialised backbone; values are drawn when first used.
    pub fn init(config: &EncoderConfig, device: &Device) -> Self {
        let hidden = config.hidden_size;
        let final_norm = match config.order {
            Order::PostNorm => false,
            Order::PreNormGated => true,
        };
        Self {
            embeddings: EncoderEmbeddings::init(config, device),
            final_gamma: final_norm.then(|| Initializer::Ones.init([hidden], device)),
            final_bias: zeros_if(final_norm && config.native.norms, hidden, device),
            epsilon: config.layer_norm_eps,
            distances: config.distances.clone(),
            layers: (0..config.num_hidden_layers)
                .map(|index| EncoderLayer::init(config, index, device))
                .collect(),
        }
    }

    /// Its biases outside the layers.
    pub(crate) fn outer_biases(&self) -> Vec<OuterBias> {
        let own = &self.embeddings;
        let embeddings = [
            (&own.norm_bias, "encoder.embeddings.norm_bias"),
            (&own.project_bias, "encoder.embeddings.project_bias"),
            (&own.distances_bias, "encoder.embeddings.distances_bias"),
        ];
        let embeddings = embeddings.map(|(bias, path)| (bias, OuterTerm::Embeddings, path));
        let last = (&self.final_bias, OuterTerm::FinalNorm, "encoder.final_bias");
        let all = embeddings.into_iter().chain([last]);
        all.filter(|(bias, _, _)| bias.is_some())
            .map(|(_, term, path)| OuterBias::new(term, path))
            .collect()
    }

    pub(crate) fn set_dropout_off(&mut self) {
        self.embeddings.set_dropout_off();
        for layer in &mut self.layers {
            layer.set_dropout_off();
        }
    }

    /// What the layers need to know of a batch.
    pub fn context<'a>(&self, batch: &'a Batch) -> ForwardContext<'a> {
        let device = batch.layout.device();
        let everything = |_: &Group| None;
        let plain = ForwardContext {
            batch,
            all: Reach::new(batch, None, everything),
            near: None,
            distances: None,
        };
        match &self.distances {
            Distances::None => plain,
            Distances::Buckets(_) => {
                let table = self.embeddings.distances.as_ref();
                let scores = |group: &Group| Some(bucket_scores(table?.val(), group.length()));
                ForwardContext {
                    all: Reach::new(batch, None, scores),
                    ..plain
                }
            }
            Distances::Disentangled(config) => {
                let table = self.embeddings.distance_table(batch);
                ForwardContext {
                    distances: table.map(|table| DistanceTable::new(config, table, batch)),
                    ..plain
                }
            }
            Distances::Rotary(layers) => {
                let longest = batch.layout.groups().iter().map(Group::length).max();
                let rotary = |theta| {
                    let table = RotaryConfig::plain(self.head_dim(), theta);
                    let table = table.table(longest.unwrap_or(1), &device);
                    Some(table.at(&batch.layout.positions()))
                };
                let window = |group: &Group| window_scores(layers.window, group.length(), &device);
                let near = layers.near.contains(&true);
                ForwardContext {
                    all: Reach::new(batch, rotary(layers.theta), everything),
                    near: near.then(|| Reach::new(batch, rotary(layers.near_theta), window)),
                    ..plain
                }
            }
        }
    }

    fn head_dim(&self) -> usize {
        self.layers.first().map_or(0, EncoderLayer::head_dim)
    }

    /// The norm behind the last layer, if there is one, at `rows`.
    fn final_norm(&self, x: Tensor<2>, batch: &Batch, rows: Rows) -> Tensor<2> {
        match &self.final_gamma {
            Some(gamma) => {
                let (bias, index) = (self.final_bias.as_ref(), batch.stack.index(rows));
                outer_norm(x, gamma, bias, self.epsilon, index)
            }
            None => x,
        }
    }

    /// The last hidden state.
    ///
    /// # Shapes
    ///
    /// - output: `[rows, hidden]`
    pub fn forward(&self, batch: &Batch) -> Tensor<2> {
        let hidden = self.hidden(batch, self.layers.len());
        self.final_norm(hidden, batch, Rows::All)
    }

    /// What the lowest `layers` layers make of the inputs, before the norm behind the last one.
    ///
    /// # Shapes
    ///
    /// - output: `[rows, hidden]`
    pub fn hidden(&self, batch: &Batch, layers: usize) -> Tensor<2> {
        let embedded = self.embeddings.forward(batch);
        self.advance(batch, embedded, 0..layers, Rows::All)
    }

    /// What some layers make of what those below gave, the last one at `rows` alone.
    ///
    /// # Shapes
    ///
    /// - hidden: `[rows, hidden]`
    /// - output: the same; `[batch, hidden]` for [`Rows::First`]
    pub(crate) fn advance(
        &self,
        batch: &Batch,
        hidden: Tensor<2>,
        layers: Range<usize>,
        rows: Rows,
    ) -> Tensor<2> {
        let Some(last) = self.layers[layers.clone()].last() else {
            return hidden;
        };
        if let Some(at) = self.host_rows(batch) {
            return self.host_advance(&at, hidden, layers, rows);
        }
        let context = self.context(batch);
        let below = layers.start..layers.end - 1;
        let hidden = self.layers[below]
            .iter()
            .fold(hidden, |x, layer| layer.forward(x, &context, Rows::All));
        last.forward(hidden, &context, rows)
    }

    /// What the head reads: the last hidden state at each input's first token, or its mean over the tokens, from what
    /// the lowest `done` layers made of the inputs; `done` is less than the number of layers.
    ///
    /// # Shapes
    ///
    /// - hidden: `[rows, hidden]`
    /// - output: `[batch, hidden]`
    pub(crate) fn pooled(
        &self,
        batch: &Batch,
        hidden: Tensor<2>,
        done: usize,
        pooling: Pooling,
    ) -> Tensor<2> {
        let rows = match (pooling, batch.savings.first_token) {
            (Pooling::FirstToken, true) => Rows::First,
            (Pooling::FirstToken, false) | (Pooling::Mean, _) => Rows::All,
        };
        let hidden = self.advance(batch, hidden, done..self.layers.len(), rows);
        let hidden = self.final_norm(hidden, batch, rows);
        match (pooling, rows) {
            (Pooling::FirstToken, Rows::First) => hidden,
            (Pooling::FirstToken, Rows::All) => batch.layout.first_tokens(hidden),
            (Pooling::Mean, _) => batch.layout.means(hidden),
        }
    }

    /// The last hidden state from what the lowest `done` layers made of the inputs.
    ///
    /// # Shapes
    ///
    /// - hidden, output: `[rows, hidden]`
    pub(crate) fn finished(&self, batch: &Batch, hidden: Tensor<2>, done: usize) -> Tensor<2> {
        let hidden = self.advance(batch, hidden, done..self.layers.len(), Rows::All);
        self.final_norm(hidden, batch, Rows::All)
    }
}
