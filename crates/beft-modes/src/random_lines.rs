use beft_nn::{BiasModel, param_shapes};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::mode::only_encoders;
use crate::{Entries, Makes, Misfit, ModeSettings, ModelTraits, Touched, Touching, TrainingMode};

/// A random row or column of each weight matrix of the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RandomLines;

impl TrainingMode for RandomLines {
    fn makes(&self) -> Makes {
        Makes::Model
    }

    fn fits(&self, model: &ModelTraits) -> Result<(), Misfit> {
        only_encoders(model)
    }

    fn touch<M: BiasModel>(&self, model: M, _settings: &ModeSettings, seed: u64) -> Touching<M> {
        let entries = draw(&model, seed);
        Ok(Touched::in_part(model, entries))
    }
}

fn draw<M: BiasModel>(model: &M, seed: u64) -> Entries {
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
