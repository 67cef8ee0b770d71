//! Scores of biases that are computed from gradients before training.

use std::collections::BTreeMap;

use beft_core::{BiasSite, EncodedSet, TermSet};
use beft_nn::{Savings, TaskModel};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::gradients::map_gradients;
use crate::{TrainError, batch_loss, clip_global_norm, run, with_trainable};

/// The empirical Fisher information of every bias (protocol, section 2): the gradient of each
/// mini-batch's mean loss over all biases and the head is clipped to a global norm of
/// `max_grad_norm`; the score is the mean of its squares, averaged over the batches. Dropout is off,
/// nothing is trained. `on_batch` hears of each batch.
///
/// # Errors
///
/// When there is no data, or a label out of range.
pub fn fisher<M: TaskModel>(
    model: M,
    data: &EncodedSet,
    batch_size: usize,
    max_grad_norm: f32,
    savings: impl Into<Savings>,
    mut on_batch: impl FnMut(),
) -> Result<BTreeMap<BiasSite, f64>, TrainError> {
    let savings = savings.into();
    run::check_data(&model, data)?;
    let order: Vec<usize> = (0..data.len()).collect();
    let batches: Vec<&[usize]> = order.chunks(batch_size.max(1)).collect();
    let count = batches.len() as f64;
    let mut sums: BTreeMap<BiasSite, Tensor<1>> = BTreeMap::new();
    let model = evaluating(model)?;
    for chosen in batches {
        let grads = gradients(&model, data, chosen, savings);
        let grads = clip_global_norm(grads, &model, max_grad_norm, 1);
        for (site, grad) in sites(&model, grads) {
            let square = grad.square().mean();
            // Kept on the device: nothing is read back before the end.
            let sum = match sums.remove(&site) {
                Some(sum) => sum + square,
                None => square,
            };
            sums.insert(site, sum);
        }
        on_batch();
    }
    let mean = |sum: Tensor<1>| f64::from(sum.into_scalar::<f32>()) / count;
    Ok(sums
        .into_iter()
        .map(|(site, sum)| (site, mean(sum)))
        .collect())
}

/// The Euclidean norm of the gradient of every bias on the first step's batch: the first
/// `batch_size` examples in the order of training by `seed`. Dropout is off, nothing is clipped.
///
/// # Errors
///
/// When there is no data, or a label out of range.
pub fn gradient_norm<M: TaskModel>(
    model: M,
    data: &EncodedSet,
    batch_size: usize,
    seed: u64,
    savings: impl Into<Savings>,
) -> Result<BTreeMap<BiasSite, f64>, TrainError> {
    run::check_data(&model, data)?;
    let mut order = run::epoch_order(data.len(), seed, 1);
    order.truncate(batch_size.max(1));
    let model = evaluating(model)?;
    let grads = gradients(&model, data, &order, savings.into());
    let norm = |grad: Tensor<1>| f64::from(grad.square().sum().sqrt().into_scalar::<f32>());
    Ok(sites(&model, grads)
        .into_iter()
        .map(|(site, grad)| (site, norm(grad)))
        .collect())
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

/// The gradients of the layers' biases, by site.
fn sites<M: TaskModel>(model: &M, grads: GradientsParams) -> BTreeMap<BiasSite, Tensor<1>> {
    let mut found = BTreeMap::new();
    map_gradients(grads, model, |path, grad| {
        if let (Some(layer), Some(term)) = (path.layer(), path.term()) {
            found.insert(BiasSite::new(layer, term), grad);
        }
        None
    });
    found
}
