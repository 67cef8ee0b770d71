//! Losses of embeddings, as sentence-transformers has them.

use beft_core::Targets;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};

use super::loss::Part;

/// What cosines are multiplied by before softmax (`MultipleNegativesRankingLoss`).
const SCALE: f32 = 20.0;
/// The smallest norm that is divided by.
const SMALLEST: f32 = 1e-12;

/// The squared error of the cosine of both embeddings of each example (`CosineSimilarityLoss`).
///
/// # Shapes
///
/// - embeddings: `[2 * examples, width]`
/// - output: `[examples, 1]`
pub(super) fn similarity_losses(embeddings: Tensor<2>, parts: &[Part<'_>]) -> Tensor<2> {
    let [rows, width] = embeddings.dims();
    let device = embeddings.device();
    let unit = unit(embeddings).reshape([rows / 2, 2, width]);
    let of = |view| unit.clone().narrow(1, view, 1).reshape([rows / 2, width]);
    let cosines = (of(0) * of(1)).sum_dim(1);
    let targets = parts.iter().flat_map(|part| {
        part.chosen.iter().map(|i| match &part.data.targets {
            Targets::Similarities(values) => values[*i],
            _ => 0.0,
        })
    });
    let targets = TensorData::new(targets.collect::<Vec<f32>>(), [rows / 2, 1]);
    (cosines - Tensor::from_data(targets, &device)).square()
}

/// The cross entropy of each example's own second text among the second (and third) texts of all examples of its part,
/// by the cosine of their embeddings with that of its first text (`MultipleNegativesRankingLoss`).
///
/// # Shapes
///
/// - embeddings: `[views * examples, width]`
/// - output: `[examples, 1]`
pub(super) fn ranking_losses(embeddings: Tensor<2>, parts: &[Part<'_>]) -> Tensor<2> {
    let [_, width] = embeddings.dims();
    let device = embeddings.device();
    let unit = unit(embeddings);
    let mut first = 0;
    let losses = parts.iter().map(|part| {
        let (examples, views) = (part.chosen.len(), part.data.views());
        let own = unit.clone().narrow(0, first, examples * views);
        first += examples * views;
        let own = own.reshape([examples, views, width]);
        let of = |view| own.clone().narrow(1, view, 1).reshape([examples, width]);
        let texts = Tensor::cat((1..views).map(of).collect(), 0);
        let scores = of(0).matmul(texts.transpose()).mul_scalar(SCALE);
        let right = TensorData::new((0..examples as i64).collect::<Vec<_>>(), [examples, 1]);
        let right = Tensor::<2, Int>::from_data(right, &device);
        log_softmax(scores, 1).gather(1, right).neg()
    });
    Tensor::cat(losses.collect(), 0)
}

/// Each row divided by its norm.
fn unit(x: Tensor<2>) -> Tensor<2> {
    let norm = x.clone().square().sum_dim(1).sqrt();
    x / norm.clamp_min(SMALLEST)
}
