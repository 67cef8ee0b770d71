//! Gradients of biases before training, which scores are computed from.

use std::collections::BTreeMap;

use beft_core::{BiasSite, EncodedSet, GradientMoments, TermSet};
use beft_nn::{Savings, TaskModel};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::gradients::map_gradients;
use crate::{TrainError, batch_loss, clip_global_norm, run, with_trainable};

/// The gradients of every bias over all mini-batches of `batch_size` examples. The gradient of each mini-batch's mean loss over
/// all biases and the head is clipped to a global norm of `max_grad_norm`. Dropout is off, nothing is trained. `on_batch` hears of
/// each batch.
///
/// # Errors
///
/// When there is no data, or a label out of range.
pub fn gradient_moments<M: TaskModel>(
    model: M,
    data: &EncodedSet,
    batch_size: usize,
    max_grad_norm: f32,
    savings: impl Into<Savings>,
    mut on_batch: impl FnMut(),
) -> Result<BTreeMap<BiasSite, GradientMoments>, TrainError> {
    let savings = savings.into();
    run::check_data(&model, data)?;
    let order: Vec<usize> = (0..data.len()).collect();
    let mut sums = Sums::default();
    let model = evaluating(model)?;
    for chosen in order.chunks(batch_size.max(1)) {
        let grads = gradients(&model, data, chosen, savings);
        sums.add(&model, clip_global_norm(grads, &model, max_grad_norm, 1));
        on_batch();
    }
    Ok(sums.moments())
}

/// The gradients of every bias on the first step's batch: the first `batch_size` examples in the order of training by `seed`.
/// Dropout is off, nothing is clipped.
///
/// # Errors
///
/// When there is no data, or a label out of range.
pub fn first_gradient<M: TaskModel>(
    model: M,
    data: &EncodedSet,
    batch_size: usize,
    seed: u64,
    savings: impl Into<Savings>,
) -> Result<BTreeMap<BiasSite, GradientMoments>, TrainError> {
    run::check_data(&model, data)?;
    let mut order = run::epoch_order(data.len(), seed, 1);
    order.truncate(batch_size.max(1));
    let model = evaluating(model)?;
    let mut sums = Sums::default();
    sums.add(&model, gradients(&model, data, &order, savings.into()));
    Ok(sums.moments())
}

/// Sums over mini-batches. They stay on the device: nothing is read back before the end.
#[derive(Default)]
struct Sums {
    /// Of each bias the sums of its gradients and of their squares, `[values]`.
    sums: BTreeMap<BiasSite, (Tensor<1>, Tensor<1>)>,
    batches: usize,
}

impl Sums {
    /// Adds the gradients of a mini-batch.
    fn add<M: TaskModel>(&mut self, model: &M, grads: GradientsParams) {
        self.batches += 1;
        map_gradients(grads, model, |path, grad| {
            if let (Some(layer), Some(term)) = (path.layer(), path.term()) {
                let site = BiasSite::new(layer, term);
                let square = grad.clone().square();
                let sum = match self.sums.remove(&site) {
                    Some((first, second)) => (first + grad, second + square),
                    None => (grad, square),
                };
                self.sums.insert(site, sum);
            }
            None
        });
    }

    fn moments(self) -> BTreeMap<BiasSite, GradientMoments> {
        let batches = self.batches;
        let mean = |sum: Tensor<1>| (sum / batches as f32).into_data().iter().collect();
        let moments = self.sums.into_iter().map(|(site, (first, second))| {
            let moments = GradientMoments {
                mean: mean(first),
                square: mean(second),
                batches,
            };
            (site, moments)
        });
        moments.collect()
    }
}

/// With gradients for all biases and without dropout, which `freeze` switches off.
fn evaluating<M: TaskModel>(model: M) -> Result<M, TrainError> {
    Ok(with_trainable(model.freeze(), &TermSet::all())?)
}

fn gradients<M: TaskModel>(
    model: &M,
    data: &EncodedSet,
    chosen: &[usize],
    savings: Savings,
) -> GradientsParams {
    let device = model.devices().first().cloned().unwrap_or_default();
    let loss = batch_loss(model, data, chosen, savings, &device);
    GradientsParams::from_grads(loss.backward(), model)
}
