//! How much memory a training takes, from the model's config alone.

use beft_checkpoint::ModelDir;
use beft_core::Head;
use beft_decoder::{DecoderConfig, DecoderForCausalLM, Norm};
use beft_encoder::{EncoderConfig, EncoderWithHead};
use beft_modes::Mode;
use beft_nn::{DeviceTraits, ForwardPrecision, Precision, Savings, TaskModel, param_shapes};
use beft_train::{NOT_PACKED, TrainError, trainable_count, unchanged_layers};
use burn::tensor::Device;

use crate::{Error, ModelConfig, find_model};

/// What is to be trained, and how much of it at a time.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// What is trained.
    pub mode: Mode,
    /// Of the weight matrices.
    pub precision: Precision,
    /// Of the products with these matrices in the forward pass.
    pub forward: ForwardPrecision,
    /// Examples computed at a time; `None` for the protocol's: 16 of an encoder, 8 of a decoder.
    pub batch_size: Option<usize>,
    /// Tokens of each; `None` for 128, or as many as the model takes.
    pub length: Option<usize>,
    /// Of those, how many a decoder predicts; `None` for 2, and of an encoder.
    pub predicted: Option<usize>,
}

/// Memory in bytes, on a CPU the process's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Number of values of the model.
    pub parameters: usize,
    /// Number of values that learn.
    pub trainable: usize,
    /// The model.
    pub weights: u64,
    /// The transposes of the matrices of its layers, as the backward products on a processor read them.
    pub packed: u64,
    /// What is kept of a forward pass for the backward pass, and what both have at hand at most.
    pub activations: u64,
    /// Trained values, their gradients and the optimizer's state.
    pub optimizer: u64,
    /// The program itself.
    pub program: u64,
}

impl MemoryPlan {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights + self.packed + self.activations + self.optimizer + self.program
    }
}

/// The program, its threads' stacks and pools, tokenizer and data.
const PROGRAM: u64 = 50 << 20;

/// Examples of a step in the protocol.
const ENCODER_BATCH: usize = 16;
const DECODER_BATCH: usize = 8;

/// Tokens of an input where nothing is said.
const USUAL_LENGTH: usize = 128;
/// Tokens that a decoder predicts, where nothing else is said.
const PREDICTED: usize = 2;

/// What a training will take, of an encoder with two classes or a language model: from `config.json`, nothing is
/// loaded. On a CPU in one process; a GPU takes its own libraries' share instead of the program's.
///
/// # Errors
///
/// When there is no such model, or the mode does not fit it.
pub fn plan_memory(model: &str, options: &PlanOptions) -> Result<MemoryPlan, Error> {
    let dir: ModelDir = find_model(model, &mut |_| ())?;
    plan(&ModelConfig::read(&dir)?, options)
}

/// The same from the config.
pub(super) fn plan(config: &ModelConfig, options: &PlanOptions) -> Result<MemoryPlan, Error> {
    let most = config.longest_input();
    let length = options.length.unwrap_or(USUAL_LENGTH.min(most));
    let predicted = match (config, options.predicted) {
        (ModelConfig::Encoder(_), Some(_)) => return Err(Error::PlanPredicted),
        (ModelConfig::Encoder(_), None) => 0,
        (ModelConfig::Decoder(_), given) => given.unwrap_or(PREDICTED),
    };
    if length > most || predicted >= length {
        return Err(Error::PlanLength {
            length,
            predicted,
            most,
        });
    }
    // Shapes alone: values are drawn when they are first used.
    let device = Device::default();
    match config {
        ModelConfig::Encoder(config) => {
            let model = EncoderWithHead::init(config, Head::Sequence(2), &device);
            let packs = model.is_plain()
                && DeviceTraits::of(&device).scalar_loops
                && options.precision == Precision::F32;
            if !packs {
                check_forward(options)?;
            }
            // Packed layers are computed for so many rows at a time by each core.
            let traits = DeviceTraits::of(&device);
            let rows = traits.rows_per_pass().saturating_mul(traits.workers());
            let asked = options.batch_size.unwrap_or(ENCODER_BATCH);
            let batch_size = match packs {
                true => asked.min(rows.div_ceil(length)),
                false => asked,
            };
            let sizes = Sizes::of_encoder(config, packs);
            let plan = plan_of(&model, &sizes, options, batch_size, length)?;
            let (hidden, wide) = (config.hidden_size, config.intermediate_size);
            let layer = (4 * hidden * hidden + 2 * hidden * wide) as u64;
            let matrices = config.num_hidden_layers as u64 * layer;
            Ok(MemoryPlan {
                packed: if packs { 4 * matrices } else { 0 },
                weights: match options.forward {
                    ForwardPrecision::F32 => plan.weights,
                    // A byte of each value instead of four.
                    ForwardPrecision::Q8 => plan.weights - 3 * matrices,
                },
                ..plan
            })
        }
        ModelConfig::Decoder(config) => {
            check_forward(options)?;
            let model = DecoderForCausalLM::init(config, &device);
            let sizes = Sizes::of_decoder(config, predicted);
            let batch_size = options.batch_size.unwrap_or(DECODER_BATCH);
            plan_of(&model, &sizes, options, batch_size, length)
        }
    }
}

