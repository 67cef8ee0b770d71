//! Factors on the inputs or the outputs of a projection (IA3).

use burn::module::{Module, Param, Reparameterization, Reparameterizer};
use burn::tensor::{DType, FloatDType, Shape, Tensor};

use super::Weight;
use crate::ParamPath;

/// The side of a weight `[d_in, d_out]` that factors are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Each input has a factor: `(x * l) W + b`.
    Inputs,
    /// Each output has a factor, which multiplies the bias too: `(x W + b) * l`.
    Outputs,
}

impl Side {
    const fn axis(self) -> usize {
        match self {
            Self::Inputs => 0,
            Self::Outputs => 1,
        }
    }
}

/// Factors of a weight's inputs or outputs.
#[derive(Debug, Module)]
struct Factors {
    /// `[d_in]` or `[d_out]`, in f32.
    l: Param<Tensor<1>>,
    #[module(skip)]
    side: Side,
}

impl Reparameterization for Factors {
    const NAME: &'static str = "ia3";

    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        let mut shape = vec![1; D];
        let axis = self.side.axis();
        shape[axis] = base.dims()[axis];
        let factors = self.of(base.dtype());
        base * factors.reshape(Shape::from(shape))
    }
}

impl Factors {
    /// In the precision of what they multiply.
    fn of(&self, dtype: DType) -> Tensor<1> {
        let factors = self.l.val();
        match factors.dtype() == dtype {
            true => factors,
            false => factors.cast(FloatDType::from(dtype)),
        }
    }
}

/// Gives weights factors, all 1.
struct AddFactors<'a>(&'a [(ParamPath, Side)]);

impl Reparameterizer for AddFactors<'_> {
    type Reparam = Factors;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<Self::Reparam>) {
        let found = self.0.iter().find(|(weight, _)| weight.as_str() == path);
        let Some((_, side)) = found else {
            return (param, None);
        };
        let count = param.lazy_shape()[side.axis()];
        let ones = Tensor::ones([count], (&param.lazy_device(), DType::F32));
        let l = Param::from_tensor(ones);
        (param, Some(Factors { l, side: *side }))
    }
}

/// The module with factors, all 1, on a side of each of these weights.
pub fn with_factors<M: Module>(module: M, weights: &[(ParamPath, Side)]) -> M {
    module.apply_reparameterization(AddFactors(weights))
}

impl Weight {
    /// The bias as it is added to the products: where the outputs have factors, it has them too.
    ///
    /// # Shapes
    ///
    /// - bias, output: `[d_out]`
    pub fn scaled(&self, bias: Tensor<1>) -> Tensor<1> {
        let factors = self.param().and_then(|param| param.reparameterization());
        let outputs = factors.filter(|factors: &&Factors| factors.side == Side::Outputs);
        let outputs = outputs.map(|factors| factors.of(bias.dtype()));
        match outputs {
            Some(factors) => bias * factors,
            None => bias,
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tolerance};

    use super::*;
    use crate::{map_params, param_shapes};

    #[derive(Debug, Module)]
    struct Layer {
        key: Weight,
        bias: Param<Tensor<1>>,
    }

    /// As `IA3Layer` of PEFT computes it, in f32 and with a weight of lower precision.
    #[test]
    fn factors_are_on_inputs_or_outputs() {
        let device = Device::flex();
        let of = |values: [[f32; 2]; 3], dtype| {
            Tensor::<2>::from_data(values, &device).cast(FloatDType::from(dtype))
        };
        for dtype in [DType::F32, DType::BF16] {
            for (side, l) in [
                (Side::Inputs, vec![2.0, 0.5, -1.0]),
                (Side::Outputs, vec![3.0, -0.5]),
            ] {
                let weight = of([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], dtype);
                let layer = Layer {
                    key: Weight::Param(Param::from_tensor(weight)),
                    bias: Param::from_tensor(Tensor::from_data([1.0, -1.0], &device)),
                };
                let path = ParamPath::from("key");
                let layer = with_factors(layer, &[(path.clone(), side)]);
                let own = path.with_factors();
                let shapes = param_shapes(&layer);
                assert!(shapes.contains(&(own.clone(), vec![l.len()])), "{shapes:?}");
                assert_eq!(own.scaled_weight(), Some(path));
                let layer = map_params(layer, |path, shape| {
                    (*path == own).then(|| burn::tensor::TensorData::new(l.clone(), shape.to_vec()))
                });
                let x = Tensor::<2>::from_data([[1.0, 2.0, 3.0]], &device);
                let bias = layer.key.scaled(layer.bias.val());
                let got = layer.key.multiply(x, Some(bias)).into_data();
                let expected = match side {
                    Side::Inputs => [[2.0 + 3.0 - 15.0 + 1.0, 4.0 + 4.0 - 18.0 - 1.0]],
                    Side::Outputs => [[3.0 * 23.0, -0.5 * 27.0]],
                };
                let expected = Tensor::<2>::from_data(expected, &device).into_data();
                got.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-4));
            }
        }
    }
}
