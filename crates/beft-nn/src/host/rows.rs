use pulp::Arch;
use rayon::prelude::*;

use crate::host_gelu::normal;
use crate::{Batch, Padding, Rows};

/// Rows that one task computes at least: enough to be worth a thread.
pub(super) const ROWS: usize = 32;

/// Numbers that one task computes: enough to be worth a thread, few enough to stay in its cache.
const CHUNK: usize = 16 * 1024;

/// Where the rows of a batch without padding are, and which of several stacked biases each has.
#[derive(Debug)]
pub struct HostRows<'a> {
    /// The batch.
    pub batch: &'a Batch,
    /// The number of each input's first row, in batch order.
    starts: Vec<usize>,
    /// For each row, and for each input, the index of its biases; none where all have the same.
    indices: Option<[Vec<usize>; 2]>,
}

impl<'a> HostRows<'a> {
    /// `None` for a batch with padding.
    pub fn new(batch: &'a Batch) -> Option<Self> {
        if batch.savings.padding != Padding::Packed {
            return None;
        }
        let mut next = 0;
        let starts = batch.layout.lengths().iter().map(|tokens| {
            let start = next;
            next += tokens;
            start
        });
        let starts = starts.collect();
        let indices = batch.stack.on_host();
        Some(Self {
            batch,
            starts,
            indices,
        })
    }

    /// For each input the number of its first row, and its number of tokens.
    pub fn inputs(&self) -> impl ExactSizeIterator<Item = (usize, usize)> {
        let lengths = self.batch.layout.lengths().iter().copied();
        self.starts.iter().copied().zip(lengths)
    }

    /// The index of the biases of each of `rows`.
    pub fn index(&self, rows: Rows) -> Option<&[usize]> {
        let [all, first] = self.indices.as_ref()?;
        Some(match rows {
            Rows::All => all,
            Rows::First => first,
        })
    }

    /// Takes each input's first row.
    pub fn first(&self, x: &[f32], width: usize) -> Vec<f32> {
        let rows = self.starts.iter();
        let rows = rows.flat_map(|start| &x[start * width..(start + 1) * width]);
        rows.copied().collect()
    }

    /// Adds one row for each input to its first row.
    pub fn add_first(&self, x: &mut [f32], first: &[f32], width: usize) {
        for (start, row) in self.starts.iter().zip(first.chunks(width)) {
            add(&mut x[start * width..(start + 1) * width], row);
        }
    }

    /// Takes the mean of each input's rows.
    pub fn means(&self, x: &[f32], width: usize) -> Vec<f32> {
        let mut means = vec![0.0; self.starts.len() * width];
        for (mean, (start, tokens)) in means.chunks_mut(width).zip(self.inputs()) {
            for row in x[start * width..(start + tokens) * width].chunks(width) {
                add(mean, row);
            }
            mean.iter_mut().for_each(|x| *x /= tokens as f32);
        }
        means
    }

    /// The gradient of the rows from that of their [`means`](Self::means).
    pub fn spread(&self, means: &[f32], width: usize) -> Vec<f32> {
        let inputs = means.chunks(width).zip(self.inputs());
        let rows = inputs.flat_map(|(mean, (_, tokens))| {
            let row = mean.iter().map(move |x| x / tokens as f32);
            std::iter::repeat_n(row, tokens).flatten()
        });
        rows.collect()
    }
}

/// Adds numbers one by one.
pub fn add(x: &mut [f32], more: &[f32]) {
    each(x, more, |x, y| *x += y);
}

/// Multiplies numbers one by one.
pub fn multiply(x: &mut [f32], factors: &[f32]) {
    each(x, factors, |x, y| *x *= y);
}

fn each(x: &mut [f32], y: &[f32], change: impl Fn(&mut f32, f32) + Sync) {
    let chunks = x.par_chunks_mut(CHUNK).zip(y.par_chunks(CHUNK));
    chunks.for_each(|(x, y)| {
        Arch::new().dispatch(|| x.iter_mut().zip(y).for_each(|(x, y)| change(x, *y)));
    });
}

/// GELU with the error function, in place.
pub fn gelu(x: &mut [f32]) {
    x.par_chunks_mut(CHUNK).for_each(|x| {
        Arch::new().dispatch(|| x.iter_mut().for_each(|x| *x *= normal(*x).0));
    });
}

/// GELU in place, and its derivatives.
pub fn gelu_with_slopes(x: &mut [f32]) -> Vec<f32> {
    let mut slopes = vec![0.0_f32; x.len()];
    let chunks = x.par_chunks_mut(CHUNK).zip(slopes.par_chunks_mut(CHUNK));
    chunks.for_each(|(x, slopes)| {
        Arch::new().dispatch(|| {
            for (x, slope) in x.iter_mut().zip(slopes) {
                let (cdf, pdf) = normal(*x);
                *slope = cdf + *x * pdf;
                *x *= cdf;
            }
        });
    });
    slopes
}
