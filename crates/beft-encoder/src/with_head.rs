use std::ops::Range;
use std::sync::Arc;

use beft_checkpoint::{
    CheckpointError, LoadReport, ModelDir, NameTable, TensorFiles, draw_missing, load_module,
};
use beft_core::{BiasSite, Head, HeadCounts, OuterTerm, Pooling};
use beft_nn::{
    Batch, BiasLayout, BiasModel, Dense, DropoutSite, ForwardPrecision, OuterBias, Packing,
    ParamPath, Recorded, Rows, TaskModel, gelu, outer_norm, pack_weights, zeros_if,
};
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, Initializer};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use crate::facts::Activation;
use crate::layer::EncoderLayer;
use crate::{Architecture, DenseLayer, EncoderConfig, EncoderModel};

/// An encoder with a head.
///
/// * Sequence classification: `classifier(dropout(act(dropout(pooled) W + b)))`. BERT's `pooler` is part of the
///   pretrained model; RoBERTa's is the head's own dense layer.
/// * Token classification and question answering: `classifier(dropout(x))` of every token, in ModernBERT behind the
///   same dense layer.
/// * Embeddings: the pooled state itself.
///
/// [`HeadConfig`](crate::HeadConfig) says which activation it has, [`Dropouts`](crate::Dropouts) where it drops values.
#[derive(Module, Debug)]
pub struct EncoderWithHead {
    /// Backbone.
    pub encoder: EncoderModel,
    /// The dense layer in front of the last one, `[hidden, hidden]`.
    pub pooler: Option<Dense>,
    /// Weight of the norm behind it, `[hidden]` (ModernBERT).
    pub pooler_gamma: Option<Param<Tensor<1>>>,
    /// Its bias, `[hidden]`.
    pub pooler_norm_bias: Option<Param<Tensor<1>>>,
    /// The last layer, `[hidden, outputs]`; an embedding has none.
    pub classifier: Option<Dense>,
    input_dropout: Dropout,
    dropout: Dropout,
    #[module(skip)]
    head: Head,
    #[module(skip)]
    pooling: Pooling,
    #[module(skip)]
    config: Arc<EncoderConfig>,
}

impl EncoderWithHead {
    /// A newly initialised model; values are drawn when first used.
    ///
    /// # Panics
    ///
    /// If the head is that of a language model.
    pub fn init(config: &EncoderConfig, head: Head, device: &Device) -> Self {
        let hidden = config.hidden_size;
        let own = config.dropouts;
        let (pooling, outputs, dense, dropouts) = match head {
            Head::Sequence(outputs) => {
                let dropouts = [own.head_input, own.head];
                (config.head.pooling, Some(outputs), true, dropouts)
            }
            Head::Tokens(outputs) => {
                let dropouts = [0.0, own.tokens];
                (
                    Pooling::FirstToken,
                    Some(outputs),
                    config.head.of_tokens,
                    dropouts,
                )
            }
            Head::Spans => {
                let dropouts = [0.0, own.spans];
                (
                    Pooling::FirstToken,
                    Some(2),
                    config.head.of_tokens,
                    dropouts,
                )
            }
            Head::Embedding(pooling) => (pooling, None, false, [0.0, 0.0]),
            Head::CausalLm(_) => panic!("an encoder has no language model's head"),
        };
        let norm = dense && config.head.norm;
        let weights = config.weight_init();
        let [input_dropout, dropout] = dropouts.map(|share| DropoutConfig::new(share).init());
        Self {
            encoder: EncoderModel::init(config, device),
            pooler: dense
                .then(|| Dense::init([hidden, hidden], config.native.dense, &weights, device)),
            pooler_gamma: norm.then(|| Initializer::Ones.init([hidden], device)),
            pooler_norm_bias: zeros_if(norm && config.native.norms, hidden, device),
            classifier: outputs
                .map(|outputs| Dense::init([hidden, outputs], true, &weights, device)),
            input_dropout,
            dropout,
            head,
            pooling,
            config: Arc::new(config.clone()),
        }
    }

    /// The same with a head of the same kind and another number of outputs, whose last layer is new: zeros until it is
    /// set. `None` for another kind of head.
    pub fn with_head(mut self, head: Head) -> Option<Self> {
        let outputs = match (self.head, head) {
            (Head::Sequence(_), Head::Sequence(outputs)) => outputs,
            (Head::Tokens(_), Head::Tokens(outputs)) => outputs,
            (own, other) => return (own == other).then_some(self),
        };
        let last = self.classifier.take()?;
        self.classifier = Some(last.with_outputs(outputs, &Initializer::Zeros));
        self.head = head;
        Some(self)
    }

