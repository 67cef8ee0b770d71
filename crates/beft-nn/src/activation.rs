use std::sync::RwLock;

use burn::tensor::activation;
use burn::tensor::{DType, Device, Tensor};

use crate::{DeviceTraits, host_gelu};

/// Exact GELU, `x Φ(x)` with the error function, HF's `gelu`; its gradient is exact on every
/// backend.
///
/// burn-backend's default `gelu_backward` is the derivative of the tanh approximation, up to 9e-4
/// off; some backends bring an exact one of their own, others do not (burn 0.22.1,
/// `burn-backend/src/backend/ops/activation.rs`). Where it is not exact, this computes from `erf`,
/// whose gradient is.
///
/// With `host` ([`Savings::host_functions`](crate::Savings)) it is computed here where that is
/// faster ([`DeviceTraits::scalar_loops`]).
pub fn gelu<const D: usize>(x: Tensor<D>, host: bool) -> Tensor<D> {
    let device = x.device();
    if host && x.dtype() == DType::F32 && DeviceTraits::of(&device).scalar_loops {
        return host_gelu::gelu(x);
    }
    if !device.is_autodiff() || gradient_is_exact(&device) {
        return activation::gelu(x);
    }
    let half = x.clone() * 0.5;
    (x * std::f64::consts::FRAC_1_SQRT_2).erf() * half.clone() + half
}

/// Whether the backend's own GELU has the exact gradient; asked once per device.
fn gradient_is_exact(device: &Device) -> bool {
    static KNOWN: RwLock<Vec<(Device, bool)>> = RwLock::new(Vec::new());
    // A panic while the lock is held leaves nothing half-made behind it.
    let known = KNOWN
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .iter()
        .find(|(other, _)| other == device)
        .map(|(_, exact)| *exact);
    known.unwrap_or_else(|| {
        let exact = probe(device);
        KNOWN
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push((device.clone(), exact));
        exact
    })
}

/// Where the tanh approximation's derivative is furthest off.
const PROBE_AT: f32 = 2.0;
/// `Φ(2) + 2 φ(2)`; the approximation's is 9e-4 away.
const EXACT_THERE: f32 = 1.085_231_8;

fn probe(device: &Device) -> bool {
    let x = Tensor::<1>::from_data([PROBE_AT], device).require_grad();
    let grads = activation::gelu(x.clone()).sum().backward();
    x.grad(&grads)
        .is_some_and(|grad| (grad.into_scalar::<f32>() - EXACT_THERE).abs() < 1e-5)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Φ(x) + x φ(x)` at a few places, from scipy.
    const DERIVATIVES: [(f32, f32); 5] = [
        (-2.0, -0.085_231_8),
        (-0.5, 0.132_504_87),
        (0.0, 0.5),
        (1.0, 1.083_315_5),
        (3.0, 1.011_945_5),
    ];

    #[test]
    fn gradients_are_those_of_the_error_function() {
        let device = Device::flex().autodiff();
        for ((at, expected), host) in DERIVATIVES
            .into_iter()
            .flat_map(|case| [(case, true), (case, false)])
        {
            let x = Tensor::<1>::from_data([at], &device).require_grad();
            let value = gelu(x.clone(), host);
            let plain = activation::gelu(Tensor::<1>::from_data([at], &Device::flex()));
            assert!((value.clone().into_scalar::<f32>() - plain.into_scalar::<f32>()).abs() < 1e-6);
            let grad = x.grad(&value.sum().backward()).unwrap();
            let grad = grad.into_scalar::<f32>();
            assert!((grad - expected).abs() < 1e-6, "{at}: {grad}");
        }
    }
}
