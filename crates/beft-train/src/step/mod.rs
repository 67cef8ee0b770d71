//! One optimizer step: losses and gradients of a batch.

mod clip;
mod embedding_loss;
mod loss;
mod lower_layers;
mod recompute;

pub use clip::clip_global_norm;
pub use loss::batch_loss;

use beft_core::Encoding;
use beft_nn::{Batch, DeviceTraits, Savings, TaskModel, work_on};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};

pub(crate) use loss::Part;
pub(crate) use lower_layers::LowerLayers;

use crate::TrainError;
use crate::select::learns;
use crate::team::{Team, add_up};
use loss::{batch, loss_sums};
use recompute::{Recomputed, Tracked};

/// The examples of one step, and how they are computed.
pub(crate) struct Step<'a> {
    /// The examples of each training, equally many of each.
    pub(crate) parts: Vec<Part<'a>>,
    /// Each training's seed of dropout.
    pub(crate) seeds: Vec<u64>,
    pub(crate) savings: Savings,
    /// The number of examples of each training that are computed at a time at most; `None` for all.
    pub(crate) micro_batch: Option<usize>,
    /// Whether layers are computed anew in the backward pass.
    pub(crate) checkpointing: bool,
    /// What the unchanged layers make of the examples, where that is kept.
    pub(crate) lower: Option<&'a LowerLayers>,
}

fn device_of<M: TaskModel>(model: &M) -> Device {
    model.devices().first().cloned().unwrap_or_default()
}

/// Inputs of a step: by training, positions in its part.
type Share = Vec<Vec<usize>>;

/// Gradients of the sum of all trainings' mean losses, and the mean loss of each.
type Gradients = (GradientsParams, Vec<f64>);

