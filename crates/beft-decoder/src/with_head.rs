use std::ops::Range;

use beft_checkpoint::{
    CheckpointError, LoadReport, ModelDir, NameTable, TensorFiles, draw_missing, load_module_as,
};
use beft_core::{BiasTerm, Head, HeadCounts};
use beft_nn::{
    Batch, BiasLayout, BiasModel, Dense, DropoutSite, Packing, ParamPath, Precision, Rows,
    TaskModel, pack_weights,
};
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Initializer};
use burn::tensor::{Device, Tensor};

use crate::causal_lm::{check_biases, is_added};
use crate::{Architecture, DecoderConfig, DecoderModel};

/// A decoder with a head in place of the language model's: HF `…ForSequenceClassification`, whose `score` reads the
/// last token; `…ForTokenClassification` and `…ForQuestionAnswering`, which read all tokens.
#[derive(Module, Debug)]
pub struct DecoderWithHead {
    /// Backbone.
    pub decoder: DecoderModel,
    /// The head, `[embedding, outputs]`.
    pub classifier: Dense,
    dropout: Dropout,
    #[module(skip)]
    head: Head,
    #[module(skip)]
    architecture: &'static Architecture,
    #[module(skip)]
    terms: &'static [BiasTerm],
    #[module(skip)]
    native: [bool; BiasTerm::ALL.len()],
}

impl DecoderWithHead {
    /// A newly initialised model; values are drawn when first used. `None` if transformers has no class of this
    /// architecture with such a head.
    pub fn init(config: &DecoderConfig, head: Head, device: &Device) -> Option<Self> {
        config.architecture.heads.of(head.task_type())?;
        let (outputs, biased, dropout) = match head {
            Head::Sequence(outputs) => (outputs, false, 0.0),
            Head::Tokens(outputs) => (outputs, true, config.tokens_dropout),
            Head::Spans => (2, true, 0.0),
            Head::Embedding(_) | Head::CausalLm(_) => return None,
        };
        let weights = config.weight_init();
        Some(Self {
            decoder: DecoderModel::init(config, device),
            classifier: Dense::init([config.embedding_size, outputs], biased, &weights, device),
            dropout: DropoutConfig::new(dropout).init(),
            head,
            architecture: config.architecture,
            terms: config.terms(),
            native: config.native_terms(),
        })
    }

    /// Loads a checkpoint, the matrices of its backbone in `precision`. Biases that the architecture does not have
    /// are zero; a head that the checkpoint does not hold is drawn from `N(0, initializer_range)` by `seed`, and the
    /// report names it.
    ///
    /// # Errors
    ///
    /// For another architecture, for one that has no such head, and for missing, misshapen or unreadable tensors.
    pub fn load(
        dir: &ModelDir,
        files: &TensorFiles,
        head: Head,
        (precision, seed): (Precision, u64),
        device: &Device,
    ) -> Result<(Self, LoadReport), CheckpointError> {
        let config = DecoderConfig::load(dir)?;
        let model = Self::init(&config, head, device).ok_or_else(|| CheckpointError::Config {
            path: dir.config_path(),
            reason: format!(
                "{}{} is not implemented: choose another model for this task",
                config.architecture.class_prefix,
                head.task_type().class_suffix()
            ),
        })?;
        let dtype = |path: &ParamPath, shape: &[usize]| match shape.len() {
            2 if path.as_str() != HEAD[0] => precision.dtype(),
            _ => Precision::F32.dtype(),
        };
        let names = model.names();
        let (model, report) = load_module_as(model, names, files, dtype)?;
        check_biases(&config, files, &report)?;
        let model = draw_missing(model, names, &report, config.initializer_range, seed);
        Ok((model, report))
    }

    /// The same model with what its checkpoint did not hold drawn by another seed, from
    /// `N(0, initializer_range)`.
    pub fn with_drawn(self, report: &LoadReport, initializer_range: f64, seed: u64) -> Self {
        let names = self.names();
        draw_missing(self, names, report, initializer_range, seed)
    }

