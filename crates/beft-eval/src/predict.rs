use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use beft_core::{Encoding, Stop};
use beft_nn::{Batch, DeviceTraits, Rows, Savings, TaskModel, work_on};
use burn::tensor::{Device, Tensor, TensorData};

/// Computes the numbers of the head for every input, in the order given; where the head reads all tokens, those of one
/// token after another.
///
/// Runs without gradients and without dropout. Inputs are batched by length, at most `batch_size`
/// at a time, so that batches hold little padding; the result does not depend on it. `on_done` hears
/// how many inputs each batch finished.
pub fn predict<M: TaskModel>(
    model: &M,
    encodings: &[Encoding],
    batch_size: usize,
    savings: impl Into<Savings>,
    on_done: impl FnMut(usize) + Send,
) -> Vec<Vec<f32>> {
    let (savings, stop) = (savings.into(), Stop::default());
    let whole = Part::WHOLE;
    let found = predict_part(model, encodings, batch_size, savings, whole, &stop, on_done);
    found.unwrap_or_else(|| unreachable!("nobody else has this wish"))
}

/// A part of the inputs that a process computes, of as many as there are processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The number of the process, from 0.
    pub number: usize,
    /// The number of processes.
    pub of: usize,
}

impl Part {
    /// All inputs.
    pub const WHOLE: Self = Self { number: 0, of: 1 };

    /// Its batches: equally many, of short and of long inputs.
    fn batches(self, lengths: &[usize], batch_size: usize, most: Passes) -> Vec<Vec<usize>> {
        let most = Passes {
            workers: most.workers * self.of,
            ..most
        };
        let batches = by_length(lengths, batch_size, most).into_iter();
        batches.skip(self.number).step_by(self.of.max(1)).collect()
    }
}

/// As [`predict`], for a part of the inputs; nothing for the others. `None` when it was to stop.
fn predict_part<M: TaskModel>(
    model: &M,
    encodings: &[Encoding],
    batch_size: usize,
    savings: Savings,
    part: Part,
    stop: &Stop,
    on_done: impl FnMut(usize) + Send,
) -> Option<Vec<Vec<f32>>> {
    let model = model.valid();
    let device = model.devices().first().cloned().unwrap_or_default();
    let rows = model.rows();
    let lengths = lengths(encodings);
    let most = Passes::on(&device, savings);
    let batches = part.batches(&lengths, batch_size, most);
    let batches = batches.into_iter().map(|chosen| (model.clone(), chosen));
    let on_done = Mutex::new(on_done);
    let work = |(model, chosen): (M, Vec<usize>)| {
        if stop.is_asked() {
            return None;
        }
        let batch = batch(encodings, &chosen, savings, &device);
        let scores = model.forward(&batch).into_data();
        (on_done.lock().unwrap_or_else(PoisonError::into_inner))(chosen.len());
        Some((chosen, scores))
    };
    let found = work_on(most.workers, batches.collect(), work);
    let mut logits = vec![Vec::new(); encodings.len()];
    for found in found {
        let (chosen, scores) = found?;
        put(&mut logits, &chosen, scores, &lengths, rows);
    }
    Some(logits)
}

/// Class scores of the same inputs again and again, while training leaves the lowest layers of the
/// model as they are: what those make of the inputs is computed the first time only.
#[derive(Debug)]
pub struct RepeatedPrediction<'a> {
    encodings: &'a [Encoding],
    batch_size: usize,
    savings: Savings,
    layers: usize,
    part: Part,
    batches: Vec<Kept>,
    kept_bytes: AtomicUsize,
}

#[derive(Debug)]
struct Kept {
    chosen: Vec<usize>,
    batch: Batch,
    hidden: Option<Tensor<2>>,
}

/// More is not kept, and computed anew.
const MOST_BYTES: usize = 256 << 20;