impl Step<'_> {
    /// Computes forward and backward: each device and each process of the team those of its share of the inputs.
    /// `copies` are the model on the team's other devices.
    ///
    /// # Errors
    ///
    /// When what is kept of the unchanged layers cannot be read, or a process of the team cannot be reached.
    pub(crate) fn gradients<M: TaskModel>(
        &self,
        model: &M,
        copies: &[M],
        team: &Team,
    ) -> Result<Gradients, TrainError> {
        let all: Share = { self.parts.iter() }
            .map(|part| (0..part.chosen.len()).collect())
            .collect();
        let (count, mine) = team.shares();
        if count == 1 {
            return self.on_device(model, &all);
        }
        // A loss that compares all inputs of a step is one device's.
        let mut shares = match self.parts.iter().any(|part| part.is_whole()) {
            true => vec![all],
            false => self.deal(&all, count),
        };
        shares.resize(count, Share::new());
        let models = std::iter::once(model).chain(copies).zip(&shares[mine]);
        let mut models = models.filter(|(_, share)| share.iter().any(|part| !part.is_empty()));
        let first = models.next();
        let found = std::thread::scope(|scope| {
            let others = models.map(|(model, share)| {
                let model = model.clone();
                scope.spawn(move || self.on_device(&model, share))
            });
            let others: Vec<_> = others.collect();
            let first = first.map(|(model, share)| self.on_device(model, share));
            let others = others.into_iter().map(|other| match other.join() {
                Ok(found) => found,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            first
                .into_iter()
                .chain(others)
                .collect::<Result<Vec<_>, _>>()
        })?;
        let device = device_of(model).inner();
        let on_first =
            |(gradients, losses): Gradients| (gradients.to_device(&device, model), losses);
        let (gradients, mut losses) = add_up(model, found.into_iter().map(on_first));
        losses.resize(self.parts.len(), 0.0);
        team.sum(model, gradients, losses)
    }

    /// Computes forward and backward of some inputs. Where the backend's operations keep one core busy, each core does
    /// that for some of them; from packed layers for so many at a time that what is kept of them
    /// stays in its caches.
    fn on_device<M: TaskModel>(&self, model: &M, inputs: &Share) -> Result<Gradients, TrainError> {
        let device = device_of(model);
        // For what the device itself draws.
        device.clone().inner().seed(self.seeds[0]);
        let traits = DeviceTraits::of(&device);
        let threads = match self.savings.split_work {
            true => traits.workers(),
            false => 1,
        };
        let examples = inputs[0].len();
        let rounds = self
            .micro_batch
            .map_or(1, |most| examples.div_ceil(most.max(1)));
        let parts = match self.parts.iter().any(|part| part.is_whole()) {
            true => 1,
            // Other layers are faster with as many rows as there are.
            false if model.packed_paths().is_empty() => threads.max(rounds),
            false => self.pieces(inputs, traits).max(rounds),
        };
        let mut shares = self.deal(inputs, parts);
        if shares.len() == 1 {
            return self.of_share(model, &shares.remove(0), &device);
        }
        // A graph of its own for each.
        let shares = shares
            .into_iter()
            .map(|share| (model.clone().fork(&device), share))
            .collect();
        let found = work_on(threads, shares, |(model, share)| {
            self.of_share(&model, &share, &device)
        });
        let found: Vec<Gradients> = found.into_iter().collect::<Result<_, _>>()?;
        Ok(add_up(model, found))
    }

    /// In how many pieces a device computes it best: as many for each of its threads, and each of few enough rows.
    fn pieces(&self, inputs: &Share, traits: DeviceTraits) -> usize {
        if !self.savings.split_work {
            return 1;
        }
        let of_part = |(part, positions): (&Part<'_>, &Vec<usize>)| {
            let inputs = positions
                .iter()
                .flat_map(|at| part.data.inputs(part.chosen[*at]));
            inputs.map(Encoding::len).sum::<usize>()
        };
        let rows: usize = self.parts.iter().zip(inputs).map(of_part).sum();
        let pieces = rows.div_ceil(traits.rows_per_pass());
        pieces.next_multiple_of(traits.workers().max(1))
    }

    /// Deals inputs into at most `count` shares. Long and short ones are dealt out evenly, as many of each training.
    fn deal(&self, inputs: &Share, count: usize) -> Vec<Share> {
        let count = count.min(inputs[0].len()).max(1);
        let mut shares = vec![Share::new(); count];
        for (part, positions) in self.parts.iter().zip(inputs) {
            let mut order = positions.clone();
            let inputs = |at: &usize| part.data.inputs(part.chosen[*at]).iter();
            let length = |at: &usize| inputs(at).map(Encoding::len).sum::<usize>();
            order.sort_by_key(|at| std::cmp::Reverse(length(at)));
            let mut dealt = vec![Vec::new(); count];
            for (rank, at) in order.into_iter().enumerate() {
                let (round, turn) = (rank / count, rank % count);
                let to = if round % 2 == 0 {
                    turn
                } else {
                    count - 1 - turn
                };
                dealt[to].push(at);
            }
            for (share, mut positions) in shares.iter_mut().zip(dealt) {
                positions.sort_unstable();
                share.push(positions);
            }
        }
        shares
    }

    /// For each input of a share its number among those of its training.
    fn numbers(&self, share: &Share) -> Vec<usize> {
        let parts = self.parts.iter().zip(share);
        let of_part = |(part, positions): (&Part<'_>, &Vec<usize>)| {
            let views = part.data.views();
            let inputs = positions.iter();
            inputs
                .flat_map(|at| at * views..(at + 1) * views)
                .collect::<Vec<_>>()
        };
        parts.flat_map(of_part).collect()
    }

    /// The step of a model whose layers the host computes; `None` for another one.
    fn recorded<M: TaskModel>(
        &self,
        model: &M,
        parts: &[Part<'_>],
        batch: &Batch,
        mean_losses: impl Fn(Tensor<2>) -> Tensor<1>,
    ) -> Result<Option<Gradients>, TrainError> {
        if !model.records(batch) {
            return Ok(None);
        }
        let (hidden, layers) = match self.lower {
            Some(lower) => (lower.states(parts, batch)?, lower.layers()),
            None => (model.hidden(batch, 0), 0),
        };
        let embeddings = Tracked::of(model).embeddings;
        let Some(recorded) = model.record(batch, hidden.clone(), layers, embeddings) else {
            return Ok(None);
        };
        let leaf = Tensor::from_inner(recorded.states.clone()).require_grad();
        let losses = mean_losses(model.answer(batch, leaf.clone()));
        let mut gradients = GradientsParams::new();
        if learns(model) {
            let mut graph = losses.clone().sum().backward();
            let upper = leaf.grad_remove(&mut graph);
            gradients = GradientsParams::from_grads(graph, model);
            if let Some(upper) = upper {
                let mut found = recorded.backward(upper);
                if let Some(rows) = found.rows.take().filter(|_| embeddings) {
                    let graph = (hidden * Tensor::from_inner(rows)).sum().backward();
                    let more = GradientsParams::from_grads(graph, model);
                    let mut sum = GradientsAccumulator::new();
                    sum.accumulate(model, gradients);
                    sum.accumulate(model, more);
                    gradients = sum.grads();
                }
                let device = batch.layout.device().inner();
                for (id, values) in found.biases {
                    let len = values.len();
                    let values = Tensor::<1>::from_data(TensorData::new(values, [len]), &device);
                    gradients.register(id, values);
                }
            }
        }
        let losses = losses.into_data().iter::<f64>().collect();
        Ok(Some((gradients, losses)))
    }

    fn of_share<M: TaskModel>(
        &self,
        model: &M,
        share: &Share,
        device: &Device,
    ) -> Result<Gradients, TrainError> {
        let chosen: Vec<Vec<usize>> = self
            .parts
            .iter()
            .zip(share)
            .map(|(part, positions)| positions.iter().map(|at| part.chosen[*at]).collect())
            .collect();
        let parts: Vec<Part<'_>> = self
            .parts
            .iter()
            .zip(&chosen)
            .map(|(part, chosen)| Part {
                data: part.data,
                chosen,
            })
            .collect();
        let batch = batch(&parts, self.savings, device)
            .with_dropout_seeds(self.seeds.clone(), self.numbers(share));
        let weights: Vec<f32> = self.parts.iter().map(|part| 1.0 / part.weight()).collect();
        let mean_losses =
            |logits| loss_sums(logits, &parts) * Tensor::from_floats(weights.as_slice(), device);
        if let Some(found) = self.recorded(model, &parts, &batch, mean_losses)? {
            return Ok(found);
        }
        if self.checkpointing && learns(model) {
            let kept = match self.lower {
                Some(lower) => Some((lower.states(&parts, &batch)?.inner(), lower.layers())),
                None => None,
            };
            let recomputed = Recomputed {
                model,
                batch: &batch,
                seed: self.seeds[0],
            };
            let (gradients, losses) = recomputed.gradients(kept, mean_losses);
            return Ok((gradients, losses.into_data().iter::<f64>().collect()));
        }
        let logits = match self.lower {
            Some(lower) => {
                let states = lower.states(&parts, &batch)?;
                model.forward_from(&batch, states, lower.layers())
            }
            None => model.forward(&batch),
        };
        let losses = mean_losses(logits);
        let gradients = match learns(model) {
            true => GradientsParams::from_grads(losses.clone().sum().backward(), model),
            // The key biases of a decoder alone: there is no head, and their gradient is zero.
            false => GradientsParams::new(),
        };
        Ok((gradients, losses.into_data().iter::<f64>().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use beft_core::{EncodedSet, Targets};

    #[test]
    fn shares_are_even_in_number_and_length() {
        let lengths = [3, 40, 5, 6, 20, 4, 22];
        let data = EncodedSet {
            class_weights: Vec::new(),
            encodings: lengths
                .iter()
                .map(|len| Encoding {
                    ids: vec![1; *len],
                    type_ids: vec![0; *len],
                    ..Encoding::default()
                })
                .collect(),
            targets: Targets::Classes(vec![0; lengths.len()]),
        };
        let (all, some) = ([0, 1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1, 0]);
        let part = |chosen| Part {
            data: &data,
            chosen,
        };
        let step = Step {
            parts: vec![part(&all), part(&some)],
            seeds: vec![0, 1],
            savings: Savings::default(),
            micro_batch: None,
            checkpointing: false,
            lower: None,
        };
        // 40 | 22, 20 | 6, 5 | 4, 3: to the first, twice to the second, twice to the first, ...
        let expected = [vec![1, 2, 3], vec![0, 4, 5, 6]];
        let every: Share = vec![(0..7).collect(); 2];
        let shares = step.deal(&every, 2);
        assert_eq!((&shares[0][0], &shares[1][0]), (&expected[0], &expected[1]));
        assert_eq!((shares[0][1].len(), shares[1][1].len()), (3, 4));
        assert_eq!(
            step.deal(&every, 1),
            [[(0..7).collect::<Vec<_>>(), (0..7).collect()]]
        );
        assert_eq!(step.deal(&every, 100).len(), 7);
        // Shares of a share are still positions in the whole part.
        assert_eq!(step.deal(&shares[1], 2)[0][0], [0, 6]);
    }

    #[test]
    fn long_inputs_are_computed_in_pieces() {
        let data = EncodedSet {
            class_weights: Vec::new(),
            encodings: vec![
                Encoding {
                    ids: vec![1; 121],
                    type_ids: vec![0; 121],
                    ..Encoding::default()
                };
                16
            ],
            targets: Targets::Classes(vec![0; 16]),
        };
        let chosen: Vec<usize> = (0..16).collect();
        let part = || Part {
            data: &data,
            chosen: &chosen,
        };
        let step = |parts, savings| Step {
            parts,
            seeds: Vec::new(),
            savings,
            micro_batch: None,
            checkpointing: false,
            lower: None,
        };
        let traits = DeviceTraits::of(&Device::flex());
        for trainings in [1, 3] {
            let parts = || (0..trainings).map(|_| part()).collect();
            let every: Share = vec![(0..16).collect(); trainings];
            let pieces = step(parts(), Savings::default()).pieces(&every, traits);
            assert!(pieces.is_multiple_of(traits.workers()), "{pieces}");
            assert!(trainings * 16 * 121 <= pieces * traits.rows_per_pass());
            let whole = Savings::default().without("split-work").unwrap();
            assert_eq!(step(parts(), whole).pieces(&every, traits), 1);
        }
    }
}
