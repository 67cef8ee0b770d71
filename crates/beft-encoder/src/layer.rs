mod host;

use beft_core::BiasTerm::{K, Ln1, Ln2, M1, M2, M3, Q, V};
use beft_nn::{Batch, DropoutSite, Group, LayerBiases, Norm, Rows, Weight, gelu, zeros_if};
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, Initializer};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Int, Tensor};

use crate::disentangled::DistanceTable;
use crate::facts::{Disentangled, Distances, Order};
use crate::{EncoderConfig, ForwardContext};

/// One transformer layer, HF `BertLayer` ([`Order::PostNorm`]):
///
/// ```text
/// a = softmax(q k^T / sqrt(d) + added) v          with q, k, v = x W + b
/// h = norm(x + dropout(a W + m1)) * gamma + ln1
/// y = norm(h + dropout(gelu(h W + m2) W + m3)) * gamma + ln2
/// ```
///
/// and `ModernBertEncoderLayer` ([`Order::PreNormGated`]), whose first layer has no first norm:
///
/// ```text
/// n = norm(x) * gamma + ln1                       a as above, of n, with q and k rotated
/// h = x + dropout(a W + m1)
/// c, d = (norm(h) * gamma + ln2) W + m2
/// y = h + dropout(gelu(c) d) W + m3
/// ```
///
/// Weights are `[d_in, d_out]`; every bias is in [`LayerBiases`].
#[derive(Module, Debug)]
pub struct EncoderLayer {
    /// `[hidden, hidden]`.
    pub query: Weight,
    /// `[hidden, hidden]`.
    pub key: Weight,
    /// `[hidden, hidden]`.
    pub value: Weight,
    /// Makes keys of distances, where those of tokens are made otherwise, `[hidden, hidden]` (DeBERTa).
    pub distance_key: Option<Weight>,
    /// Its own bias, which is never tuned, `[hidden]`.
    pub distance_key_bias: Option<Param<Tensor<1>>>,
    /// Makes queries of distances, `[hidden, hidden]`.
    pub distance_query: Option<Weight>,
    /// Its own bias, which is never tuned, `[hidden]`.
    pub distance_query_bias: Option<Param<Tensor<1>>>,
    /// `[hidden, hidden]`.
    pub attention_output: Weight,
    /// Weight of the first norm, `[hidden]`; ModernBERT's first layer has none.
    pub norm1_gamma: Option<Param<Tensor<1>>>,
    /// `[hidden, intermediate]`, twice as wide for a gated block.
    pub intermediate: Weight,
    /// `[intermediate, hidden]`.
    pub output: Weight,
    /// Weight of the second norm, `[hidden]`.
    pub norm2_gamma: Param<Tensor<1>>,
    /// The eight bias vectors.
    pub biases: LayerBiases,
    distance_dropout: Dropout,
    attention_dropout: Dropout,
    attention_output_dropout: Dropout,
    wide_dropout: Dropout,
    output_dropout: Dropout,
    heads: usize,
    epsilon: f64,
    index: usize,
    /// Whether it sees near tokens alone.
    near: bool,
    #[module(skip)]
    order: Order,
    #[module(skip)]
    disentangled: Option<Disentangled>,
}

impl EncoderLayer {
    /// Layer number `index`, newly initialised; values are drawn when first used.
    pub fn init(config: &EncoderConfig, index: usize, device: &Device) -> Self {
        let (hidden, narrow) = (config.hidden_size, config.intermediate_size);
        let (wide, first_norm) = match config.order {
            Order::PostNorm => (narrow, true),
            Order::PreNormGated => (2 * narrow, index > 0),
        };
        let disentangled = match config.distances {
            Distances::Disentangled(table) => Some(table),
            Distances::None | Distances::Buckets(_) | Distances::Rotary(_) => None,
        };
        let own = disentangled.filter(|table| !table.shared);
        let (own_keys, own_queries) = (
            own.is_some_and(|table| table.keys),
            own.is_some_and(|table| table.queries),
        );
        let weight = |shape| Weight::init(shape, &config.weight_init(), device);
        let gamma = || Initializer::Ones.init([hidden], device);
        let dropout = |share| DropoutConfig::new(share).init();
        Self {
            query: weight([hidden, hidden]),
            key: weight([hidden, hidden]),
            value: weight([hidden, hidden]),
            distance_key: own_keys.then(|| weight([hidden, hidden])),
            distance_key_bias: zeros_if(own_keys, hidden, device),
            distance_query: own_queries.then(|| weight([hidden, hidden])),
            distance_query_bias: zeros_if(own_queries, hidden, device),
            attention_output: weight([hidden, hidden]),
            norm1_gamma: first_norm.then(gamma),
            intermediate: weight([hidden, wide]),
            output: weight([narrow, hidden]),
            norm2_gamma: gamma(),
            biases: LayerBiases::zeros(hidden, wide, device),
            distance_dropout: dropout(config.dropouts.distances),
            attention_dropout: dropout(config.dropouts.attention),
            attention_output_dropout: dropout(config.dropouts.attention_output),
            wide_dropout: dropout(config.dropouts.wide),
            output_dropout: dropout(config.dropouts.output),
            heads: config.num_attention_heads,
            epsilon: config.layer_norm_eps,
            index,
            near: match &config.distances {
                Distances::Rotary(layers) => layers.near[index],
                Distances::None | Distances::Buckets(_) | Distances::Disentangled(_) => false,
            },
            order: config.order,
            disentangled,
        }
    }

