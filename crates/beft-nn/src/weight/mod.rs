//! Weight matrices of layers: parameters, or frozen and packed for a processor.

mod f32;
mod int8;
mod module;
mod product;
mod scaled;

use std::sync::Arc;

use burn::module::Param;
use burn::nn::Initializer;
use burn::tensor::module::linear;
use burn::tensor::{DType, Device, Tensor, TensorData};

use self::f32::F32Matrix;
use self::int8::Int8Matrix;
pub use self::product::host_values;
pub use self::scaled::{Side, with_factors};
use crate::{DeviceTraits, multiply};

/// A weight matrix `[d_in, d_out]` of a layer.
#[derive(Clone, Debug)]
pub enum Weight {
    /// A parameter of the module: it can be trained, read and replaced.
    Param(Param<Tensor<2>>),
    /// Frozen values in the order in which a processor multiplies them. No parameter of the module any more: nothing
    /// can read, replace or train it. Copies share it.
    Packed(Arc<PackedMatrix>),
}

/// How an f32 matrix is packed, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As it is, which makes products of few rows faster: on a processor whose backend packs a matrix anew in each product.
    F32,
    /// The same, and its transpose, for the backward pass of a training of biases.
    TwoWay,
    /// Rounded to 8 bits for the forward pass of a training of biases, and its transpose as it is for the backward pass.
    Int8Forward,
    /// Rounded to 8 bits, each column with its own scale; products round each row of the other side. On a device in host
    /// memory.
    Int8,
}

impl Packing {
    fn packs(self, values: &Tensor<2>) -> bool {
        let device = values.device();
        let traits = DeviceTraits::of(&device);
        let suits = match self {
            Self::F32 | Self::TwoWay | Self::Int8Forward => traits.scalar_loops,
            Self::Int8 => traits.host_memory,
        };
        suits
            && !values.dims().contains(&0)
            && values.dtype() == DType::F32
            && !device.is_autodiff()
    }

    fn pack(self, values: Tensor<2>) -> PackedMatrix {
        match self {
            Self::F32 => PackedMatrix::F32(F32Matrix::new(values)),
            Self::TwoWay => {
                let transpose = F32Matrix::transposed(values.clone());
                PackedMatrix::TwoWay(F32Matrix::new(values), transpose)
            }
            Self::Int8Forward => {
                let transpose = F32Matrix::transposed(values.clone());
                PackedMatrix::Int8Forward(Int8Matrix::new(values), transpose)
            }
            Self::Int8 => PackedMatrix::Int8(Int8Matrix::new(values)),
        }
    }

    fn pack_transposed(self, values: Tensor<2>) -> PackedMatrix {
        match self {
            Self::F32 => PackedMatrix::F32(F32Matrix::transposed(values)),
            Self::TwoWay | Self::Int8Forward | Self::Int8 => self.pack(values.transpose()),
        }
    }
}

/// A frozen matrix on a processor.
pub enum PackedMatrix {
    /// Its values as they were.
    F32(F32Matrix),
    /// The same, and the transpose.
    TwoWay(F32Matrix, F32Matrix),
    /// In 8 bits, and the transpose as it was.
    Int8Forward(Int8Matrix, F32Matrix),
    /// In 8 bits.
    Int8(Int8Matrix),
}

impl std::fmt::Debug for PackedMatrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self {
            Self::F32(_) => "f32",
            Self::TwoWay(_, _) => "two-way f32",
            Self::Int8Forward(_, _) => "int8 forward, f32 backward",
            Self::Int8(_) => "int8",
        };
        write!(f, "packed {kind} {:?}", self.dims())
    }
}

impl PackedMatrix {
    fn dims(&self) -> [usize; 2] {
        match self {
            Self::F32(matrix) | Self::TwoWay(matrix, _) => matrix.dims(),
            Self::Int8(matrix) | Self::Int8Forward(matrix, _) => matrix.dims(),
        }
    }

    fn multiply(&self, x: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
        let device = x.device();
        assert!(!device.is_autodiff(), "a packed weight has no gradient");
        let shape = [x.dims()[0], self.dims()[1]];
        let bias = bias.map(host_values);
        let out = self.product(&host_values(x), bias.as_deref());
        Tensor::from_data(TensorData::new(out, shape), &device)
    }

    fn product(&self, x: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        match self {
            Self::F32(matrix) | Self::TwoWay(matrix, _) => matrix.multiply(x, bias),
            Self::Int8(matrix) | Self::Int8Forward(matrix, _) => matrix.multiply(x, bias),
        }
    }
}

