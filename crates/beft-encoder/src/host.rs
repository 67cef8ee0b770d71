//! Passes of all layers on the host.

use std::ops::Range;

use beft_core::{BiasTerm, Pooling};
use beft_nn::host::{HostRows, host_values};
use beft_nn::{Batch, BiasGradients, ParamPath, Recorded, Rows, Weight};
use burn::tensor::{Device, Tensor, TensorData};

use crate::EncoderModel;
use crate::facts::Distances;
use crate::layer::EncoderLayer;

impl EncoderModel {
    /// Whether the host could compute the layers if their weights were packed.
    pub(crate) fn is_plain(&self) -> bool {
        match self.distances {
            Distances::None => self.layers.iter().all(EncoderLayer::is_plain),
            Distances::Buckets(_) | Distances::Disentangled(_) | Distances::Rotary(_) => false,
        }
    }

    /// The weight matrices of the layers.
    pub(crate) fn weights(&self) -> impl Iterator<Item = &Weight> {
        self.layers.iter().flat_map(EncoderLayer::weights)
    }

    /// The paths of packed matrices, where this module has the path `name`.
    pub(crate) fn packed_paths(&self, name: &str) -> Vec<ParamPath> {
        let layers = self.layers.iter().enumerate();
        let of_layer = |(index, layer): (usize, &EncoderLayer)| {
            let weights = layer.named_weights();
            let packed = weights.filter(|(_, weight)| weight.is_packed());
            let path = |(field, _)| ParamPath::from(format!("{name}.layers.{index}.{field}"));
            packed.map(path).collect::<Vec<_>>()
        };
        layers.flat_map(of_layer).collect()
    }

    /// The rows of a batch, where the host computes it.
    pub(crate) fn host_rows<'a>(&self, batch: &'a Batch) -> Option<HostRows<'a>> {
        let computes = self.is_plain() && self.weights().all(Weight::is_packed);
        computes.then(|| HostRows::new(batch)).flatten()
    }

    /// What some layers make of what those below gave, without gradients; the last one at `rows` alone.
    pub(crate) fn host_advance(
        &self,
        at: &HostRows<'_>,
        hidden: Tensor<2>,
        layers: Range<usize>,
        rows: Rows,
    ) -> Tensor<2> {
        let (mut x, width, last) = (host_values(hidden), self.width(), layers.end - 1);
        for index in layers {
            let rows = if index == last { rows } else { Rows::All };
            x = self.layers[index].host_forward(x, at, rows, false).0;
        }
        tensor(x, width, &at.batch.layout.device())
    }

    /// What the head reads, from what the lowest `done` layers made of the inputs, and what gives the gradients of the biases
    /// above them: for a head that reads the rows `reads`, and of one of each input what `pooling` says. With `below` also
    /// that of `hidden`.
    pub(crate) fn host_record<'a>(
        &'a self,
        at: HostRows<'a>,
        hidden: Tensor<2>,
        done: usize,
        (reads, pooling): (Rows, Pooling),
        below: bool,
    ) -> Recorded<'a> {
        let (count, width, batch) = (self.layers.len(), self.width(), at.batch);
        let device = batch.layout.device().inner();
        if done == count {
            return Recorded::new(hidden, |gradient| BiasGradients {
                rows: Some(gradient),
                ..BiasGradients::default()
            });
        }
        let computed = match (reads, pooling, batch.savings.first_token) {
            (Rows::First, Pooling::FirstToken, true) => Rows::First,
            _ => Rows::All,
        };
        let learns = |layer: &EncoderLayer| layer.learns(&BiasTerm::ALL);
        let lowest = match below {
            true => Some(done),
            false => (done..count).find(|index| learns(&self.layers[*index])),
        };
        let mut x = host_values(hidden);
        let mut records = Vec::new();
        for index in done..count {
            let rows = if index + 1 == count {
                computed
            } else {
                Rows::All
            };
            let keep = lowest.is_some_and(|lowest| index >= lowest);
            let (y, record) = self.layers[index].host_forward(x, &at, rows, keep);
            records.extend(record);
            x = y;
        }
        let pooled = (reads == Rows::First && computed == Rows::All).then_some(pooling);
        let states = match pooled {
            None => x,
            Some(Pooling::FirstToken) => at.first(&x, width),
            Some(Pooling::Mean) => at.means(&x, width),
        };
        Recorded::new(tensor(states, width, &device), move |gradient| {
            let mut found = BiasGradients::default();
            let mut gradient = match (host_values(gradient), pooled) {
                (gradient, None) => gradient,
                (gradient, Some(Pooling::Mean)) => at.spread(&gradient, width),
                (gradient, Some(Pooling::FirstToken)) => {
                    let mut rows = vec![0.0; batch.layout.rows() * width];
                    at.add_first(&mut rows, &gradient, width);
                    rows
                }
            };
            let first = count - records.len();
            for (index, record) in (first..count).zip(records).rev() {
                let goes_on = below || index > first;
                let layer = &self.layers[index];
                let biases = &mut found.biases;
                match layer.host_backward(record, gradient, &at, goes_on, biases) {
                    Some(rows) => gradient = rows,
                    None => return found,
                }
            }
            found.rows = below.then(|| tensor(gradient, width, &device));
            found
        })
    }

    fn width(&self) -> usize {
        self.layers[0].query.dims()[0]
    }
}

fn tensor(values: Vec<f32>, width: usize, device: &Device) -> Tensor<2> {
    let shape = [values.len() / width, width];
    Tensor::from_data(TensorData::new(values, shape), device)
}
