use std::ops::Range;

use beft_core::{EncodedSet, TermSetError};
use beft_nn::{Batch, Padding, SequenceClassifier};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::{TrainConfig, unchanged_layers};

/// What the lowest layers make of every training example, computed once: training does not change
/// them, and without dropout below it is the same in every epoch.
pub(crate) struct Prefix {
    layers: usize,
    /// Rows of all examples, `[rows, hidden]`, without gradients.
    rows: Tensor<2>,
    /// Rows of each example.
    parts: Vec<Range<usize>>,
}

/// Examples computed at a time.
const BATCH: usize = 64;

/// More than this is computed anew in every epoch.
const MOST_BYTES: u64 = 4 << 30;

impl Prefix {
    /// `None` where there is nothing to be kept.
    pub(crate) fn of<M: SequenceClassifier>(
        model: &M,
        data: &EncodedSet,
        config: &TrainConfig,
    ) -> Result<Option<Self>, TermSetError> {
        let savings = config.savings;
        let layers = unchanged_layers(model, &config.mode, savings)?;
        let usable = savings.reuse && savings.padding == Padding::Packed && layers > 0;
        if !usable || model.drops_below(layers) || config.epochs < 2 {
            return Ok(None);
        }
        let only_first = layers == model.num_layers();
        let model = model.valid();
        let device = model.devices().first().cloned().unwrap_or_default();
        let tokens = match only_first {
            true => data.len(),
            false => data.encodings.iter().map(|e| e.len()).sum(),
        };
        let (mut chunks, mut parts, mut rows) = (Vec::new(), Vec::new(), 0);
        for encodings in data.encodings.chunks(BATCH) {
            let batch = Batch::new(encodings, savings, &device);
            let chunk = model.hidden(&batch, layers);
            if (tokens * chunk.dims()[1] * 4) as u64 > MOST_BYTES {
                return Ok(None);
            }
            let first = parts.len();
            parts.resize(first + encodings.len(), 0..0);
            for (index, length) in batch.order().iter().zip(batch.lengths()) {
                let count = if only_first { 1 } else { *length };
                parts[first + index] = rows..rows + count;
                rows += count;
            }
            chunks.push(chunk);
        }
        Ok(Some(Self {
            layers,
            rows: Tensor::cat(chunks, 0),
            parts,
        }))
    }

    /// Number of layers, from the embeddings up.
    pub(crate) fn layers(&self) -> usize {
        self.layers
    }

    /// Memory that the rows take.
    pub(crate) fn bytes(&self) -> u64 {
        let [rows, width] = self.rows.dims();
        (rows * width * 4) as u64
    }

    /// The rows of a batch of the examples `chosen`, on the device with gradients.
    pub(crate) fn states(&self, chosen: &[usize], batch: &Batch) -> Tensor<2> {
        let order = batch.order().iter();
        let rows = order.flat_map(|i| self.parts[chosen[*i]].clone());
        let rows: Vec<i64> = rows.map(|row| row as i64).collect();
        let device: Device = self.rows.device();
        let count = rows.len();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [count]), &device);
        Tensor::from_inner(self.rows.clone().select(0, rows))
    }
}
