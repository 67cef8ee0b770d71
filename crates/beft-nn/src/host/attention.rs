use pulp::Arch;
use rayon::prelude::*;
use rten_gemm::{GemmExecutor, GemmInputA, GemmInputB, GemmOptions};
use rten_tensor::NdTensorView;

use super::HostRows;
use super::norm::product;
use crate::Rows;
use crate::host_gelu::exp_of_negative;

/// Multi-head self-attention of the inputs of a batch, each by itself.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    /// Number of heads.
    pub heads: usize,
    /// Width of all heads together.
    pub width: usize,
    /// Which queries there are.
    pub queries: Rows,
}

/// What the backward pass of attention needs.
#[derive(Debug)]
pub struct AttentionRecord {
    of: Attention,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    inputs: Vec<InputRecord>,
}

/// Weights of one input, `[heads, queries, tokens]`.
#[derive(Debug)]
struct InputRecord {
    weights: Vec<f32>,
    /// What they were multiplied by, where some were dropped.
    mask: Option<Vec<f32>>,
}

impl InputRecord {
    /// A head's weights after dropout.
    fn dropped(&self, cells: std::ops::Range<usize>) -> Vec<f32> {
        let mut weights = self.weights[cells.clone()].to_vec();
        if let Some(mask) = &self.mask {
            let factors = &mask[cells];
            weights.iter_mut().zip(factors).for_each(|(w, f)| *w *= f);
        }
        weights
    }
}

/// Gradients of queries, keys and values.
#[derive(Debug)]
pub struct AttentionGradients {
    /// `[queries, width]`, like the keys' empty where they were not asked for.
    pub q: Vec<f32>,
    /// `[rows, width]`.
    pub k: Vec<f32>,
    /// `[rows, width]`.
    pub v: Vec<f32>,
}

impl Attention {
    fn head_width(&self) -> usize {
        self.width / self.heads
    }

    fn scale(&self) -> f32 {
        (1.0 / (self.head_width() as f64).sqrt()) as f32
    }

    fn queries_of(&self, tokens: usize) -> usize {
        match self.queries {
            Rows::All => tokens,
            Rows::First => 1,
        }
    }

    /// Part of the rows of queries that is one input's.
    fn query_rows(&self, input: usize, (start, tokens): (usize, usize)) -> std::ops::Range<usize> {
        let rows = match self.queries {
            Rows::All => start..start + tokens,
            Rows::First => input..input + 1,
        };
        rows.start * self.width..rows.end * self.width
    }

    /// Attends, `[queries, width]`. `mask` gives what the weights of an input with so many queries are multiplied by, where
    /// some are dropped.
    ///
    /// # Shapes
    ///
    /// - q: `[queries, width]`
    /// - k, v: `[rows, width]`
    pub fn forward(
        self,
        [q, k, v]: [Vec<f32>; 3],
        rows: &HostRows<'_>,
        mask: impl Fn(usize, usize) -> Option<Vec<f32>> + Sync,
        keep: bool,
    ) -> (Vec<f32>, Option<AttentionRecord>) {
        let inputs: Vec<_> = rows.inputs().enumerate().collect();
        let found = inputs.into_par_iter().map(|(input, place)| {
            let q = &q[self.query_rows(input, place)];
            let own = place.0 * self.width..(place.0 + place.1) * self.width;
            let mask = mask(input, self.queries_of(place.1));
            self.attend(q, [&k[own.clone()], &v[own]], mask)
        });
        let (parts, inputs): (Vec<Vec<f32>>, Vec<InputRecord>) = found.unzip();
        let of = self;
        let record = keep.then_some(AttentionRecord {
            of,
            q,
            k,
            v,
            inputs,
        });
        (parts.concat(), record)
    }

    fn attend(
        &self,
        q: &[f32],
        [k, v]: [&[f32]; 2],
        mask: Option<Vec<f32>>,
    ) -> (Vec<f32>, InputRecord) {
        let (queries, tokens) = (q.len() / self.width, k.len() / self.width);
        let mut record = InputRecord {
            weights: vec![0.0; self.heads * queries * tokens],
            mask,
        };
        let mut out = vec![0.0; q.len()];
        for head in 0..self.heads {
            let cells = head * queries * tokens..(head + 1) * queries * tokens;
            let scores = &mut record.weights[cells.clone()];
            let keys = self.head(k, head).transposed();
            multiply(scores, self.head(q, head), keys, self.scale());
            for row in scores.chunks_mut(tokens) {
                Arch::new().dispatch(|| softmax(row));
            }
            let weights = match record.mask {
                Some(_) => &record.dropped(cells),
                None => &record.weights[cells],
            };
            let weights = NdTensorView::from_data([queries, tokens], weights);
            self.put_head(&mut out, head, weights, self.head(v, head), 1.0);
        }
        (out, record)
    }

