use std::collections::BTreeMap;

use beft_core::{EncodedSet, Targets};
use beft_nn::{ParamPath, TaskModel};
use burn::optim::ModuleOptimizer;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::step::{Part, Step};
use crate::{Failure, GradMasks, Keep, Team, TrainConfig, TrainError, clip_global_norm};

/// Metric values by name.
pub type Metrics = BTreeMap<String, f64>;

/// The results of one epoch, a pass over the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Mean training loss over the epoch's examples (or predicted tokens), with dropout.
    pub train_loss: f64,
    /// Evaluation after the epoch; empty where there was none.
    pub metrics: Metrics,
}

/// Progress, as it happens.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Training begins.
    Started {
        /// Number of values that learn.
        trainable: usize,
        /// Number of values of the model.
        parameters: usize,
        /// Steps per epoch.
        steps: usize,
        /// Epochs.
        epochs: usize,
        /// Epochs that an earlier, interrupted training has done already.
        done: usize,
        /// Steps of the next epoch that it has done.
        steps_done: usize,
    },
    /// The outputs of the lowest layers are computed once and kept, because training does not change them and
    /// there is no dropout below.
    Keeping {
        /// Number of layers, from the embeddings up.
        layers: usize,
        /// What it takes.
        bytes: u64,
        /// Whether in a temporary file instead of in memory.
        in_file: bool,
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
    /// An epoch and its evaluation are done, and written to the checkpoint if there is one.
    Epoch(&'a EpochRecord),
}

/// The result of training.
#[derive(Debug)]
pub struct Trained<M> {
    /// The model. After a failure it is the model with the last finite loss.
    pub model: M,
    /// Paths of the parameters that learned.
    pub paths: Vec<ParamPath>,
    /// Number of values that learned.
    pub trainable: usize,
    /// One record per completed epoch.
    pub epochs: Vec<EpochRecord>,
    /// The epoch of this model, from 1.
    pub kept: usize,
    /// Whether the last evaluation was one more of this model, which an interrupted training had evaluated before.
    pub evaluated_again: bool,
    /// Set when training had to stop early.
    pub failure: Option<Failure>,
}

/// One step: forward with dropout, mean loss, backward, masks, global clipping, AdamW. Returns the
/// updated model and the loss before the update; `chosen` are indices into `data`, dropout draws
/// by `seed`.
pub fn training_step<M: TaskModel>(
    model: M,
    masks: &GradMasks,
    data: &EncodedSet,
    chosen: &[usize],
    config: &TrainConfig,
    seed: u64,
    optimizer: &mut ModuleOptimizer,
) -> (M, f64) {
    let step = Step {
        parts: vec![Part { data, chosen }],
        seeds: vec![seed],
        savings: config.settings.savings,
        micro_batch: config.settings.micro_batch,
        checkpointing: config.settings.checkpointing,
        lower: None,
    };
    let (gradients, losses) = step
        .gradients(&model, &[], &Team::default())
        .unwrap_or_else(|_| unreachable!("nothing is kept"));
    let gradients = masks.apply(gradients, &model);
    let gradients = clip_global_norm(gradients, &model, config.max_grad_norm, 1);
    let model = optimizer.step(config.settings.learning_rate, model, gradients);
    (model, losses[0])
}

pub(crate) fn check<M: TaskModel>(
    model: &M,
    data: &EncodedSet,
    config: &TrainConfig,
) -> Result<(), TrainError> {
    if config.settings.batch_size == 0 {
        return Err(TrainError::Config("the batch size must be at least 1"));
    }
    if !(config.settings.learning_rate.is_finite() && config.settings.learning_rate > 0.0) {
        return Err(TrainError::Config(
            "the learning rate must be positive and finite",
        ));
    }
    let settings = &config.settings;
    let compares = match (settings.keep, settings.patience) {
        (Keep::Best, _) => Some("keeping the best epoch"),
        (Keep::Last, Some(_)) => Some("patience"),
        (Keep::Last, None) => None,
    };
    let evaluated =
        { 1..=settings.epochs }.filter(|e| settings.evaluate.after(*e, settings.epochs));
    if let Some(what) = compares.filter(|_| evaluated.count() < 2) {
        return Err(TrainError::OneEvaluation(what));
    }
    let parts = config.settings.micro_batch;
    let ranked = matches!(data.targets, Targets::Ranked(_));
    if ranked && config.settings.batch_size < 2 {
        return Err(TrainError::Config(
            "each text is compared with all others of its batch: take a batch of 2 or more",
        ));
    }
    if ranked && parts.is_some_and(|size| size < config.settings.batch_size) {
        return Err(TrainError::Config(
            "each text is compared with all others of its batch, which is computed whole: take a smaller batch \
             instead of micro-batches",
        ));
    }
    check_data(model, data)
}

/// Whether the model can learn what the data say.
pub(crate) fn check_data<M: TaskModel>(model: &M, data: &EncodedSet) -> Result<(), TrainError> {
    if data.is_empty() {
        return Err(TrainError::NoData);
    }
    let classes = model.head().outputs().unwrap_or(0);
    let out_of_range = |index: usize, label: usize| TrainError::LabelOutOfRange {
        index,
        label,
        classes,
    };
    match &data.targets {
        Targets::Tokens(_) => Ok(()),
        Targets::Similarities(_) | Targets::Ranked(_) => match model.head().outputs() {
            None => Ok(()),
            Some(_) => Err(TrainError::Config(
                "texts that are compared need a model without a head",
            )),
        },
        Targets::Spans(spans) => {
            let spans = spans.iter().zip(&data.encodings).enumerate();
            let mut beyond = spans.filter(|(_, ((_, end), encoding))| *end >= encoding.len());
            match beyond.next() {
                Some((index, ((_, end), encoding))) => Err(TrainError::SpanOutOfRange {
                    index,
                    token: *end,
                    tokens: encoding.len(),
                }),
                None => Ok(()),
            }
        }
        Targets::Labels(sets) => {
            let labels = sets.iter().enumerate();
            let mut labels = labels.flat_map(|(index, set)| set.iter().map(move |l| (index, *l)));
            match labels.find(|(_, label)| *label >= classes) {
                Some((index, label)) => Err(out_of_range(index, label)),
                None => Ok(()),
            }
        }
        Targets::Tags(inputs) => {
            let tags = inputs.iter().enumerate();
            let mut tags =
                tags.flat_map(|(index, tags)| tags.iter().flatten().map(move |t| (index, *t)));
            match tags.find(|(_, tag)| *tag >= classes) {
                Some((index, tag)) => Err(out_of_range(index, tag)),
                None => Ok(()),
            }
        }
        Targets::Values(_) if classes == 1 => Ok(()),
        Targets::Values(_) => Err(TrainError::Config(
            "a regression task needs a model with one output",
        )),
        Targets::Classes(labels) => {
            let mut labels = labels.iter().copied().enumerate();
            match labels.find(|(_, label)| *label >= classes) {
                Some((index, label)) => Err(out_of_range(index, label)),
                None => Ok(()),
            }
        }
    }
}

/// The epoch with the highest value of a metric, the first of equals, from 1; an epoch without the
/// metric is worse than any other.
pub(crate) fn best_epoch(epochs: &[EpochRecord], metric: &str) -> usize {
    let value = |e: &EpochRecord| e.metrics.get(metric).copied().unwrap_or(f64::NEG_INFINITY);
    let mut best = 0;
    for (index, epoch) in epochs.iter().enumerate() {
        if value(epoch) > value(&epochs[best]) {
            best = index;
        }
    }
    best + 1
}

/// Whether no better epoch is waited for. Training ends with an epoch that was evaluated.
pub(crate) fn stops_early(epochs: &[EpochRecord], config: &TrainConfig) -> bool {
    let without_better = epochs.len() + 1 - best_epoch(epochs, &config.metric);
    let patience = config.settings.patience;
    let evaluated = epochs.last().is_some_and(|epoch| !epoch.metrics.is_empty());
    evaluated && patience.is_some_and(|patience| without_better > patience)
}

/// Returns the order of examples in an epoch. It depends only on seed and epoch, so any epoch can be
/// repeated.
pub fn epoch_order(len: usize, seed: u64, epoch: usize) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch as u64);
    let mut order: Vec<usize> = (0..len).collect();
    order.shuffle(&mut rng);
    order
}

