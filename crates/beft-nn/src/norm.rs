use burn::tensor::module::layer_norm;
use burn::tensor::{Int, Tensor};

use crate::bias_of_rows;

/// A kind of norm over the last axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// Layer norm, `(x - mean) / sqrt(variance + epsilon) * gamma + b`.
    Layer,
    /// Root mean square norm, `x / sqrt(mean square + epsilon) * gamma + b` (HF `LlamaRMSNorm`, which has no
    /// bias: `b` is 0 until it is trained).
    RootMeanSquare,
}

impl Norm {
    /// Normalises rows, each with the bias of its index in the stack.
    ///
    /// # Shapes
    ///
    /// - x, output: `[rows, hidden]`
    /// - gamma: `[hidden]`
    /// - bias: `[hidden]`, or `[stacked * hidden]`
    /// - stack_index: `[rows]`
    pub fn apply(
        self,
        x: Tensor<2>,
        gamma: Tensor<1>,
        bias: Tensor<1>,
        epsilon: f64,
        stack_index: Option<&Tensor<1, Int>>,
    ) -> Tensor<2> {
        let rows = bias_of_rows(&bias, gamma.dims()[0], stack_index);
        match (self, rows) {
            (Self::Layer, Some(rows)) => layer_norm(x, gamma, None, epsilon) + rows,
            (Self::Layer, None) => layer_norm(x, gamma, Some(bias), epsilon),
            (Self::RootMeanSquare, rows) => {
                let scale = (x.clone().square().mean_dim(1) + epsilon).sqrt().recip();
                x * scale * gamma.unsqueeze() + rows.unwrap_or_else(|| bias.unsqueeze())
            }
        }
    }
}
