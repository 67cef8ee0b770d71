use std::fmt::Debug;

use beft_checkpoint::{CheckpointError, HeadTensor, KeyTable, PrefixValues};
use serde_json::{Map, Value};

use super::{Keys, WRAPPERS};
use crate::AdapterKind;
use crate::new_values::NewValues;

/// What one of PEFT's types of adapters is.
#[derive(Debug)]
pub(crate) struct PeftType {
    /// Its name in PEFT's configs.
    pub(crate) name: &'static str,
    /// What is done with each key that it has beside those of every type.
    pub(crate) keys: KeyTable,
    /// Whether PEFT can merge one into its base.
    pub(crate) mergeable: bool,
    /// The modules that `target_modules` of its config names.
    pub(crate) targets: TargetKind,
    /// Whether the terms in our own facts are a term set, whose biases it must hold.
    pub(crate) has_terms: bool,
    /// Names of its tensors that are not the model's, and do not begin as the others do.
    pub(crate) unwrapped: &'static [&'static str],
    /// Whether a tensor of this name is such an adapter's and no other's.
    pub(crate) owns: fn(&str) -> bool,
    /// Begins to read one: what its config says.
    pub(crate) read: fn(&Keys<'_>) -> Result<Box<dyn Reader>, String>,
}

/// The modules that an adapter is for, those that it must have values for where its config names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TargetKind {
    /// It is for no modules in particular.
    None,
    /// Linear modules.
    Linear,
    /// Norms.
    Norms,
}

/// What an adapter of one type holds.
pub(crate) trait PeftLayout: Layout {
    /// The type.
    const TYPE: PeftType;
}

/// A tensor of a file: name, shape and values.
pub(crate) type FileTensor<'a> = (String, Vec<usize>, &'a [f32]);

/// How what an adapter holds is written, and what it changes of a model.
pub(crate) trait Layout {
    /// Adds its own keys to the config.
    fn write(&self, config: &mut Map<String, Value>);

    /// Its own tensors of the weights file.
    fn tensors(&self) -> Vec<FileTensor<'_>>;

    /// Names of the linear modules that it changes.
    fn modules(&self) -> Vec<&String> {
        Vec::new()
    }

    /// The same in groups: no name in the config's `target_modules` may mean modules of two of them.
    fn target_groups(&self) -> Vec<Vec<&String>> {
        vec![self.modules()]
    }

    /// Names of the biases that it changes where the model has them.
    fn present_biases(&self) -> Vec<String> {
        Vec::new()
    }

    /// Names of the biases that it changes.
    fn biases(&self) -> Vec<String> {
        Vec::new()
    }

    /// Names of the weights that it changes.
    fn weights(&self) -> Vec<String> {
        Vec::new()
    }

    /// Keys and values that are put in front of every input.
    fn prefix(&self) -> Option<&PrefixValues> {
        None
    }

    /// Changes them.
    fn put(&self, new: &mut NewValues<'_>) -> Result<(), String>;
}

/// An adapter that is being read.
pub(crate) trait Reader: Debug {
    /// Takes a tensor of the weights file, or gives it back where it is none of its own.
    fn take(&mut self, name: &str, tensor: HeadTensor) -> Result<Option<HeadTensor>, Problem>;

    /// Whether the file has biases of the model as they were after training.
    fn has_model_biases(&self) -> bool {
        false
    }

    /// What it holds; `None` where nothing of its own was found that has to be there.
    fn finish(self: Box<Self>) -> Result<Option<AdapterKind>, String>;
}

/// Why a tensor cannot be used, and which file is to blame.
pub(crate) enum Problem {
    /// It cannot be read.
    File(CheckpointError),
    /// The weights file is wrong.
    Tensor(String),
    /// The config is wrong.
    Config(String),
    /// The config names another type.
    OtherType,
}

/// Fails where a tensor is no vector.
pub(crate) fn check_vector(name: &str, tensor: &HeadTensor, what: &str) -> Result<(), Problem> {
    match tensor.shape[..] {
        [1, _] | [_] => Ok(()),
        _ => Err(Problem::Tensor(format!(
            "tensor `{WRAPPERS}{name}` has shape {:?}; {what} has shape [1, n] or [n]",
            tensor.shape
        ))),
    }
}
