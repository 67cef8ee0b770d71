use beft_core::BiasTerm::{K, Ln1, Ln2, M1, M2, M3, Q, V};
use beft_core::HeadCounts;
use beft_nn::{DropoutSite, Group, LayerBiases, Norm, Rows, Weight, gelu};
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, Initializer};
use burn::tensor::activation::{gelu_approximate, relu, silu, softmax};
use burn::tensor::{Device, Int, Tensor};

use crate::DecoderConfig;
use crate::cache::LayerCache;
use crate::config::{Activation, Order};
use crate::context::ForwardContext;
use crate::prefix::KeyValuePrefix;

/// One layer of a causal language model: HF `OPTDecoderLayer`, `LlamaDecoderLayer`,
/// `Qwen2DecoderLayer`, `GPTJBlock`, `GPT2Block`. How its parts follow one another says
/// [`Order`](crate::Order).
///
/// Weights are `[d_in, d_out]`. Every bias is in [`LayerBiases`], zero where the architecture has none;
/// of a gated feed-forward block (SwiGLU) `m2` is the bias of the first projection (`up_proj`), not of
/// the gate.
#[derive(Module, Debug)]
pub struct DecoderLayer {
    /// `[hidden, heads * head_dim]`.
    pub query: Weight,
    /// `[hidden, key_value_heads * head_dim]`.
    pub key: Weight,
    /// `[hidden, key_value_heads * head_dim]`.
    pub value: Weight,
    /// `[heads * head_dim, hidden]`.
    pub attention_output: Weight,
    /// Weight of the first norm, `[hidden]`.
    pub norm1_gamma: Param<Tensor<1>>,
    /// `[hidden, intermediate]`.
    pub intermediate: Weight,
    /// The gate of a gated feed-forward block, `[hidden, intermediate]`.
    pub gate: Option<Weight>,
    /// The gate's own bias, which is never tuned, `[intermediate]`.
    pub gate_bias: Option<Param<Tensor<1>>>,
    /// `[intermediate, hidden]`.
    pub output: Weight,
    /// Weight of the second norm, `[hidden]`; GPT-J has none.
    pub norm2_gamma: Option<Param<Tensor<1>>>,
    /// The eight bias vectors.
    pub biases: LayerBiases,
    /// Keys and values that every token attends to, of prefix tuning.
    pub prefix: Option<KeyValuePrefix>,
    attention_dropout: Dropout,
    residual_dropout: Dropout,
    #[module(skip)]
    shape: Shape,
}

/// The part of the config that a layer computes by.
#[derive(Clone, Copy, Debug)]
struct Shape {
    index: usize,
    heads: usize,
    key_value_heads: usize,
    head_dim: usize,
    order: Order,
    norm: Norm,
    epsilon: f64,
    activation: Activation,
}

impl DecoderLayer {
    /// Layer number `index`, newly initialised; values are drawn when first used.
    pub fn init(config: &DecoderConfig, index: usize, device: &Device) -> Self {
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let all = config.heads * config.head_dim;
        let shared = config.key_value_heads * config.head_dim;
        let weight = |d_in, d_out| Weight::init([d_in, d_out], &config.weight_init(), device);
        let gamma = || Initializer::Ones.init([hidden], device);
        let gated = config.activation == Activation::SiluGate;
        Self {
            query: weight(hidden, all),
            key: weight(hidden, shared),
            value: weight(hidden, shared),
            attention_output: weight(all, hidden),
            norm1_gamma: gamma(),
            intermediate: weight(hidden, wide),
            gate: gated.then(|| weight(hidden, wide)),
            gate_bias: config
                .gate_bias
                .then(|| Initializer::Zeros.init([wide], device)),
            output: weight(wide, hidden),
            norm2_gamma: (config.order != Order::Parallel).then(gamma),
            biases: LayerBiases::with_lengths(device, |term| match term {
                Q => all,
                K | V => shared,
                M2 => wide,
                M1 | Ln1 | M3 | Ln2 => hidden,
            }),
            prefix: None,
            attention_dropout: DropoutConfig::new(config.attention_dropout).init(),
            residual_dropout: DropoutConfig::new(config.residual_dropout).init(),
            shape: Shape {
                index,
                heads: config.heads,
                key_value_heads: config.key_value_heads,
                head_dim: config.head_dim,
                order: config.order,
                norm: config.norm,
                epsilon: config.epsilon,
                activation: config.activation,
            },
        }
    }

