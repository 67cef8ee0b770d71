use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use beft_core::{
    BiasSite, BiasSnapshot, BiasTerm, Head, HeadCounts, OuterTerm, TermSet, TermSetError,
};
use burn::module::Module;
use burn::tensor::Tensor;

use crate::{Batch, ForwardPrecision, ParamPath, Recorded, Rows, read_params};

/// The parameter paths of the head and of the biases outside the layers.
#[derive(Clone, Debug)]
pub struct BiasLayout {
    /// Biases outside the layers.
    pub outside: Vec<OuterBias>,
    /// The task head. It is always trained.
    pub head: &'static [&'static str],
}

/// A bias outside the layers.
#[derive(Clone, Copy, Debug)]
pub struct OuterBias {
    /// What it is called in a term set.
    pub term: OuterTerm,
    /// Its path.
    pub path: &'static str,
    /// Whether it trains along with any other bias, as the pooler's does (paper, section 4).
    pub with_any: bool,
}

impl OuterBias {
    /// One that trains where it is named, and where all biases do.
    pub const fn new(term: OuterTerm, path: &'static str) -> Self {
        Self {
            term,
            path,
            with_any: false,
        }
    }
}

impl BiasLayout {
    /// Whether a parameter belongs to the head.
    pub fn in_head(&self, path: &ParamPath) -> bool {
        self.head.contains(&path.as_str())
    }

    /// The bias outside the layers that a parameter is.
    pub fn outer(&self, path: &ParamPath) -> Option<&OuterBias> {
        self.outside.iter().find(|bias| *path == bias.path)
    }

    /// The terms of the biases outside the layers, each once.
    pub fn outer_terms(&self) -> Vec<OuterTerm> {
        let terms = self.outside.iter().map(|bias| bias.term);
        terms.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Whether what this parameter changes is above all layers: the head, and what trains along with any bias.
    pub fn above_layers(&self, path: &ParamPath) -> bool {
        self.in_head(path) || self.outer(path).is_some_and(|bias| bias.with_any)
    }
}

/// A model whose biases can be tuned.
pub trait BiasModel: Module {
    /// Number of transformer layers.
    fn num_layers(&self) -> usize;

    /// Where the biases outside the layers, and the head, are.
    fn bias_layout(&self) -> BiasLayout;

    /// The bias terms that its layers have (GPT-J's lack `ln2`).
    fn terms(&self) -> &'static [BiasTerm] {
        &BiasTerm::ALL
    }

    /// Numbers of attention heads of a layer.
    fn head_counts(&self) -> HeadCounts;

    /// Number of key and value heads of a layer, or 0 if the model takes no keys and values before the
    /// inputs.
    fn key_value_heads(&self) -> usize {
        0
    }

    /// Whether a key bias changes nothing, so that its gradient is exactly zero: it adds the same number
    /// to all attention scores of a query, and softmax does not see that. Not so where keys are rotated
    /// by their position (RoPE).
    fn ignores_key_bias(&self) -> bool {
        true
    }

    /// Whether a parameter is a bias that its checkpoint lacks, zero before training. Only a training of biases has them.
    fn is_added(&self, _path: &ParamPath) -> bool {
        false
    }

    /// The paths of matrices that are no parameters, because they are packed.
    fn packed_paths(&self) -> Vec<ParamPath> {
        Vec::new()
    }

    /// The parameter path of the module that has the layers (`encoder`).
    fn backbone_path(&self) -> &'static str;

    /// The parameter path of a site (`encoder.layers.3.biases.v`).
    fn site_path(&self, site: BiasSite) -> ParamPath {
        ParamPath::of_site(self.backbone_path(), site)
    }

    /// The parameter path of the projection weight that the bias of `term` belongs to, in a layer;
    /// `None` for a norm's.
    fn weight_path(&self, layer: usize, term: BiasTerm) -> Option<ParamPath> {
        ParamPath::of_weight(self.backbone_path(), layer, term)
    }

    /// The sites of a term set.
    ///
    /// # Errors
    ///
    /// If the set names a layer or a term that the model does not have.
    fn sites(&self, terms: &TermSet) -> Result<BTreeSet<BiasSite>, TermSetError> {
        let mut sites = terms.sites(self.num_layers())?;
        let absent = sites.iter().find(|site| !self.terms().contains(&site.term));
        match absent {
            Some(site) if !terms.is_all() => Err(TermSetError::NoSuchTerm(site.term)),
            _ => {
                sites.retain(|site| self.terms().contains(&site.term));
                Ok(sites)
            }
        }
    }

    /// The paths of everything that is trained for `terms`: the sites, the biases that go with
    /// them, and the head (paper, section 4).
    ///
    /// # Errors
    ///
    /// If the set names a layer, a term or a bias outside the layers that the model does not have.
    fn trainable_paths(&self, terms: &TermSet) -> Result<Vec<ParamPath>, TermSetError> {
        let layout = self.bias_layout();
        let sites = self.sites(terms)?.into_iter();
        let mut paths: Vec<ParamPath> = sites.map(|site| self.site_path(site)).collect();
        terms.check_outer(&layout.outer_terms())?;
        let named: BTreeSet<OuterTerm> = terms.outer().collect();
        let outside = layout.outside.iter().filter(|bias| {
            let along = bias.with_any && !terms.is_frozen();
            along || terms.is_all() || named.contains(&bias.term)
        });
        let outside = outside.map(|bias| bias.path);
        paths.extend(
            outside
                .chain(layout.head.iter().copied())
                .map(ParamPath::from),
        );
        Ok(paths)
    }
}

