use std::collections::BTreeMap;
use std::sync::Arc;

use beft_nn::{BiasModel, BiasSet, ParamPath, param_shapes, stack_biases};

use crate::DecoderForCausalLM;

/// Biases of a text; `None` for the model's own.
pub(super) type Biases = Option<Arc<BiasSet>>;

/// A model with the biases of several texts, one after another.
#[derive(Debug)]
pub(super) struct StackedModel {
    own: DecoderForCausalLM,
    /// The biases that can be stacked, with their lengths.
    lengths: BTreeMap<ParamPath, usize>,
    sets: Vec<Biases>,
    stacked: DecoderForCausalLM,
}

fn same(a: &Biases, b: &Biases) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

impl StackedModel {
    pub(super) fn new(own: DecoderForCausalLM) -> Self {
        let layout = own.bias_layout();
        let shapes = param_shapes(&own).into_iter();
        let biases = shapes
            .filter(|(path, _)| path.term().is_some() || layout.outer(path).is_some())
            .map(|(path, shape)| (path, shape.iter().product()));
        Self {
            lengths: biases.collect(),
            sets: vec![None],
            stacked: own.clone(),
            own,
        }
    }

    /// A value of `set` that is no bias of the model.
    pub(super) fn foreign<'a>(&self, set: &'a BiasSet) -> Option<&'a ParamPath> {
        let fits = |path: &ParamPath, length| self.lengths.get(path) == Some(&length);
        let mut foreign = set
            .iter()
            .filter(|(path, values)| !fits(path, values.dims()[0]));
        foreign.next().map(|(path, _)| path)
    }

    /// Makes sure that all these biases are there, and not many others.
    pub(super) fn hold<'a>(&mut self, wanted: impl Iterator<Item = &'a Biases>) {
        let mut sets: Vec<Biases> = Vec::new();
        for biases in wanted {
            if !sets.iter().any(|set| same(set, biases)) {
                sets.push(biases.clone());
            }
        }
        let there = sets.iter().all(|set| self.find(set).is_some());
        // Making a stack costs about as much as a token. It pays where half of the old one would be carried along.
        if there && (sets.is_empty() || sets.len() * 2 > self.sets.len()) {
            return;
        }
        let none = BiasSet::new();
        let all: Vec<&BiasSet> = sets
            .iter()
            .map(|set| set.as_deref().unwrap_or(&none))
            .collect();
        self.stacked = stack_biases(self.own.clone(), &all);
        self.sets = sets;
    }

    fn find(&self, biases: &Biases) -> Option<usize> {
        self.sets.iter().position(|set| same(set, biases))
    }

    /// The place of biases that are held.
    pub(super) fn place(&self, biases: &Biases) -> usize {
        let place = self.find(biases);
        place.unwrap_or_else(|| panic!("biases that are not held"))
    }

    /// Number of stacked biases.
    pub(super) fn count(&self) -> usize {
        self.sets.len()
    }

    /// The model, for batches that say which of the stacked biases each input has.
    pub(super) fn model(&self) -> &DecoderForCausalLM {
        &self.stacked
    }
}
