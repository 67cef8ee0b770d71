//! How much memory a decoder's training takes, from its config alone.

use beft_checkpoint::ModelDir;
use beft_decoder::{DecoderConfig, DecoderForCausalLM, Norm, Order};
use beft_modes::Mode;
use beft_nn::{DeviceTraits, Precision, Savings, param_shapes};
use beft_train::{trainable_count, unchanged_layers};
use burn::tensor::Device;

use crate::{Error, find_model};

/// What is to be trained, and how much of it at a time.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// What is trained.
    pub mode: Mode,
    /// Of the weight matrices.
    pub precision: Precision,
    /// Examples computed at a time.
    pub batch_size: usize,
    /// Tokens of each; `None` for 128, or as many as the model takes.
    pub length: Option<usize>,
    /// Of those, how many are predicted.
    pub predicted: usize,
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
        self.weights + self.activations + self.optimizer + self.program
    }
}

/// The program, its threads' stacks and pools, tokenizer and data.
const PROGRAM: u64 = 50 << 20;

/// Tokens of an input where nothing is said.
const USUAL_LENGTH: usize = 128;

/// What training a decoder will take: from `config.json`, nothing is loaded. On a CPU in one process; a GPU
/// takes its own libraries' share instead of the program's.
///
/// # Errors
///
/// When there is no such model, it is no decoder, or the mode does not fit it.
pub fn plan_memory(model: &str, options: &PlanOptions) -> Result<MemoryPlan, Error> {
    let dir: ModelDir = find_model(model, &mut |_| ())?;
    plan(&DecoderConfig::load(&dir)?, options)
}

/// The same from the config.
pub(super) fn plan(config: &DecoderConfig, options: &PlanOptions) -> Result<MemoryPlan, Error> {
    let length = options
        .length
        .unwrap_or(USUAL_LENGTH.min(config.max_tokens));
    if length > config.max_tokens || options.predicted >= length {
        return Err(Error::PlanLength {
            length,
            predicted: options.predicted,
            most: config.max_tokens,
        });
    }
    // Shapes alone: values are drawn when they are first used.
    let model = DecoderForCausalLM::init(config, &Device::default());
    let shapes = param_shapes(&model);
    let count = |shape: &[usize]| shape.iter().product::<usize>();
    let parameters: usize = shapes.iter().map(|(_, shape)| count(shape)).sum();
    let width = match options.precision {
        Precision::F32 => 4,
        Precision::Bf16 | Precision::F16 => 2,
    };
    let bytes = |shape: &[usize]| (count(shape) * if shape.len() == 2 { width } else { 4 }) as u64;
    let weights = shapes.iter().map(|(_, shape)| bytes(shape)).sum();
    let Some(terms) = options.mode.terms() else {
        return Err(Error::Mode {
            mode: options.mode.clone(),
            reason: "the plan is for biases",
        });
    };
    let trainable = trainable_count(&model, terms)?;
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
    let unchanged = unchanged_layers(&model, &options.mode, Savings::default())?;
    Ok(MemoryPlan {
        parameters,
        trainable,
        weights,
        activations: widened + activations(config, options, length, config.layers - unchanged),
        // Values, those of the step before, gradients, two moments, and what a step makes of them.
        optimizer: 6 * 4 * trainable as u64,
        program: PROGRAM,
    })
}

/// Bytes of activations with `tracked` layers that gradients pass through.
fn activations(
    config: &DecoderConfig,
    options: &PlanOptions,
    length: usize,
    tracked: usize,
) -> u64 {
    let (hidden, wide) = (config.hidden_size, config.intermediate_size);
    let rows = options.batch_size * length;
    let q = config.heads * config.head_dim;
    let kv = config.key_value_heads * config.head_dim;
    let squares = options.batch_size * config.heads * length * length;
    let norms = if config.order == Order::Parallel {
        1
    } else {
        2
    };
    // Its input; a layer norm also keeps what is normalised.
    let norm = match config.norm {
        Norm::Layer => 2 * hidden,
        Norm::RootMeanSquare => hidden,
    };
    let activation = config.activation.kept_widths() * wide;
    // Softmax keeps what it divides, and attention the weights.
    let mut kept = rows * (norms * norm + q + 2 * kv + activation) + 2 * squares;
    if config.residual_dropout > 0.0 {
        kept += 2 * rows * hidden;
    }
    if config.attention_dropout > 0.0 {
        kept += 2 * squares;
    }
    // The widest step of the backward pass: gradient in and out, and the scores of attention likewise.
    let passing = (3 * rows * wide).max(3 * squares) + 2 * rows * hidden;
    let head = 4 * options.batch_size * options.predicted * config.vocab_size;
    4 * (tracked * kept + passing + head) as u64
}
