use std::collections::BTreeMap;

use beft_nn::{BiasModel, ParamPath, param_shapes, view_params};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use rand::seq::index;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::TrainError;
use crate::gradients::map_gradients;

/// Entries of parameters, by path, as row-major indices.
pub(crate) type Entries = BTreeMap<ParamPath, Vec<usize>>;

/// Which entries of a gradient are used. Where the rest is 0 from the first step on, AdamW without
/// decay leaves a parameter as it is, bit for bit.
#[derive(Debug, Default)]
pub struct GradMasks {
    /// 1 where an entry is used, else 0, flat, by parameter path; a parameter that is not here is
    /// used whole.
    masks: BTreeMap<ParamPath, Tensor<1>>,
}

impl GradMasks {
    pub(crate) fn new<M: Module>(model: &M, entries: &Entries) -> Self {
        let mut masks = BTreeMap::new();
        view_params(model, |param| {
            if let Some(entries) = entries.get(param.path()) {
                let mut mask = vec![0.0f32; param.shape().iter().product()];
                entries.iter().for_each(|entry| mask[*entry] = 1.0);
                let len = mask.len();
                // Gradients live on the device without autodiff.
                let device = param.device().inner();
                let mask = Tensor::from_data(TensorData::new(mask, [len]), &device);
                masks.insert(param.path().clone(), mask);
            }
        });
        Self { masks }
    }

    /// The gradients with everything outside the masks set to 0.
    pub fn apply<M: Module>(&self, grads: GradientsParams, model: &M) -> GradientsParams {
        if self.masks.is_empty() {
            return grads;
        }
        map_gradients(grads, model, |path, grad| match self.masks.get(path) {
            Some(mask) => Some(grad * mask.clone()),
            None => Some(grad),
        })
    }
}

/// `count` entries drawn over all parameters outside the head, spread over them in proportion to
/// their size (the paper's random-uniform baseline).
pub(crate) fn random_entries<M: BiasModel>(
    model: &M,
    count: usize,
    seed: u64,
) -> Result<Entries, TrainError> {
    let layout = model.bias_layout();
    let mut sizes: Vec<(ParamPath, usize)> = param_shapes(model)
        .into_iter()
        .filter(|(path, _)| !layout.in_head(path))
        .map(|(path, shape)| (path, shape.iter().product()))
        .collect();
    let total: usize = sizes.iter().map(|(_, size)| size).sum();
    if count == 0 || count > total {
        return Err(TrainError::Config(
            "the number of random entries must be between 1 and the number of parameters",
        ));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut left = (count, total);
    sizes.sort();
    let entries = sizes.into_iter().map(|(path, size)| {
        // What is left, over what is left to spread it on: the shares add up to `count`.
        let share = (left.0 as f64 * size as f64 / left.1 as f64).round() as usize;
        let share = share.min(size).min(left.0);
        left = (left.0 - share, left.1 - size);
        (path, index::sample(&mut rng, size, share).into_vec())
    });
    Ok(entries.filter(|(_, chosen)| !chosen.is_empty()).collect())
}

/// A random row or column of each weight matrix of the layers.
pub(crate) fn random_lines<M: BiasModel>(model: &M, seed: u64) -> Entries {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    param_shapes(model)
        .into_iter()
        .filter(|(path, _)| path.layer().is_some())
        .filter_map(|(path, shape)| {
            let [rows, columns] = shape[..] else {
                return None;
            };
            let mut below = |n: usize| (rng.next_u64() % n as u64) as usize;
            let line = if below(2) == 0 {
                let row = below(rows);
                (0..columns).map(|c| row * columns + c).collect()
            } else {
                let column = below(columns);
                (0..rows).map(|r| r * columns + column).collect()
            };
            Some((path, line))
        })
        .collect()
}
