//! A layer's passes on the host, where its weights are packed and nothing but its biases learns.

use beft_core::BiasTerm::{self, K, Ln1, Ln2, M1, M2, M3, Q, V};
use beft_nn::host::{
    Attention, AttentionRecord, HostRows, NormRecord, RowBiases, add, gelu, gelu_with_slopes,
    host_values, layer_norm, multiply,
};
use beft_nn::{DropoutSite, Rows, Weight};
use burn::module::{Param, ParamId};
use burn::tensor::Tensor;

use super::EncoderLayer;
use crate::facts::Order;

/// What the backward pass of a layer needs of its forward pass.
pub(crate) struct LayerRecord {
    rows: Rows,
    attention: AttentionRecord,
    /// What values were multiplied by where some were dropped; so are the other masks.
    attended_mask: Option<Vec<f32>>,
    norm1: NormRecord,
    /// GELU's derivatives.
    slopes: Vec<f32>,
    wide_mask: Option<Vec<f32>>,
    output_mask: Option<Vec<f32>>,
    norm2: NormRecord,
}

/// Gradients of biases, by their parameter's id.
pub(crate) type Found = Vec<(ParamId, Vec<f32>)>;

impl EncoderLayer {
    /// Whether the host could compute it if its weights were packed: by [`Order::PostNorm`], without distances.
    pub(crate) fn is_plain(&self) -> bool {
        match self.order {
            Order::PostNorm => self.disentangled.is_none(),
            Order::PreNormGated => false,
        }
    }

    /// Whether one of these biases learns.
    pub(crate) fn learns(&self, terms: &[BiasTerm]) -> bool {
        let mut terms = terms.iter();
        terms.any(|term| self.biases.get(*term).is_require_grad())
    }