impl Weight {
    /// A parameter; its values are drawn when first used.
    pub fn init(shape: [usize; 2], initializer: &Initializer, device: &Device) -> Self {
        Self::Param(initializer.init(shape, device))
    }

    /// `[d_in, d_out]`.
    pub fn dims(&self) -> [usize; 2] {
        match self {
            Self::Param(param) => param.lazy_shape().dims(),
            Self::Packed(matrix) => matrix.dims(),
        }
    }

    /// The parameter, unless it is packed.
    pub fn param(&self) -> Option<&Param<Tensor<2>>> {
        match self {
            Self::Param(param) => Some(param),
            Self::Packed(_) => None,
        }
    }

    /// Computes `x W`, or `x W + b`, in the precision of the weight, and gives it in that of `x`.
    ///
    /// # Shapes
    ///
    /// - x: `[rows, d_in]`
    /// - bias: `[d_out]`
    /// - output: `[rows, d_out]`
    ///
    /// # Panics
    ///
    /// If the weight is packed and the device records gradients.
    pub fn multiply(&self, x: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
        match self {
            Self::Param(weight) => {
                let weight = weight.val();
                match x.dtype() == weight.dtype() {
                    true => linear(x, weight, bias),
                    false => {
                        let product = multiply(x, weight);
                        match bias {
                            Some(bias) => product + bias.unsqueeze(),
                            None => product,
                        }
                    }
                }
            }
            Self::Packed(matrix) => matrix.multiply(x, bias),
        }
    }

    /// Whether [`pack`](Self::pack) packs it, or it is packed already.
    pub fn packs(&self, packing: Packing) -> bool {
        match self {
            Self::Param(param) => packing.packs(&param.val()),
            Self::Packed(_) => true,
        }
    }

    /// Whether it is packed, so that [`product`](Self::product) computes.
    pub fn is_packed(&self) -> bool {
        self.param().is_none()
    }

    /// Computes `x W`, or `x W + b`, of rows in host memory.
    ///
    /// # Panics
    ///
    /// If it is not packed.
    pub fn product(&self, x: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        match self {
            Self::Param(_) => panic!("a weight that is not packed"),
            Self::Packed(matrix) => matrix.product(x, bias),
        }
    }

    /// Computes `x W^T` of rows in host memory.
    ///
    /// # Panics
    ///
    /// If it is not packed both ways ([`Packing::TwoWay`], [`Packing::Int8Forward`]).
    pub fn product_back(&self, x: &[f32]) -> Vec<f32> {
        self.transpose().multiply(x, None)
    }

    /// Adds `x W^T` to rows in host memory.
    ///
    /// # Panics
    ///
    /// As [`product_back`](Self::product_back).
    pub fn add_product_back(&self, out: &mut [f32], x: &[f32]) {
        self.transpose().add_product(out, x);
    }

    fn transpose(&self) -> &F32Matrix {
        match self {
            Self::Packed(matrix) => match matrix.as_ref() {
                PackedMatrix::TwoWay(_, transpose) | PackedMatrix::Int8Forward(_, transpose) => {
                    transpose
                }
                PackedMatrix::F32(_) | PackedMatrix::Int8(_) => panic!("packed one way"),
            },
            Self::Param(_) => panic!("a weight that is not packed"),
        }
    }

    /// Packs a parameter where `packing` does; another weight stays as it is. The parameter's own memory is free afterwards
    /// unless something else holds it.
    pub fn pack(&mut self, packing: Packing) {
        let Self::Param(param) = self else {
            return;
        };
        let values = param.val();
        if packing.packs(&values) {
            // Values that nothing else holds are not copied.
            let none = Param::from_tensor(Tensor::empty([0, 0], &values.device()));
            drop(values);
            let values = std::mem::replace(param, none).into_value();
            *self = Self::Packed(Arc::new(packing.pack(values)));
        }
    }

    /// A packed weight of `values` transposed; `None` where `packing` does not pack them.
    ///
    /// # Shapes
    ///
    /// - values: `[d_out, d_in]`
    pub fn packed_transposed(values: Tensor<2>, packing: Packing) -> Option<Self> {
        let packs = packing.packs(&values);
        packs.then(|| Self::Packed(Arc::new(packing.pack_transposed(values))))
    }
}