/// Refuses what a model whose layers are not packed cannot multiply in.
fn check_forward(options: &PlanOptions) -> Result<(), Error> {
    let forward = options.forward;
    match forward.is_f32() {
        true => Ok(()),
        false => Err(TrainError::Forward {
            forward,
            reason: NOT_PACKED,
        }
        .into()),
    }
}

/// The same of a model with its sizes.
fn plan_of<M: TaskModel>(
    model: &M,
    sizes: &Sizes,
    options: &PlanOptions,
    batch_size: usize,
    length: usize,
) -> Result<MemoryPlan, Error> {
    let shapes = param_shapes(model);
    let count = |shape: &[usize]| shape.iter().product::<usize>();
    let parameters: usize = shapes.iter().map(|(_, shape)| count(shape)).sum();
    let width = match options.precision {
        Precision::F32 => 4,
        Precision::Bf16 | Precision::F16 => 2,
    };
    let bytes = |shape: &[usize]| (count(shape) * if shape.len() == 2 { width } else { 4 }) as u64;
    let weights = shapes.iter().map(|(_, shape)| bytes(shape)).sum();
    let Some(terms) = options.mode.terms() else {
        return Err(Error::PlanOfMode(options.mode.clone()));
    };
    let trainable = trainable_count(model, terms)?;
    // On a processor a product of lower precision is computed from a copy of the matrix in f32, by each
    // thread.
    let widened = match options.precision {
        Precision::F32 => 0,
        Precision::Bf16 | Precision::F16 => {
            let matrices = shapes.iter().filter(|(_, shape)| shape.len() == 2);
            let largest = matrices.map(|(_, shape)| count(shape)).max().unwrap_or(0);
            4 * largest as u64 * DeviceTraits::of(&Device::default()).workers() as u64
        }
    };
    let unchanged = unchanged_layers(model, &options.mode, Savings::default())?;
    Ok(MemoryPlan {
        parameters,
        trainable,
        weights,
        packed: 0,
        activations: widened
            + sizes.activations(batch_size, length, model.num_layers() - unchanged),
        // Values, those of the step before, gradients, two moments, and what a step makes of them.
        optimizer: 6 * 4 * trainable as u64,
        program: PROGRAM,
    })
}

/// The sizes of a model that its activations depend on: values of a row, and of a pair of tokens.
struct Sizes {
    hidden: usize,
    /// The feed-forward block.
    wide: usize,
    heads: usize,
    /// What a layer keeps of a row for the backward pass.
    row: usize,
    /// What it keeps of a pair of tokens and a head.
    square: usize,
    /// What the head has of an input.
    head: usize,
}

impl Sizes {
    /// Where the layers are `packed`, what they keep is chosen here; else by burn's autodiff.
    fn of_encoder(config: &EncoderConfig, packed: bool) -> Self {
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let (drops, own) = (|share: f64| usize::from(share > 0.0), config.dropouts);
        let activation = match config.order {
            beft_encoder::Order::PostNorm => wide,
            // The gate keeps both factors.
            beft_encoder::Order::PreNormGated => 3 * wide,
        };
        let dropped = hidden * (drops(own.attention_output) + drops(own.output));
        // Two norms, each with what is normalised, and of autodiff with its input too.
        let norms = if packed { 2 * hidden } else { 4 * hidden };
        Self {
            hidden,
            wide,
            heads: config.num_attention_heads,
            // Query, key and value beside them.
            row: norms + 3 * hidden + activation + dropped + wide * drops(own.wide),
            // What softmax gives, which autodiff keeps for attention once more; dropout what it drops.
            square: if packed { 1 } else { 2 } + drops(own.attention),
            head: 4 * hidden,
        }
    }

    fn of_decoder(config: &DecoderConfig, predicted: usize) -> Self {
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let q = config.heads * config.head_dim;
        let kv = config.key_value_heads * config.head_dim;
        let norms = match config.order {
            beft_decoder::Order::Parallel => 1,
            beft_decoder::Order::PreNorm | beft_decoder::Order::PostNorm => 2,
        };
        // Its input; a layer norm also keeps what is normalised.
        let norm = match config.norm {
            Norm::Layer => 2 * hidden,
            Norm::RootMeanSquare => hidden,
        };
        let dropped = match config.residual_dropout > 0.0 {
            true => 2 * hidden,
            false => 0,
        };
        Self {
            hidden,
            wide,
            heads: config.heads,
            row: norms * norm + q + 2 * kv + config.activation.kept_widths() * wide + dropped,
            square: 2 + usize::from(config.attention_dropout > 0.0),
            head: 4 * predicted * config.vocab_size,
        }
    }

    /// Bytes of activations with `tracked` layers that gradients pass through.
    fn activations(&self, batch_size: usize, length: usize, tracked: usize) -> u64 {
        let rows = batch_size * length;
        let squares = batch_size * self.heads * length * length;
        let kept = rows * self.row + self.square * squares;
        // The widest step of the backward pass: gradient in and out, and the scores of attention likewise.
        let passing = (3 * rows * self.wide).max(3 * squares) + 2 * rows * self.hidden;
        4 * (tracked * kept + passing + batch_size * self.head) as u64
    }
}