    /// The same with a head of the same kind and another number of outputs, whose last layer is new: zeros until it is
    /// set. `None` for another kind of head.
    pub fn with_head(mut self, head: Head) -> Option<Self> {
        let outputs = match (self.head, head) {
            (Head::Sequence(_), Head::Sequence(outputs)) => outputs,
            (Head::Tokens(_), Head::Tokens(outputs)) => outputs,
            (own, other) => return (own == other).then_some(self),
        };
        let last = self.classifier;
        self.classifier = last.with_outputs(outputs, &Initializer::Zeros);
        self.head = head;
        Some(self)
    }

    /// The same with the matrices of its layers packed, where `packing` does that: it can be used, not trained.
    pub fn packed(mut self, packing: Packing) -> Self {
        pack_weights(self.decoder.weights_mut(), packing);
        self
    }

    /// The same model without any dropout, in training as well.
    pub fn without_dropout(mut self) -> Self {
        self.dropout.prob = 0.0;
        self.decoder.set_dropout_off();
        self
    }

    /// Which architecture it is of.
    pub fn architecture(&self) -> &'static Architecture {
        self.architecture
    }

    /// Where its parameters are in a checkpoint.
    pub fn names(&self) -> &'static NameTable {
        let (own, heads) = (self.head.task_type(), &self.architecture.heads);
        // `init` makes no other model.
        heads.of(own).unwrap_or(heads.sequence)
    }
}

/// The parameters of the head.
const HEAD: [&str; 2] = ["classifier.weight", "classifier.bias"];

impl BiasModel for DecoderWithHead {
    fn num_layers(&self) -> usize {
        self.decoder.layers.len()
    }

    fn head_counts(&self) -> HeadCounts {
        self.decoder.head_counts()
    }

    fn bias_layout(&self) -> BiasLayout {
        BiasLayout {
            outside: self.decoder.outer_biases(),
            head: match &self.classifier.bias {
                Some(_) => &HEAD,
                None => &HEAD[..1],
            },
        }
    }

    fn terms(&self) -> &'static [BiasTerm] {
        self.terms
    }

    fn key_value_heads(&self) -> usize {
        self.decoder.key_value_heads()
    }

    fn ignores_key_bias(&self) -> bool {
        self.decoder.rotary().is_none()
    }

    fn is_added(&self, path: &ParamPath) -> bool {
        is_added(path, &self.native)
    }

    fn backbone_path(&self) -> &'static str {
        "decoder"
    }
}

impl TaskModel for DecoderWithHead {
    fn hidden(&self, batch: &Batch, layers: usize) -> Tensor<2> {
        self.decoder.hidden(batch, layers)
    }

    fn advance(&self, batch: &Batch, hidden: Tensor<2>, layers: Range<usize>) -> Tensor<2> {
        self.decoder.advance(batch, hidden, layers)
    }

    fn states(&self, batch: &Batch, hidden: Tensor<2>, layers: usize) -> Tensor<2> {
        let context = self.decoder.context(batch);
        match self.rows() {
            // The last token alone has seen the whole text.
            Rows::First => {
                let lasts = batch.layout.last_rows();
                self.decoder.last(&context, hidden, layers, &lasts)
            }
            Rows::All => self.decoder.finished(&context, hidden, layers),
        }
    }

    fn answer(&self, batch: &Batch, states: Tensor<2>) -> Tensor<2> {
        let rows = self.rows();
        let states = batch.drop_rows(&self.dropout, DropoutSite::Head, states, rows);
        self.classifier.outputs(states, batch, rows)
    }

    /// One less than there are: the last layer is computed at the rows that the head reads.
    fn reusable_layers(&self) -> usize {
        self.num_layers() - 1
    }

    fn drops_below(&self, layers: usize) -> bool {
        self.decoder.drops_below(layers)
    }

    fn head(&self) -> Head {
        self.head
    }
}
