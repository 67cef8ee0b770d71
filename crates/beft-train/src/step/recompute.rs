//! Gradient checkpointing (arXiv 1604.06174): of a forward pass the layers' inputs alone are kept.
//!
//! burn's own (`Device::gradient_checkpointing`, 0.22.1) recomputes single operations, keeps the products'
//! outputs, and gave gradients that differ from those without it on a decoder.

use beft_nn::{Batch, TaskModel, view_params};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor};

/// A batch whose layers are computed one by one, forward and again backward.
pub(crate) struct Recomputed<'a, M> {
    pub(crate) model: &'a M,
    pub(crate) batch: &'a Batch,
    /// What the device itself draws dropout by, where the host does not.
    pub(crate) seed: u64,
}

impl<M: TaskModel> Recomputed<'_, M> {
    /// Gradients of the sum of the losses, and the losses of class scores. `kept` is what the lowest layers
    /// give, and how many those are, where that is known.
    pub(crate) fn gradients(
        &self,
        kept: Option<(Tensor<2>, usize)>,
        losses: impl Fn(Tensor<2>) -> Tensor<1>,
    ) -> (GradientsParams, Tensor<1>) {
        let model = self.model;
        // The head and the last layer are one step.
        let top = model.reusable_layers().min(model.num_layers() - 1);
        let tracked = Tracked::of(model);
        // Nothing is recorded; but on the device with gradients, for dropout acts there alone.
        let still = model.clone().no_grad();
        let kept = kept.map(|(x, lowest)| (Tensor::from_inner(x), lowest));
        let (mut x, lowest) = kept.unwrap_or_else(|| {
            let lowest = tracked.lowest.min(top);
            self.seed(0);
            (still.hidden(self.batch, lowest), lowest)
        });
        // All of them, where what is kept is all layers'.
        let top = top.max(lowest);
        let mut inputs = Vec::new();
        for layer in lowest..top {
            inputs.push(x.clone());
            self.seed(layer);
            x = still.advance(self.batch, x, layer..layer + 1);
        }
        self.seed(top);
        let leaf = x.require_grad();
        let losses = losses(model.forward_from(self.batch, leaf.clone(), top));
        let mut grads = losses.clone().sum().backward();
        let mut flowing = leaf.grad_remove(&mut grads);
        let mut sum = GradientsAccumulator::new();
        sum.accumulate(model, GradientsParams::from_grads(grads, model));
        for (layer, x) in (lowest..top).zip(inputs).rev() {
            let Some(upper) = flowing.take() else {
                break;
            };
            self.seed(layer);
            let leaf = x.require_grad();
            let y = model.advance(self.batch, leaf.clone(), layer..layer + 1);
            let mut grads = (y * Tensor::from_inner(upper)).sum().backward();
            flowing = leaf.grad_remove(&mut grads);
            sum.accumulate(model, GradientsParams::from_grads(grads, model));
        }
        if let Some(upper) = flowing.filter(|_| tracked.embeddings) {
            self.seed(0);
            let y = model.hidden(self.batch, 0);
            let grads = (y * Tensor::from_inner(upper)).sum().backward();
            sum.accumulate(model, GradientsParams::from_grads(grads, model));
        }
        (sum.grads(), losses)
    }

    /// A layer drops the same values both times.
    fn seed(&self, layer: usize) {
        let device: Device = self.batch.layout.device();
        device.inner().seed(self.seed.wrapping_add(layer as u64));
    }
}

/// Where a model has parameters with gradients.
pub(super) struct Tracked {
    /// The lowest layer that has some; 0 where the embeddings do.
    lowest: usize,
    pub(super) embeddings: bool,
}

impl Tracked {
    pub(super) fn of<M: TaskModel>(model: &M) -> Self {
        let mut tracked = Self {
            lowest: usize::MAX,
            embeddings: false,
        };
        view_params(model, |path, param| {
            if !param.learns() {
                return;
            }
            if let Some(layer) = path.layer() {
                tracked.lowest = tracked.lowest.min(layer);
            } else if path.is_embedding() {
                (tracked.embeddings, tracked.lowest) = (true, 0);
            }
        });
        tracked
    }
}