impl<'a> RepeatedPrediction<'a> {
    /// Predictions of `encodings` by a model whose lowest `layers` layers stay the same.
    pub fn new(
        encodings: &'a [Encoding],
        batch_size: usize,
        savings: impl Into<Savings>,
        layers: usize,
    ) -> Self {
        let savings = savings.into();
        Self {
            encodings,
            batch_size,
            savings,
            layers: if savings.reuse { layers } else { 0 },
            part: Part::WHOLE,
            batches: Vec::new(),
            kept_bytes: AtomicUsize::new(0),
        }
    }

    /// The same for a part of the inputs; it gives no numbers for the others.
    #[must_use]
    pub fn of_part(self, part: Part) -> Self {
        Self { part, ..self }
    }

    /// As [`predict`] gives them; `None` when somebody wishes it to `stop` first.
    pub fn predict<M: TaskModel>(&mut self, model: &M, stop: &Stop) -> Option<Vec<Vec<f32>>> {
        if self.layers == 0 {
            let (encodings, size) = (self.encodings, self.batch_size);
            return predict_part(
                model,
                encodings,
                size,
                self.savings,
                self.part,
                stop,
                |_| (),
            );
        }
        let model = model.valid();
        let device = model.devices().first().cloned().unwrap_or_default();
        let most = Passes::on(&device, self.savings);
        if self.batches.is_empty() {
            let lengths = lengths(self.encodings);
            let batches = self.part.batches(&lengths, self.batch_size, most);
            self.batches = batches
                .into_iter()
                .map(|chosen| Kept {
                    batch: batch(self.encodings, &chosen, self.savings, &device),
                    chosen,
                    hidden: None,
                })
                .collect();
        }
        let rows = model.rows();
        let (layers, kept_bytes) = (self.layers, &self.kept_bytes);
        let work = |(model, kept): (M, &mut Kept)| {
            if stop.is_asked() {
                return None;
            }
            let hidden = kept.hidden.clone().unwrap_or_else(|| {
                let hidden = model.hidden(&kept.batch, layers);
                let bytes = 4 * hidden.shape().num_elements();
                if kept_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= MOST_BYTES {
                    kept.hidden = Some(hidden.clone());
                } else {
                    kept_bytes.fetch_sub(bytes, Ordering::Relaxed);
                }
                hidden
            });
            let scores = model.forward_from(&kept.batch, hidden, layers);
            Some(scores.into_data())
        };
        let items = self.batches.iter_mut().map(|kept| (model.clone(), kept));
        let found = work_on(most.workers, items.collect(), work);
        let lengths = lengths(self.encodings);
        let mut logits = vec![Vec::new(); lengths.len()];
        for (kept, scores) in self.batches.iter().zip(found) {
            put(&mut logits, &kept.chosen, scores?, &lengths, rows);
        }
        Some(logits)
    }
}

/// What a device computes best at a time.
#[derive(Clone, Copy)]
pub(crate) struct Passes {
    /// Rows of a pass.
    rows: usize,
    /// Passes.
    pub(crate) workers: usize,
}

impl Passes {
    pub(crate) fn on(device: &Device, savings: Savings) -> Self {
        let traits = DeviceTraits::of(device);
        Self {
            rows: traits.rows_per_pass(),
            workers: match savings.split_work {
                true => traits.workers().max(1),
                false => 1,
            },
        }
    }
}

/// Numbers of the inputs, sorted by length, in batches of at most `batch_size` inputs, and of about as many rows each:
/// not more than the device computes best at a time, and so few that each of its workers has the same to do.
pub(crate) fn by_length(lengths: &[usize], batch_size: usize, most: Passes) -> Vec<Vec<usize>> {
    let all = lengths.iter().sum::<usize>().max(1);
    let passes = all.div_ceil(most.rows).next_multiple_of(most.workers);
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|index| lengths[*index]);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let (mut rows, mut pass) = (0, 0);
    for index in order {
        // An input is in the pass that its middle falls into.
        let own = (rows + lengths[index] / 2) * passes / all;
        match batches.last_mut() {
            Some(last) if last.len() < batch_size && own == pass => last.push(index),
            _ => batches.push(vec![index]),
        }
        pass = own;
        rows += lengths[index];
    }
    batches
}

