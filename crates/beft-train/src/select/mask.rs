use std::collections::BTreeMap;

use beft_modes::Entries;
use beft_nn::{ParamPath, view_params};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};

use crate::gradients::map_gradients;

/// The entries of gradients that are used. AdamW without decay leaves an entry unchanged, bit for bit, if its
/// gradient is 0 from the first step on.
#[derive(Debug, Default)]
pub struct GradMasks {
    /// 1 where an entry is used, else 0, flat, by parameter path; a parameter that is not here is
    /// used whole.
    masks: BTreeMap<ParamPath, Tensor<1>>,
}

impl GradMasks {
    pub(crate) fn new<M: Module>(model: &M, entries: &Entries) -> Self {
        let mut masks = BTreeMap::new();
        view_params(model, |path, param| {
            if let Some(entries) = entries.get(path) {
                let mut mask = vec![0.0f32; param.shape().iter().product()];
                entries.iter().for_each(|entry| mask[*entry] = 1.0);
                let len = mask.len();
                // Gradients live on the device without autodiff.
                let device = param.device().inner();
                let mask = Tensor::from_data(TensorData::new(mask, [len]), &device);
                masks.insert(path.clone(), mask);
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
