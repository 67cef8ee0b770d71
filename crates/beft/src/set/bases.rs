//! The base of a set, once for each kind of head and longest input.

use std::sync::{Arc, Mutex, PoisonError};

use beft_core::TaskType;
use burn::tensor::Device;

use crate::{Base, Error, InferencePrecision, Model};

/// A base with a head of this kind, for inputs of so many tokens.
type Form = (TaskType, Option<usize>, Arc<Base>);

/// A base model; its forms share the backbone.
#[derive(Debug)]
pub(super) struct Bases {
    first: Arc<Base>,
    device: Device,
    precision: InferencePrecision,
    others: Mutex<Vec<Form>>,
    /// Untrained models with heads of so many outputs, once for each.
    templates: Mutex<Vec<(TaskType, usize, Arc<Model>)>>,
}

impl Bases {
    pub(super) fn open(
        model: &str,
        device: &Device,
        precision: InferencePrecision,
    ) -> Result<Self, Error> {
        let first = Base::open(model, None, device)?.only_used(precision)?;
        Ok(Self {
            first: Arc::new(first),
            device: device.clone(),
            precision,
            others: Mutex::default(),
            templates: Mutex::default(),
        })
    }

    pub(super) fn model(&self) -> &str {
        self.first.name()
    }

    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// What all members are computed in.
    pub(super) fn precision(&self) -> InferencePrecision {
        self.precision
    }

    pub(super) fn notes(&self) -> Vec<String> {
        self.first.notes().to_vec()
    }

    pub(super) fn max_length(&self) -> usize {
        self.first.max_length()
    }

    /// The base as its own files describe it.
    pub(super) fn own(&self) -> Arc<Base> {
        self.first.clone()
    }

    /// The untrained model of a form of the base with so many outputs.
    pub(super) fn template(&self, base: &Base, outputs: usize) -> Result<Arc<Model>, Error> {
        let templates = || {
            self.templates
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let wanted = (base.task_type(), outputs);
        let known = templates();
        let found = known.iter().find(|(kind, of, _)| (*kind, *of) == wanted);
        if let Some((_, _, model)) = found {
            return Ok(model.clone());
        }
        drop(known);
        let model = Arc::new(base.model(outputs, 0)?.0);
        templates().push((wanted.0, wanted.1, model.clone()));
        Ok(model)
    }

    /// The base with this kind of head, by default its own, for inputs of so many tokens.
    pub(super) fn get(
        &self,
        task_type: Option<TaskType>,
        longest: Option<usize>,
    ) -> Result<Arc<Base>, Error> {
        let task_type = task_type.unwrap_or(self.first.task_type());
        if task_type == self.first.task_type() && longest.is_none_or(|n| n == self.max_length()) {
            return Ok(self.own());
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let known = others
            .iter()
            .find(|(kind, most, _)| (*kind, *most) == (task_type, longest));
        if let Some((_, _, base)) = known {
            return Ok(base.clone());
        }
        let base = Base::open(self.model(), longest, &self.device)?
            .with_task_type(task_type)?
            .only_used(self.precision)?;
        let loaded = others.iter().find_map(|(_, _, base)| base.loaded_model());
        let base = match self.first.loaded_model().or(loaded) {
            Some(model) => base.sharing_backbone(model),
            None => base,
        };
        let base = Arc::new(base);
        others.push((task_type, longest, base.clone()));
        Ok(base)
    }
}
