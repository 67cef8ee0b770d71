use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::module::{layer_norm, linear};
use burn::tensor::{Device, Int, Tensor};

use crate::{Batch, Norm, Rows, bias_of_rows};

/// A linear layer with its bias, outside the transformer layers.
#[derive(Module, Debug)]
pub struct Dense {
    /// `[d_in, d_out]`.
    pub weight: Param<Tensor<2>>,
    /// `[d_out]`; ModernBERT's dense layer and the `score` of decoders have none.
    pub bias: Option<Param<Tensor<1>>>,
}

impl Dense {
    /// A layer with new weights, and a bias of zeros if it is to have one.
    pub fn init(
        shape: [usize; 2],
        biased: bool,
        initializer: &Initializer,
        device: &Device,
    ) -> Self {
        Self {
            weight: initializer.init(shape, device),
            bias: zeros_if(biased, shape[1], device),
        }
    }

    /// A new layer with the same inputs and other outputs, with a bias of zeros if this one has a bias.
    pub fn with_outputs(self, outputs: usize, initializer: &Initializer) -> Self {
        let [inputs, _] = self.weight.lazy_shape().dims();
        let device = self.weight.lazy_device();
        Self::init([inputs, outputs], self.bias.is_some(), initializer, &device)
    }

    /// `x W + b` of these rows of a batch, in its order, each with the weight and the bias of its index in the stack
    /// ([`Batch::with_stacked_biases`]).
    ///
    /// # Shapes
    ///
    /// - x: `[batch, d_in]`, or `[rows, d_in]`
    /// - output: `[batch, d_out]`, or `[rows, d_out]`
    ///
    /// # Panics
    ///
    /// If there is a stack of weights and `rows` says all: those of one stack do not follow one another.
    pub fn forward(&self, x: Tensor<2>, batch: &Batch, rows: Rows) -> Tensor<2> {
        let (weight, bias) = (self.weight.val(), self.bias.as_ref().map(Param::val));
        let ([inputs, d_in], [all_in, d_out]) = (x.dims(), weight.dims());
        let stack_index = batch.stack.index(rows);
        let of_rows = |bias: &Tensor<1>| bias_of_rows(bias, d_out, stack_index);
        let biases = bias.as_ref().and_then(of_rows);
        if all_in == d_in {
            return match biases {
                Some(biases) => linear(x, weight, None) + biases,
                None => linear(x, weight, bias),
            };
        }
        assert_eq!(rows, Rows::First, "stacked weights");
        // In input order those with the same biases follow one another.
        let stacked = batch.stack.count();
        let x = batch
            .layout
            .to_input_order(x)
            .reshape([stacked, inputs / stacked, d_in]);
        let product = x.matmul(weight.reshape([stacked, d_in, d_out]));
        let product = batch
            .layout
            .to_batch_order(product.reshape([inputs, d_out]));
        match (biases, bias) {
            (Some(biases), _) => product + biases,
            (None, Some(bias)) => product + bias.unsqueeze(),
            (None, None) => product,
        }
    }

    /// The last layer of a head: the same in input order, and of all rows those of tokens alone.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, d_in]`, or `[rows, d_in]`
    /// - output: `[batch, d_out]`, or `[tokens, d_out]`
    pub fn outputs(&self, x: Tensor<2>, batch: &Batch, rows: Rows) -> Tensor<2> {
        match rows {
            Rows::First => batch.layout.to_input_order(self.forward(x, batch, rows)),
            Rows::All => self.of_tokens(batch.layout.tokens(x), batch),
        }
    }

    /// `x W + b` of all tokens in input order.
    fn of_tokens(&self, x: Tensor<2>, batch: &Batch) -> Tensor<2> {
        let (weight, bias) = (self.weight.val(), self.bias.as_ref().map(Param::val));
        let ([_, d_in], [all_in, d_out]) = (x.dims(), weight.dims());
        let stacked = batch.stack.count();
        let one_bias = bias.as_ref().is_none_or(|bias| bias.dims()[0] == d_out);
        if stacked == 1 || (all_in == d_in && one_bias) {
            return linear(x, weight, bias);
        }
        let each = batch.layout.batch_size() / stacked;
        let mut start = 0;
        let parts = (0..stacked).map(|index| {
            let tokens = batch.layout.tokens_of(index * each..(index + 1) * each);
            let own = x.clone().narrow(0, start, tokens);
            start += tokens;
            let weight = match all_in == d_in {
                true => weight.clone(),
                false => weight.clone().narrow(0, index * d_in, d_in),
            };
            let bias = bias.clone().map(|bias| match one_bias {
                true => bias,
                false => bias.narrow(0, index * d_out, d_out),
            });
            linear(own, weight, bias)
        });
        Tensor::cat(parts.collect(), 0)
    }
}

/// A bias of zeros, where there is to be one.
pub fn zeros_if(there: bool, length: usize, device: &Device) -> Option<Param<Tensor<1>>> {
    there.then(|| Initializer::Zeros.init([length], device))
}

/// A layer norm outside the layers, each row with the bias of its index in the stack.
///
/// # Shapes
///
/// - x, output: `[rows, width]`
/// - gamma, bias: `[width]`
/// - stack_index: `[rows]`
pub fn outer_norm(
    x: Tensor<2>,
    gamma: &Param<Tensor<1>>,
    bias: Option<&Param<Tensor<1>>>,
    epsilon: f64,
    stack_index: Option<&Tensor<1, Int>>,
) -> Tensor<2> {
    match bias {
        Some(bias) => Norm::Layer.apply(x, gamma.val(), bias.val(), epsilon, stack_index),
        None => layer_norm(x, gamma.val(), None, epsilon),
    }
}
