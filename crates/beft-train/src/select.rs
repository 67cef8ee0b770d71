use std::collections::{BTreeMap, HashMap, HashSet};

use beft_core::{BiasTerm, Mode, TermSet, TermSetError};
use beft_nn::{
    BiasModel, LoraFactor, ParamPath, Savings, SequenceClassifier, param_shapes, view_params,
};
use burn::module::{Lora, Module, ParamGroup};

use crate::sets::Sets;
use crate::{GradMasks, TrainConfig, TrainError};

/// A model made ready for a [`Mode`]: gradients on, for what it trains alone.
#[derive(Debug)]
pub struct Prepared<M> {
    /// The model; with [`Mode::Lora`] it carries the update beside the weights.
    pub model: M,
    /// What of the gradients is used, where that is not all.
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

/// Number of values that are trained for `terms`.
///
/// # Errors
///
/// If the set names a layer the model does not have.
pub fn trainable_count<M: BiasModel>(model: &M, terms: &TermSet) -> Result<usize, TermSetError> {
    Ok(count(model, &model.trainable_paths(terms)?))
}

fn count<M: BiasModel>(model: &M, paths: &[ParamPath]) -> usize {
    let paths: HashSet<&ParamPath> = paths.iter().collect();
    let shapes = param_shapes(model).into_iter();
    shapes
        .filter(|(path, _)| paths.contains(path))
        .map(|(_, shape)| shape.iter().product::<usize>())
        .sum()
}

/// Makes a model ready for `config.mode`. The head learns in every mode.
///
/// # Errors
///
/// If a term set names a layer the model does not have, or a setting is out of range.
pub fn prepare<M: BiasModel>(model: M, config: &TrainConfig) -> Result<Prepared<M>, TrainError> {
    let head: Vec<ParamPath> = model
        .bias_layout()
        .head
        .iter()
        .copied()
        .map(ParamPath::from)
        .collect();
    let prepared = |model: M, paths: Vec<ParamPath>, moving: Vec<ParamPath>| Prepared {
        trainable: count(&model, &paths),
        model: with_gradients(model, moving),
        masks: GradMasks::default(),
        paths,
    };
    Ok(match &config.mode {
        Mode::Biases(terms) => {
            let paths = model.trainable_paths(terms)?;
            let moving = moving_paths(&model, terms, config.savings)?;
            prepared(model, paths, moving)
        }
        Mode::Full => {
            let paths = param_shapes(&model).into_iter().map(|(path, _)| path);
            let paths: Vec<ParamPath> = paths.collect();
            prepared(model, paths.clone(), paths)
        }
        Mode::Random | Mode::RandomLines => {
            let chosen = match config.mode {
                Mode::Random => {
                    let entries = match config.random_entries {
                        Some(entries) => entries,
                        None => {
                            count(&model, &model.trainable_paths(&TermSet::all())?)
                                - count(&model, &head)
                        }
                    };
                    crate::mask::random_entries(&model, entries, config.seed)?
                }
                _ => crate::mask::random_lines(&model, config.seed),
            };
            let trainable = count(&model, &head) + chosen.values().map(Vec::len).sum::<usize>();
            let mut paths: Vec<ParamPath> = chosen.keys().cloned().collect();
            paths.extend(head);
            let model = with_gradients(model, paths.clone());
            let masks = GradMasks::new(&model, &chosen);
            Prepared {
                model,
                masks,
                paths,
                trainable,
            }
        }
        Mode::Prefix => {
            let paths = param_shapes(&model).into_iter().map(|(path, _)| path);
            let paths: Vec<ParamPath> = paths.filter(|path| path.is_prefix()).collect();
            if paths.is_empty() {
                return Err(TrainError::Config(
                    "prefix tuning needs a decoder with a prefix in front of its inputs",
                ));
            }
            prepared(model, paths.clone(), paths)
        }
        Mode::Asked(_) => {
            return Err(TrainError::Config(
                "nothing is trained in this mode: it is for evaluation",
            ));
        }
        Mode::Lora(terms) => {
            if config.lora_rank == 0 || !config.lora_alpha.is_finite() {
                return Err(TrainError::Config(
                    "LoRA needs a rank of at least 1 and a finite alpha",
                ));
            }
            let weights = lora_weights(&model, terms.iter().copied());
            let mut lora = Lora::new(config.lora_rank, config.lora_alpha)
                .set_param_group(ParamGroup::from_paths(weights.clone()));
            // PEFT draws A from U(-1/sqrt(d_in), 1/sqrt(d_in)): the same standard deviation.
            let d_in = param_shapes(&model)
                .into_iter()
                .find_map(|(path, shape)| (path == *weights.first()?).then(|| shape[0]));
            lora.init_std = d_in.map(|d_in| 1.0 / (3.0 * d_in as f64).sqrt());
            let device = model.devices().first().cloned().unwrap_or_default();
            device.inner().seed(config.seed);
            let model = model.apply_lora(lora);
            let factors = weights
                .iter()
                .flat_map(|weight| LoraFactor::ALL.map(|factor| weight.with_factor(factor)));
            let paths: Vec<ParamPath> = factors.chain(head).collect();
            prepared(model, paths.clone(), paths)
        }
    })
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
    let (mut each, mut moving) = (Vec::new(), Vec::new());
    for (model, config) in models.iter().zip(configs) {
        let Mode::Biases(terms) = &config.mode else {
            return Err(TrainError::Config(
                "only trainings of biases can run together",
            ));
        };
        let paths = model.trainable_paths(terms)?;
        let trainable = count(model, &paths);
        each.push((paths, trainable));
        moving.push(moving_paths(model, terms, config.savings)?);
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
    for (set, paths) in moving.iter().enumerate() {
        for path in paths {
            by_path.entry(path).or_default().push(set);
        }
    }
    let lengths: HashMap<ParamPath, usize> = param_shapes(&model)
        .into_iter()
        .map(|(path, shape)| (path, shape.iter().product()))
        .collect();
    // A parameter that some of them train is masked for the others.
    let entries = by_path
        .iter()
        .filter(|(_, of)| of.len() < sets.count)
        .map(|(path, of)| {
            let each = lengths[*path] / sets.count;
            let entries = of.iter().flat_map(|set| set * each..(set + 1) * each);
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

/// What of the parameters of `terms` has a gradient other than zero: of the key biases alone, none.
fn moving_paths<M: BiasModel>(
    model: &M,
    terms: &TermSet,
    savings: Savings,
) -> Result<Vec<ParamPath>, TermSetError> {
    let mut paths = model.trainable_paths(terms)?;
    let sites = model.sites(terms)?;
    let still = savings.zero_gradients && model.ignores_key_bias();
    if still && sites.iter().all(|site| site.term == BiasTerm::K) {
        let still: HashSet<ParamPath> = sites.iter().map(|site| model.site_path(*site)).collect();
        paths.retain(|path| !still.contains(path));
    }
    Ok(paths)
}

/// Whether the model has a parameter with gradients.
pub(crate) fn learns<M: Module>(model: &M) -> bool {
    let mut learns = false;
    view_params(model, |param| learns |= param.learns());
    learns
}

/// How many layers, counted from the embeddings up, training in `mode` leaves as they are.
///
/// # Errors
///
/// If a term set names a layer the model does not have.
pub fn unchanged_layers<M: SequenceClassifier>(
    model: &M,
    mode: &Mode,
    savings: Savings,
) -> Result<usize, TermSetError> {
    let Mode::Biases(terms) = mode else {
        return Ok(0);
    };
    let layout = model.bias_layout();
    let layers = model.num_layers();
    let above = |path: &ParamPath| layout.in_head(path) || layout.with_any.contains(&path.as_str());
    let lowest = moving_paths(model, terms, savings)?
        .iter()
        .map(|path| {
            let outside = if above(path) { layers } else { 0 };
            path.layer().unwrap_or(outside)
        })
        .min();
    Ok(lowest.unwrap_or(layers).min(model.reusable_layers()))
}

/// The paths of the projection weights of `terms` in every layer.
fn lora_weights<M: BiasModel>(model: &M, terms: impl Iterator<Item = BiasTerm>) -> Vec<ParamPath> {
    terms
        .flat_map(|term| (0..model.num_layers()).filter_map(move |l| model.weight_path(l, term)))
        .collect()
}