    /// The same with the matrices of its layers packed, where `packing` does that: it can be used, not trained.
    pub fn packed(mut self, packing: Packing) -> Self {
        let layers = self.encoder.layers.iter_mut();
        pack_weights(layers.flat_map(EncoderLayer::weights_mut), packing);
        self
    }

    /// Whether the host computes its layers where their weights are packed.
    pub fn is_plain(&self) -> bool {
        self.encoder.is_plain()
    }

    /// The same model without any dropout, in training as well.
    pub fn without_dropout(mut self) -> Self {
        self.input_dropout.prob = 0.0;
        self.dropout.prob = 0.0;
        self.encoder.set_dropout_off();
        self
    }

    /// Which architecture it is of.
    pub fn architecture(&self) -> &'static Architecture {
        self.config.architecture
    }

    /// Where its parameters are in a checkpoint.
    pub fn names(&self) -> &'static NameTable {
        let heads = self.config.architecture.heads;
        // Every architecture of encoders has all of the heads that `init` takes.
        heads.of(self.head.task_type()).unwrap_or(heads.sequence)
    }

    /// Loads a checkpoint. A head (or pooler) the checkpoint does not hold is drawn from
    /// `N(0, initializer_range)` by `seed`, the same on every backend; the report names it.
    ///
    /// # Errors
    ///
    /// For another architecture, and for missing, misshapen or unreadable tensors.
    ///
    /// # Panics
    ///
    /// As [`init`](Self::init).
    pub fn load(
        dir: &ModelDir,
        files: &TensorFiles,
        head: Head,
        seed: u64,
        device: &Device,
    ) -> Result<(Self, LoadReport), CheckpointError> {
        let config = EncoderConfig::load(dir)?;
        let model = Self::init(&config, head, device);
        let names = model.names();
        let (model, report) = load_module(model, names, files)?;
        check_biases(&config, names, files, &report)?;
        let model = model.with_drawn(&report, config.initializer_range, seed);
        Ok((model, report))
    }

    /// The same model with what its checkpoint did not hold drawn by another seed, from
    /// `N(0, initializer_range)`.
    pub fn with_drawn(self, report: &LoadReport, initializer_range: f64, seed: u64) -> Self {
        let names = self.names();
        draw_missing(self, names, report, initializer_range, seed)
    }
}

/// Fails where the checkpoint has a bias that config.json does not give the layers, or lacks one that it does:
/// transformers leaves out the first and draws the second at random.
fn check_biases(
    config: &EncoderConfig,
    names: &NameTable,
    files: &TensorFiles,
    report: &LoadReport,
) -> Result<(), CheckpointError> {
    let sites = BiasSite::all(config.num_hidden_layers);
    let wrong = sites.into_iter().find_map(|site| {
        let path = ParamPath::of_site("encoder", site);
        let (row, name) = names.by_path(&path)?;
        let native = config.has_bias(site);
        let absent = report.added.contains(&name);
        (row.optional && native == absent).then_some((native, name))
    });
    let Some((native, name)) = wrong else {
        return Ok(());
    };
    let says = match native {
        true => "config.json says that there is such a bias, but the file has no",
        false => "config.json says that there is no such bias, but the file has",
    };
    Err(CheckpointError::Config {
        path: files.path().to_owned(),
        reason: format!("{says} `{name}`: check attention_bias, mlp_bias and norm_bias"),
    })
}

impl BiasModel for EncoderWithHead {
    fn num_layers(&self) -> usize {
        self.encoder.layers.len()
    }

    fn head_counts(&self) -> HeadCounts {
        self.config.head_counts()
    }

    fn bias_layout(&self) -> BiasLayout {
        let mut outside = self.encoder.outer_biases();
        let norm = self.pooler_norm_bias.as_ref();
        outside.extend(norm.map(|_| OuterBias::new(OuterTerm::Pooler, "pooler_norm_bias")));
        let dense = match (&self.pooler, self.config.architecture.dense) {
            (Some(dense), DenseLayer::Pretrained) => dense.bias.is_some().then_some(true),
            (Some(_), DenseLayer::Head) => Some(false),
            (None, _) => None,
        };
        if dense == Some(true) {
            // A pretrained dense layer's bias is trained along with any other.
            outside.push(OuterBias {
                with_any: true,
                ..OuterBias::new(OuterTerm::Pooler, "pooler.bias")
            });
        }
        BiasLayout {
            outside,
            head: match (dense, &self.classifier) {
                (_, None) => &[],
                (Some(false), Some(_)) => &[
                    "pooler.weight",
                    "pooler.bias",
                    "classifier.weight",
                    "classifier.bias",
                ],
                (Some(true) | None, Some(_)) => &["classifier.weight", "classifier.bias"],
            },
        }
    }

