use std::collections::HashSet;

use beft_core::{TermSet, TermSetError};
use beft_nn::{BiasModel, param_shapes};
use burn::module::ParamGroup;

/// Training that cannot start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrainError {
    /// The term set does not fit the model.
    #[error(transparent)]
    Terms(#[from] TermSetError),
    /// There is nothing to train on.
    #[error("the training set is empty")]
    NoData,
    /// A label is not one of the model's classes.
    #[error("example {index} has label {label}, but the model has {classes} classes")]
    LabelOutOfRange {
        /// Index in the training set.
        index: usize,
        /// Its label.
        label: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A setting that makes no sense.
    #[error("{0}")]
    Config(&'static str),
}

/// The model on its device with gradients on, exactly the parameters of `terms` learning.
///
/// Dropout stays active: only gradients are switched off for the rest, before any forward pass,
/// so that nothing is recorded below the lowest trained site.
///
/// # Errors
///
/// If the set names a layer the model does not have.
pub fn with_trainable<M: BiasModel>(model: M, terms: &TermSet) -> Result<M, TermSetError> {
    let paths = model.trainable_paths(terms)?;
    Ok(model
        .no_grad()
        .set_require_grad_group(ParamGroup::from_paths(paths), true)
        .train())
}

/// Number of values that are trained for `terms`.
///
/// # Errors
///
/// If the set names a layer the model does not have.
pub fn trainable_count<M: BiasModel>(model: &M, terms: &TermSet) -> Result<usize, TermSetError> {
    let paths: HashSet<String> = model.trainable_paths(terms)?.into_iter().collect();
    Ok(param_shapes(model)
        .into_iter()
        .filter(|(path, _)| paths.contains(path))
        .map(|(_, shape)| shape.iter().product::<usize>())
        .sum())
}
