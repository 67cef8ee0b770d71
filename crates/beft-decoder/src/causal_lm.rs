use std::ops::Range;

use beft_checkpoint::{
    CheckpointError, LoadReport, ModelDir, NameTable, TensorFiles, load_module_as,
};
use beft_core::{BiasTerm, Head, HeadCounts, OuterTerm};
use beft_nn::{
    Batch, BiasLayout, BiasModel, OuterBias, Packing, ParamPath, Precision, Rows, Scored,
    TaskModel, Weight, bias_of_rows, multiply, pack_weights,
};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor};

use crate::{Architecture, DecoderConfig, DecoderModel};

/// A causal language model with its output head: HF `OPTForCausalLM`, `LlamaForCausalLM`,
/// `Qwen2ForCausalLM`, `GPTJForCausalLM`, `GPT2LMHeadModel`.
///
/// As a [`TaskModel`] it gives each input's continuations
/// ([`Encoding::branches`](beft_core::Encoding)) the mean log probability of their tokens.
#[derive(Module, Debug)]
pub struct DecoderForCausalLM {
    /// Backbone.
    pub decoder: DecoderModel,
    /// `[embedding, vocab]`; `None` where it is the token embeddings.
    pub head: Option<Weight>,
    /// `[vocab]`.
    pub head_bias: Option<Param<Tensor<1>>>,
    candidates: usize,
    #[module(skip)]
    architecture: &'static Architecture,
    #[module(skip)]
    terms: &'static [BiasTerm],
    #[module(skip)]
    native: [bool; BiasTerm::ALL.len()],
}

/// Whether a parameter is a layer's bias of a term that checkpoints lack.
pub(crate) fn is_added(path: &ParamPath, native: &[bool; BiasTerm::ALL.len()]) -> bool {
    let term = path.layer().and(path.term());
    let place = |term| BiasTerm::ALL.iter().position(|known| *known == term);
    term.and_then(place).is_some_and(|place| !native[place])
}

/// Fails where the checkpoint has a bias that config.json does not give the architecture, or lacks one that it
/// does: transformers leaves out the first and draws the second at random.
pub(crate) fn check_biases(
    config: &DecoderConfig,
    files: &TensorFiles,
    report: &LoadReport,
) -> Result<(), CheckpointError> {
    let names = config.architecture.names;
    let optional = names.rows.iter().filter(|row| row.optional);
    let biases = optional.filter_map(|row| {
        let term = ParamPath::from(row.path).term()?;
        Some((row, config.has_bias(term)))
    });
    for (row, native) in biases {
        for layer in 0..config.layers {
            let name = row.hf.replacen("{l}", &layer.to_string(), 1);
            let absent = report.added.contains(&name);
            if native == absent {
                let says = match native {
                    true => "config.json says that there is such a bias, but the file has no",
                    false => "config.json says that there is no such bias, but the file has",
                };
                return Err(CheckpointError::Config {
                    path: files.path().to_owned(),
                    reason: format!("{says} `{name}`: check attention_bias and mlp_bias"),
                });
            }
        }
    }
    Ok(())
}

impl DecoderForCausalLM {
    /// A newly initialised model; values are drawn when first used.
    pub fn init(config: &DecoderConfig, device: &Device) -> Self {
        let (narrow, vocab) = (config.embedding_size, config.vocab_size);
        Self {
            architecture: config.architecture,
            terms: config.terms(),
            native: config.native_terms(),
            decoder: DecoderModel::init(config, device),
            head: (!config.tied_head)
                .then(|| Weight::init([narrow, vocab], &config.weight_init(), device)),
            head_bias: config
                .head_bias
                .then(|| Initializer::Zeros.init([vocab], device)),
            candidates: usize::MAX,
        }
    }

    /// Loads a checkpoint, its matrices in `precision`, one tensor after another. Biases that the
    /// architecture does not have are zero.
    ///
    /// # Errors
    ///
    /// For another architecture, and for missing, misshapen or unreadable tensors.
    pub fn load(
        dir: &ModelDir,
        files: &TensorFiles,
        precision: Precision,
        device: &Device,
    ) -> Result<(Self, LoadReport), CheckpointError> {
        let mut config = DecoderConfig::load(dir)?;
        let names = config.architecture.names;
        // Two tensors that differ are not tied, whatever config.json says (`tie_weights` in `modeling_utils.py`).
        let tensor = |path| names.by_path(path).map(|(_, name)| name);
        if let (Some(tokens), Some(head)) = (tensor("decoder.tokens"), tensor("head"))
            && files.contains(&tokens)
            && files.contains(&head)
        {
            config.tied_head &= files.equal(&tokens, &head)?;
        }
        let model = Self::init(&config, device);
        let dtype = |_: &ParamPath, shape: &[usize]| match shape.len() {
            2 => precision.dtype(),
            _ => Precision::F32.dtype(),
        };
        let (model, report) = load_module_as(model, names, files, dtype)?;
        if !report.misshapen.is_empty() {
            return Err(CheckpointError::Tensors {
                path: files.path().to_owned(),
                problems: report.misshapen,
            });
        }
        check_biases(&config, files, &report)?;
        Ok((model, report))
    }

    /// The same model without any dropout, in training as well.
    pub fn without_dropout(mut self) -> Self {
        self.decoder.set_dropout_off();
        self
    }

    /// The same model for inputs with so many continuations each, which is what
    /// [`head`](TaskModel::head) then says.
    pub fn with_candidates(mut self, candidates: usize) -> Self {
        self.candidates = candidates;
        self
    }