    /// The weight matrices.
    pub(crate) fn weights(&self) -> impl Iterator<Item = &Weight> {
        self.named_weights().map(|(_, weight)| weight)
    }

    /// The weight matrices with the names of their fields.
    pub(crate) fn named_weights(&self) -> impl Iterator<Item = (&'static str, &Weight)> {
        let always = [
            ("query", &self.query),
            ("key", &self.key),
            ("value", &self.value),
            ("attention_output", &self.attention_output),
            ("intermediate", &self.intermediate),
            ("output", &self.output),
        ];
        let own = [
            self.distance_key
                .as_ref()
                .map(|weight| ("distance_key", weight)),
            self.distance_query
                .as_ref()
                .map(|weight| ("distance_query", weight)),
        ];
        always.into_iter().chain(own.into_iter().flatten())
    }

    /// The same, to change.
    pub(crate) fn weights_mut(&mut self) -> impl Iterator<Item = &mut Weight> {
        let always = [
            &mut self.query,
            &mut self.key,
            &mut self.value,
            &mut self.attention_output,
            &mut self.intermediate,
            &mut self.output,
        ];
        let own = self.distance_key.iter_mut();
        always
            .into_iter()
            .chain(own)
            .chain(&mut self.distance_query)
    }

    pub(crate) fn head_dim(&self) -> usize {
        self.query.dims()[1] / self.heads
    }

    fn dropouts(&mut self) -> [&mut Dropout; 5] {
        [
            &mut self.distance_dropout,
            &mut self.attention_dropout,
            &mut self.attention_output_dropout,
            &mut self.wide_dropout,
            &mut self.output_dropout,
        ]
    }

    pub(crate) fn drops(&self) -> bool {
        let shares = [
            self.distance_dropout.prob,
            self.attention_dropout.prob,
            self.attention_output_dropout.prob,
            self.wide_dropout.prob,
            self.output_dropout.prob,
        ];
        shares.iter().any(|share| *share > 0.0)
    }

    pub(crate) fn set_dropout_off(&mut self) {
        for dropout in self.dropouts() {
            dropout.prob = 0.0;
        }
    }

    /// The layer's output at `rows`.
    ///
    /// # Shapes
    ///
    /// - x: `[rows, hidden]`
    /// - output: the same; `[batch, hidden]` for [`Rows::First`]
    pub fn forward(&self, x: Tensor<2>, context: &ForwardContext<'_>, rows: Rows) -> Tensor<2> {
        let (biases, batch) = (&self.biases, context.batch);
        let all = batch.stack.index(Rows::All);
        let some = batch.stack.index(rows);
        let drop = |dropout, site, x| batch.drop_rows(dropout, site, x, rows);
        let out = |attended| {
            let attended = biases.project(M1, attended, &self.attention_output, some);
            let site = DropoutSite::AttentionOutput(self.index);
            drop(&self.attention_output_dropout, site, attended)
        };
        let norm2 = |x| {
            let (norm, gamma) = (Norm::Layer, &self.norm2_gamma);
            biases.normalize(Ln2, norm, x, gamma, self.epsilon, some)
        };
        match self.order {
            Order::PostNorm => {
                let attended = out(self.attend(x.clone(), context, rows));
                let h = self.norm1(batch.layout.at(rows, x) + attended, some);
                norm2(h.clone() + self.feed_forward(h, batch, rows))
            }
            Order::PreNormGated => {
                let normed = self.norm1(x.clone(), all);
                let attended = out(self.attend(normed, context, rows));
                let h = batch.layout.at(rows, x) + attended;
                h.clone() + self.feed_forward(norm2(h), batch, rows)
            }
        }
    }

    /// The first norm with its bias; the bias alone where there is no norm.
    fn norm1(&self, x: Tensor<2>, stack_index: Option<&Tensor<1, Int>>) -> Tensor<2> {
        match &self.norm1_gamma {
            Some(gamma) => {
                let norm = Norm::Layer;
                self.biases
                    .normalize(Ln1, norm, x, gamma, self.epsilon, stack_index)
            }
            None => self.biases.shift(Ln1, x, stack_index),
        }
    }

    /// The feed-forward block at `rows`, with its dropouts.
    fn feed_forward(&self, x: Tensor<2>, batch: &Batch, rows: Rows) -> Tensor<2> {
        let stack_index = batch.stack.index(rows);
        let (host, index) = (batch.savings.host_functions, self.index);
        let wide = self.biases.project(M2, x, &self.intermediate, stack_index);
        let wide = match self.order {
            Order::PostNorm => gelu(wide, host),
            Order::PreNormGated => {
                let half = wide.dims()[1] / 2;
                gelu(wide.clone().narrow(1, 0, half), host) * wide.narrow(1, half, half)
            }
        };
        let wide = batch.drop_rows(&self.wide_dropout, DropoutSite::Wide(index), wide, rows);
        let narrow = self.biases.project(M3, wide, &self.output, stack_index);
        batch.drop_rows(
            &self.output_dropout,
            DropoutSite::Output(index),
            narrow,
            rows,
        )
    }