fn batch(encodings: &[Encoding], chosen: &[usize], savings: Savings, device: &Device) -> Batch {
    Batch::new(chosen.iter().map(|i| &encodings[*i]), savings, device)
}

/// The number of tokens of each input.
fn lengths(encodings: &[Encoding]) -> Vec<usize> {
    encodings.iter().map(Encoding::len).collect()
}

/// Gives each of the inputs `chosen` its numbers: as many for each input, or for each token of it.
pub(crate) fn put(
    logits: &mut [Vec<f32>],
    chosen: &[usize],
    scores: TensorData,
    lengths: &[usize],
    rows: Rows,
) {
    let scores: Vec<f32> = scores.iter::<f32>().collect();
    let rows_of = |index: &usize| match rows {
        Rows::First => 1,
        Rows::All => lengths[*index],
    };
    let outputs = scores.len() / chosen.iter().map(rows_of).sum::<usize>().max(1);
    let mut rest = scores.as_slice();
    for index in chosen {
        let (own, others) = rest.split_at(outputs * rows_of(index));
        logits[*index] = own.to_vec();
        rest = others;
    }
}

/// The class with the highest score, the first of equals; 0 when there is none.
pub fn argmax(scores: &[f32]) -> usize {
    let mut best = 0;
    for (class, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = class;
        }
    }
    best
}

/// Probabilities in proportion to the exponentials of scores.
pub fn softmax(scores: &[f32]) -> Vec<f32> {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers = scores.iter().map(|s| f64::from(s - largest).exp());
    let powers: Vec<f64> = powers.collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|p| (p / sum) as f32).collect()
}

/// The probability of a label whose score this is.
pub fn sigmoid(score: f32) -> f32 {
    (1.0 / (1.0 + (-f64::from(score)).exp())) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_give_all_workers_the_same() {
        let rows = |lengths: &[usize], workers| -> Vec<usize> {
            let batches = by_length(lengths, 64, Passes { rows: 640, workers });
            let rows = batches.iter().map(|b| b.iter().map(|i| lengths[*i]).sum());
            rows.collect()
        };
        assert_eq!(rows(&[25; 31], 1), [400, 375]);
        assert_eq!(rows(&[25; 32], 2), [400, 400]);
        assert_eq!(rows(&[25; 60], 2), [375, 375, 375, 375]);
        assert_eq!(rows(&[25], 2), [25]);
        assert_eq!(rows(&[1, 1, 30], 2), [2, 30]);
        assert_eq!(rows(&[700, 700], 1), [700, 700]);
        // No more than 64 inputs.
        assert_eq!(rows(&[2; 100], 1), [128, 72]);
        assert!(rows(&[], 2).is_empty());
    }

    #[test]
    fn softmax_survives_large_scores() {
        assert_eq!(softmax(&[1000.0, 1000.0]), [0.5, 0.5]);
        assert_eq!(softmax(&[0.0, f32::NEG_INFINITY]), [1.0, 0.0]);
        let found = softmax(&[1.0, 2.0, 3.0]);
        // torch.softmax
        for (a, b) in found.iter().zip([0.090_030_57, 0.244_728_47, 0.665_240_94]) {
            assert!((a - b).abs() < 1e-7, "{found:?}");
        }
    }

    #[test]
    fn argmax_takes_the_first_of_equals() {
        assert_eq!(argmax(&[0.1, 0.5, 0.5]), 1);
        assert_eq!(argmax(&[-2.0, -3.0]), 0);
        assert_eq!(argmax(&[f32::NAN, 1.0]), 0);
    }
}
