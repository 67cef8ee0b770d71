use burn::nn::Dropout;
use burn::tensor::{DType, Device, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::group::Group;
use super::layout::{BatchLayout, Rows};
use crate::DeviceTraits;

/// A place in a model where values are dropped; each draws its own masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropoutSite {
    /// Behind the embeddings.
    Embeddings,
    /// Attention weights of a layer.
    Attention(usize),
    /// Behind a layer's attention output projection.
    AttentionOutput(usize),
    /// Behind a layer's second feed-forward projection.
    Output(usize),
    /// Before a layer's second feed-forward projection (ModernBERT).
    Wide(usize),
    /// The table of distances of a layer (DeBERTa).
    Distances(usize),
    /// Before the head's dense layer (RoBERTa).
    HeadInput,
    /// Before the head's last layer.
    Head,
}

impl DropoutSite {
    fn number(self) -> u64 {
        match self {
            DropoutSite::Embeddings => 0,
            DropoutSite::HeadInput => 1,
            DropoutSite::Head => 2,
            DropoutSite::Attention(layer) => 3 + 3 * layer as u64,
            DropoutSite::AttentionOutput(layer) => 4 + 3 * layer as u64,
            DropoutSite::Output(layer) => 5 + 3 * layer as u64,
            // Behind those of any number of layers.
            DropoutSite::Wide(layer) => (1 << 31) + 2 * layer as u64,
            DropoutSite::Distances(layer) => (1 << 31) + 2 * layer as u64 + 1,
        }
    }
}

/// What dropout draws the masks of a batch's activations by.
///
/// With seeds, on a device in host memory, an input's masks depend on its seed, the site and the input's
/// number only: not on the backend, on padding, on which rows are computed, or on what else is in the
/// batch. Elsewhere, and without seeds, burn's own generator of the device draws them.
#[derive(Clone, Debug, Default)]
pub struct DropoutMasks {
    /// For each input, in input order, a seed and a number; empty where the device draws.
    seeds: Vec<(u64, usize)>,
}

impl DropoutMasks {
    /// Gives each seed to as many inputs, the first to the first in input order.
    pub(super) fn new(seeds: &[u64], numbers: &[usize]) -> Self {
        let each = numbers.chunks(numbers.len() / seeds.len());
        let of_seed = |(seed, numbers): (&u64, &[usize])| {
            let seed = *seed;
            numbers
                .iter()
                .map(move |number| (seed, *number))
                .collect::<Vec<_>>()
        };
        Self {
            seeds: seeds.iter().zip(each).flat_map(of_seed).collect(),
        }
    }

    /// Drops values of rows `[rows, width]`.
    pub(super) fn drop_rows(
        &self,
        layout: &BatchLayout,
        dropout: &Dropout,
        site: DropoutSite,
        x: Tensor<2>,
        rows: Rows,
    ) -> Tensor<2> {
        let Some(draw) = self.draw(dropout, site, &x.device()) else {
            return dropout.forward(x);
        };
        let shape @ [count, width] = x.dims();
        let mask = self.rows_mask(layout, &draw, count * width, width, rows);
        let dtype = x.dtype();
        x * mask_tensor(mask, shape, dtype, &draw.device)
    }

    /// What the values of rows are multiplied by, `[rows, width]`; `None` where none is dropped.
    ///
    /// # Panics
    ///
    /// If it is the device that draws.
    pub(super) fn host_rows_mask(
        &self,
        layout: &BatchLayout,
        dropout: &Dropout,
        site: DropoutSite,
        width: usize,
        rows: Rows,
    ) -> Option<Vec<f32>> {
        let draw = self.host_draw(dropout, site, &layout.device())?;
        let count = match rows {
            Rows::All => layout.rows(),
            Rows::First => layout.batch_size(),
        };
        Some(self.rows_mask(layout, &draw, count * width, width, rows))
    }

    fn rows_mask(
        &self,
        layout: &BatchLayout,
        draw: &Draw,
        len: usize,
        width: usize,
        rows: Rows,
    ) -> Vec<f32> {
        let mut mask = vec![1.0_f32; len];
        let mut parts = Vec::with_capacity(layout.batch_size());
        let mut rest = mask.as_mut_slice();
        for group in layout.groups() {
            for input in group.inputs() {
                let length = layout.lengths()[input];
                let (real, all) = match rows {
                    Rows::All => (length, group.rows_of(length)),
                    Rows::First => (1, 1),
                };
                let (part, behind) = std::mem::take(&mut rest).split_at_mut(all * width);
                parts.push((layout.order()[input], &mut part[..real * width]));
                rest = behind;
            }
        }
        parts
            .into_par_iter()
            .for_each(|(input, part)| draw.fill(part, &mut draw.rng(self.seeds[input])));
        mask
    }

