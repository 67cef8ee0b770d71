use beft_core::TermSet;
use beft_nn::{BiasModel, ParamPath, count_values, param_shapes};
use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

use crate::mode::{head_paths, only_encoders};
use crate::{Entries, Makes, Misfit, ModeSettings, ModelTraits, Touched, Touching, TrainingMode};

/// A random mask over all parameters (the paper's random-uniform baseline).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Random;

impl TrainingMode for Random {
    fn makes(&self) -> Makes {
        Makes::Model
    }

    fn fits(&self, model: &ModelTraits) -> Result<(), Misfit> {
        only_encoders(model)
    }

    fn touch<M: BiasModel>(&self, model: M, settings: &ModeSettings, seed: u64) -> Touching<M> {
        let wanted = match settings.random_entries {
            Some(entries) => entries,
            None => {
                let biases = count_values(&model, &model.trainable_paths(&TermSet::all())?);
                biases - count_values(&model, &head_paths(&model))
            }
        };
        let entries = draw(&model, wanted, seed)?;
        Ok(Touched::in_part(model, entries))
    }

    fn recorded(&self, settings: &ModeSettings) -> ModeSettings {
        ModeSettings {
            random_entries: settings.random_entries,
            ..ModeSettings::default()
        }
    }
}

/// `count` entries drawn over all parameters outside the head, spread over them in proportion to
/// their size.
fn draw<M: BiasModel>(model: &M, count: usize, seed: u64) -> Result<Entries, Misfit> {
    let layout = model.bias_layout();
    let mut sizes: Vec<(ParamPath, usize)> = param_shapes(model)
        .into_iter()
        .filter(|(path, _)| !layout.in_head(path) && !model.is_added(path))
        .map(|(path, shape)| (path, shape.iter().product()))
        .collect();
    let total: usize = sizes.iter().map(|(_, size)| size).sum();
    if count == 0 || count > total {
        return Err(Misfit::Refused(
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
