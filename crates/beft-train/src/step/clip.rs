use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::gradients::{by_set, map_gradients};

/// Scales all gradients of a module down together, so that their joint Euclidean norm is at most
/// `max_norm`, as `torch.nn.utils.clip_grad_norm_` does: `g * min(1, max_norm / (norm + 1e-6))`.
/// Where they are those of several `stacked` trainings, one after another along the first axis
/// ([`train_together`](crate::train_together)), each training has its own norm.
///
/// burn's own clipping looks at each tensor alone. Nothing is read back from the device.
pub fn clip_global_norm<M: Module>(
    grads: GradientsParams,
    module: &M,
    max_norm: f32,
    stacked: usize,
) -> GradientsParams {
    // `[stacked, 1]`
    let mut sum: Option<Tensor<2>> = None;
    let grads = map_gradients(grads, module, |_, grad| {
        let square = by_set(grad.clone().square(), stacked).sum_dim(1);
        sum = Some(match sum.take() {
            Some(sum) => sum + square,
            None => square,
        });
        Some(grad)
    });
    let Some(sum) = sum else {
        return grads;
    };
    let factor = (sum.sqrt() + 1e-6)
        .recip()
        .mul_scalar(max_norm)
        .clamp_max(1.0);
    map_gradients(grads, module, |_, grad| {
        let len = grad.dims();
        let scaled = by_set(grad, stacked) * factor.clone();
        Some(scaled.reshape(len))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::Param;
    use burn::tensor::{Device, Tensor};

    #[derive(Module, Debug)]
    struct Two {
        a: Param<Tensor<1>>,
        b: Param<Tensor<2>>,
    }

    fn clipped(a: [f32; 2], b: f32, max_norm: f32) -> Vec<f32> {
        let device = Device::flex().autodiff();
        let module = Two {
            a: Param::from_tensor(Tensor::zeros([2], &device)),
            b: Param::from_tensor(Tensor::zeros([1, 1], &device)),
        };
        let mut grads = GradientsParams::new();
        let plain = device.inner();
        grads.register(module.a.id, Tensor::<1>::from_floats(a, &plain));
        grads.register(module.b.id, Tensor::<2>::from_floats([[b]], &plain));
        let grads = clip_global_norm(grads, &module, max_norm, 1);
        let a = grads.get::<1>(module.a.id).unwrap().into_data();
        let b = grads.get::<2>(module.b.id).unwrap().into_data();
        a.iter::<f32>().chain(b.iter::<f32>()).collect()
    }

    #[test]
    fn the_joint_norm_decides() {
        // Norm 13: each tensor alone is treated by the same factor.
        for (x, expected) in clipped([3.0, 4.0], 12.0, 1.0).iter().zip([3.0, 4.0, 12.0]) {
            assert!((x - expected / 13.0).abs() < 1e-6, "{x}");
        }
        assert_eq!(clipped([0.3, 0.4], 0.0, 1.0), [0.3, 0.4, 0.0]);
        assert_eq!(clipped([0.0, 0.0], 0.0, 1.0), [0.0, 0.0, 0.0]);
    }

    #[test]
    fn each_training_has_its_own_norm() {
        let device = Device::flex().autodiff();
        let module = Two {
            a: Param::from_tensor(Tensor::zeros([4], &device)),
            b: Param::from_tensor(Tensor::zeros([2, 1], &device)),
        };
        let mut grads = GradientsParams::new();
        let plain = device.inner();
        let a = Tensor::<1>::from_floats([3.0, 4.0, 0.3, 0.4], &plain);
        grads.register(module.a.id, a);
        let b = Tensor::<2>::from_floats([[12.0], [0.0]], &plain);
        grads.register(module.b.id, b);
        let grads = clip_global_norm(grads, &module, 1.0, 2);
        let a: Vec<f32> = grads
            .get::<1>(module.a.id)
            .unwrap()
            .into_data()
            .iter()
            .collect();
        let b: Vec<f32> = grads
            .get::<2>(module.b.id)
            .unwrap()
            .into_data()
            .iter()
            .collect();
        assert!((a[0] - 3.0 / 13.0).abs() < 1e-6 && (b[0] - 12.0 / 13.0).abs() < 1e-6);
        assert_eq!((&a[2..], b[1]), ([0.3, 0.4].as_slice(), 0.0));
    }
}
