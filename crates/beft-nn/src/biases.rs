use beft_core::BiasTerm;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::module::{layer_norm, linear};
use burn::tensor::{DType, Device, FloatDType, Tensor};

/// The eight bias vectors of one transformer layer, held apart from the weights.
///
/// This is the only place where a layer's biases meet its activations
/// ([`project`](Self::project), [`normalize`](Self::normalize)), so that one frozen backbone can
/// carry other biases, or many sets of them, without touching the architectures.
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

/// The float type of a float tensor's number type.
fn float(dtype: DType) -> FloatDType {
    dtype.into()
}

impl LayerBiases {
    /// Zero biases for a layer of the given sizes.
    pub fn zeros(hidden: usize, intermediate: usize, device: &Device) -> Self {
        let zeros = |len| Initializer::Zeros.init([len], device);
        Self {
            q: zeros(hidden),
            k: zeros(hidden),
            v: zeros(hidden),
            m1: zeros(hidden),
            ln1: zeros(hidden),
            m2: zeros(intermediate),
            m3: zeros(hidden),
            ln2: zeros(hidden),
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

    /// `x W + b` with the bias of `term`. A weight of lower [`Precision`](crate::Precision) is
    /// multiplied in its own; the bias is added in that of `x`.
    ///
    /// # Shapes
    ///
    /// - x: `[rows, d_in]`
    /// - weight: `[d_in, d_out]`
    /// - output: `[rows, d_out]`
    pub fn project(&self, term: BiasTerm, x: Tensor<2>, weight: &Param<Tensor<2>>) -> Tensor<2> {
        let (weight, bias) = (weight.val(), self.get(term).val());
        let (full, lower) = (x.dtype(), weight.dtype());
        if full == lower {
            return linear(x, weight, Some(bias));
        }
        let product = x.cast(float(lower)).matmul(weight).cast(float(full));
        product + bias.unsqueeze()
    }

    /// `norm(x) * gamma + b` over the last axis, with the bias of `term`.
    ///
    /// # Shapes
    ///
    /// - x, output: `[rows, hidden]`
    /// - gamma: `[hidden]`
    pub fn normalize(
        &self,
        term: BiasTerm,
        x: Tensor<2>,
        gamma: &Param<Tensor<1>>,
        epsilon: f64,
    ) -> Tensor<2> {
        layer_norm(x, gamma.val(), Some(self.get(term).val()), epsilon)
    }
}