    /// Drops attention weights of a group `[inputs, heads, queries, length]`, those of all queries
    /// or of the first token alone.
    pub(super) fn drop_attention(
        &self,
        layout: &BatchLayout,
        dropout: &Dropout,
        site: DropoutSite,
        weights: Tensor<4>,
        group: &Group,
    ) -> Tensor<4> {
        let Some(draw) = self.draw(dropout, site, &weights.device()) else {
            return dropout.forward(weights);
        };
        let shape @ [inputs, heads, queries, keys] = weights.dims();
        let mut mask = vec![1.0_f32; inputs * heads * queries * keys];
        mask.par_chunks_mut(heads * queries * keys)
            .zip(group.inputs().into_par_iter())
            .for_each(|(mask, input)| {
                // What is in front of every input (a prefix) has columns too.
                let length = keys - group.length() + layout.lengths()[input];
                let own = queries.min(layout.lengths()[input]);
                let seed = self.seeds[layout.order()[input]];
                draw.fill_weights(mask, seed, [heads, queries, keys], [own, length]);
            });
        let dtype = weights.dtype();
        weights * mask_tensor(mask, shape, dtype, &draw.device)
    }

    /// What an input's attention weights are multiplied by, `[heads, queries, tokens]`, where the input's number is that in
    /// batch order; `None` where none is dropped.
    ///
    /// # Panics
    ///
    /// If it is the device that draws.
    pub(super) fn host_attention_mask(
        &self,
        layout: &BatchLayout,
        dropout: &Dropout,
        site: DropoutSite,
        input: usize,
        [heads, queries]: [usize; 2],
    ) -> Option<Vec<f32>> {
        let draw = self.host_draw(dropout, site, &layout.device())?;
        let tokens = layout.lengths()[input];
        let mut mask = vec![0.0_f32; heads * queries * tokens];
        let seed = self.seeds[layout.order()[input]];
        let shape = [heads, queries, tokens];
        draw.fill_weights(&mut mask, seed, shape, [queries, tokens]);
        Some(mask)
    }

    /// Drops values of a table that all inputs read, `[stacked * rows, width]`: for each of the stacked biases by its
    /// seed, whatever inputs are in the batch.
    pub(super) fn drop_table(
        &self,
        stacked: usize,
        dropout: &Dropout,
        site: DropoutSite,
        table: Tensor<2>,
    ) -> Tensor<2> {
        let Some(draw) = self.draw(dropout, site, &table.device()) else {
            return dropout.forward(table);
        };
        let [count, width] = table.dims();
        let mut mask = vec![1.0_f32; count * width];
        let each = self.seeds.len() / stacked;
        mask.par_chunks_mut((count / stacked * width).max(1))
            .zip(self.seeds.par_iter().step_by(each.max(1)))
            .for_each(|(mask, (seed, _))| draw.fill(mask, &mut draw.rng((*seed, 0))));
        let dtype = table.dtype();
        table * mask_tensor(mask, [count, width], dtype, &draw.device)
    }

    /// How masks are drawn in host memory; `None` where nothing is dropped.
    fn host_draw(&self, dropout: &Dropout, site: DropoutSite, device: &Device) -> Option<Draw> {
        let draw = self.draw(dropout, site, device);
        assert!(
            draw.is_some() || !active(dropout, device),
            "dropout by the device in a pass on the host"
        );
        draw
    }

    fn draw(&self, dropout: &Dropout, site: DropoutSite, device: &Device) -> Option<Draw> {
        let drawn = active(dropout, device) && !self.seeds.is_empty();
        if !drawn || !DeviceTraits::of(device).host_memory {
            return None;
        }
        let keep = 1.0 - dropout.prob;
        Some(Draw {
            site: site.number(),
            keep: (keep * 2.0_f64.powi(32)) as u32,
            scale: if keep > 0.0 { (1.0 / keep) as f32 } else { 0.0 },
            device: device.clone(),
        })
    }
}

/// Whether values are dropped: in training alone.
fn active(dropout: &Dropout, device: &Device) -> bool {
    dropout.training.is_enabled() && device.is_autodiff() && dropout.prob > 0.0
}

/// How the masks of one site are drawn.
struct Draw {
    site: u64,
    /// Values of 32 random bits below this are kept.
    keep: u32,
    scale: f32,
    device: Device,
}

impl Draw {
    /// The generator of an input with this seed and number.
    fn rng(&self, (seed, number): (u64, usize)) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream((self.site << 32) | number as u64);
        rng
    }

    /// Fills the part `[heads, queries, tokens]` of a mask of an input's attention weights that is real.
    fn fill_weights(
        &self,
        mask: &mut [f32],
        seed: (u64, usize),
        [heads, queries, keys]: [usize; 3],
        [own, tokens]: [usize; 2],
    ) {
        let mut rng = self.rng(seed);
        // Query by query, so that the first query's values come first.
        for query in 0..own {
            for head in 0..heads {
                let start = (head * queries + query) * keys;
                self.fill(&mut mask[start..start + tokens], &mut rng);
            }
        }
    }

    fn fill(&self, mask: &mut [f32], rng: &mut ChaCha8Rng) {
        let mut bytes = [0_u8; 1024];
        for chunk in mask.chunks_mut(bytes.len() / 4) {
            let bytes = &mut bytes[..4 * chunk.len()];
            rng.fill_bytes(bytes);
            for (value, word) in chunk.iter_mut().zip(bytes.as_chunks::<4>().0) {
                let kept = u32::from_le_bytes(*word) < self.keep;
                *value = if kept { self.scale } else { 0.0 };
            }
        }
    }
}

