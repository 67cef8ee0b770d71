//! Models made ready for training: what learns, and which of its gradients are used.

mod mask;
mod sets;

use std::collections::{BTreeMap, HashMap};

use beft_core::{TermSet, TermSetError};
use beft_modes::{Entries, Mode, Touched, moving_paths, trainable_values};
use beft_nn::{BiasModel, ParamPath, Savings, TaskModel, param_shapes, view_params};
use burn::module::{Module, ParamGroup};

pub use mask::GradMasks;
pub(crate) use sets::Sets;

use crate::{TrainConfig, TrainError};

/// A model that is ready for a [`Mode`]: gradients are on for the parameters that the mode trains.
#[derive(Debug)]
pub struct Prepared<M> {
    /// The model, with what the mode adds to it.
    pub model: M,
    /// The used entries of gradients of which not all are used.
    pub masks: GradMasks,
    /// Paths of the parameters that the mode trains.
    pub paths: Vec<ParamPath>,
    /// Number of values that learn.
    pub trainable: usize,
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
    Ok(with_gradients(model, paths))
}

fn with_gradients<M: BiasModel>(model: M, paths: Vec<ParamPath>) -> M {
    model
        .no_grad()
        .set_require_grad_group(ParamGroup::from_paths(paths), true)
        .train()
}

/// Returns the number of values that are trained for `terms`.
///
/// # Errors
///
/// If the set names a layer the model does not have.
pub fn trainable_count<M: BiasModel>(model: &M, terms: &TermSet) -> Result<usize, TermSetError> {
    trainable_values(model, terms)
}

/// Makes a model ready for `config.mode`. The head learns in every mode.
///
/// # Errors
///
/// If a term set names a layer the model does not have, or a setting is out of range.
pub fn prepare<M: BiasModel>(model: M, config: &TrainConfig) -> Result<Prepared<M>, TrainError> {
    let touched = config.mode.touch(
        model,
        &config.settings.modes,
        u64::from(config.settings.seed),
    )?;
    let moving = moving(&touched, config)?;
    let model = with_gradients(touched.model, moving);
    Ok(Prepared {
        masks: GradMasks::new(&model, &touched.entries),
        model,
        paths: touched.paths,
        trainable: touched.trainable,
    })
}

/// What of the trained parameters has a gradient other than zero.
fn moving<M: BiasModel>(
    touched: &Touched<M>,
    config: &TrainConfig,
) -> Result<Vec<ParamPath>, TermSetError> {
    match config.mode.terms() {
        Some(terms) => moving_paths(&touched.model, terms, config.settings.savings),
        None => Ok(touched.paths.clone()),
    }
}

/// Several trainings in one model.
pub(crate) struct PreparedTogether<M> {
    pub(crate) model: M,
    pub(crate) masks: GradMasks,
    pub(crate) sets: Sets,
    /// Of each training, the paths of what it trains and the number of values.
    pub(crate) each: Vec<(Vec<ParamPath>, usize)>,
}

/// Makes the models of several trainings ready as one. A single one may be of any mode.
///
/// # Errors
///
/// As [`prepare`]; for several, if one trains anything but biases.
pub(crate) fn prepare_together<M: BiasModel>(
    models: Vec<M>,
    configs: &[&TrainConfig],
) -> Result<PreparedTogether<M>, TrainError> {
    if let ([config], 1) = (configs, models.len()) {
        let model = models
            .into_iter()
            .next()
            .unwrap_or_else(|| unreachable!("one model"));
        let prepared = prepare(model, config)?;
        return Ok(PreparedTogether {
            model: prepared.model,
            masks: prepared.masks,
            sets: Sets {
                count: 1,
                paths: prepared.paths.iter().cloned().collect(),
            },
            each: vec![(prepared.paths, prepared.trainable)],
        });
    }
    let (mut each, mut of_each) = (Vec::new(), Vec::new());
    let mut in_part: Vec<Entries> = Vec::new();
    for (model, config) in models.iter().zip(configs) {
        if !config.mode.trains_together() {
            return Err(TrainError::Config(
                "only trainings of biases can run together",
            ));
        }
        let touched = config.mode.touch(
            model.clone(),
            &config.settings.modes,
            u64::from(config.settings.seed),
        )?;
        of_each.push(moving(&touched, config)?);
        each.push((touched.paths, touched.trainable));
        in_part.push(touched.entries);
    }
    let sets = Sets {
        count: models.len(),
        paths: each
            .iter()
            .flat_map(|(paths, _)| paths.iter().cloned())
            .collect(),
    };
    let model = sets.stack(models);
    let mut by_path: BTreeMap<&ParamPath, Vec<usize>> = BTreeMap::new();
    for (set, paths) in of_each.iter().enumerate() {
        for path in paths {
            by_path.entry(path).or_default().push(set);
        }
    }
    let lengths: HashMap<ParamPath, usize> = param_shapes(&model)
        .into_iter()
        .map(|(path, shape)| (path, shape.iter().product()))
        .collect();
    // A parameter that some of them train is masked for the others, and what some train in part for the rest of it.
    let entries = by_path
        .iter()
        .filter(|(path, of)| {
            of.len() < sets.count || in_part.iter().any(|entries| entries.contains_key(**path))
        })
        .map(|(path, of)| {
            let each = lengths[*path] / sets.count;
            let entries = of.iter().flat_map(|set| {
                let start = set * each;
                let part: Vec<usize> = match in_part[*set].get(*path) {
                    Some(part) => part.iter().map(|entry| start + entry).collect(),
                    None => (start..start + each).collect(),
                };
                part
            });
            ((*path).clone(), entries.collect())
        })
        .collect();
    let model = with_gradients(model, by_path.keys().map(|path| (*path).clone()).collect());
    let masks = GradMasks::new(&model, &entries);
    Ok(PreparedTogether {
        model,
        masks,
        sets,
        each,
    })
}

/// Whether the model has a parameter with gradients.
pub(crate) fn learns<M: Module>(model: &M) -> bool {
    let mut learns = false;
    view_params(model, |_, param| learns |= param.learns());
    learns
}

/// Returns how many layers, from the embeddings up, a training in `mode` does not change.
///
/// # Errors
///
/// If a term set names a layer the model does not have.
pub fn unchanged_layers<M: TaskModel>(
    model: &M,
    mode: &Mode,
    savings: Savings,
) -> Result<usize, TermSetError> {
    let Some(terms) = mode.terms() else {
        return Ok(0);
    };
    let layout = model.bias_layout();
    let layers = model.num_layers();
    let lowest = moving_paths(model, terms, savings)?
        .iter()
        .map(|path| {
            let outside = if layout.above_layers(path) { layers } else { 0 };
            path.layer().unwrap_or(outside)
        })
        .min();
    Ok(lowest.unwrap_or(layers).min(model.reusable_layers()))
}
