use std::collections::BTreeMap;

use beft_core::{BiasSite, BiasSnapshot, BiasTerm, TermSet, TermSetError};
use burn::module::Module;
use burn::tensor::Tensor;

use crate::{Batch, read_params};

/// Where a model keeps the biases outside its layers and its head, as parameter paths.
#[derive(Clone, Copy, Debug)]
pub struct BiasLayout {
    /// Biases outside the layers that train along with any non-empty set (the pooler's).
    pub with_any: &'static [&'static str],
    /// Biases outside the layers that train only when all biases do (the embeddings norm's).
    pub with_all: &'static [&'static str],
    /// The task head: trained always.
    pub head: &'static [&'static str],
}

/// A model whose biases can be tuned.
pub trait BiasModel: Module {
    /// Number of transformer layers.
    fn num_layers(&self) -> usize;

    /// Where the biases outside the layers, and the head, are.
    fn bias_layout(&self) -> BiasLayout;

    /// The parameter path of the layers, their common prefix (`encoder.layers.`).
    fn layers_path() -> &'static str;

    /// The parameter path of a site (`encoder.layers.3.biases.v`).
    fn site_path(site: BiasSite) -> String;

    /// The parameter path of the projection weight that the bias of `term` belongs to, in a layer;
    /// `None` for a norm's.
    fn weight_path(layer: usize, term: BiasTerm) -> Option<String>;

    /// The paths of everything that is trained for `terms`: the sites, the biases that go with
    /// them, and the head (paper, section 4).
    ///
    /// # Errors
    ///
    /// If the set names a layer the model does not have.
    fn trainable_paths(&self, terms: &TermSet) -> Result<Vec<String>, TermSetError> {
        let layout = self.bias_layout();
        let sites = terms.sites(self.num_layers())?;
        let mut paths: Vec<String> = sites.into_iter().map(Self::site_path).collect();
        let mut add = |more: &[&str]| paths.extend(more.iter().map(|p| (*p).to_owned()));
        if terms.is_all() {
            add(layout.with_all);
        }
        if !terms.is_frozen() {
            add(layout.with_any);
        }
        add(layout.head);
        Ok(paths)
    }
}

/// A model that assigns one of several classes to each input.
pub trait SequenceClassifier: BiasModel {
    /// Class scores before softmax.
    ///
    /// # Shapes
    ///
    /// - output: `[batch, classes]`
    fn forward(&self, batch: &Batch) -> Tensor<2> {
        self.forward_from(batch, self.hidden(batch, 0), 0)
    }

    /// What the embeddings and the lowest `layers` layers make of the inputs; for all layers, at
    /// each input's first token alone, which is what the head reads.
    ///
    /// # Shapes
    ///
    /// - output: `[rows, hidden]`; `[batch, hidden]` for all layers
    fn hidden(&self, batch: &Batch, layers: usize) -> Tensor<2>;

    /// Class scores from what [`hidden`](Self::hidden) gave for the same batch and `layers`.
    ///
    /// # Shapes
    ///
    /// - output: `[batch, classes]`
    fn forward_from(&self, batch: &Batch, hidden: Tensor<2>, layers: usize) -> Tensor<2>;

    /// Whether training drops values in the embeddings or the lowest `layers` layers.
    fn drops_below(&self, layers: usize) -> bool;

    /// Number of classes.
    fn num_classes(&self) -> usize;
}

/// The present values of a model's biases, all eight terms of every layer.
pub fn snapshot<M: BiasModel>(model: &M) -> BiasSnapshot {
    let sites: BTreeMap<String, BiasSite> = BiasSite::all(model.num_layers())
        .map(|site| (M::site_path(site), site))
        .collect();
    read_params(model, |path| sites.contains_key(path))
        .into_iter()
        .filter_map(|(path, data)| Some((*sites.get(&path)?, data.values)))
        .collect()
}
