use beft_core::BiasTerm;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::module::linear;
use burn::tensor::{DType, Device, FloatDType, Int, Tensor};

use crate::{Norm, Weight};

/// The eight bias vectors of one transformer layer, held apart from the weights.
///
/// This is the only place where a layer's biases meet its activations
/// ([`project`](Self::project), [`normalize`](Self::normalize), [`shift`](Self::shift)), so that one frozen backbone can
/// carry other biases, or a stack of them, without touching the architectures.
#[derive(Module, Debug)]
pub struct LayerBiases {
    /// Query projection, `[hidden]`.
    pub q: Param<Tensor<1>>,
    /// Key projection, `[hidden]`.
    pub k: Param<Tensor<1>>,
    /// Value projection, `[hidden]`.
    pub v: Param<Tensor<1>>,
    /// Attention output projection, `[hidden]`.
    pub m1: Param<Tensor<1>>,
    /// First layer norm, `[hidden]`.
    pub ln1: Param<Tensor<1>>,
    /// First feed-forward projection, `[intermediate]`.
    pub m2: Param<Tensor<1>>,
    /// Second feed-forward projection, `[hidden]`.
    pub m3: Param<Tensor<1>>,
    /// Second layer norm, `[hidden]`.
    pub ln2: Param<Tensor<1>>,
}

/// The bias of each row, if `bias` is a stack of biases with `width` values each; `stack_index` gives each row the number
/// of its bias. `None` if `bias` is one bias for all rows.
///
/// # Shapes
///
/// - bias: `[stacked * width]`
/// - stack_index: `[rows]`
/// - output: `[rows, width]`
pub fn bias_of_rows(
    bias: &Tensor<1>,
    width: usize,
    stack_index: Option<&Tensor<1, Int>>,
) -> Option<Tensor<2>> {
    let [len] = bias.dims();
    let stack_index = stack_index.filter(|_| len != width)?;
    let stacked = bias.clone().reshape([len / width, width]);
    Some(stacked.select(0, stack_index.clone()))
}

impl LayerBiases {
    /// Zero biases for a layer of the given sizes.
    pub fn zeros(hidden: usize, intermediate: usize, device: &Device) -> Self {
        Self::with_lengths(device, |term| match term {
            BiasTerm::M2 => intermediate,
            _ => hidden,
        })
    }

    /// Zero biases of these lengths.
    pub fn with_lengths(device: &Device, length: impl Fn(BiasTerm) -> usize) -> Self {
        let zeros = |term| Initializer::Zeros.init([length(term)], device);
        Self {
            q: zeros(BiasTerm::Q),
            k: zeros(BiasTerm::K),
            v: zeros(BiasTerm::V),
            m1: zeros(BiasTerm::M1),
            ln1: zeros(BiasTerm::Ln1),
            m2: zeros(BiasTerm::M2),
            m3: zeros(BiasTerm::M3),
            ln2: zeros(BiasTerm::Ln2),
        }
    }

    /// The parameter of a term.
    pub fn get(&self, term: BiasTerm) -> &Param<Tensor<1>> {
        match term {
            BiasTerm::Q => &self.q,
            BiasTerm::K => &self.k,
            BiasTerm::V => &self.v,
            BiasTerm::M1 => &self.m1,
            BiasTerm::Ln1 => &self.ln1,
            BiasTerm::M2 => &self.m2,
            BiasTerm::M3 => &self.m3,
            BiasTerm::Ln2 => &self.ln2,
        }
    }

    /// Computes `x W + b` with the bias of `term`, each row with the one of its
    /// [`BiasStack::index`](crate::BiasStack::index). A weight of lower
    /// [`Precision`](crate::Precision) is multiplied in its own; the bias is added in that of `x`.
    ///
    /// # Shapes
    ///
    /// - x: `[rows, d_in]`
    /// - weight: `[d_in, d_out]`
    /// - stack_index: `[rows]`
    /// - output: `[rows, d_out]`
    pub fn project(
        &self,
        term: BiasTerm,
        x: Tensor<2>,
        weight: &Weight,
        stack_index: Option<&Tensor<1, Int>>,
    ) -> Tensor<2> {
        let bias = self.get(term).val();
        let [_, width] = weight.dims();
        match bias_of_rows(&bias, width, stack_index) {
            Some(rows) => weight.multiply(x, None) + rows,
            None => weight.multiply(x, Some(weight.scaled(bias))),
        }
    }

    /// Normalises `x` with the bias of `term`, each row with the one of its index in the stack.
    ///
    /// # Shapes
    ///
    /// - x, output: `[rows, hidden]`
    /// - gamma: `[hidden]`
    /// - stack_index: `[rows]`
    pub fn normalize(
        &self,
        term: BiasTerm,
        norm: Norm,
        x: Tensor<2>,
        gamma: &Param<Tensor<1>>,
        epsilon: f64,
        stack_index: Option<&Tensor<1, Int>>,
    ) -> Tensor<2> {
        norm.apply(x, gamma.val(), self.get(term).val(), epsilon, stack_index)
    }

    /// Adds the bias of `term` where there is neither a projection nor a norm, to each row that of its index in the stack.
    ///
    /// # Shapes
    ///
    /// - x, output: `[rows, width]`
    /// - stack_index: `[rows]`
    pub fn shift(
        &self,
        term: BiasTerm,
        x: Tensor<2>,
        stack_index: Option<&Tensor<1, Int>>,
    ) -> Tensor<2> {
        let bias = self.get(term).val();
        let rows = bias_of_rows(&bias, x.dims()[1], stack_index);
        x + rows.unwrap_or_else(|| bias.unsqueeze())
    }
}

/// Multiplies `x W` in the precision of the weight, and gives it in that of `x`.
///
/// # Shapes
///
/// - x: `[rows, d_in]`
/// - weight: `[d_in, d_out]`
/// - output: `[rows, d_out]`
pub fn multiply(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    let (full, lower) = (x.dtype(), weight.dtype());
    if full == lower {
        return linear(x, weight, None);
    }
    let float = |dtype: DType| FloatDType::from(dtype);
    x.cast(float(lower)).matmul(weight).cast(float(full))
}