    /// The weight matrices.
    pub(crate) fn weights_mut(&mut self) -> impl Iterator<Item = &mut Weight> {
        let always = [
            &mut self.query,
            &mut self.key,
            &mut self.value,
            &mut self.attention_output,
            &mut self.intermediate,
            &mut self.output,
        ];
        always.into_iter().chain(&mut self.gate)
    }

    pub(crate) fn head_counts(&self) -> HeadCounts {
        HeadCounts {
            query: self.shape.heads,
            key_value: self.shape.key_value_heads,
        }
    }

    pub(crate) fn key_value_heads(&self) -> usize {
        self.shape.key_value_heads
    }

    pub(crate) fn drops(&self) -> bool {
        self.attention_dropout.prob > 0.0 || self.residual_dropout.prob > 0.0
    }

    pub(crate) fn set_dropout_off(&mut self) {
        self.attention_dropout.prob = 0.0;
        self.residual_dropout.prob = 0.0;
    }

    /// The layer's output, at all rows or at some alone. With `cache` attention sees what is in it too, and
    /// the keys and values of `x` are added to it.
    ///
    /// # Shapes
    ///
    /// - x: `[rows, hidden]`
    /// - only: `[some]`
    /// - output: `[rows, hidden]`, or `[some, hidden]`
    pub(crate) fn forward(
        &self,
        x: Tensor<2>,
        context: &ForwardContext<'_>,
        only: Option<&Tensor<1, Int>>,
        cache: Option<&mut LayerCache>,
    ) -> Tensor<2> {
        let at = |x: Tensor<2>| match only {
            Some(rows) => x.select(0, rows.clone()),
            None => x,
        };
        let stack_index = context.batch.stack.index(Rows::All);
        let some = stack_index.map(|stack_index| match only {
            Some(rows) => stack_index.clone().select(0, rows.clone()),
            None => stack_index.clone(),
        });
        let some = some.as_ref();
        // Dropout knows an input's rows by their places, which some alone do not have.
        let drop = |x: Tensor<2>, site| match only {
            Some(_) => x,
            None => context
                .batch
                .drop_rows(&self.residual_dropout, site, x, Rows::All),
        };
        let attention_site = DropoutSite::AttentionOutput(self.shape.index);
        let output_site = DropoutSite::Output(self.shape.index);
        let out = |attended: Tensor<2>| {
            let attended = at(attended);
            let attended = self
                .biases
                .project(M1, attended, &self.attention_output, some);
            drop(attended, attention_site)
        };
        match self.shape.order {
            Order::PreNorm => {
                let attended = self.attend(self.norm1(x.clone(), stack_index), context, cache);
                let h = at(x) + out(attended);
                let narrow = self.feed_forward(self.norm2(h.clone(), some), context, some);
                h + drop(narrow, output_site)
            }
            Order::PostNorm => {
                let attended = self.attend(x.clone(), context, cache);
                let h = self.norm1(at(x) + out(attended), some);
                let narrow = self.feed_forward(h.clone(), context, some);
                self.norm2(h + drop(narrow, output_site), some)
            }
            Order::Parallel => {
                let normed = self.norm1(x.clone(), stack_index);
                let attended = self.attend(normed.clone(), context, cache);
                let narrow = self.feed_forward(at(normed), context, some);
                out(attended) + drop(narrow, output_site) + at(x)
            }
        }
    }

    fn norm1(&self, x: Tensor<2>, stack_index: Option<&Tensor<1, Int>>) -> Tensor<2> {
        let Shape { norm, epsilon, .. } = self.shape;
        self.biases
            .normalize(Ln1, norm, x, &self.norm1_gamma, epsilon, stack_index)
    }

    fn norm2(&self, x: Tensor<2>, stack_index: Option<&Tensor<1, Int>>) -> Tensor<2> {
        let Shape { norm, epsilon, .. } = self.shape;
        match &self.norm2_gamma {
            Some(gamma) => self
                .biases
                .normalize(Ln2, norm, x, gamma, epsilon, stack_index),
            None => x,
        }
    }

