use beft_nn::{Batch, Norm, Rows, bias_of_rows};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::module::{layer_norm, linear};
use burn::tensor::{Device, Int, Tensor};

use crate::EncoderConfig;

/// A linear layer with its bias, outside the transformer layers.
#[derive(Module, Debug)]
pub struct Dense {
    /// `[d_in, d_out]`.
    pub weight: Param<Tensor<2>>,
    /// `[d_out]`; ModernBERT's dense layer has none.
    pub bias: Option<Param<Tensor<1>>>,
}

impl Dense {
    pub(crate) fn init(
        [d_in, d_out]: [usize; 2],
        biased: bool,
        config: &EncoderConfig,
        device: &Device,
    ) -> Self {
        Self {
            weight: config.weight_init().init([d_in, d_out], device),
            bias: zeros_if(biased, d_out, device),
        }
    }

    /// `x W + b` of one row for each input of a batch, in its order, each with the weight and the
    /// bias of its index in the stack ([`Batch::with_stacked_biases`]).
    ///
    /// # Shapes
    ///
    /// - x: `[batch, d_in]`
    /// - output: `[batch, d_out]`
    pub(crate) fn forward(&self, x: Tensor<2>, batch: &Batch) -> Tensor<2> {
        let (weight, bias) = (self.weight.val(), self.bias.as_ref().map(Param::val));
        let ([inputs, d_in], [all_in, d_out]) = (x.dims(), weight.dims());
        let stack_index = batch.stack.index(Rows::First);
        let of_rows = |bias: &Tensor<1>| bias_of_rows(bias, d_out, stack_index);
        let biases = bias.as_ref().and_then(of_rows);
        if all_in == d_in {
            return match biases {
                Some(biases) => linear(x, weight, None) + biases,
                None => linear(x, weight, bias),
            };
        }
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
}

/// A bias of zeros, where there is to be one.
pub(crate) fn zeros_if(there: bool, length: usize, device: &Device) -> Option<Param<Tensor<1>>> {
    there.then(|| Initializer::Zeros.init([length], device))
}

/// A layer norm outside the layers, each row with the bias of its index in the stack.
///
/// # Shapes
///
/// - x, output: `[rows, width]`
/// - gamma, bias: `[width]`
/// - stack_index: `[rows]`
pub(crate) fn outer_norm(
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
