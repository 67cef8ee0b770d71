//! GELU computed here instead of by the backend, where the backend computes one element after another on one
//! core ([`DeviceTraits::scalar_loops`](crate::DeviceTraits)).

use burn::tensor::{Tensor, TensorData};
use pulp::Arch;
use rayon::prelude::*;

use crate::host;

/// Elements that one task computes: enough to be worth a thread, few enough to stay in its cache.
const CHUNK: usize = 16 * 1024;

/// Computes GELU with the error function.
///
/// With gradients it is the line `x d + c` through each value, where `d` is GELU's derivative
/// there and `c = y - x d`: value and gradient are GELU's, and the backward pass is one product.
pub(crate) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let device = x.device();
    if !device.is_autodiff() {
        let mut data = x.into_data();
        if let Ok(values) = data.as_mut_slice::<f32>() {
            host::gelu(values);
        }
        return Tensor::from_data(data, &device);
    }
    let mut slopes = x.clone().inner().into_data();
    let shape = x.dims();
    let mut offsets = vec![0.0_f32; shape.iter().product()];
    if let Ok(slopes) = slopes.as_mut_slice::<f32>() {
        let chunks = slopes.par_chunks_mut(CHUNK);
        chunks
            .zip(offsets.par_chunks_mut(CHUNK))
            .for_each(|(slopes, offsets)| {
                Arch::new().dispatch(|| {
                    for (slope, offset) in slopes.iter_mut().zip(offsets) {
                        let x = *slope;
                        let (cdf, pdf) = normal(x);
                        *slope = cdf + x * pdf;
                        *offset = -(x * x) * pdf;
                    }
                });
            });
    }
    let offsets = Tensor::from_data(TensorData::new(offsets, shape), &device);
    x * Tensor::from_data(slopes, &device) + offsets
}

/// Distribution function and density of the standard normal distribution at `x`, to a few units
/// of the last place of the larger of 1/2 and the result. Without a branch, so that the compiler
/// vectorises loops over it.
#[inline(always)]
pub(crate) fn normal(x: f32) -> (f32, f32) {
    let pdf = exp_of_negative(-0.5 * x * x) * 0.398_942_3;
    (0.5 + 0.5 * erf(x * std::f32::consts::FRAC_1_SQRT_2), pdf)
}

/// A rational approximation on `[-4, 4]`, outside of which an `f32` cannot tell erf from ±1: the
/// coefficients are those of Eigen's `generic_fast_erf_float`.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let s = x * x;
    let mut p = -2.726_142_3e-10;
    for coefficient in [
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_4e-5,
        -7.349_906_3e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ] {
        p = p * s + coefficient;
    }
    let mut q = -1.456_607_2e-5;
    for coefficient in [
        -2.133_740_6e-4,
        -1.682_827e-3,
        -7.373_329_2e-3,
        -1.426_474e-2,
    ] {
        q = q * s + coefficient;
    }
    x * p / q
}

/// `exp(x)` for `x <= 0`; below -87 it is the smallest normal number, for NaN it is NaN.
#[inline(always)]
pub(crate) fn exp_of_negative(x: f32) -> f32 {
    // exp(x) = 2^n 2^f with n the nearest whole number: adding 1.5 * 2^23 leaves it in the low
    // bits of the sum.
    const SHIFT: f32 = 12_582_912.0;
    let t = x.clamp(-87.0, 0.0) * std::f32::consts::LOG2_E;
    let shifted = t + SHIFT;
    let f = (t - (shifted - SHIFT)) * std::f32::consts::LN_2;
    let mut power = 1.0 / 720.0;
    for factorial in [120.0, 24.0, 6.0, 2.0, 1.0, 1.0] {
        power = power * f + 1.0 / factorial;
    }
    let n = shifted.to_bits().wrapping_sub(SHIFT.to_bits());
    let two_to_n = f32::from_bits(n.wrapping_add(127) << 23);
    power * two_to_n
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn the_normal_distribution_is_exact_to_f32() {
        // scipy.stats.norm: cdf, pdf.
        for (x, cdf, pdf) in [
            (-9.0_f32, 0.0, 0.0),
            (-3.0, 0.001_349_898, 0.004_431_848_4),
            (-1.5, 0.066_807_2, 0.129_517_6),
            (-0.01, 0.496_010_64, 0.398_922_34),
            (0.0, 0.5, 0.398_942_3),
            (0.7, 0.758_036_4, 0.312_253_93),
            (2.0, 0.977_249_9, 0.053_990_97),
            (12.0, 1.0, 0.0),
        ] {
            let (c, p) = normal(x);
            assert!((c - cdf).abs() < 1.5e-7, "cdf({x}) = {c}");
            assert!((p - pdf).abs() < 3e-7 * pdf.max(0.1), "pdf({x}) = {p}");
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        let (device, plain) = (Device::flex().autodiff(), Device::flex());
        for device in [device, plain] {
            let x = Tensor::<1>::from_data([f32::NAN, f32::INFINITY, 1.0], &device);
            let y: Vec<f32> = gelu(x).into_data().iter().collect();
            assert!(y[0].is_nan() && y[2].is_finite(), "{y:?}");
            assert!(!y[1].is_finite(), "{y:?}");
        }
    }
}
