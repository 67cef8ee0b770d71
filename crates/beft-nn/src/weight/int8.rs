use burn::tensor::Tensor;
use pulp::Arch;
use rayon::prelude::*;
use rten_gemm::{GemmExecutor, GemmOptions, PackedBMatrix};
use rten_tensor::NdTensorView;

use super::product::{host_values, product};

/// Values that one task rounds: enough to be worth a thread.
const CHUNK: usize = 16 * 1024;

/// The values of a frozen matrix in 8 bits, each column with its own scale, in the order in which products on a processor
/// read them.
pub struct Int8Matrix {
    values: PackedBMatrix<i8>,
    /// Of each column.
    scales: Vec<f32>,
    /// The sum of each column's rounded values. What stands for 0 in a row adds so many times itself to the product, which
    /// is taken off here: rten-gemm 0.27 does that right only where all rows have the same.
    sums: Vec<i32>,
}

fn executor() -> GemmExecutor<u8, i8, i32> {
    GemmExecutor::new()
}

/// The largest weight. Where the processor adds two products in 16 bits (AVX2 without VNNI), 7 bits are all that two
/// products of 8-bit inputs leave room for.
fn largest(executor: &GemmExecutor<u8, i8, i32>) -> f32 {
    match executor.may_saturate() {
        true => 63.0,
        false => 127.0,
    }
}

impl Int8Matrix {
    /// Rounds and packs `[d_in, d_out]` values.
    pub(super) fn new(values: Tensor<2>) -> Self {
        let shape @ [_, d_out] = values.dims();
        let data = host_values(values);
        let executor = executor();
        let largest = largest(&executor);
        let mut highest = vec![0.0_f32; d_out];
        let mut faults = vec![0.0_f32; d_out];
        for row in data.chunks(d_out) {
            for ((highest, fault), x) in highest.iter_mut().zip(&mut faults).zip(row) {
                *highest = highest.max(x.abs());
                *fault += x * 0.0;
            }
        }
        // A column of zeros stays one. A value that is no number, or infinite, makes the products of its column none.
        let scale = |(highest, fault): (f32, f32)| match highest == 0.0 {
            true => 1.0 + fault,
            false => highest / largest + fault,
        };
        let scales: Vec<f32> = highest.into_iter().zip(faults).map(scale).collect();
        let rows = data.chunks(d_out);
        let rounded = rows.flat_map(|row| {
            let each = row.iter().zip(&scales);
            each.map(|(x, scale)| (x / scale).round() as i8)
        });
        let rounded: Vec<i8> = rounded.collect();
        let mut sums = vec![0_i32; d_out];
        for row in rounded.chunks(d_out) {
            let each = sums.iter_mut().zip(row);
            each.for_each(|(sum, x)| *sum += i32::from(*x));
        }
        Self {
            sums,
            values: executor.prepack_b(NdTensorView::from_data(shape, rounded.as_slice())),
            scales,
        }
    }

    /// `[d_in, d_out]`.
    pub(super) fn dims(&self) -> [usize; 2] {
        [self.values.rows(), self.values.cols()]
    }

    /// `x W`, or `x W + b`, of x whose rows are rounded to 8 bits, each with its own range.
    pub(super) fn multiply(&self, x: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let [d_in, d_out] = self.dims();
        let rounded = RoundedRows::new(x, d_in);
        let options = GemmOptions::default();
        let sums = product(&executor(), &rounded.values, &self.values, options);
        let none = match bias {
            Some(_) => Vec::new(),
            None => vec![0.0; d_out],
        };
        let bias = bias.unwrap_or(&none);
        let mut out = vec![0.0_f32; sums.len()];
        let columns = (self.scales.as_slice(), self.sums.as_slice(), bias);
        out.par_chunks_mut(d_out)
            .zip(sums.par_chunks(d_out))
            .zip(&rounded.zeros)
            .zip(&rounded.scales)
            .with_min_len(CHUNK.div_ceil(d_out))
            .for_each(|(((out, sums), zero), scale)| {
                Arch::new().dispatch(|| restore_row(out, sums, (*zero, *scale), columns));
            });
        out
    }
}

/// A row of a product from its sums, what stands for 0 in the row of the left side and that row's scale, and the scales,
/// sums and biases of the columns.
#[inline(always)]
fn restore_row(
    out: &mut [f32],
    sums: &[i32],
    (zero, scale): (u8, f32),
    (scales, all, bias): (&[f32], &[i32], &[f32]),
) {
    let zero = i32::from(zero);
    let columns = scales.iter().zip(all).zip(bias);
    for ((out, sum), ((column, all), bias)) in out.iter_mut().zip(sums).zip(columns) {
        *out = (sum - zero * all) as f32 * (scale * column) + bias;
    }
}

/// Rows in 8 bits.
struct RoundedRows {
    values: Vec<u8>,
    /// What stands for 0, of each row.
    zeros: Vec<u8>,
    /// Of each row. Not a number where the row has a value that is none, or infinite, so that its products are none either.
    scales: Vec<f32>,
}

impl RoundedRows {
    fn new(x: &[f32], width: usize) -> Self {
        let rows = x.len() / width;
        let mut rounded = Self {
            values: vec![0; x.len()],
            zeros: vec![0; rows],
            scales: vec![0.0; rows],
        };
        x.par_chunks(width)
            .zip(rounded.values.par_chunks_mut(width))
            .zip(&mut rounded.zeros)
            .zip(&mut rounded.scales)
            .with_min_len(CHUNK.div_ceil(width))
            .for_each(|(((x, values), zero), scale)| {
                (*zero, *scale) = Arch::new().dispatch(|| round_row(x, values));
            });
        rounded
    }
}

/// What stands for 0, and the scale.
#[inline(always)]
fn round_row(x: &[f32], values: &mut [u8]) -> (u8, f32) {
    // Several at a time: the compiler keeps them in vector registers.
    const LANES: usize = 16;
    let mut lowest = [0.0_f32; LANES];
    let mut highest = [0.0_f32; LANES];
    let mut faults = [0.0_f32; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for lane in 0..LANES {
            lowest[lane] = lowest[lane].min(chunk[lane]);
            highest[lane] = highest[lane].max(chunk[lane]);
            faults[lane] += chunk[lane] * 0.0;
        }
    }
    for (lane, x) in rest.iter().enumerate() {
        lowest[lane] = lowest[lane].min(*x);
        highest[lane] = highest[lane].max(*x);
        faults[lane] += x * 0.0;
    }
    let lowest = lowest.into_iter().fold(0.0, f32::min);
    let highest = highest.into_iter().fold(0.0, f32::max);
    if faults.into_iter().sum::<f32>().is_nan() {
        return (0, f32::NAN);
    }
    let range = highest - lowest;
    // A row this small counts as zeros: 255 over its range would be infinite.
    if range < 1e-30 {
        return (0, 1.0);
    }
    let (scale, steps) = (range / 255.0, 255.0 / range);
    let zero = (-lowest * steps).round();
    // Adding 2^23 to a number from 0 to 255 rounds it and leaves it in the low bits of the sum.
    const SHIFT: f32 = 8_388_608.0;
    for (value, x) in values.iter_mut().zip(x) {
        let place = (x * steps + zero).clamp(0.0, 255.0);
        *value = (place + SHIFT).to_bits() as u8;
    }
    (zero as u8, scale)
}
