use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::Tensor;

use super::{NewParam, ParamPath, map_views};

/// New values of a model's biases, `[width]` each, by path.
pub type BiasSet = BTreeMap<ParamPath, Tensor<1>>;

/// A model with the biases of several, one after another, for a batch that says which of them each input has
/// ([`Batch::with_biases_of_inputs`](crate::Batch::with_biases_of_inputs)). A set that lacks a bias has that of `module`;
/// a bias that all sets lack stays as it is.
///
/// # Panics
///
/// If a set has something else than a bias of the model.
pub fn stack_biases<M: Module>(module: M, sets: &[&BiasSet]) -> M {
    map_views(module, |path, param| {
        sets.iter().find(|set| set.contains_key(path))?;
        let width: usize = param.shape().iter().product();
        let values = |set: &&BiasSet| {
            let own = set.get(path).cloned().unwrap_or_else(|| param.flat());
            assert_eq!(own.dims(), [width], "{path}");
            own
        };
        let all: Vec<Tensor<1>> = sets.iter().map(values).collect();
        Some(NewParam::Computed(
            Tensor::cat(all, 0),
            vec![width * sets.len()],
        ))
    })
}