fn mask_tensor<const D: usize>(
    mask: Vec<f32>,
    shape: [usize; D],
    dtype: DType,
    device: &Device,
) -> Tensor<D> {
    let mask = Tensor::<D>::from_data(TensorData::new(mask, shape), device);
    if mask.dtype() == dtype {
        mask
    } else {
        mask.cast(burn::tensor::FloatDType::from(dtype))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, Padding};
    use beft_core::Encoding;
    use burn::module::Module;
    use burn::nn::DropoutConfig;

    fn batch(lengths: &[usize], padding: Padding, seed: u64) -> Batch {
        let encodings: Vec<Encoding> = lengths
            .iter()
            .map(|length| Encoding {
                ids: vec![1; *length],
                type_ids: vec![0; *length],
                ..Encoding::default()
            })
            .collect();
        let device = Device::flex().autodiff();
        Batch::new(&encodings, padding, &device)
            .with_dropout_seeds(vec![seed], (0..lengths.len()).collect())
    }

    fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().iter().collect()
    }

    #[test]
    fn masks_do_not_depend_on_padding_grouping_or_on_the_rows_computed() {
        let dropout = DropoutConfig::new(0.25).init().train();
        let device = Device::flex().autodiff();
        let rows = |batch: &Batch, site| {
            let ones = Tensor::<2>::ones([batch.layout.rows(), 300], &device);
            batch.drop_rows(&dropout, site, ones, Rows::All)
        };
        // Two groups, and the longer input comes second.
        let packed = batch(&[9, 3], Padding::Packed, 7);
        let padded = batch(&[9, 3], Padding::To(10), 7);
        assert_eq!(
            (packed.layout.order(), packed.layout.groups().len()),
            ([1, 0].as_slice(), 2)
        );
        let site = DropoutSite::Output(1);
        let all = rows(&packed, site);
        let grid = rows(&padded, site).reshape([2, 10, 300]);
        assert_eq!(
            values(all.clone().narrow(0, 3, 9)),
            values(grid.clone().narrow(0, 0, 1).narrow(1, 0, 9))
        );
        assert_eq!(
            values(all.clone().narrow(0, 0, 3)),
            values(grid.narrow(0, 1, 1).narrow(1, 0, 3))
        );
        let ones = Tensor::<2>::ones([2, 300], &device);
        let first = packed.drop_rows(&dropout, site, ones, Rows::First);
        assert_eq!(
            values(first),
            values(packed.layout.first_tokens(all.clone()))
        );

        let weights = |batch: &Batch, group: usize, queries, keys| {
            let group = &batch.layout.groups()[group];
            let ones = Tensor::<4>::ones([group.batch_size(), 2, queries, keys], &device);
            batch.drop_attention(&dropout, DropoutSite::Attention(0), ones, group)
        };
        let (longer, wide) = (weights(&packed, 1, 9, 9), weights(&padded, 0, 10, 10));
        assert_eq!(
            values(longer.clone()),
            values(wide.narrow(0, 0, 1).narrow(2, 0, 9).narrow(3, 0, 9))
        );
        let one = weights(&packed, 1, 1, 9);
        assert_eq!(values(one), values(longer.narrow(2, 0, 1)));

        // Other sites, inputs and seeds draw other masks; the same ones the same again.
        assert_ne!(
            values(all.clone()),
            values(rows(&packed, DropoutSite::Output(0)))
        );
        assert_ne!(
            values(all.clone()),
            values(rows(&batch(&[9, 3], Padding::Packed, 8), site))
        );
        assert_eq!(values(all), values(rows(&packed, site)));
    }

    #[test]
    fn the_right_share_is_dropped_and_the_mean_stays() {
        let dropout = DropoutConfig::new(0.1).init().train();
        let batch = batch(&[40, 60], Padding::Packed, 1);
        let ones = Tensor::<2>::ones([100, 1000], &Device::flex().autodiff());
        let mask = values(batch.drop_rows(&dropout, DropoutSite::Embeddings, ones, Rows::All));
        let dropped = mask.iter().filter(|x| **x == 0.0).count() as f64 / 1e5;
        assert!((dropped - 0.1).abs() < 0.004, "{dropped}");
        assert!(mask.iter().all(|x| *x == 0.0 || *x == 1.0 / 0.9_f32));
    }
}