/// The device's generator is seeded anew at every step, so that a step's dropout depends on its
/// place in the run only.
pub(crate) fn dropout_seed(seed: u64, epoch: usize, step: usize) -> u64 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0xD80F_0D80);
    rng.set_stream(epoch as u64);
    rng.set_word_pos(2 * step as u128);
    rng.next_u64()
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

    #[test]
    fn stopping_and_keeping() {
        let epochs = |values: &[f64]| -> Vec<EpochRecord> {
            let record = |(i, value): (usize, &f64)| EpochRecord {
                epoch: i + 1,
                train_loss: 0.0,
                metrics: [("accuracy".to_owned(), *value)].into(),
            };
            values.iter().enumerate().map(record).collect()
        };
        assert_eq!(best_epoch(&epochs(&[0.5, 0.7, 0.7, 0.6]), "accuracy"), 2);
        assert_eq!(best_epoch(&epochs(&[f64::NAN, 0.1]), "accuracy"), 1);
        let mut config = TrainConfig::new(beft_core::TermSet::all(), 1e-3, 9, 0);
        config.metric = "accuracy".to_owned();
        assert!(!stops_early(&epochs(&[0.5, 0.4, 0.3]), &config));
        config.settings.patience = Some(2);
        assert!(!stops_early(&epochs(&[]), &config));
        assert!(!stops_early(&epochs(&[0.5, 0.4]), &config));
        assert!(stops_early(&epochs(&[0.5, 0.4, 0.5]), &config));
        assert!(!stops_early(&epochs(&[0.5, 0.4, 0.6]), &config));
    }
}
