use std::collections::BTreeMap;

use beft_core::EncodedSet;
use beft_nn::{Batch, SequenceClassifier, read_params};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{TrainConfig, TrainError, clip_global_norm, trainable_count, with_trainable};

/// Metric values by name.
pub type Metrics = BTreeMap<String, f64>;

/// What one pass over the data gave.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochRecord {
    /// From 1.
    pub epoch: usize,
    /// Mean training loss over the epoch's examples, dropout on.
    pub train_loss: f64,
    /// Evaluation after the epoch.
    pub metrics: Metrics,
}

/// Progress, as it happens.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Training begins.
    Started {
        /// Number of values that learn.
        trainable: usize,
        /// Steps per epoch.
        steps: usize,
        /// Epochs.
        epochs: usize,
    },
    /// One optimizer step was taken.
    Step {
        /// Epoch, from 1.
        epoch: usize,
        /// Step within the epoch, from 1.
        step: usize,
        /// Loss of its batch.
        loss: f64,
    },
    /// An epoch and its evaluation are done.
    Epoch(&'a EpochRecord),
}

/// Training that had to stop: the loss, or a trained value, was no longer finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the training loss is not finite at step {step} of epoch {epoch}: {}", advice(*.epoch, *.step))]
pub struct Failure {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Step within the epoch, from 1.
    pub step: usize,
}

fn advice(epoch: usize, step: usize) -> &'static str {
    if (epoch, step) == (1, 1) {
        "nothing was trained yet, so the model's weights or config are damaged"
    } else {
        "lower the learning rate"
    }
}

/// The result of training.
#[derive(Debug)]
pub struct Trained<M> {
    /// The model; after a failure, as it was at its last finite loss.
    pub model: M,
    /// Number of values that learned.
    pub trainable: usize,
    /// One record per completed epoch.
    pub epochs: Vec<EpochRecord>,
    /// Set when training had to stop early.
    pub failure: Option<Failure>,
}

