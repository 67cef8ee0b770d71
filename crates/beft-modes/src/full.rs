use beft_nn::{BiasModel, param_shapes};

use crate::mode::only_encoders;
use crate::{Makes, Misfit, ModeSettings, ModelTraits, Touched, Touching, TrainingMode};

/// Full fine-tuning: every parameter of the checkpoint learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The paper's learning rate of full fine-tuning (protocol, section 3).
const LEARNING_RATE: f64 = 1e-5;

impl TrainingMode for Full {
    fn makes(&self) -> Makes {
        Makes::Model
    }

    fn fits(&self, model: &ModelTraits) -> Result<(), Misfit> {
        only_encoders(model)
    }

    fn touch<M: BiasModel>(&self, model: M, _settings: &ModeSettings, _seed: u64) -> Touching<M> {
        let paths = param_shapes(&model).into_iter().map(|(path, _)| path);
        let paths = paths.filter(|path| !model.is_added(path)).collect();
        Ok(Touched::whole(model, paths))
    }

    fn learning_rate(&self) -> Option<f64> {
        Some(LEARNING_RATE)
    }

    fn trains_all(&self) -> bool {
        true
    }
}