    /// A head's part of rows, `[rows, head width]`.
    fn head<'a>(&self, rows: &'a [f32], head: usize) -> NdTensorView<'a, f32, 2> {
        let width = self.head_width();
        let shape = [rows.len() / self.width, width];
        let strides = [self.width, 1];
        let part = &rows[head * width..];
        // The last row of the last head ends where the rows do.
        NdTensorView::from_data_with_strides(shape, part, strides)
            .unwrap_or_else(|error| panic!("a head's part of {shape:?}: {error}"))
    }

    /// Puts a product into a head's part of rows.
    fn put_head(
        &self,
        rows: &mut [f32],
        head: usize,
        a: NdTensorView<'_, f32, 2>,
        b: NdTensorView<'_, f32, 2>,
        scale: f32,
    ) {
        let width = self.head_width();
        let mut part = vec![0.0; rows.len() / self.width * width];
        multiply(&mut part, a, b, scale);
        let places = rows.chunks_mut(self.width);
        for (row, part) in places.zip(part.chunks(width)) {
            row[head * width..(head + 1) * width].copy_from_slice(part);
        }
    }
}

impl AttentionRecord {
    /// Whether weights were dropped.
    pub fn drops(&self) -> bool {
        self.inputs.iter().any(|input| input.mask.is_some())
    }

    /// Gradients from those of what [`Attention::forward`] gave; those of queries and keys where `scores` asks for them.
    pub fn backward(
        &self,
        gradient: &[f32],
        rows: &HostRows<'_>,
        scores: bool,
    ) -> AttentionGradients {
        let of = self.of;
        let inputs: Vec<_> = rows.inputs().enumerate().zip(&self.inputs).collect();
        let parts = inputs.into_par_iter().map(|((input, place), record)| {
            let queries = of.query_rows(input, place);
            let own = place.0 * of.width..(place.0 + place.1) * of.width;
            let gradient = &gradient[queries.clone()];
            let mut found = AttentionGradients {
                q: vec![0.0; if scores { queries.len() } else { 0 }],
                k: vec![0.0; if scores { own.len() } else { 0 }],
                v: vec![0.0; own.len()],
            };
            let given = [&self.q[queries], &self.k[own.clone()], &self.v[own]];
            for head in 0..of.heads {
                of.backward(&mut found, head, gradient, given, record);
            }
            found
        });
        let parts: Vec<AttentionGradients> = parts.collect();
        let all = |part: fn(&AttentionGradients) -> &[f32]| {
            parts.iter().map(part).collect::<Vec<_>>().concat()
        };
        AttentionGradients {
            q: all(|part| &part.q),
            k: all(|part| &part.k),
            v: all(|part| &part.v),
        }
    }
}

impl Attention {
    /// Puts one head's part into its places.
    fn backward(
        &self,
        found: &mut AttentionGradients,
        head: usize,
        gradient: &[f32],
        [q, k, v]: [&[f32]; 3],
        record: &InputRecord,
    ) {
        let (queries, tokens) = (gradient.len() / self.width, v.len() / self.width);
        let cells = head * queries * tokens..(head + 1) * queries * tokens;
        let shape = [queries, tokens];
        let gradient = self.head(gradient, head);
        let dropped = record.dropped(cells.clone());
        let weights = NdTensorView::from_data(shape, dropped.as_slice());
        self.put_head(&mut found.v, head, weights.transposed(), gradient, 1.0);
        if found.q.is_empty() {
            return;
        }
        let mut of_scores = vec![0.0; queries * tokens];
        multiply(
            &mut of_scores,
            gradient,
            self.head(v, head).transposed(),
            1.0,
        );
        if let Some(mask) = &record.mask {
            let factors = &mask[cells.clone()];
            of_scores.iter_mut().zip(factors).for_each(|(d, f)| *d *= f);
        }
        let weights = record.weights[cells].chunks(tokens);
        for (of_scores, weights) in of_scores.chunks_mut(tokens).zip(weights) {
            Arch::new().dispatch(|| {
                let sum = product(of_scores, weights);
                let each = of_scores.iter_mut().zip(weights);
                each.for_each(|(d, weight)| *d = weight * (*d - sum));
            });
        }
        let of_scores = NdTensorView::from_data(shape, of_scores.as_slice());
        let scale = self.scale();
        self.put_head(&mut found.q, head, of_scores, self.head(k, head), scale);
        let turned = of_scores.transposed();
        self.put_head(&mut found.k, head, turned, self.head(q, head), scale);
    }
}

/// Computes a product, times a number.
fn multiply(out: &mut [f32], a: NdTensorView<'_, f32, 2>, b: NdTensorView<'_, f32, 2>, scale: f32) {
    let options = GemmOptions {
        alpha: scale,
        ..GemmOptions::default()
    };
    let executor = GemmExecutor::<f32, f32, f32>::new();
    let done = executor.gemm(
        out,
        GemmInputA::Unpacked(a),
        GemmInputB::Unpacked(b),
        options,
    );
    // The shapes are those of a product.
    done.unwrap_or_else(|error| panic!("a product of attention: {error}"));
}

/// Softmax of a row, in place.
#[inline(always)]
fn softmax(x: &mut [f32]) {
    let highest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    x.iter_mut()
        .for_each(|x| *x = exp_of_negative(*x - highest));
    let scale = 1.0 / super::norm::sum(x);
    x.iter_mut().for_each(|x| *x *= scale);
}