/// Trains the biases of `config.terms` and the head.
///
/// `evaluate` is called after each epoch with the model; `on_event` hears of every step. A loss
/// that is not finite ends training with [`Trained::failure`] set and the last good model.
///
/// # Errors
///
/// Before anything is computed: a term set that does not fit, no data, a label out of range, or
/// a setting out of range. Errors of `evaluate` are passed on.
pub fn train<M: SequenceClassifier, E: From<TrainError>>(
    model: M,
    data: &EncodedSet,
    config: &TrainConfig,
    mut evaluate: impl FnMut(&M) -> Result<Metrics, E>,
    mut on_event: impl FnMut(Event<'_>),
) -> Result<Trained<M>, E> {
    check(&model, data, config)?;
    let trainable = trainable_count(&model, &config.terms).map_err(TrainError::from)?;
    let mut model = with_trainable(model, &config.terms).map_err(TrainError::from)?;
    let mut optimizer = config.optimizer();
    let device = model.devices().first().cloned().unwrap_or_default().inner();
    let steps = data.len().div_ceil(config.batch_size);
    on_event(Event::Started {
        trainable,
        steps,
        epochs: config.epochs,
    });

    let mut epochs = Vec::new();
    let mut good = model.clone();
    for epoch in 1..=config.epochs {
        let order = epoch_order(data.len(), config.seed, epoch);
        let mut total = 0.0;
        for (index, chosen) in order.chunks(config.batch_size).enumerate() {
            let step = index + 1;
            device.seed(dropout_seed(config.seed, epoch, step));
            let before = model.clone();
            let (next, loss) = training_step(model, data, chosen, config, &mut optimizer, &device);
            if !loss.is_finite() {
                let failure = Some(Failure { epoch, step });
                return Ok(Trained {
                    model: good,
                    trainable,
                    epochs,
                    failure,
                });
            }
            good = before;
            model = next;
            total += loss * chosen.len() as f64;
            on_event(Event::Step { epoch, step, loss });
        }
        if !values_are_finite(&model, config) {
            let failure = Some(Failure { epoch, step: steps });
            return Ok(Trained {
                model: good,
                trainable,
                epochs,
                failure,
            });
        }
        let record = EpochRecord {
            epoch,
            train_loss: total / data.len() as f64,
            metrics: evaluate(&model)?,
        };
        on_event(Event::Epoch(&record));
        epochs.push(record);
    }
    Ok(Trained {
        model,
        trainable,
        epochs,
        failure: None,
    })
}

/// One step: forward with dropout, mean cross entropy, backward, global clipping, AdamW. Returns
/// the updated model and the loss before the update; `chosen` are indices into `data`.
pub fn training_step<M: SequenceClassifier>(
    model: M,
    data: &EncodedSet,
    chosen: &[usize],
    config: &TrainConfig,
    optimizer: &mut ModuleOptimizer,
    device: &Device,
) -> (M, f64) {
    let batch = Batch::new(
        chosen.iter().map(|i| &data.encodings[*i]),
        config.padding,
        device,
    );
    let labels: Vec<i64> = chosen.iter().map(|i| data.labels[*i] as i64).collect();
    let targets = Tensor::<1, Int>::from_data(TensorData::new(labels, [chosen.len()]), device);
    let logits = model.forward(&batch);
    let loss = CrossEntropyLossConfig::new()
        .init(device)
        .forward(logits, targets);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    let value = loss.into_scalar::<f32>();
    let grads = clip_global_norm(grads, &model, config.max_grad_norm);
    (
        optimizer.step(config.learning_rate, model, grads),
        f64::from(value),
    )
}

fn check<M: SequenceClassifier>(
    model: &M,
    data: &EncodedSet,
    config: &TrainConfig,
) -> Result<(), TrainError> {
    if data.is_empty() {
        return Err(TrainError::NoData);
    }
    if config.batch_size == 0 {
        return Err(TrainError::Config("the batch size must be at least 1"));
    }
    if !(config.learning_rate.is_finite() && config.learning_rate > 0.0) {
        return Err(TrainError::Config(
            "the learning rate must be positive and finite",
        ));
    }
    let classes = model.num_classes();
    match data
        .labels
        .iter()
        .enumerate()
        .find(|(_, label)| **label >= classes)
    {
        Some((index, &label)) => Err(TrainError::LabelOutOfRange {
            index,
            label,
            classes,
        }),
        None => Ok(()),
    }
}

/// The order of examples in an epoch: by seed and epoch alone, so that any epoch can be redone.
fn epoch_order(len: usize, seed: u64, epoch: usize) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch as u64);
    let mut order: Vec<usize> = (0..len).collect();
    order.shuffle(&mut rng);
    order
}

/// The device's generator is seeded anew at every step, so that a step's dropout depends on its
/// place in the run only.
fn dropout_seed(seed: u64, epoch: usize, step: usize) -> u64 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0xD80F_0D80);
    rng.set_stream(epoch as u64);
    rng.set_word_pos(2 * step as u128);
    rng.next_u64()
}

fn values_are_finite<M: SequenceClassifier>(model: &M, config: &TrainConfig) -> bool {
    let paths = model.trainable_paths(&config.terms).unwrap_or_default();
    read_params(model, |path| paths.iter().any(|p| p == path))
        .values()
        .all(|data| data.values.iter().all(|x| x.is_finite()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_permutations_that_differ_by_epoch_and_seed() {
        let order = epoch_order(100, 7, 1);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..100));
        assert_eq!(order, epoch_order(100, 7, 1));
        assert_ne!(order, epoch_order(100, 7, 2));
        assert_ne!(order, epoch_order(100, 8, 1));
    }

    #[test]
    fn every_step_has_its_own_dropout() {
        let seeds: std::collections::BTreeSet<u64> = (1..=16)
            .flat_map(|epoch| (1..=63).map(move |step| dropout_seed(0, epoch, step)))
            .collect();
        assert_eq!(seeds.len(), 16 * 63);
    }
}
