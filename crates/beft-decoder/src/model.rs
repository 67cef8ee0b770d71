use std::ops::Range;

use beft_core::{HeadCounts, OuterTerm};
use beft_nn::{
    Batch, DropoutSite, Norm, OuterBias, ParamPath, RotaryConfig, Rows, Weight, multiply,
};
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, Initializer};
use burn::tensor::{DType, Device, FloatDType, Int, Tensor};

use crate::DecoderConfig;
use crate::cache::LayerCache;
use crate::config::Positions;
use crate::context::ForwardContext;
use crate::layer::DecoderLayer;

/// The backbone of a causal language model: HF `OPTModel`, `LlamaModel`, `Qwen2Model`, `GPTJModel`,
/// `GPT2Model`.
#[derive(Module, Debug)]
pub struct DecoderModel {
    /// Token embeddings, `[vocab, embedding]`.
    pub tokens: Param<Tensor<2>>,
    /// Position embeddings, `[offset + max_tokens, hidden]`.
    pub positions: Option<Param<Tensor<2>>>,
    /// OPT-350m: from the width of the embeddings, `[embedding, hidden]`.
    pub project_in: Option<Param<Tensor<2>>>,
    /// OPT-350m: back to it, `[hidden, embedding]`.
    pub project_out: Option<Param<Tensor<2>>>,
    /// Layers, from the input up.
    pub layers: Vec<DecoderLayer>,
    /// Weight of the norm behind the last layer, `[hidden]`.
    pub final_gamma: Option<Param<Tensor<1>>>,
    /// Its bias, where it is a layer norm, `[hidden]`.
    pub final_bias: Option<Param<Tensor<1>>>,
    dropout: Dropout,
    epsilon: f64,
    #[module(skip)]
    places: Positions,
}

impl DecoderModel {
    /// A newly initialised backbone; values are drawn when first used.
    pub fn init(config: &DecoderConfig, device: &Device) -> Self {
        let (hidden, narrow) = (config.hidden_size, config.embedding_size);
        let weight = |rows, columns| config.weight_init().init([rows, columns], device);
        let projected = narrow != hidden;
        let positions = match config.positions {
            Positions::Learned { offset } => Some(weight(offset + config.max_tokens, hidden)),
            Positions::Rotary(_) => None,
        };
        let layer_norm = config.final_norm && config.norm == Norm::Layer;
        Self {
            tokens: weight(config.vocab_size, narrow),
            positions,
            project_in: projected.then(|| weight(narrow, hidden)),
            project_out: projected.then(|| weight(hidden, narrow)),
            layers: (0..config.layers)
                .map(|index| DecoderLayer::init(config, index, device))
                .collect(),
            final_gamma: config
                .final_norm
                .then(|| Initializer::Ones.init([hidden], device)),
            final_bias: layer_norm.then(|| Initializer::Zeros.init([hidden], device)),
            dropout: DropoutConfig::new(config.embedding_dropout).init(),
            epsilon: config.epsilon,
            places: config.positions.clone(),
        }
    }

    pub(crate) fn set_dropout_off(&mut self) {
        self.dropout.prob = 0.0;
        for layer in &mut self.layers {
            layer.set_dropout_off();
        }
    }

    pub(crate) fn drops_below(&self, layers: usize) -> bool {
        self.dropout.prob > 0.0 || self.layers[..layers].iter().any(|layer| layer.drops())
    }

    /// The weight matrices of its layers.
    pub(crate) fn weights_mut(&mut self) -> impl Iterator<Item = &mut Weight> {
        self.layers.iter_mut().flat_map(DecoderLayer::weights_mut)
    }

    /// Its biases outside the layers.
    pub(crate) fn outer_biases(&self) -> Vec<OuterBias> {
        let last = self.final_bias.as_ref();
        let last = last.map(|_| OuterBias::new(OuterTerm::FinalNorm, "decoder.final_bias"));
        last.into_iter().collect()
    }

