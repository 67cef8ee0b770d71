use std::ops::Range;

use beft_checkpoint::{LoadReport, NameTable};
use beft_core::{BiasTerm, Head, HeadCounts};
use beft_decoder::{DecoderForCausalLM, DecoderWithHead};
use beft_encoder::EncoderWithHead;
use beft_nn::{
    Batch, BiasLayout, BiasModel, ForwardPrecision, Packing, ParamPath, Recorded, TaskModel,
};
use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor};
use burn::tensor::{Device, Tensor};

use crate::InferencePrecision;

/// A model of any kind.
///
/// A module of its own only by name: burn's derive for enums would put the kind into every parameter's
/// path, and paths are what name tables, adapters and saved states go by.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there are few models, and what is large of them is on the heap"
)]
pub enum Model {
    /// An encoder with a head.
    Encoder(EncoderWithHead),
    /// A causal language model.
    Decoder(DecoderForCausalLM),
    /// A decoder with another head.
    DecoderWithHead(DecoderWithHead),
}

/// The same of any kind.
macro_rules! either {
    ($model:expr, $inner:ident => $result:expr) => {
        match $model {
            Model::Encoder($inner) => $result,
            Model::Decoder($inner) => $result,
            Model::DecoderWithHead($inner) => $result,
        }
    };
}

/// A model made from any kind.
macro_rules! changed {
    ($model:expr, $inner:ident => $result:expr) => {
        match $model {
            Model::Encoder($inner) => Model::Encoder($result),
            Model::Decoder($inner) => Model::Decoder($result),
            Model::DecoderWithHead($inner) => Model::DecoderWithHead($result),
        }
    };
}

impl Model {
    /// Where its parameters are in a checkpoint.
    pub fn names(&self) -> &'static NameTable {
        either!(self, model => model.names())
    }

    /// HF's class of it, as in `architectures` of config.json.
    pub fn hf_class(&self) -> String {
        let of_head = |prefix| format!("{prefix}{}", self.head().task_type().class_suffix());
        match self {
            Self::Encoder(model) => of_head(model.architecture().class_prefix),
            Self::DecoderWithHead(model) => of_head(model.architecture().class_prefix),
            Self::Decoder(model) => model.architecture().causal_lm_class.to_owned(),
        }
    }

    /// The keys of config.json that give its layers biases, each with the terms.
    pub(crate) fn bias_keys(&self) -> &'static [(&'static str, &'static [BiasTerm])] {
        either!(self, model => model.architecture().bias_keys)
    }

    /// The same model without any dropout, in training as well.
    pub fn without_dropout(self) -> Self {
        changed!(self, model => model.without_dropout())
    }

    /// Whether the last layer of its head was drawn, and not loaded.
    pub(super) fn draws_head(&self, report: &LoadReport) -> bool {
        let last = self.names().by_path(ParamPath::from("classifier.weight"));
        last.is_some_and(|(_, name)| report.initialized.contains(&name))
    }

    /// The same with a head of the same kind and another number of outputs, whose last layer is new. `None` for another
    /// kind.
    pub(super) fn with_head(self, head: Head) -> Option<Self> {
        Some(match self {
            Self::Encoder(model) => Self::Encoder(model.with_head(head)?),
            Self::DecoderWithHead(model) => Self::DecoderWithHead(model.with_head(head)?),
            Self::Decoder(_) => return None,
        })
    }

    /// The same model with what its checkpoint did not hold drawn by another seed, from `N(0, range)`.
    pub(super) fn with_drawn(self, report: &LoadReport, range: f64, seed: u64) -> Self {
        match self {
            Self::Encoder(model) => Self::Encoder(model.with_drawn(report, range, seed)),
            Self::DecoderWithHead(model) => {
                Self::DecoderWithHead(model.with_drawn(report, range, seed))
            }
            // A language model lacks nothing.
            model @ Self::Decoder(_) => model,
        }
    }

    /// The same head on the backbone of another model of the same checkpoint, whose tensors it shares. A model of another
    /// architecture keeps its own.
    pub(crate) fn with_backbone_of(self, other: &Self) -> Self {
        let decoder = match other {
            Self::Decoder(other) => Some(&other.decoder),
            Self::DecoderWithHead(other) => Some(&other.decoder),
            Self::Encoder(_) => None,
        };
        match (self, other, decoder) {
            (Self::Encoder(mut model), Self::Encoder(other), _) => {
                model.encoder = other.encoder.clone();
                Self::Encoder(model)
            }
            (Self::Decoder(mut model), _, Some(decoder)) => {
                model.decoder = decoder.clone();
                Self::Decoder(model)
            }
            (Self::DecoderWithHead(mut model), _, Some(decoder)) => {
                model.decoder = decoder.clone();
                Self::DecoderWithHead(model)
            }
            (model, _, _) => model,
        }
    }

    /// The same with the matrices of its layers, and a language model's output head, packed: it can be used, not trained.
    pub(crate) fn packed(self, packing: Packing) -> Self {
        changed!(self, model => model.packed(packing))
    }

    /// The same with what is faster to use in place of the weights of its layers: an encoder's are packed. A decoder's are as
    /// they are, because packing takes longer than a few answers; in 8 bits both are packed.
    pub(crate) fn packed_for_use(self, precision: InferencePrecision) -> Self {
        match (precision, self) {
            (InferencePrecision::Q8, model) => model.packed(Packing::Int8),
            (InferencePrecision::Float(_), Self::Encoder(model)) => {
                Self::Encoder(model.packed(Packing::F32))
            }
            (InferencePrecision::Float(_), model) => model,
        }
    }

    /// The model that generates text, if it is one that does.
    pub fn generator(&self) -> Option<&DecoderForCausalLM> {
        match self {
            Self::Decoder(model) => Some(model),
            Self::Encoder(_) | Self::DecoderWithHead(_) => None,
        }
    }

    /// The same, to keep.
    pub fn into_generator(self) -> Option<DecoderForCausalLM> {
        match self {
            Self::Decoder(model) => Some(model),
            Self::Encoder(_) | Self::DecoderWithHead(_) => None,
        }
    }
}

