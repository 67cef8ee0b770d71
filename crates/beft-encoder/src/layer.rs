use beft_core::BiasTerm::{K, Ln1, Ln2, M1, M2, M3, Q, V};
use beft_nn::{Batch, LayerBiases, gelu};
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, Initializer};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

use crate::EncoderConfig;

/// One post-norm transformer layer, HF `BertLayer` and `RobertaLayer`:
///
/// ```text
/// a = softmax(q k^T / sqrt(d) + mask) v          with q, k, v = x W + b
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
    hidden_dropout: Dropout,
    heads: usize,
    epsilon: f64,
}

impl EncoderLayer {
    /// A newly initialised layer; values are drawn when first used.
    pub fn init(config: &EncoderConfig, device: &Device) -> Self {
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let weight = |shape: [usize; 2]| config.weight_init().init(shape, device);
        let gamma = || Initializer::Ones.init([hidden], device);
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
            attention_dropout: DropoutConfig::new(config.attention_probs_dropout_prob).init(),
            hidden_dropout: DropoutConfig::new(config.hidden_dropout_prob).init(),
            heads: config.num_attention_heads,
            epsilon: config.layer_norm_eps,
        }
    }

    /// # Shapes
    ///
    /// - x, output: `[rows, hidden]`
    pub fn forward(&self, x: Tensor<2>, batch: &Batch) -> Tensor<2> {
        let biases = &self.biases;
        let attended = self.attend(x.clone(), batch);
        let attended = biases.project(M1, attended, &self.attention_output);
        let sum = x + self.hidden_dropout.forward(attended);
        let h = biases.normalize(Ln1, sum, &self.norm1_gamma, self.epsilon);

        let wide = gelu(biases.project(M2, h.clone(), &self.intermediate));
        let narrow = biases.project(M3, wide, &self.output);
        let sum = h + self.hidden_dropout.forward(narrow);
        biases.normalize(Ln2, sum, &self.norm2_gamma, self.epsilon)
    }

    /// Multi-head self-attention up to, not including, the output projection.
    ///
    /// # Shapes
    ///
    /// - x, output: `[rows, hidden]`
    pub fn attend(&self, x: Tensor<2>, batch: &Batch) -> Tensor<2> {
        let [_, hidden] = x.dims();
        let (size, length) = (batch.batch_size(), batch.length());
        let head_dim = hidden / self.heads;
        let heads = |rows: Tensor<2>| {
            batch
                .to_grid(rows)
                .reshape([size, length, self.heads, head_dim])
                .swap_dims(1, 2)
        };
        let q = self.biases.project(Q, x.clone(), &self.query);
        let k = self.biases.project(K, x.clone(), &self.key);
        let v = self.biases.project(V, x, &self.value);

        let q = heads(q) * (1.0 / (head_dim as f64).sqrt());
        let mut scores = q.matmul(heads(k).swap_dims(2, 3));
        if let Some(bias) = batch.attention_bias() {
            scores = scores + bias;
        }
        let weights = self.attention_dropout.forward(softmax(scores, 3));
        let attended = weights.matmul(heads(v)).swap_dims(1, 2);
        batch.to_rows(attended.reshape([size, length, hidden]))
    }
}
