use std::collections::BTreeMap;

use beft_core::{BiasTerm, HeadCounts, OuterTerm, TaskType, TermSet, TermSetError};
use beft_nn::{BiasModel, ParamPath, count_values};

use crate::{Adapter, Asked, ModeSettings, TrainedParams};

/// A training mode. Each mode implements this trait in a file of its own; `table.rs` lists the modes.
pub trait TrainingMode {
    /// What a training makes.
    fn makes(&self) -> Makes;

    /// Refuses models and purposes that the mode does not suit.
    ///
    /// # Errors
    ///
    /// The reason.
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

    /// The term set, if the mode trains only biases.
    fn terms(&self) -> Option<&TermSet> {
        None
    }

    /// Whether several trainings can share one pass over one frozen model.
    fn trains_together(&self) -> bool {
        self.terms().is_some()
    }

    /// How a decoder is asked, if the mode trains nothing.
    fn asked(&self) -> Option<Asked> {
        None
    }

    /// Number of prefix tokens before every input.
    fn prefix_tokens(&self) -> usize {
        0
    }

    /// The mode's own learning rate; `None` for the task's.
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
    /// Reads what a user wrote: `text` as it is, `plain` trimmed and in lower case. Returns `None` if it is
    /// another mode.
    ///
    /// # Errors
    ///
    /// If it is this mode, but written wrongly.
    fn read(text: &str, plain: &str) -> Option<Result<Self, ModeError>>;

    /// How it is written on the command line.
    fn written(&self) -> String;
}

/// What a training makes.
#[derive(Clone, Copy, Debug)]
pub enum Makes {
    /// An adapter. The function makes it from the trained parameters.
    Adapter(fn(&TrainedParams<'_>) -> Adapter),
    /// A whole model.
    Model,
    /// Nothing: the mode is for evaluation.
    Nothing,
}

/// The properties of a model that decide which modes suit it.
#[derive(Clone, Debug)]
pub struct ModelTraits {
    /// What its head does.
    pub task_type: TaskType,
    /// Whether query, key and value are one matrix.
    pub fused: bool,
    /// Whether the model generates answers instead of scoring them.
    pub generates: bool,
    /// Number of layers.
    pub layers: usize,
    /// Numbers of attention heads of a layer.
    pub heads: HeadCounts,
    /// The bias terms that its layers have.
    pub terms: &'static [BiasTerm],
    /// The biases that it has outside the layers.
    pub outer: Vec<OuterTerm>,
}

/// Why a mode or a setting does not suit a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// The reason.
    Refused(&'static str),
    /// The term set names a layer or term that the model does not have.
    Terms(TermSetError),
}

impl From<TermSetError> for Misfit {
    fn from(error: TermSetError) -> Self {
        Self::Terms(error)
    }
}

/// Refuses a mode that is for encoders alone.
pub(crate) fn only_encoders(model: &ModelTraits) -> Result<(), Misfit> {
    let refused = Misfit::Refused(
        "causal language models are tuned by biases, norms (ln), IA3, LoRA or a prefix",
    );
    if model.task_type == TaskType::CausalLm {
        Err(refused)
    } else {
        Ok(())
    }
}

/// Refuses a mode that is for causal language models alone.
pub(crate) fn only_causal_lm(model: &ModelTraits) -> Result<(), Misfit> {
    let refused = Misfit::Refused(
        "it is a mode of causal language models, and this model has a head for the task",
    );
    if model.task_type == TaskType::CausalLm {
        Ok(())
    } else {
        Err(refused)
    }
}

/// Refuses models that keep query, key and value as one matrix.
pub(crate) fn only_separate(model: &ModelTraits, reason: &'static str) -> Result<(), Misfit> {
    match model.fused {
        true => Err(Misfit::Refused(reason)),
        false => Ok(()),
    }
}

/// Entries of parameters, by path, as row-major indices.
pub type Entries = BTreeMap<ParamPath, Vec<usize>>;

/// The parameters of a model that a mode trains.
#[derive(Debug)]
pub struct Touched<M> {
    /// The model, with what the mode adds to it.
    pub model: M,
    /// Paths of the parameters that it trains.
    pub paths: Vec<ParamPath>,
    /// The trained entries of parameters that are trained in part.
    pub entries: Entries,
    /// Number of values that learn.
    pub trainable: usize,
}

/// The trained parameters, or why the mode does not suit the model.
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

/// Why a mode cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModeError {
    /// `lora-` followed by anything but letters of q, k, v and a rank.
    #[error(
        "cannot read `{0}`: write lora-q, lora-k, lora-v, or several as lora-qv; with a rank lora-v-r1"
    )]
    Lora(String),
    /// Neither a mode nor a term set.
    #[error("{}{}", .0, other_modes(.0))]
    Terms(#[from] TermSetError),
}

/// What a name may have meant that is no term.
fn other_modes(error: &TermSetError) -> &'static str {
    match error {
        TermSetError::UnknownTerm(_) => {
            "; other modes: full, random, random-lines, ln, ia3, lora-v, and for decoders prefix, zero-shot, icl"
        }
        _ => "",
    }
}