    /// Numbers of attention heads of a layer.
    pub(crate) fn head_counts(&self) -> HeadCounts {
        let first = self.layers.first();
        first.map_or(
            HeadCounts {
                query: 0,
                key_value: 0,
            },
            DecoderLayer::head_counts,
        )
    }

    /// Number of heads of keys and values.
    pub(crate) fn key_value_heads(&self) -> usize {
        let first = self.layers.first();
        first.map_or(0, |layer| layer.key_value_heads())
    }

    /// The biases of gates that it lacks, with their lengths. No term names them; they come with those of the feed-forward
    /// block (LLaMA's `mlp_bias`).
    pub fn missing_gate_biases(&self) -> Vec<(ParamPath, usize)> {
        let layers = self.layers.iter().enumerate();
        let missing = layers.filter(|(_, layer)| layer.gate_bias.is_none());
        let gates = missing.filter_map(|(index, layer)| {
            let [_, wide] = layer.gate.as_ref()?.dims();
            let path = format!("decoder.layers.{index}.gate_bias");
            Some((ParamPath::from(path.as_str()), wide))
        });
        gates.collect()
    }

    /// What the lowest `layers` layers give.
    ///
    /// # Shapes
    ///
    /// - output: `[rows, hidden]`
    pub(crate) fn hidden(&self, batch: &Batch, layers: usize) -> Tensor<2> {
        let context = self.context(batch);
        self.run(&context, self.embed(&context), 0..layers)
    }

    /// What `layers` make of what those below gave.
    ///
    /// # Shapes
    ///
    /// - hidden, output: `[rows, hidden]`
    pub(crate) fn advance(
        &self,
        batch: &Batch,
        hidden: Tensor<2>,
        layers: Range<usize>,
    ) -> Tensor<2> {
        self.run(&self.context(batch), hidden, layers)
    }

    /// Number of prefix tokens that every input attends to.
    pub(crate) fn prefix_len(&self) -> usize {
        let prefix = self.layers.first().and_then(|layer| layer.prefix.as_ref());
        prefix.map_or(0, |prefix| prefix.len())
    }