    /// Which architecture it is of.
    pub fn architecture(&self) -> &'static Architecture {
        self.architecture
    }

    /// Where its parameters are in a checkpoint.
    pub fn names(&self) -> &'static NameTable {
        self.architecture.names
    }

    /// Scores of all tokens to follow each row.
    ///
    /// # Shapes
    ///
    /// - output: `[rows, vocab]`
    pub fn forward_all(&self, batch: &Batch) -> Tensor<2> {
        let device = batch.layout.device();
        let rows = Tensor::<1, Int>::arange(0..batch.layout.rows() as i64, &device);
        let context = self.decoder.context(batch);
        let hidden = self
            .decoder
            .last(&context, self.decoder.embed(&context), 0, &rows);
        self.logits(hidden, batch.stack.index(Rows::All))
    }

    /// The same with the matrices of its layers and its output head packed, where `packing` does that: it can be used, not
    /// trained. What else holds the model keeps the other form in memory.
    pub fn packed(mut self, packing: Packing) -> Self {
        pack_weights(self.decoder.weights_mut().chain(&mut self.head), packing);
        if self.head.is_none() {
            self.head = Weight::packed_transposed(self.decoder.tokens.val(), packing);
        }
        self
    }

    /// The output head.
    ///
    /// # Shapes
    ///
    /// - hidden: `[rows, embedding]`
    /// - output: `[rows, vocab]`
    pub(crate) fn logits(
        &self,
        hidden: Tensor<2>,
        stack_index: Option<&Tensor<1, Int>>,
    ) -> Tensor<2> {
        let scores = match &self.head {
            Some(head) => head.multiply(hidden, None),
            None => tied_scores(hidden, self.decoder.tokens.val().detach()),
        };
        match &self.head_bias {
            Some(bias) => {
                let (bias, [_, vocab]) = (bias.val(), scores.dims());
                let rows = bias_of_rows(&bias, vocab, stack_index);
                scores + rows.unwrap_or_else(|| bias.unsqueeze())
            }
            None => scores,
        }
    }
}

/// Rows up to which it is faster on a processor to multiply the embeddings by the rows, not the rows by the embeddings:
/// 30 ms, not 85, for 8 rows of OPT-125m on two cores.
const FEW_ROWS: usize = 64;

/// The output head that is the token embeddings, which are cut off from gradients: transposing a tracked parameter is
/// not supported.
///
/// # Shapes
///
/// - hidden: `[rows, embedding]`
/// - tokens: `[vocab, embedding]`
/// - output: `[rows, vocab]`
fn tied_scores(hidden: Tensor<2>, tokens: Tensor<2>) -> Tensor<2> {
    let same_type = hidden.dtype() == tokens.dtype();
    match same_type && hidden.dims()[0] <= FEW_ROWS {
        true => tokens.matmul(hidden.transpose()).transpose(),
        false => multiply(hidden, tokens.transpose()),
    }
}

impl BiasModel for DecoderForCausalLM {
    fn num_layers(&self) -> usize {
        self.decoder.layers.len()
    }

    fn head_counts(&self) -> HeadCounts {
        self.decoder.head_counts()
    }

    fn bias_layout(&self) -> BiasLayout {
        let head = self.head_bias.as_ref();
        let head = head.map(|_| OuterBias::new(OuterTerm::OutputHead, "head_bias"));
        let mut outside = self.decoder.outer_biases();
        outside.extend(head);
        BiasLayout { outside, head: &[] }
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

/// The tokens of a batch that are to be predicted.
///
/// # Panics
///
/// If there is none.
fn scored(batch: &Batch) -> Scored {
    let scored = batch.continuations.scored(&batch.layout.device());
    scored.unwrap_or_else(|| panic!("no continuation to score"))
}

impl TaskModel for DecoderForCausalLM {
    /// # Panics
    ///
    /// If no token of the batch is to be predicted.
    fn forward(&self, batch: &Batch) -> Tensor<2> {
        // Masks and rotations are made once.
        let context = self.decoder.context(batch);
        let hidden = self.decoder.embed(&context);
        let states = self.decoder.last(&context, hidden, 0, &scored(batch).rows);
        self.answer(batch, states)
    }

    fn hidden(&self, batch: &Batch, layers: usize) -> Tensor<2> {
        self.decoder.hidden(batch, layers)
    }

    fn advance(&self, batch: &Batch, hidden: Tensor<2>, layers: Range<usize>) -> Tensor<2> {
        self.decoder.advance(batch, hidden, layers)
    }

    /// # Panics
    ///
    /// If no token of the batch is to be predicted.
    fn states(&self, batch: &Batch, hidden: Tensor<2>, layers: usize) -> Tensor<2> {
        let context = self.decoder.context(batch);
        self.decoder
            .last(&context, hidden, layers, &scored(batch).rows)
    }

    /// # Panics
    ///
    /// If no token of the batch is to be predicted.
    fn answer(&self, batch: &Batch, states: Tensor<2>) -> Tensor<2> {
        let scored = scored(batch);
        let stack_index = batch.stack.index(Rows::All);
        let stack_index =
            stack_index.map(|stack_index| stack_index.clone().select(0, scored.rows.clone()));
        let log_probabilities = log_softmax(self.logits(states, stack_index.as_ref()), 1);
        let tokens = scored.ids.dims()[0];
        let own = log_probabilities.gather(1, scored.ids.clone().reshape([tokens, 1]));
        batch
            .layout
            .to_input_order(scored.means(own.reshape([tokens])))
    }

    /// One less than there are: a decoder reads rows of the last.
    fn reusable_layers(&self) -> usize {
        self.num_layers() - 1
    }

    fn drops_below(&self, layers: usize) -> bool {
        self.decoder.drops_below(layers)
    }

    fn head(&self) -> Head {
        Head::CausalLm(self.candidates)
    }
}
