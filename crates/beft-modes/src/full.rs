use beft_nn::{BiasModel, Savings, param_shapes};

use crate::mode::OF_ENCODERS;
use crate::{
    Makes, Misfit, ModeError, ModeSettings, ModelKind, SettingError, Touched, TrainingMode,
};

/// Full fine-tuning: every parameter learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The paper's learning rate of full fine-tuning (protocol, section 3).
const LEARNING_RATE: f64 = 1e-5;

impl TrainingMode for Full {
    fn read(_text: &str, plain: &str) -> Option<Result<Self, ModeError>> {
        (plain == "full").then_some(Ok(Self))
    }

    fn written(&self) -> String {
        "full".to_owned()
    }

    fn makes(&self) -> Makes {
        Makes::Model
    }

    fn fits(&self, model: &ModelKind) -> Result<(), Misfit> {
        if model.decoder {
            Err(OF_ENCODERS)
        } else {
            Ok(())
        }
    }

    fn touch<M: BiasModel>(
        &self,
        model: M,
        _settings: &ModeSettings,
        _savings: Savings,
    ) -> Result<Touched<M>, SettingError> {
        let paths = param_shapes(&model).into_iter().map(|(path, _)| path);
        let paths = paths.collect();
        Ok(Touched::whole(model, paths))
    }

    fn learning_rate(&self) -> Option<f64> {
        Some(LEARNING_RATE)
    }

    fn trains_all(&self) -> bool {
        true
    }
}