/// A model with a head: it gives each input, or each token of an input, the numbers that a task asks for.
pub trait TaskModel: BiasModel {
    /// The numbers of the head, before softmax.
    ///
    /// # Shapes
    ///
    /// - output: `[batch, outputs]` in input order; `[tokens, outputs]` where the head reads [`Rows::All`]: the real
    ///   tokens of one input after another, in input order
    fn forward(&self, batch: &Batch) -> Tensor<2> {
        self.forward_from(batch, self.hidden(batch, 0), 0)
    }

    /// What the embeddings and the lowest `layers` layers make of the inputs, of which there are at most
    /// [`reusable_layers`](Self::reusable_layers); for all layers of an encoder, at the [`rows`](Self::rows) that the
    /// head reads.
    ///
    /// # Shapes
    ///
    /// - output: `[rows, hidden]`; `[batch, hidden]` for all layers, where the head reads one row of each input
    fn hidden(&self, batch: &Batch, layers: usize) -> Tensor<2>;

    /// What some layers, not the last, make of what those below gave.
    ///
    /// # Shapes
    ///
    /// - hidden, output: `[rows, hidden]`
    fn advance(&self, batch: &Batch, hidden: Tensor<2>, layers: Range<usize>) -> Tensor<2>;

    /// The numbers of the head from what [`hidden`](Self::hidden) gave for the same batch and `layers`.
    ///
    /// # Shapes
    ///
    /// - output: as of [`forward`](Self::forward)
    fn forward_from(&self, batch: &Batch, hidden: Tensor<2>, layers: usize) -> Tensor<2> {
        self.answer(batch, self.states(batch, hidden, layers))
    }

    /// What the head reads, from what [`hidden`](Self::hidden) gave for the same batch and `layers`. Nothing of the head
    /// itself is in it.
    ///
    /// # Shapes
    ///
    /// - output: `[batch, width]` in batch order, or `[rows, width]` where the head reads all [`rows`](Self::rows); of a
    ///   language model `[scored tokens, width]`
    fn states(&self, batch: &Batch, hidden: Tensor<2>, layers: usize) -> Tensor<2>;

    /// The numbers of the head from what it reads. Except for a language model, it does not matter what else is in the
    /// batch, so that inputs of one token each can stand for any rows.
    ///
    /// # Shapes
    ///
    /// - output: as of [`forward`](Self::forward)
    fn answer(&self, batch: &Batch, states: Tensor<2>) -> Tensor<2>;

    /// How many layers, from the embeddings up, [`hidden`](Self::hidden) can be asked for.
    fn reusable_layers(&self) -> usize {
        self.num_layers()
    }

    /// Whether [`record`](Self::record) can compute its layers from packed matrices: on a processor whose backend computes
    /// scalar loops, in f32, where the layers are of the kind that the host computes.
    fn packs_for_biases(&self) -> bool {
        false
    }

    /// The same with the matrices of its layers packed both ways, the forward one for this precision, where it
    /// [can be](Self::packs_for_biases).
    #[must_use]
    fn packed_for_biases(self, _forward: ForwardPrecision) -> Self {
        self
    }

    /// Number of values of the model, packed or not.
    fn num_values(&self) -> usize {
        self.num_params()
    }

    /// The same with the matrices of the layers of `other`, which has the same ones, as `other` holds them.
    #[must_use]
    fn with_weights_of(self, _other: &Self) -> Self {
        self
    }

    /// Whether [`record`](Self::record) computes a batch: the layers are [packed](Self::packed_for_biases), and the batch is
    /// without padding.
    fn records(&self, _batch: &Batch) -> bool {
        false
    }

    /// As [`states`](Self::states), on the host, with what gives the gradients of the layers' biases and, with `rows`, of
    /// `hidden`. `None` unless it [`records`](Self::records) the batch.
    ///
    /// # Shapes
    ///
    /// - hidden: `[rows, hidden]`
    fn record<'a>(
        &'a self,
        _batch: &'a Batch,
        _hidden: Tensor<2>,
        _layers: usize,
        _rows: bool,
    ) -> Option<Recorded<'a>> {
        None
    }

    /// Whether training drops values in the embeddings or the lowest `layers` layers.
    fn drops_below(&self, layers: usize) -> bool;

    /// Its head, the part above the backbone.
    fn head(&self) -> Head;

    /// Which rows the head reads: one of each input, or those of all tokens.
    fn rows(&self) -> Rows {
        match self.head() {
            Head::Tokens(_) | Head::Spans => Rows::All,
            Head::Sequence(_) | Head::Embedding(_) | Head::CausalLm(_) => Rows::First,
        }
    }
}

/// The present values of a model's biases, all terms of every layer.
pub fn snapshot<M: BiasModel>(model: &M) -> BiasSnapshot {
    let sites: BTreeMap<ParamPath, BiasSite> = BiasSite::all(model.num_layers())
        .filter(|site| model.terms().contains(&site.term))
        .map(|site| (model.site_path(site), site))
        .collect();
    read_params(model, |path| sites.contains_key(path))
        .into_iter()
        .filter_map(|(path, data)| Some((*sites.get(&path)?, data.values)))
        .collect()
}
