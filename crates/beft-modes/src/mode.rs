use std::collections::BTreeMap;

use beft_core::{BiasTerm, TermSet, TermSetError};
use beft_nn::{BiasModel, ParamPath, count_values};

use crate::{Adapter, Asked, ModeSettings, TrainedParams};

/// What a mode is. Each mode implements it in a file of its own; `table.rs` lists them.
pub trait TrainingMode {
    /// What a training makes.
    fn makes(&self) -> Makes;

    /// Whether it suits a model and what the model is to do.
    ///
    /// # Errors
    ///
    /// What is in the way.
    fn fits(&self, model: &ModelTraits) -> Result<(), Misfit>;

    /// The model with everything that the mode adds, and what of its parameters the mode trains, the head
    /// included.
    ///
    /// # Errors
    ///
    /// If it names a layer that the model does not have, or a setting is out of range.
    fn touch<M: BiasModel>(&self, model: M, settings: &ModeSettings, seed: u64) -> Touching<M>
    where
        Self: Sized;

    /// The term set, where only biases are trained.
    fn terms(&self) -> Option<&TermSet> {
        None
    }

    /// Whether several trainings can run in one pass over one frozen backbone.
    fn trains_together(&self) -> bool {
        self.terms().is_some()
    }

    /// How a decoder is asked, where nothing is trained.
    fn asked(&self) -> Option<Asked> {
        None
    }

    /// Number of prefix tokens that are put in front of every input.
    fn prefix_tokens(&self) -> usize {
        0
    }

    /// The learning rate, where it is the mode's own instead of the task's.
    fn learning_rate(&self) -> Option<f64> {
        None
    }

    /// Whether it trains every parameter.
    fn trains_all(&self) -> bool {
        false
    }

    /// The settings that the mode reads.
    fn recorded(&self, _settings: &ModeSettings) -> ModeSettings {
        ModeSettings::default()
    }
}

/// A mode that is written in more than one way.
pub trait Written: Sized {
    /// Reads what a user writes, as it is and in plain form (trimmed, small letters); `None` where it is
    /// another mode.
    ///
    /// # Errors
    ///
    /// When it is this mode, and something is wrong with it.
    fn read(text: &str, plain: &str) -> Option<Result<Self, ModeError>>;

    /// How it is written on the command line.
    fn written(&self) -> String;
}

/// What a training makes.
#[derive(Clone, Copy, Debug)]
pub enum Makes {
    /// An adapter, which this function fills with what was trained beside the head.
    Adapter(fn(&TrainedParams<'_>) -> Adapter),
    /// A whole model.
    Model,
    /// Nothing: the mode is for evaluation.
    Nothing,
}

/// What decides whether a mode suits a model.
#[derive(Clone, Copy, Debug)]
pub struct ModelTraits {
    /// Whether it is a decoder; else it is an encoder.
    pub decoder: bool,
    /// Whether query, key and value are one matrix.
    pub fused: bool,
    /// Whether it is to generate answers instead of scoring them.
    pub generates: bool,
    /// Number of its layers.
    pub layers: usize,
    /// The bias terms that its layers have.
    pub terms: &'static [BiasTerm],
}

/// A mode, or a setting, that does not suit a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// What is in the way.
    Refused(&'static str),
    /// The term set names what the model does not have.
    Terms(TermSetError),
}

impl From<TermSetError> for Misfit {
    fn from(error: TermSetError) -> Self {
        Self::Terms(error)
    }
}

/// Refuses a mode that is for encoders alone.
pub(crate) fn only_encoders(model: &ModelTraits) -> Result<(), Misfit> {
    let refused = Misfit::Refused("decoders are tuned by biases, LoRA or a prefix");
    if model.decoder { Err(refused) } else { Ok(()) }
}

/// Refuses a mode that is for decoders alone.
pub(crate) fn only_decoders(model: &ModelTraits) -> Result<(), Misfit> {
    let refused = Misfit::Refused("it is a mode of decoders, and the model is an encoder");
    if model.decoder { Ok(()) } else { Err(refused) }
}

/// Entries of parameters, by path, as row-major indices.
pub type Entries = BTreeMap<ParamPath, Vec<usize>>;

/// What a mode trains of a model.
#[derive(Debug)]
pub struct Touched<M> {
    /// The model, with what the mode adds to it.
    pub model: M,
    /// Paths of the parameters that it trains.
    pub paths: Vec<ParamPath>,
    /// Of parameters that are trained in part, the entries that are.
    pub entries: Entries,
    /// Number of values that learn.
    pub trainable: usize,
}

/// That, or why it cannot be.
pub type Touching<M> = Result<Touched<M>, Misfit>;

impl<M: BiasModel> Touched<M> {
    /// These parameters are trained whole.
    pub(crate) fn whole(model: M, paths: Vec<ParamPath>) -> Self {
        Self {
            trainable: count_values(&model, &paths),
            model,
            paths,
            entries: Entries::new(),
        }
    }

    /// These entries are trained, and the head.
    pub(crate) fn in_part(model: M, entries: Entries) -> Self {
        let head = head_paths(&model);
        let own = entries.values().map(Vec::len).sum::<usize>();
        let paths: Vec<ParamPath> = entries.keys().cloned().chain(head.clone()).collect();
        Self {
            trainable: count_values(&model, &head) + own,
            model,
            paths,
            entries,
        }
    }
}

/// Paths of the head, which learns in every mode.
pub(crate) fn head_paths<M: BiasModel>(model: &M) -> Vec<ParamPath> {
    let head = model.bias_layout().head.iter();
    head.map(|path| ParamPath::from(*path)).collect()
}

/// A mode that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModeError {
    /// `lora-` followed by anything but letters of q, k, v.
    #[error("cannot read `{0}`: write lora-q, lora-k, lora-v, or several as lora-qv")]
    Lora(String),
    /// Neither a mode nor a term set.
    #[error(
        "{0}; other modes: full, random, random-lines, lora-v, and for decoders prefix, zero-shot, icl"
    )]
    Terms(#[from] TermSetError),
}