/// Packs a model's weights, one after another: the allocator gives what one has freed to the next.
pub fn pack_weights<'a>(weights: impl Iterator<Item = &'a mut Weight>, packing: Packing) {
    weights.for_each(|weight| weight.pack(packing));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use burn::tensor::{TensorData, Tolerance};
    use rand::distr::{Distribution, StandardUniform};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    use super::*;

    /// Matrices of numbers that are the same in each run: burn's own are not, and errors of rounding depend on them.
    fn numbers<D: Distribution<f32> + Copy>(
        seed: u64,
        distribution: D,
        device: &Device,
    ) -> impl FnMut([usize; 2]) -> Tensor<2> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let device = device.clone();
        move |shape| {
            let count = shape[0] * shape[1];
            let values: Vec<f32> = (0..count).map(|_| rng.sample(distribution)).collect();
            Tensor::from_data(TensorData::new(values, shape), &device)
        }
    }

    #[test]
    fn a_packed_weight_gives_the_same_products() {
        let device = Device::flex();
        let mut random = numbers(1, StandardUniform, &device);
        for (rows, d_in, d_out) in [
            (1, 7, 5),
            (1, 300, 130),
            (3, 64, 300),
            (70, 33, 17),
            (0, 4, 4),
        ] {
            let plain = Weight::Param(Param::from_tensor(random([d_in, d_out])));
            let mut packed = plain.clone();
            packed.pack(Packing::F32);
            assert!(packed.param().is_none());
            assert_eq!(packed.dims(), [d_in, d_out]);
            let x = random([rows, d_in]);
            let bias = random([1, d_out]).reshape([d_out]);
            for bias in [None, Some(bias)] {
                let expected = plain.multiply(x.clone(), bias.clone()).into_data();
                let got = packed.multiply(x.clone(), bias).into_data();
                got.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-4));
            }
            // Rows of a view, which do not follow one another.
            let wide = random([rows, d_in + 3]);
            let view = wide.narrow(1, 2, d_in);
            let expected = plain.multiply(view.clone(), None).into_data();
            let got = packed.multiply(view, None).into_data();
            got.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-4));
        }
    }

    #[test]
    fn eight_bits_give_nearly_the_same_products() {
        let device = Device::flex();
        let mut random = numbers(1, StandardNormal, &device);
        for (rows, d_in, d_out) in [
            (1, 7, 5),
            (1, 384, 130),
            (70, 384, 384),
            (40, 1536, 17),
            (0, 4, 4),
        ] {
            let plain = Weight::Param(Param::from_tensor(random([d_in, d_out])));
            let mut rounded = plain.clone();
            rounded.pack(Packing::Int8);
            assert!(rounded.param().is_none());
            // Each row has its own range and its own 0.
            let scales = Tensor::<1, burn::tensor::Int>::arange(0..rows as i64, &device).float();
            let x = (random([rows, d_in]) + 0.5) * (scales + 0.1).reshape([rows, 1]);
            let bias = random([1, d_out]).reshape([d_out]);
            let expected = plain.multiply(x.clone(), Some(bias.clone()));
            let got = rounded.multiply(x, Some(bias));
            let norm = |x: Tensor<2>| (x.square().sum_dim(1) + 1e-9).sqrt();
            let errors = norm(got - expected.clone()) / norm(expected);
            for error in errors.into_data().iter::<f32>() {
                assert!(error < 0.04, "{rows} {d_in} {d_out}: {error}");
            }
        }
    }

    #[test]
    fn what_is_no_number_stays_none_in_eight_bits() {
        let device = Device::flex();
        let weight = |values: [[f32; 2]; 3]| {
            let mut weight = Weight::Param(Param::from_tensor(Tensor::from_data(values, &device)));
            weight.pack(Packing::Int8);
            weight
        };
        let x = |values: [[f32; 3]; 2]| Tensor::<2>::from_data(values, &device);
        let plain = weight([[1.0, 0.0], [0.5, 0.0], [-1.0, 0.0]]);
        let got = plain.multiply(x([[1.0, f32::NAN, 2.0], [0.0; 3]]), None);
        let got: Vec<f32> = got.into_data().iter().collect();
        assert!(got[0].is_nan() && got[1].is_nan(), "{got:?}");
        assert_eq!(got[2..], [0.0, 0.0]);
        let infinite = weight([[1.0, 1.0], [f32::INFINITY, 0.5], [0.0, 2.0]]);
        let got = infinite.multiply(x([[1.0; 3]; 2]), None);
        let got: Vec<f32> = got.into_data().iter().collect();
        assert!(got[0].is_nan() && (got[1] - 3.5).abs() < 0.05, "{got:?}");
    }

    #[test]
    fn tracked_and_rounded_weights_are_not_packed() {
        let values = Tensor::<2>::ones([2, 2], &Device::flex().autodiff());
        assert!(Weight::packed_transposed(values, Packing::F32).is_none());
        let values = Tensor::<2>::ones([2, 2], &Device::flex());
        let rounded = values.cast(burn::tensor::FloatDType::BF16);
        assert!(Weight::packed_transposed(rounded, Packing::F32).is_none());
    }
}
