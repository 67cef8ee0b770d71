//! How long a value-bias step takes on a device, and how much of its matrix throughput that is.

use std::time::Instant;

use beft_core::{BiasTerm, EncodedSet, Encoding, Head, Targets, TermSet};
use beft_decoder::architectures::OPT;
use beft_decoder::{DecoderConfig, DecoderForCausalLM};
use beft_encoder::{EncoderConfig, EncoderWithHead};
use beft_nn::{Precision, TaskModel};
use beft_train::{GradMasks, TrainConfig, training_step, with_trainable};
use burn::tensor::{Device, Distribution, FloatDType, Tensor};
use serde_json::json;

use crate::ParityError;

/// A model shape with the inputs of one step.
#[derive(Clone, Debug)]
pub struct Shape {
    /// `base`, `large` or `tiny`, which are BERTs; `opt-1.3b` or `opt-tiny`.
    pub name: &'static str,
    /// Layers.
    pub layers: usize,
    /// Width.
    pub hidden: usize,
    /// Attention heads.
    pub heads: usize,
    /// Inputs a step.
    pub batch: usize,
    /// Tokens of each input; there is no padding.
    pub length: usize,
}

impl Shape {
    /// The shapes that are timed; `tiny` shows on a CPU that it works.
    pub const ALL: [Self; 5] = [
        Self::of("base", 12, 768, 12, 16, 128),
        Self::of("large", 24, 1024, 16, 16, 128),
        Self::of("tiny", 2, 128, 2, 4, 32),
        Self::of("opt-1.3b", 24, 2048, 32, 8, 128),
        Self::of("opt-tiny", 2, 128, 2, 4, 32),
    ];

    const fn of(
        name: &'static str,
        layers: usize,
        hidden: usize,
        heads: usize,
        batch: usize,
        length: usize,
    ) -> Self {
        Self {
            name,
            layers,
            hidden,
            heads,
            batch,
            length,
        }
    }

    /// Floating point operations of the matrix products of one value-bias step: forward, and
    /// backward for activations only (no weight has a gradient; nothing flows below the values of
    /// the first layer, which is neglected).
    pub fn flops(&self) -> f64 {
        let (h, length) = (self.hidden as f64, self.length as f64);
        // Query, key, value, attention output; the feed-forward block is four times as wide.
        let linear = 2.0 * (4.0 * h * h + 8.0 * h * h);
        let attention = 4.0 * length * h;
        let tokens = (self.batch * self.length) as f64;
        2.0 * tokens * self.layers as f64 * (linear + attention)
    }

    fn is_decoder(&self) -> bool {
        self.name.starts_with("opt")
    }

    fn decoder_config(&self) -> Result<DecoderConfig, ParityError> {
        let fields = json!({
            "vocab_size": 50272,
            "hidden_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "ffn_dim": 4 * self.hidden,
            "max_position_embeddings": 2048,
        });
        let fields = fields.as_object().cloned().unwrap_or_default();
        DecoderConfig::read(&OPT, &fields).map_err(ParityError::Missing)
    }

    fn config(&self) -> EncoderConfig {
        EncoderConfig {
            num_hidden_layers: self.layers,
            num_attention_heads: self.heads,
            ..EncoderConfig::base_cased().with_width(self.hidden)
        }
    }

    /// The same inputs on every device.
    fn data(&self) -> EncodedSet {
        let id = |i: usize, j: usize| (1000 + (i * 7919 + j * 104_729) % 20_000) as u32;
        if self.is_decoder() {
            // The last token is predicted.
            let text = |i: usize| (0..self.length).map(|j| id(i, j)).collect::<Vec<u32>>();
            let encodings = (0..self.batch).map(|i| {
                let ids = text(i);
                let (prompt, last) = ids.split_at(self.length - 1);
                Encoding::with_branches(prompt, [(last, 1)])
            });
            return EncodedSet {
                class_weights: Vec::new(),
                encodings: encodings.collect(),
                targets: Targets::Tokens(vec![1; self.batch]),
            };
        }
        EncodedSet {
            class_weights: Vec::new(),
            encodings: (0..self.batch)
                .map(|i| Encoding {
                    ids: (0..self.length).map(|j| id(i, j)).collect(),
                    type_ids: vec![0; self.length],
                    ..Encoding::default()
                })
                .collect(),
            targets: Targets::Classes((0..self.batch).map(|i| i % 2).collect()),
        }
    }
}

/// Seconds of one value-bias training step (forward with dropout, backward, clipping, AdamW, loss
/// read back), the median of `steps` after warm-up, with random weights made on the device.
///
/// # Errors
///
/// When the device fails to finish its work.
pub fn step_seconds(
    shape: &Shape,
    precision: Precision,
    steps: usize,
    device: &Device,
) -> Result<f64, ParityError> {
    if shape.is_decoder() {
        let model = DecoderForCausalLM::init(&shape.decoder_config()?, device);
        return steps_of(precision.apply(model), shape, steps, device);
    }
    let model = EncoderWithHead::init(&shape.config(), Head::Sequence(2), device);
    steps_of(precision.apply(model), shape, steps, device)
}

fn steps_of<M: TaskModel>(
    model: M,
    shape: &Shape,
    steps: usize,
    device: &Device,
) -> Result<f64, ParityError> {
    let terms = TermSet::of([BiasTerm::V]);
    let config = TrainConfig::new(terms.clone(), 1e-4, 1, 0);
    let masks = GradMasks::default();
    let mut model = with_trainable(model, &terms)?;
    let mut optimizer = config.optimizer();
    let data = shape.data();
    let chosen: Vec<usize> = (0..data.len()).collect();
    let mut seconds = Vec::new();
    // Kernels are compiled and tuned in the first steps.
    for step in 0..steps + WARM_UP {
        let begin = Instant::now();
        (model, _) = training_step(model, &masks, &data, &chosen, &config, 0, &mut optimizer);
        sync(device)?;
        if step >= WARM_UP {
            seconds.push(begin.elapsed().as_secs_f64());
        }
    }
    Ok(median(seconds))
}

const WARM_UP: usize = 5;

/// Operations a second of a large square matrix product on the device, the best of a few.
///
/// # Errors
///
/// When the device fails to finish its work.
pub fn matmul_peak(size: usize, precision: Precision, device: &Device) -> Result<f64, ParityError> {
    let random = || {
        Tensor::<2>::random([size, size], Distribution::Default, device)
            .cast(FloatDType::from(precision.dtype()))
    };
    let (a, b) = (random(), random());
    let mut best = 0.0f64;
    for _ in 0..10 {
        sync(device)?;
        let begin = Instant::now();
        let product = a.clone().matmul(b.clone());
        sync(device)?;
        drop(product);
        best = best.max(2.0 * (size as f64).powi(3) / begin.elapsed().as_secs_f64());
    }
    Ok(best)
}

fn sync(device: &Device) -> Result<(), ParityError> {
    device
        .sync()
        .map_err(|e| ParityError::Device(format!("{e:?}")))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
