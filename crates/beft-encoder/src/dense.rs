use beft_nn::{Batch, Rows, bias_of_rows};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::module::linear;
use burn::tensor::{Device, Tensor};

use crate::EncoderConfig;

/// A linear layer with its bias, outside the transformer layers.
#[derive(Module, Debug)]
pub struct Dense {
    /// `[d_in, d_out]`.
    pub weight: Param<Tensor<2>>,
    /// `[d_out]`.
    pub bias: Param<Tensor<1>>,
}

impl Dense {
    pub(crate) fn init(d_in: usize, d_out: usize, config: &EncoderConfig, device: &Device) -> Self {
        Self {
            weight: config.weight_init().init([d_in, d_out], device),
            bias: Initializer::Zeros.init([d_out], device),
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
        let (weight, bias) = (self.weight.val(), self.bias.val());
        let ([inputs, d_in], [all_in, d_out]) = (x.dims(), weight.dims());
        let biases = bias_of_rows(&bias, d_out, batch.stack.index(Rows::First));
        if all_in == d_in {
            return match biases {
                Some(biases) => linear(x, weight, None) + biases,
                None => linear(x, weight, Some(bias)),
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
        product + biases.unwrap_or_else(|| bias.unsqueeze())
    }
}
