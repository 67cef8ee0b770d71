//! How far a backend may be off, and why: the one table.

use beft_nn::Precision;

use crate::{norm_error, relative_error};

/// Largest errors of one backend in one precision; [`relative_error`](crate::relative_error) and
/// [`norm_error`](crate::norm_error) say of what.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// First word of device strings; empty for every backend without a row of its own.
    pub backend: &'static str,
    /// What the frozen weights are kept in.
    pub precision: Precision,
    /// Logits, loss, gradients, parameters after three steps, scores.
    pub values: f64,
    /// The key bias's gradient, 0 in exact arithmetic, relative to the model's largest.
    pub key_gradient: f64,
    /// The key bias after three steps: AdamW turns that noise into updates of
    /// `lr * g / (|g| + 1e-6)`.
    pub key_after_steps: f64,
    /// The same of decoders, whose embeddings and output head are in that precision too. Under RoPE a key
    /// bias's gradient is what is left of sums that nearly cancel.
    pub decoder_values: f64,
    /// Decoders' parameters after three steps, and added biases of encoders: these start at zero, so that the error is
    /// one of AdamW's updates, which go by a gradient's sign where it is small.
    pub decoder_after_steps: f64,
}

const TABLE: [Tolerance; 3] = [
    // F32 sums in another order than PyTorch's.
    Tolerance {
        backend: "",
        precision: Precision::F32,
        values: 1e-4,
        key_gradient: 1e-6,
        key_after_steps: 1e-3,
        decoder_values: 1e-4,
        decoder_after_steps: 1e-4,
    },
    // Bf16 keeps 8 bits: weights and inputs of each matrix are rounded by up to 2e-3.
    Tolerance {
        backend: "",
        precision: Precision::Bf16,
        values: 5e-2,
        key_gradient: 5e-3,
        key_after_steps: 5e-2,
        decoder_values: 0.4,
        decoder_after_steps: 0.4,
    },
    // F16 keeps 11 bits: weights and inputs of each matrix are rounded by up to 2.4e-4.
    Tolerance {
        backend: "",
        precision: Precision::F16,
        values: 1e-2,
        key_gradient: 1e-3,
        key_after_steps: 5e-2,
        decoder_values: 0.15,
        decoder_after_steps: 0.3,
    },
];

impl Tolerance {
    /// The error of `actual`: element by element where elements can be compared, in the Euclidean
    /// norm where every one of them is rounded.
    pub fn measure(&self, actual: &[f32], expected: &[f32]) -> f64 {
        match self.precision {
            Precision::F32 => relative_error(actual, expected),
            Precision::Bf16 | Precision::F16 => norm_error(actual, expected),
        }
    }

    /// The row of a device string such as `tch:cuda:0`.
    pub fn of(device: &str, precision: Precision) -> Self {
        let backend = device.split(':').next().unwrap_or_default();
        let rows = || TABLE.iter().filter(|row| row.precision == precision);
        *rows()
            .find(|row| row.backend == backend)
            .or_else(|| rows().find(|row| row.backend.is_empty()))
            .unwrap_or_else(|| unreachable!("every precision has a row for all backends"))
    }
}
