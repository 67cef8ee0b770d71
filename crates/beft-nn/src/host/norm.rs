use pulp::Arch;
use rayon::prelude::*;

use super::RowBiases;
use super::rows::ROWS;

/// What the backward pass of a layer norm needs.
#[derive(Debug)]
pub struct NormRecord {
    /// `(x - mean) / sqrt(variance + epsilon)` of each row.
    normed: Vec<f32>,
    /// `1 / sqrt(variance + epsilon)` of each row.
    scales: Vec<f32>,
}

/// Normalises rows in place, each with its bias: `(x - mean) / sqrt(variance + epsilon) * gamma + b`. With `keep` it gives
/// what the backward pass needs.
pub fn layer_norm(
    x: &mut [f32],
    gamma: &[f32],
    biases: &RowBiases<'_>,
    epsilon: f64,
    keep: bool,
) -> Option<NormRecord> {
    let (width, epsilon) = (gamma.len(), epsilon as f32);
    if !keep {
        let rows = x.par_chunks_mut(width).with_min_len(ROWS).enumerate();
        rows.for_each(|(row, x)| {
            Arch::new().dispatch(|| {
                normalize(x, epsilon);
                scale_and_shift(x, gamma, biases.of_row(row));
            });
        });
        return None;
    }
    let mut record = NormRecord {
        normed: vec![0.0; x.len()],
        scales: vec![0.0; x.len() / width],
    };
    let kept = record.normed.par_chunks_mut(width);
    let kept = kept.zip(&mut record.scales);
    let rows = x.par_chunks_mut(width).zip(kept).with_min_len(ROWS);
    rows.enumerate().for_each(|(row, (x, (normed, scale)))| {
        Arch::new().dispatch(|| {
            *scale = normalize(x, epsilon);
            normed.copy_from_slice(x);
            scale_and_shift(x, gamma, biases.of_row(row));
        });
    });
    Some(record)
}

impl NormRecord {
    /// Takes the gradient of the output to that of the input, in place.
    pub fn backward(self, gradient: &mut [f32], gamma: &[f32]) {
        let width = gamma.len();
        let rows = gradient.par_chunks_mut(width);
        let rows = rows.zip(self.normed.par_chunks(width)).zip(&self.scales);
        rows.with_min_len(ROWS).for_each(|((dy, normed), scale)| {
            Arch::new().dispatch(|| {
                dy.iter_mut().zip(gamma).for_each(|(dy, g)| *dy *= g);
                let count = width as f32;
                let mean = sum(dy) / count;
                let along = product(dy, normed) / count;
                for (dy, x) in dy.iter_mut().zip(normed) {
                    *dy = scale * (*dy - mean - x * along);
                }
            });
        });
    }
}

/// Gives a row mean 0 and variance 1, and says by what it was multiplied.
#[inline(always)]
fn normalize(x: &mut [f32], epsilon: f32) -> f32 {
    let count = x.len() as f32;
    let mean = sum(x) / count;
    x.iter_mut().for_each(|x| *x -= mean);
    let scale = 1.0 / (product(x, x) / count + epsilon).sqrt();
    x.iter_mut().for_each(|x| *x *= scale);
    scale
}

#[inline(always)]
fn scale_and_shift(x: &mut [f32], gamma: &[f32], bias: &[f32]) {
    let columns = gamma.iter().zip(bias);
    for (x, (gamma, bias)) in x.iter_mut().zip(columns) {
        *x = *x * gamma + bias;
    }
}

/// Partial sums that the compiler keeps in vector registers.
const LANES: usize = 16;

#[inline(always)]
pub(super) fn sum(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            sums[lane] += chunk[lane];
        }
    }
    sums.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

#[inline(always)]
pub(super) fn product(x: &[f32], y: &[f32]) -> f32 {
    let ((x_chunks, x_rest), (y_chunks, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    let mut sums = [0.0_f32; LANES];
    for (x, y) in x_chunks.iter().zip(y_chunks) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest = x_rest.iter().zip(y_rest).map(|(x, y)| x * y);
    sums.iter().sum::<f32>() + rest.sum::<f32>()
}