    /// What all layers need to know of a batch of whole inputs.
    pub(crate) fn context<'a>(&self, batch: &'a Batch) -> ForwardContext<'a> {
        let device = batch.layout.device();
        let mut context = ForwardContext::of_inputs(batch, self.prefix_len(), &device);
        if let Some(rotary) = self.rotary() {
            let table = rotary.table(context.longest(self.prefix_len()), &device);
            context.rotary = Some(table.at(&context.positions));
        }
        context
    }

    /// Number of positions, where they are learned; any number can be rotated.
    pub(crate) fn learned_positions(&self) -> Option<usize> {
        match (&self.positions, &self.places) {
            (Some(table), Positions::Learned { offset }) => Some(table.dims()[0] - offset),
            (None, _) | (_, Positions::Rotary(_)) => None,
        }
    }

    pub(crate) fn rotary(&self) -> Option<&RotaryConfig> {
        match &self.places {
            Positions::Rotary(rotary) => Some(rotary),
            Positions::Learned { .. } => None,
        }
    }

    /// What the layers are given.
    ///
    /// # Shapes
    ///
    /// - output: `[rows, hidden]`
    pub(crate) fn embed(&self, context: &ForwardContext<'_>) -> Tensor<2> {
        let full = |x: Tensor<2>| match x.dtype() {
            DType::F32 => x,
            _ => x.cast(FloatDType::F32),
        };
        let mut x = full(self.tokens.val().select(0, context.batch.layout.ids()));
        if let Some(project) = &self.project_in {
            x = multiply(x, project.val());
        }
        if let (Some(table), Positions::Learned { offset }) = (&self.positions, &self.places) {
            let rows = context.positions.clone() + *offset as i64;
            x = x + full(table.val().select(0, rows));
        }
        context
            .batch
            .drop_rows(&self.dropout, DropoutSite::Embeddings, x, Rows::All)
    }

    /// What layers `from` to `to` make of what those below gave.
    ///
    /// # Shapes
    ///
    /// - hidden, output: `[rows, hidden]`
    pub(crate) fn run(
        &self,
        context: &ForwardContext<'_>,
        hidden: Tensor<2>,
        layers: Range<usize>,
    ) -> Tensor<2> {
        self.layers[layers]
            .iter()
            .fold(hidden, |x, layer| layer.forward(x, context, None, None))
    }

    /// The last hidden state of some rows, all layers run, from what the lowest `done` layers gave;
    /// `done` is less than the number of layers.
    ///
    /// # Shapes
    ///
    /// - hidden: `[rows, hidden]`
    /// - rows: `[some]`
    /// - output: `[some, embedding]`
    pub(crate) fn last(
        &self,
        context: &ForwardContext<'_>,
        hidden: Tensor<2>,
        done: usize,
        rows: &Tensor<1, Int>,
    ) -> Tensor<2> {
        let last = self.layers.len() - 1;
        let hidden = self.run(context, hidden, done..last);
        let layer = &self.layers[last];
        // Dropout's masks are by input and row: with them the last layer is computed whole.
        let partly =
            context.batch.savings.first_token && !(layer.drops() && hidden.device().is_autodiff());
        let hidden = match partly {
            true => layer.forward(hidden, context, Some(rows), None),
            false => {
                let hidden = layer.forward(hidden, context, None, None);
                hidden.select(0, rows.clone())
            }
        };
        self.finish(hidden, stack_index_at(context, rows).as_ref())
    }

    /// The last hidden state of all rows, from what the lowest `done` layers gave.
    ///
    /// # Shapes
    ///
    /// - hidden: `[rows, hidden]`
    /// - output: `[rows, embedding]`
    pub(crate) fn finished(
        &self,
        context: &ForwardContext<'_>,
        hidden: Tensor<2>,
        done: usize,
    ) -> Tensor<2> {
        let hidden = self.run(context, hidden, done..self.layers.len());
        self.finish(hidden, context.batch.stack.index(Rows::All))
    }

    /// The same with what earlier passes left in `cache`, which is added to.
    pub(crate) fn last_cached(
        &self,
        context: &ForwardContext<'_>,
        rows: &Tensor<1, Int>,
        cache: &mut [LayerCache],
    ) -> Tensor<2> {
        let mut x = self.embed(context);
        let last = self.layers.len() - 1;
        for (index, (layer, cache)) in self.layers.iter().zip(cache).enumerate() {
            let only = (index == last).then_some(rows);
            x = layer.forward(x, context, only, Some(cache));
        }
        self.finish(x, stack_index_at(context, rows).as_ref())
    }

    /// The norm behind the last layer, and OPT-350m's projection.
    fn finish(&self, mut x: Tensor<2>, stack_index: Option<&Tensor<1, Int>>) -> Tensor<2> {
        if let Some(gamma) = &self.final_gamma {
            let gamma = gamma.val();
            x = match &self.final_bias {
                Some(bias) => Norm::Layer.apply(x, gamma, bias.val(), self.epsilon, stack_index),
                None => {
                    let none = Tensor::zeros(gamma.dims(), &gamma.device());
                    Norm::RootMeanSquare.apply(x, gamma, none, self.epsilon, stack_index)
                }
            };
        }
        match &self.project_out {
            Some(project) => multiply(x, project.val()),
            None => x,
        }
    }
}

/// The index in the stack of the biases of some rows.
fn stack_index_at(context: &ForwardContext<'_>, rows: &Tensor<1, Int>) -> Option<Tensor<1, Int>> {
    let all = context.batch.stack.index(Rows::All)?;
    Some(all.clone().select(0, rows.clone()))
}
