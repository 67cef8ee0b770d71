//! Prediction under several adapters, which share one frozen backbone.

use std::collections::BTreeMap;
use std::sync::Arc;

use beft_core::{Encoding, Head};
use beft_nn::{
    Batch, BiasSet, Padding, ParamPath, Rows, Savings, TaskModel, stack_biases, work_on,
};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::predict::{Passes, by_length, put};

/// A model that shares its backbone with others: it differs from the base in biases and in its head alone.
#[derive(Clone, Debug)]
pub struct Sharing<M> {
    base: Arc<M>,
    model: Arc<M>,
    biases: Arc<BiasSet>,
    layers: usize,
}

impl<M: TaskModel> Sharing<M> {
    /// A model, with the base that has a head of the same kind, and the biases outside the head that differ from the
    /// base's. Neither records gradients.
    pub fn new(base: Arc<M>, model: Arc<M>, biases: BiasSet) -> Self {
        // A bias outside the layers is in the embeddings, or behind the last layer.
        let layout = base.bias_layout();
        let lowest = |path: &ParamPath| match path.layer() {
            Some(layer) => layer,
            None if layout.outer(path).is_some() && !layout.above_layers(path) => 0,
            None => base.num_layers(),
        };
        Self {
            layers: biases.keys().map(lowest).min().unwrap_or(base.num_layers()),
            base,
            model,
            biases: Arc::new(biases),
        }
    }

    /// The model itself.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// The biases that it has of its own, outside the head.
    pub fn biases(&self) -> &Arc<BiasSet> {
        &self.biases
    }

    /// How many layers, from the embeddings up, are the base's.
    pub fn unchanged_layers(&self) -> usize {
        self.layers
    }
}

/// An input, and which of several models it is for.
#[derive(Clone, Copy, Debug)]
pub struct SharedInput<'a> {
    /// The input.
    pub encoding: &'a Encoding,
    /// The index of its model.
    pub model: usize,
}

/// Computes the numbers of its own model's head for every input, as [`predict`](crate::predict()) does for one model.
///
/// Inputs of all models whose heads read the same of the backbone are computed together, each row with the biases of its
/// model. Where several models are asked about one input, the layers that none of them has changed are computed once.
pub fn predict_shared<M: TaskModel + Sync>(
    models: &[&Sharing<M>],
    inputs: &[SharedInput<'_>],
    batch_size: usize,
    savings: impl Into<Savings>,
) -> Vec<Vec<f32>> {
    let savings = savings.into();
    let mut found = vec![Vec::new(); inputs.len()];
    let mut kinds: Vec<(Kind, Vec<usize>)> = Vec::new();
    for (index, input) in inputs.iter().enumerate() {
        let kind = Kind::of(&*models[input.model].base);
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, members)) => members.push(index),
            None => kinds.push((kind, vec![index])),
        }
    }
    for (_, mut members) in kinds {
        // The same input under several models comes into one batch.
        members.sort_by_key(|index| &inputs[*index].encoding.ids);
        let lengths: Vec<usize> = members.iter().map(|i| inputs[*i].encoding.len()).collect();
        let device = device_of(&*models[inputs[members[0]].model].base);
        let most = Passes::on(&device, savings);
        let batches = by_length(&lengths, batch_size, most);
        let work = |chosen: Vec<usize>| {
            let own: Vec<SharedInput<'_>> = chosen.iter().map(|i| inputs[members[*i]]).collect();
            let numbers = Pass::new(models, &own, savings, &device).run();
            (chosen, numbers)
        };
        for (chosen, numbers) in work_on(most.workers, batches, work) {
            for (index, numbers) in chosen.into_iter().zip(numbers) {
                found[members[index]] = numbers;
            }
        }
    }
    found
}

/// What a head reads of the backbone: those that read the same share a pass.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Kind(Head);

impl Kind {
    fn of<M: TaskModel>(model: &M) -> Self {
        Self(match model.head() {
            // The numbers of classes do not matter.
            Head::Sequence(_) => Head::Sequence(0),
            Head::Tokens(_) | Head::Spans => Head::Tokens(0),
            Head::CausalLm(_) => Head::CausalLm(0),
            head @ Head::Embedding(_) => head,
        })
    }
}

fn device_of<M: TaskModel>(model: &M) -> Device {
    model.devices().first().cloned().unwrap_or_default()
}

/// One batch of inputs, whose models' heads read the same of the backbone.
struct Pass<'a, M> {
    /// The models that it has inputs for.
    models: Vec<&'a Sharing<M>>,
    inputs: &'a [SharedInput<'a>],
    /// For each input the index of its model in `models`.
    of_inputs: Vec<usize>,
    savings: Savings,
    device: &'a Device,
}