    fn row_biases<'a>(
        &self,
        term: BiasTerm,
        width: usize,
        index: Option<&'a [usize]>,
    ) -> RowBiases<'a> {
        RowBiases::new(self.biases.get(term), width, index)
    }

    fn project(
        &self,
        term: BiasTerm,
        x: &[f32],
        weight: &Weight,
        index: Option<&[usize]>,
    ) -> Vec<f32> {
        let biases = self.row_biases(term, weight.dims()[1], index);
        let mut out = weight.product(x, biases.shared());
        biases.add_own(&mut out);
        out
    }

    fn gammas(&self) -> [Vec<f32>; 2] {
        let values = |gamma: &Param<Tensor<1>>| host_values(gamma.val());
        let first = self.norm1_gamma.as_ref().map(values);
        [first.unwrap_or_default(), values(&self.norm2_gamma)]
    }

    /// The layer's output at `rows`, as [`forward`](Self::forward) gives it, and with `keep` what its backward pass needs.
    pub(crate) fn host_forward(
        &self,
        x: Vec<f32>,
        at: &HostRows<'_>,
        rows: Rows,
        keep: bool,
    ) -> (Vec<f32>, Option<LayerRecord>) {
        let (batch, width) = (at.batch, self.query.dims()[0]);
        let (all, some) = (at.index(Rows::All), at.index(rows));
        let [gamma1, gamma2] = self.gammas();
        let drop = |dropout, site, values: &mut [f32], width| {
            let mask = batch.rows_mask(dropout, site, width, rows);
            if let Some(mask) = &mask {
                multiply(values, mask);
            }
            mask
        };
        let k = self.project(K, &x, &self.key, all);
        let v = self.project(V, &x, &self.value, all);
        // What else is computed is for these rows alone.
        let x = match rows {
            Rows::All => x,
            Rows::First => at.first(&x, width),
        };
        let q = self.project(Q, &x, &self.query, some);
        let attention = Attention {
            heads: self.heads,
            width,
            queries: rows,
        };
        let mask = |input, queries| {
            let (dropout, site) = (&self.attention_dropout, DropoutSite::Attention(self.index));
            batch.attention_mask(dropout, site, input, [self.heads, queries])
        };
        let (attended, kept) = attention.forward([q, k, v], at, mask, keep);

        let mut h = self.project(M1, &attended, &self.attention_output, some);
        let site = DropoutSite::AttentionOutput(self.index);
        let attended_mask = drop(&self.attention_output_dropout, site, &mut h, width);
        add(&mut h, &x);
        let biases = self.row_biases(Ln1, width, some);
        let norm1 = layer_norm(&mut h, &gamma1, &biases, self.epsilon, keep);

        let mut wide = self.project(M2, &h, &self.intermediate, some);
        let slopes = match keep {
            true => gelu_with_slopes(&mut wide),
            false => {
                gelu(&mut wide);
                Vec::new()
            }
        };
        let site = DropoutSite::Wide(self.index);
        let wide_width = self.intermediate.dims()[1];
        let wide_mask = drop(&self.wide_dropout, site, &mut wide, wide_width);
        let mut y = self.project(M3, &wide, &self.output, some);
        let site = DropoutSite::Output(self.index);
        let output_mask = drop(&self.output_dropout, site, &mut y, width);
        add(&mut y, &h);
        let biases = self.row_biases(Ln2, width, some);
        let norm2 = layer_norm(&mut y, &gamma2, &biases, self.epsilon, keep);

        let record = match (kept, norm1, norm2) {
            (Some(attention), Some(norm1), Some(norm2)) => Some(LayerRecord {
                rows,
                attention,
                attended_mask,
                norm1,
                slopes,
                wide_mask,
                output_mask,
                norm2,
            }),
            _ => None,
        };
        (y, record)
    }

    /// Adds the gradients of this layer's biases, and with `below` gives that of its input, from that of its output.
    pub(crate) fn host_backward(
        &self,
        record: LayerRecord,
        gradient: Vec<f32>,
        at: &HostRows<'_>,
        below: bool,
        found: &mut Found,
    ) -> Option<Vec<f32>> {
        let (rows, width) = (record.rows, self.query.dims()[0]);
        let (all, some) = (at.index(Rows::All), at.index(rows));
        let [gamma1, gamma2] = self.gammas();
        let mut put = |term, rows: &[f32], width, index| {
            if self.learns(&[term]) {
                let biases = self.row_biases(term, width, index);
                found.push((self.biases.get(term).id, biases.gradient(rows)));
            }
        };
        let goes_on = |terms: &[BiasTerm]| below || self.learns(terms);
        let undrop = |gradient: &mut [f32], mask: &Option<Vec<f32>>| {
            if let Some(mask) = mask {
                multiply(gradient, mask);
            }
        };

        put(Ln2, &gradient, width, some);
        if !goes_on(&[M3, M2, Ln1, M1, V, Q, K]) {
            return None;
        }
        // Of what the second norm reads: the feed-forward block's output and, beside it, its input.
        let mut h = gradient;
        record.norm2.backward(&mut h, &gamma2);
        let mut narrow = h.clone();
        undrop(&mut narrow, &record.output_mask);
        put(M3, &narrow, width, some);
        if !goes_on(&[M2, Ln1, M1, V, Q, K]) {
            return None;
        }
        let mut wide = self.output.product_back(&narrow);
        undrop(&mut wide, &record.wide_mask);
        multiply(&mut wide, &record.slopes);
        put(M2, &wide, self.intermediate.dims()[1], some);
        if !goes_on(&[Ln1, M1, V, Q, K]) {
            return None;
        }
        self.intermediate.add_product_back(&mut h, &wide);
        put(Ln1, &h, width, some);
        if !goes_on(&[M1, V, Q, K]) {
            return None;
        }
        // Of what the first norm reads: attention's output and, beside it, the layer's input.
        record.norm1.backward(&mut h, &gamma1);
        let mut attended = h.clone();
        undrop(&mut attended, &record.attended_mask);
        put(M1, &attended, width, some);
        if !goes_on(&[V, Q, K]) {
            return None;
        }
        let attended = self.attention_output.product_back(&attended);
        let scores = goes_on(&[Q, K]);
        if !scores && !record.attention.drops() {
            // A query's weights add up to 1, so that a value's bias comes through attention as it is.
            put(V, &attended, width, some);
            return None;
        }
        let of = record.attention.backward(&attended, at, scores);
        put(V, &of.v, width, all);
        put(Q, &of.q, width, some);
        put(K, &of.k, width, all);
        if !below {
            return None;
        }
        let mut x = match rows {
            Rows::All => h,
            Rows::First => {
                let mut x = vec![0.0; of.k.len()];
                at.add_first(&mut x, &h, width);
                x
            }
        };
        self.key.add_product_back(&mut x, &of.k);
        self.value.add_product_back(&mut x, &of.v);
        match rows {
            Rows::All => self.query.add_product_back(&mut x, &of.q),
            Rows::First => at.add_first(&mut x, &self.query.product_back(&of.q), width),
        }
        Some(x)
    }
}