impl Module for Model {
    fn collect_devices(&self, devices: Devices) -> Devices {
        either!(self, model => model.collect_devices(devices))
    }

    fn fork(self, device: &Device) -> Self {
        changed!(self, model => model.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        changed!(self, model => model.to_device(device))
    }

    fn train(self) -> Self {
        changed!(self, model => model.train())
    }

    fn valid(&self) -> Self {
        changed!(self, model => model.valid())
    }

    fn materialize(self) -> Self {
        changed!(self, model => model.materialize())
    }

    fn visit<Visitor: ModuleVisitor>(&self, visitor: &mut Visitor) {
        either!(self, model => model.visit(visitor));
    }

    fn map<Mapper: ModuleMapper>(self, mapper: &mut Mapper) -> Self {
        changed!(self, model => model.map(mapper))
    }
}

impl BiasModel for Model {
    fn num_layers(&self) -> usize {
        either!(self, model => model.num_layers())
    }

    fn head_counts(&self) -> HeadCounts {
        either!(self, model => model.head_counts())
    }

    fn bias_layout(&self) -> BiasLayout {
        either!(self, model => model.bias_layout())
    }

    fn terms(&self) -> &'static [BiasTerm] {
        either!(self, model => model.terms())
    }

    fn ignores_key_bias(&self) -> bool {
        either!(self, model => model.ignores_key_bias())
    }

    fn is_added(&self, path: &ParamPath) -> bool {
        either!(self, model => model.is_added(path))
    }

    fn key_value_heads(&self) -> usize {
        either!(self, model => model.key_value_heads())
    }

    fn packed_paths(&self) -> Vec<ParamPath> {
        either!(self, model => model.packed_paths())
    }

    fn backbone_path(&self) -> &'static str {
        either!(self, model => model.backbone_path())
    }
}

impl TaskModel for Model {
    fn hidden(&self, batch: &Batch, layers: usize) -> Tensor<2> {
        either!(self, model => model.hidden(batch, layers))
    }

    fn advance(&self, batch: &Batch, hidden: Tensor<2>, layers: Range<usize>) -> Tensor<2> {
        either!(self, model => model.advance(batch, hidden, layers))
    }

    fn states(&self, batch: &Batch, hidden: Tensor<2>, layers: usize) -> Tensor<2> {
        either!(self, model => model.states(batch, hidden, layers))
    }

    fn answer(&self, batch: &Batch, states: Tensor<2>) -> Tensor<2> {
        either!(self, model => model.answer(batch, states))
    }

    fn reusable_layers(&self) -> usize {
        either!(self, model => model.reusable_layers())
    }

    fn packs_for_biases(&self) -> bool {
        either!(self, model => model.packs_for_biases())
    }

    fn packed_for_biases(self, forward: ForwardPrecision) -> Self {
        changed!(self, model => model.packed_for_biases(forward))
    }

    fn num_values(&self) -> usize {
        either!(self, model => model.num_values())
    }

    fn with_weights_of(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Encoder(model), Self::Encoder(other)) => {
                Self::Encoder(model.with_weights_of(other))
            }
            (model, _) => model,
        }
    }

    fn records(&self, batch: &Batch) -> bool {
        either!(self, model => model.records(batch))
    }

    fn record<'a>(
        &'a self,
        batch: &'a Batch,
        hidden: Tensor<2>,
        layers: usize,
        rows: bool,
    ) -> Option<Recorded<'a>> {
        either!(self, model => model.record(batch, hidden, layers, rows))
    }

    fn drops_below(&self, layers: usize) -> bool {
        either!(self, model => model.drops_below(layers))
    }

    fn head(&self) -> Head {
        either!(self, model => model.head())
    }
}