impl<'a, M: TaskModel> Pass<'a, M> {
    fn new(
        all: &[&'a Sharing<M>],
        inputs: &'a [SharedInput<'a>],
        savings: Savings,
        device: &'a Device,
    ) -> Self {
        let mut places: BTreeMap<usize, usize> = BTreeMap::new();
        let mut models = Vec::new();
        let of_inputs = inputs.iter().map(|input| {
            *places.entry(input.model).or_insert_with(|| {
                models.push(all[input.model]);
                models.len() - 1
            })
        });
        Self {
            of_inputs: of_inputs.collect(),
            models,
            inputs,
            savings,
            device,
        }
    }

    /// The numbers of each input.
    fn run(&self) -> Vec<Vec<f32>> {
        let batch = self.batch(self.inputs.iter().map(|input| input.encoding));
        let lengths: Vec<usize> = self.inputs.iter().map(|i| i.encoding.len()).collect();
        let all: Vec<usize> = (0..self.inputs.len()).collect();
        let mut found = vec![Vec::new(); self.inputs.len()];
        let rows = self.models[0].model.rows();
        if let [only] = self.models.as_slice() {
            let scores = only.model.forward(&batch).into_data();
            put(&mut found, &all, scores, &lengths, rows);
            return found;
        }
        let batch = batch.with_biases_of_inputs(self.models.len(), &self.of_inputs);
        let sets: Vec<&BiasSet> = self.models.iter().map(|model| &*model.biases).collect();
        let base = &self.models[0].base;
        let stacked = stack_biases(M::clone(base), &sets);
        let (hidden, layers) = self.lower(base, &batch);
        let hidden = hidden.unwrap_or_else(|| stacked.hidden(&batch, 0));
        let states = stacked.states(&batch, hidden, layers);
        if let Head::CausalLm(_) = stacked.head() {
            let scores = stacked.answer(&batch, states).into_data();
            put(&mut found, &all, scores, &lengths, rows);
            return found;
        }
        let states = match rows {
            Rows::First => batch.layout.to_input_order(states),
            Rows::All => batch.layout.tokens(states),
        };
        self.answer(states, &lengths, rows, &mut found);
        found
    }

    fn batch<'e>(&self, encodings: impl IntoIterator<Item = &'e Encoding>) -> Batch {
        Batch::new(encodings, self.savings, self.device)
    }

    /// What the lowest layers make of the batch, as far as no model has changed them, and how many these are; nothing
    /// where each input is there once.
    fn lower(&self, base: &M, batch: &Batch) -> (Option<Tensor<2>>, usize) {
        let unchanged = self.models.iter().map(|model| model.layers).min();
        let layers = unchanged.unwrap_or(0).min(base.num_layers() - 1);
        let mut distinct: Vec<&Encoding> = Vec::new();
        let of: Vec<usize> = { self.inputs.iter() }
            .map(|input| {
                // The same inputs follow one another.
                if distinct.last() != Some(&input.encoding) {
                    distinct.push(input.encoding);
                }
                distinct.len() - 1
            })
            .collect();
        let packed = self.savings.padding == Padding::Packed;
        if layers == 0 || distinct.len() == self.inputs.len() || !packed {
            return (None, 0);
        }
        let once = self.batch(distinct);
        let hidden = base.hidden(&once, layers);
        let rows = batch.layout.rows_in(&once.layout, &of);
        (Some(hidden.select(0, rows)), layers)
    }

    /// Lets each model's head answer for its own inputs.
    fn answer(&self, states: Tensor<2>, lengths: &[usize], rows: Rows, found: &mut [Vec<f32>]) {
        let mut first = 0;
        let mut of_models: Vec<(Vec<usize>, Vec<i64>)> =
            vec![Default::default(); self.models.len()];
        for (index, model) in self.of_inputs.iter().enumerate() {
            let count = match rows {
                Rows::First => 1,
                Rows::All => lengths[index],
            };
            let (inputs, numbers) = &mut of_models[*model];
            inputs.push(index);
            numbers.extend(first..first + count as i64);
            first += count as i64;
        }
        for (model, (inputs, numbers)) in self.models.iter().zip(of_models) {
            let count = numbers.len();
            let numbers = TensorData::new(numbers, [count]);
            let own = Tensor::<1, Int>::from_data(numbers, self.device);
            let alone = vec![single_token(); count];
            let scores = model
                .model
                .answer(&self.batch(&alone), states.clone().select(0, own));
            put(found, &inputs, scores.into_data(), lengths, rows);
        }
    }
}

/// An input that stands for one row.
fn single_token() -> Encoding {
    Encoding {
        ids: vec![0],
        type_ids: vec![0],
        ..Encoding::default()
    }
}
