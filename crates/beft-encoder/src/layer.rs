use beft_core::BiasTerm::{K, Ln1, Ln2, M1, M2, M3, Q, V};
use beft_nn::{DropoutSite, Group, LayerBiases, Norm, Rows, gelu};
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, Initializer};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

use crate::{EncoderConfig, ForwardContext};

/// One post-norm transformer layer, HF `BertLayer` and `RobertaLayer`:
///
/// ```text
/// a = softmax(q k^T / sqrt(d) + added) v          with q, k, v = x W + b
/// h = norm(x + dropout(a W + m1)) * gamma + ln1
/// y = norm(h + dropout(gelu(h W + m2) W + m3)) * gamma + ln2
/// ```
///
/// Weights are `[d_in, d_out]`; every bias is in [`LayerBiases`].
#[derive(Module, Debug)]
pub struct EncoderLayer {
    /// `[hidden, hidden]`.
    pub query: Param<Tensor<2>>,
    /// `[hidden, hidden]`.
    pub key: Param<Tensor<2>>,
    /// `[hidden, hidden]`.
    pub value: Param<Tensor<2>>,
    /// `[hidden, hidden]`.
    pub attention_output: Param<Tensor<2>>,
    /// Weight of the first norm, `[hidden]`.
    pub norm1_gamma: Param<Tensor<1>>,
    /// `[hidden, intermediate]`.
    pub intermediate: Param<Tensor<2>>,
    /// `[intermediate, hidden]`.
    pub output: Param<Tensor<2>>,
    /// Weight of the second norm, `[hidden]`.
    pub norm2_gamma: Param<Tensor<1>>,
    /// The eight bias vectors.
    pub biases: LayerBiases,
    attention_dropout: Dropout,
    attention_output_dropout: Dropout,
    output_dropout: Dropout,
    heads: usize,
    epsilon: f64,
    index: usize,
}

impl EncoderLayer {
    /// Layer number `index`, newly initialised; values are drawn when first used.
    pub fn init(config: &EncoderConfig, index: usize, device: &Device) -> Self {
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let weight = |shape: [usize; 2]| config.weight_init().init(shape, device);
        let gamma = || Initializer::Ones.init([hidden], device);
        let dropout = |share| DropoutConfig::new(share).init();
        Self {
            query: weight([hidden, hidden]),
            key: weight([hidden, hidden]),
            value: weight([hidden, hidden]),
            attention_output: weight([hidden, hidden]),
            norm1_gamma: gamma(),
            intermediate: weight([hidden, wide]),
            output: weight([wide, hidden]),
            norm2_gamma: gamma(),
            biases: LayerBiases::zeros(hidden, wide, device),
            attention_dropout: dropout(config.dropouts.attention),
            attention_output_dropout: dropout(config.dropouts.attention_output),
            output_dropout: dropout(config.dropouts.output),
            heads: config.num_attention_heads,
            epsilon: config.layer_norm_eps,
            index,
        }
    }

    fn dropouts(&mut self) -> [&mut Dropout; 3] {
        [
            &mut self.attention_dropout,
            &mut self.attention_output_dropout,
            &mut self.output_dropout,
        ]
    }

    pub(crate) fn drops(&self) -> bool {
        let shares = [
            self.attention_dropout.prob,
            self.attention_output_dropout.prob,
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
        let drop = |dropout, site, x| batch.drop_rows(dropout, site, x, rows);
        let attended = self.attend(x.clone(), context, rows);
        let x = batch.layout.at(rows, x);
        let stack_index = batch.stack.index(rows);
        let norm = |term, x, gamma| {
            biases.normalize(term, Norm::Layer, x, gamma, self.epsilon, stack_index)
        };
        let attended = biases.project(M1, attended, &self.attention_output, stack_index);
        let site = DropoutSite::AttentionOutput(self.index);
        let sum = x + drop(&self.attention_output_dropout, site, attended);
        let h = norm(Ln1, sum, &self.norm1_gamma);

        let wide = biases.project(M2, h.clone(), &self.intermediate, stack_index);
        let wide = gelu(wide, batch.savings.host_functions);
        let narrow = biases.project(M3, wide, &self.output, stack_index);
        let site = DropoutSite::Output(self.index);
        let sum = h + drop(&self.output_dropout, site, narrow);
        norm(Ln2, sum, &self.norm2_gamma)
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
        let k = project(K, x.clone(), &self.key, Rows::All);
        let v = project(V, x.clone(), &self.value, Rows::All);
        let q = project(Q, batch.layout.at(rows, x), &self.query, rows);
        let q = q * (1.0 / (head_dim as f64).sqrt());

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
            let mut scores = q.matmul(grid(k.clone()).swap_dims(2, 3));
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
        let mut groups: Vec<Tensor<2>> = context.groups(rows).map(attend).collect();
        match groups.len() {
            1 => groups.remove(0),
            _ => Tensor::cat(groups, 0),
        }
    }
}
