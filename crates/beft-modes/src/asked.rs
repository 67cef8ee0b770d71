use beft_nn::BiasModel;

use crate::mode::only_causal_lm;
use crate::{Makes, Misfit, ModeError, ModeSettings, ModelTraits, Touching, TrainingMode, Written};

/// How an untrained decoder is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// Number of training examples before each question (in-context learning).
    pub shots: usize,
    /// Whether the score of each candidate is corrected by its score after a prompt without content (surface
    /// form competition, SFC).
    pub calibrated: bool,
}

/// In-context learning's number of examples (protocol, section 4).
const SHOTS: usize = 32;

impl Written for Asked {
    /// `zero-shot`, `icl`, `icl-8`, each perhaps with `-sfc` behind.
    fn read(_text: &str, plain: &str) -> Option<Result<Self, ModeError>> {
        let (bare, calibrated) = match plain.strip_suffix("-sfc") {
            Some(bare) => (bare, true),
            None => (plain, false),
        };
        let shots = match bare {
            "zero-shot" => 0,
            "icl" => SHOTS,
            _ => bare.strip_prefix("icl-")?.parse().ok().filter(|n| *n > 0)?,
        };
        Some(Ok(Self { shots, calibrated }))
    }

    fn written(&self) -> String {
        let sfc = if self.calibrated { "-sfc" } else { "" };
        match self.shots {
            0 => format!("zero-shot{sfc}"),
            shots => format!("icl-{shots}{sfc}"),
        }
    }
}

impl TrainingMode for Asked {
    fn makes(&self) -> Makes {
        Makes::Nothing
    }

    fn fits(&self, model: &ModelTraits) -> Result<(), Misfit> {
        only_causal_lm(model)?;
        if self.calibrated && model.generates {
            return Err(Misfit::Refused(
                "answers that are generated cannot be calibrated",
            ));
        }
        Ok(())
    }

    fn touch<M: BiasModel>(&self, _model: M, _settings: &ModeSettings, _seed: u64) -> Touching<M> {
        Err(Misfit::Refused(
            "nothing is trained in this mode: it is for evaluation",
        ))
    }

    fn asked(&self) -> Option<Self> {
        Some(*self)
    }
}