    fn ignores_key_bias(&self) -> bool {
        self.config.ignores_key_bias()
    }

    fn is_added(&self, path: &ParamPath) -> bool {
        let site = path.layer().zip(path.term());
        site.is_some_and(|(layer, term)| !self.config.has_bias(BiasSite::new(layer, term)))
    }

    fn packed_paths(&self) -> Vec<ParamPath> {
        self.encoder.packed_paths(self.backbone_path())
    }

    fn backbone_path(&self) -> &'static str {
        "encoder"
    }
}

impl TaskModel for EncoderWithHead {
    fn hidden(&self, batch: &Batch, layers: usize) -> Tensor<2> {
        if layers < self.num_layers() {
            return self.encoder.hidden(batch, layers);
        }
        self.states(batch, self.encoder.hidden(batch, 0), 0)
    }

    fn advance(&self, batch: &Batch, hidden: Tensor<2>, layers: Range<usize>) -> Tensor<2> {
        self.encoder.advance(batch, hidden, layers, Rows::All)
    }

    fn states(&self, batch: &Batch, hidden: Tensor<2>, layers: usize) -> Tensor<2> {
        match (layers < self.num_layers(), self.rows()) {
            (false, _) => hidden,
            (true, Rows::First) => self.encoder.pooled(batch, hidden, layers, self.pooling),
            (true, Rows::All) => self.encoder.finished(batch, hidden, layers),
        }
    }

    fn answer(&self, batch: &Batch, mut x: Tensor<2>) -> Tensor<2> {
        let rows = self.rows();
        let drop = |dropout, site, x| batch.drop_rows(dropout, site, x, rows);
        if let Some(dense) = &self.pooler {
            let dropped = drop(&self.input_dropout, DropoutSite::HeadInput, x);
            let dense = dense.forward(dropped, batch, rows);
            x = match self.config.head.activation {
                Activation::Tanh => dense.tanh(),
                Activation::Relu => relu(dense),
                Activation::Gelu => gelu(dense, batch.savings.host_functions),
            };
        }
        if let Some(gamma) = &self.pooler_gamma {
            let (bias, index) = (self.pooler_norm_bias.as_ref(), batch.stack.index(rows));
            x = outer_norm(x, gamma, bias, self.config.layer_norm_eps, index);
        }
        match &self.classifier {
            Some(classifier) => {
                let dropped = drop(&self.dropout, DropoutSite::Head, x);
                classifier.outputs(dropped, batch, rows)
            }
            None => batch.layout.to_input_order(x),
        }
    }

    fn packs_for_biases(&self) -> bool {
        let mut weights = self.encoder.weights();
        self.is_plain() && weights.all(|weight| weight.packs(Packing::TwoWay))
    }

    fn packed_for_biases(self, forward: ForwardPrecision) -> Self {
        let packing = match forward {
            ForwardPrecision::F32 => Packing::TwoWay,
            ForwardPrecision::Q8 => Packing::Int8Forward,
        };
        match self.packs_for_biases() {
            true => self.packed(packing),
            false => self,
        }
    }

    fn num_values(&self) -> usize {
        let packed = self.encoder.weights().filter(|weight| weight.is_packed());
        let packed: usize = packed
            .map(|weight| weight.dims().iter().product::<usize>())
            .sum();
        self.num_params() + packed
    }

    fn with_weights_of(mut self, other: &Self) -> Self {
        let others = other.encoder.weights();
        let own = self.encoder.layers.iter_mut();
        let own = own.flat_map(EncoderLayer::weights_mut);
        own.zip(others)
            .for_each(|(own, other)| *own = other.clone());
        self
    }

    fn records(&self, batch: &Batch) -> bool {
        self.encoder.host_rows(batch).is_some()
    }

    fn record<'a>(
        &'a self,
        batch: &'a Batch,
        hidden: Tensor<2>,
        layers: usize,
        rows: bool,
    ) -> Option<Recorded<'a>> {
        let at = self.encoder.host_rows(batch)?;
        let reads = (self.rows(), self.pooling);
        Some(self.encoder.host_record(at, hidden, layers, reads, rows))
    }

    fn drops_below(&self, layers: usize) -> bool {
        self.encoder.embeddings.drops() || self.encoder.layers[..layers].iter().any(|l| l.drops())
    }

    fn head(&self) -> Head {
        self.head
    }
}