    /// Multi-head self-attention of the queries at `rows` up to, not including, the output
    /// projection.
    ///
    /// # Shapes
    ///
    /// - x: `[rows, hidden]`
    /// - output: the same; `[batch, hidden]` for [`Rows::First`]
    pub fn attend(&self, x: Tensor<2>, context: &ForwardContext<'_>, rows: Rows) -> Tensor<2> {
        let batch = context.batch;
        let [_, hidden] = x.dims();
        let head_dim = hidden / self.heads;
        let project = |term, x, weight, rows| {
            self.biases
                .project(term, x, weight, batch.stack.index(rows))
        };
        let mut k = project(K, x.clone(), &self.key, Rows::All);
        let v = project(V, x.clone(), &self.value, Rows::All);
        let mut q = project(Q, batch.layout.at(rows, x), &self.query, rows);
        let near = context.near.as_ref().filter(|_| self.near);
        let reach = near.unwrap_or(&context.all);
        if let Some(rotary) = &reach.rotary {
            k = rotary.rotate(k, self.heads);
            // The first token is at position 0, where nothing turns.
            if rows == Rows::All {
                q = rotary.rotate(q, self.heads);
            }
        }
        let scale = match &self.disentangled {
            Some(table) => table.scale(head_dim),
            None => 1.0 / (head_dim as f64).sqrt(),
        };
        let q = q * scale;
        let distances = context.distances.as_ref();
        let distances = distances.map(|table| (table, self.of_distances(table, batch, scale)));

        let heads = |grid: Tensor<3>| {
            let [inputs, length, _] = grid.dims();
            grid.reshape([inputs, length, self.heads, head_dim])
                .swap_dims(1, 2)
        };
        let attend = |(group, added): (&Group, Option<Tensor<4>>)| {
            let size = group.batch_size();
            let grid = |rows: Tensor<2>| heads(group.to_grid(group.take_rows(rows)));
            let q = match rows {
                Rows::All => grid(q.clone()),
                Rows::First => heads(group.take_inputs(q.clone()).reshape([size, 1, hidden])),
            };
            let k = grid(k.clone());
            let mut scores = q.clone().matmul(k.clone().swap_dims(2, 3));
            if let Some((table, [keys, queries])) = &distances {
                let at = (group, batch, rows);
                if let Some(keys) = keys {
                    scores = scores + table.key_scores(keys, q, at);
                }
                if let Some(queries) = queries {
                    scores = scores + table.query_scores(queries, k, at);
                }
            }
            if let Some(added) = added {
                scores = scores + added;
            }
            let weights = softmax(scores, 3);
            let site = DropoutSite::Attention(self.index);
            let weights = batch.drop_attention(&self.attention_dropout, site, weights, group);
            let attended = weights.matmul(grid(v.clone())).swap_dims(1, 2);
            match rows {
                Rows::All => group.to_rows(attended.reshape([size, group.length(), hidden])),
                Rows::First => attended.reshape([size, hidden]),
            }
        };
        let mut groups: Vec<Tensor<2>> = batch
            .layout
            .groups()
            .iter()
            .zip(reach.scores(rows))
            .map(attend)
            .collect();
        match groups.len() {
            1 => groups.remove(0),
            _ => Tensor::cat(groups, 0),
        }
    }

    /// Keys and queries of the distances that a batch needs, `[stacked, heads, distances, head_dim]`; queries scaled.
    fn of_distances(
        &self,
        distances: &DistanceTable,
        batch: &Batch,
        scale: f64,
    ) -> [Option<Tensor<4>>; 2] {
        let Some(config) = &self.disentangled else {
            return [None, None];
        };
        let site = DropoutSite::Distances(self.index);
        let table = batch.drop_table(&self.distance_dropout, site, distances.table.clone());
        let index = distances.stack_index.as_ref();
        let own = |rows: Tensor<2>, weight: &Weight, bias: &Option<Param<Tensor<1>>>| {
            weight.multiply(rows, bias.as_ref().map(Param::val))
        };
        let keys = config.keys.then(|| {
            let rows = distances.for_keys(&table);
            let keys = match &self.distance_key {
                Some(weight) => own(rows, weight, &self.distance_key_bias),
                None => self.biases.project(K, rows, &self.key, index),
            };
            distances.heads(keys, self.heads)
        });
        let queries = config.queries.then(|| {
            let rows = distances.for_queries(&table);
            let queries = match &self.distance_query {
                Some(weight) => own(rows, weight, &self.distance_query_bias),
                None => self.biases.project(Q, rows, &self.query, index),
            };
            distances.heads(queries * scale, self.heads)
        });
        [keys, queries]
    }
}
