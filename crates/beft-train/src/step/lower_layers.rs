use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use beft_core::EncodedSet;
use beft_nn::{Batch, Padding, Rows, TaskModel};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::Part;
use crate::{TrainConfig, TrainError};

/// A cache of what the lowest layers make of every training example: training does not change them, and
/// without dropout below their output is the same in every epoch.
pub(crate) struct LowerLayers {
    layers: usize,
    rows: Storage,
    /// Rows of each example, by data set.
    sets: Vec<Vec<Range<usize>>>,
}

/// Where the rows of all examples are, `[rows, hidden]`, without gradients.
enum Storage {
    Memory(Tensor<2>),
    File {
        /// Has one position for reading, which the threads of a step take in turns.
        file: Mutex<File>,
        width: usize,
        device: Device,
    },
}

/// Examples computed at a time.
const BATCH: usize = 64;

impl LowerLayers {
    /// Computes what the lowest `layers` layers make of the data sets, each once, however often it is
    /// named; `None` where nothing is to be kept. `on_keep` hears how many bytes it will take, and
    /// whether in a file.
    ///
    /// # Errors
    ///
    /// When a file is needed and cannot be written.
    pub(crate) fn of<M: TaskModel>(
        model: &M,
        data: &[&EncodedSet],
        layers: usize,
        config: &TrainConfig,
        on_keep: impl FnOnce(u64, bool),
    ) -> Result<Option<Self>, TrainError> {
        let savings = config.settings.savings;
        let usable = savings.reuse && savings.padding == Padding::Packed && layers > 0;
        if !usable || config.settings.epochs < 2 || model.drops_below(layers) {
            return Ok(None);
        }
        Self::compute(model, data, layers, config, on_keep)
            .map(Some)
            .map_err(TrainError::Kept)
    }

    fn compute<M: TaskModel>(
        model: &M,
        data: &[&EncodedSet],
        layers: usize,
        config: &TrainConfig,
        on_keep: impl FnOnce(u64, bool),
    ) -> io::Result<Self> {
        let only_first = layers == model.num_layers() && model.rows() == Rows::First;
        let model = model.valid();
        let device = model.devices().first().cloned().unwrap_or_default();
        let rows_of = |tokens: usize| if only_first { 1 } else { tokens };
        // For each data set the first that is the same.
        let same = |set: &&EncodedSet| data.iter().position(|other| std::ptr::eq(*other, *set));
        let firsts: Vec<Option<usize>> = data.iter().map(same).collect();
        let distinct = |index: &usize| firsts[*index] == Some(*index);
        let examples = (0..data.len()).filter(distinct);
        let examples = examples.flat_map(|index| &data[index].encodings);
        let all_rows: usize = examples.map(|e| rows_of(e.len())).sum();

        let (mut chunks, mut file, mut rows) = (Vec::new(), None, 0);
        let mut on_keep = Some(on_keep);
        let mut width = 0;
        let mut sets: Vec<Vec<Range<usize>>> = Vec::new();
        for (set, first) in data.iter().zip(&firsts) {
            let index = sets.len();
            if let Some(computed) = first.and_then(|first| sets.get(first).cloned()) {
                sets.push(computed);
                continue;
            }
            sets.push(Vec::new());
            for encodings in set.encodings.chunks(BATCH) {
                let batch = Batch::new(encodings, config.settings.savings, &device);
                let chunk = model.hidden(&batch, layers);
                if let Some(on_keep) = on_keep.take() {
                    width = chunk.dims()[1];
                    let bytes = (all_rows * width * 4) as u64;
                    let in_file = bytes > config.settings.kept_memory;
                    on_keep(bytes, in_file);
                    file = in_file.then(tempfile::tempfile).transpose()?;
                }
                let parts = &mut sets[index];
                let first = parts.len();
                parts.resize(first + encodings.len(), 0..0);
                for (example, length) in batch.layout.order().iter().zip(batch.layout.lengths()) {
                    let count = rows_of(*length);
                    parts[first + example] = rows..rows + count;
                    rows += count;
                }
                match &mut file {
                    None => chunks.push(chunk),
                    Some(file) => {
                        let chunk = chunk.into_data();
                        let bytes: Vec<u8> = chunk.iter().flat_map(f32::to_le_bytes).collect();
                        file.write_all(&bytes)?;
                    }
                }
            }
        }
        let rows = match file {
            None => Storage::Memory(Tensor::cat(chunks, 0)),
            Some(file) => Storage::File {
                file: Mutex::new(file),
                width,
                device,
            },
        };
        Ok(Self { layers, rows, sets })
    }

    /// Number of layers, from the embeddings up.
    pub(crate) fn layers(&self) -> usize {
        self.layers
    }

    /// Gives the rows of a batch of examples, on the device with gradients; part number `i` is of data set
    /// number `i`.
    ///
    /// # Errors
    ///
    /// When their file cannot be read.
    pub(crate) fn states(
        &self,
        parts: &[Part<'_>],
        batch: &Batch,
    ) -> Result<Tensor<2>, TrainError> {
        let views = parts[0].data.views();
        let each = parts[0].chosen.len() * views;
        let ranges = batch.layout.order().iter().map(|input| {
            let (set, index) = (input / each, input % each);
            let example = parts[set].chosen[index / views];
            self.sets[set][example * views + index % views].clone()
        });
        let states = match &self.rows {
            Storage::Memory(rows) => {
                let numbers: Vec<i64> = ranges.flatten().map(|row| row as i64).collect();
                let count = numbers.len();
                let numbers = TensorData::new(numbers, [count]);
                let numbers = Tensor::<1, Int>::from_data(numbers, &rows.device());
                rows.clone().select(0, numbers)
            }
            Storage::File {
                file,
                width,
                device,
            } => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                let values = read_rows(&mut file, ranges, *width).map_err(TrainError::Kept)?;
                let shape = [values.len() / width, *width];
                Tensor::from_data(TensorData::new(values, shape), device)
            }
        };
        let device = batch.layout.device().inner();
        Ok(Tensor::from_inner(states.to_device(&device)))
    }
}

fn read_rows(
    file: &mut File,
    ranges: impl Iterator<Item = Range<usize>>,
    width: usize,
) -> io::Result<Vec<f32>> {
    let (mut values, mut bytes) = (Vec::new(), Vec::new());
    for range in ranges {
        file.seek(SeekFrom::Start((range.start * width * 4) as u64))?;
        bytes.resize(range.len() * width * 4, 0);
        file.read_exact(&mut bytes)?;
        let floats = bytes.as_chunks::<4>().0.iter();
        values.extend(floats.map(|b| f32::from_le_bytes(*b)));
    }
    Ok(values)
}
