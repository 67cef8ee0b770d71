use std::sync::PoisonError;

use beft_checkpoint::LoadReport;
use beft_core::Head;
use beft_nn::{ForwardPrecision, TaskModel};

use super::{Base, Model};

/// The first model made with a head: its tensors are shared by all that are made after it.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) head: Head,
    pub(super) seed: u64,
    pub(super) model: Model,
    /// How the matrices of its layers are packed; none where they are as they were.
    pub(super) packed: Option<ForwardPrecision>,
    pub(super) report: LoadReport,
}

impl Loaded {
    /// The same with its matrices packed so, or as they are; `None` where the checkpoint has to be read for that.
    pub(super) fn with_packing(self, packed: Option<ForwardPrecision>) -> Option<Self> {
        match (self.packed, packed) {
            (found, wanted) if found == wanted => Some(self),
            (None, wanted) => Some(self.packed_as(wanted)),
            (Some(_), _) => None,
        }
    }

    /// The same with its matrices packed, where its layers are of the kind that is.
    pub(super) fn packed_as(self, packed: Option<ForwardPrecision>) -> Self {
        match packed {
            Some(forward) if self.model.packs_for_biases() => Self {
                model: self.model.packed_for_biases(forward),
                packed,
                ..self
            },
            _ => self,
        }
    }
}

impl Base {
    /// The model that was made first, if there is one.
    pub(crate) fn loaded_model(&self) -> Option<Model> {
        let slot = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().map(|loaded| loaded.model.clone())
    }

    /// Frees the values that are kept for the next [`model`](Self::model), which then reads the checkpoint again.
    pub fn release(&self) {
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