    /// `act(x W + m2) W + m3`, or `(silu(x W_gate) * (x W + m2)) W + m3`.
    fn feed_forward(
        &self,
        x: Tensor<2>,
        context: &ForwardContext<'_>,
        stack_index: Option<&Tensor<1, Int>>,
    ) -> Tensor<2> {
        let gate = self.gate.as_ref().map(|weight| {
            let bias = self.gate_bias.as_ref().map(Param::val);
            weight.multiply(x.clone(), bias)
        });
        let wide = self.biases.project(M2, x, &self.intermediate, stack_index);
        let host = context.batch.savings.host_functions;
        let wide = match (self.shape.activation, gate) {
            (_, Some(gate)) => silu(gate) * wide,
            (Activation::Relu, None) => relu(wide),
            (Activation::Gelu, None) => gelu(wide, host),
            (Activation::GeluTanh | Activation::SiluGate, None) => gelu_approximate(wide),
        };
        self.biases.project(M3, wide, &self.output, stack_index)
    }

    /// Multi-head causal self-attention up to, not including, the output projection.
    ///
    /// # Shapes
    ///
    /// - x: `[rows, hidden]`
    /// - output: `[rows, heads * head_dim]`
    fn attend(
        &self,
        x: Tensor<2>,
        context: &ForwardContext<'_>,
        mut cache: Option<&mut LayerCache>,
    ) -> Tensor<2> {
        let Shape {
            heads,
            key_value_heads: shared,
            head_dim,
            ..
        } = self.shape;
        let stack_index = context.batch.stack.index(Rows::All);
        let mut k = self.biases.project(K, x.clone(), &self.key, stack_index);
        let v = self.biases.project(V, x.clone(), &self.value, stack_index);
        let mut q = self.biases.project(Q, x, &self.query, stack_index);
        if let Some(rotary) = &context.rotary {
            q = rotary.rotate(q, heads);
            k = rotary.rotate(k, shared);
        }
        let q = q * (1.0 / (head_dim as f64).sqrt());
        let mut attend = |(group, mask): (&Group, &Tensor<4>)| {
            let (inputs, length) = (group.batch_size(), group.length());
            let grid = |rows: &Tensor<2>, heads: usize| {
                let grid = group.to_grid(group.take_rows(rows.clone()));
                grid.reshape([inputs, length, heads, head_dim])
                    .swap_dims(1, 2)
            };
            let (mut keys, mut values) = (grid(&k, shared), grid(&v, shared));
            // A cache already holds the prefix.
            let cached = cache.as_ref().is_some_and(|cache| cache.is_filled());
            if let Some(prefix) = self.prefix.as_ref().filter(|_| !cached) {
                (keys, values) = prefix.in_front_of(keys, values);
            }
            if let Some(cache) = &mut cache {
                (keys, values) = cache.extend(keys, values);
            }
            let [.., columns, _] = keys.dims();
            // Query heads that share keys are rows of one product.
            let queries =
                grid(&q, heads).reshape([inputs, shared, heads / shared * length, head_dim]);
            let scores = queries.matmul(keys.swap_dims(2, 3));
            let scores = scores.reshape([inputs, heads, length, columns]) + mask.clone();
            let weights = softmax(scores, 3);
            let site = DropoutSite::Attention(self.shape.index);
            let weights =
                context
                    .batch
                    .drop_attention(&self.attention_dropout, site, weights, group);
            let weights = weights.reshape([inputs, shared, heads / shared * length, columns]);
            let attended = weights
                .matmul(values)
                .reshape([inputs, heads, length, head_dim]);
            group.to_rows(
                attended
                    .swap_dims(1, 2)
                    .reshape([inputs, length, heads * head_dim]),
            )
        };
        let groups = context.batch.layout.groups().iter().zip(&context.masks);
        let mut groups: Vec<Tensor<2>> = groups.map(&mut attend).collect();
        match groups.len() {
            1 => groups.remove(0),
            _ => Tensor::cat(groups, 0),
        }
    }
}
