//! What is compared with a fixture, whatever the kind of the model.

use std::collections::BTreeMap;

use beft_core::{EncodedSet, TermSet};
use beft_nn::{ParamData, ParamPath, TaskModel};
use beft_train::{GradMasks, TrainConfig, training_step, with_trainable};
use burn::module::Module;
use burn::optim::GradientsParams;

use crate::{Check, Expected, ParityError, Tolerance};

/// What was compared so far, with what.
pub(crate) struct Found<'a> {
    pub(crate) expected: &'a Expected,
    pub(crate) tolerance: &'a Tolerance,
    pub(crate) checks: Vec<Check>,
}

impl Found<'_> {
    /// Records a comparison with the expected tensor of this name.
    pub(crate) fn compare(
        &mut self,
        what: String,
        name: &str,
        actual: &[f32],
    ) -> Result<(), ParityError> {
        let expected = self.expected.floats(name)?;
        let error = self.tolerance.measure(actual, &expected);
        self.record(what, error, self.tolerance.values);
        Ok(())
    }

    pub(crate) fn record(&mut self, name: String, error: f64, tolerance: f64) {
        self.checks.push(Check {
            name,
            error,
            tolerance,
        });
    }

    /// The largest value of the expected gradients, whose names begin with `prefix`.
    pub(crate) fn largest_gradient(&self, prefix: &str) -> Result<f32, ParityError> {
        let mut largest = 0.0f32;
        for name in self.expected.with_prefix(prefix) {
            largest = largest_of(&self.expected.floats(&format!("{prefix}{name}"))?).max(largest);
        }
        Ok(largest)
    }

    /// Records that a gradient is zero in exact arithmetic, beside the largest one.
    pub(crate) fn record_no_gradient(&mut self, name: String, actual: &[f32], largest: f32) {
        // An absent gradient would pass as zero.
        let error = match actual {
            [] => f64::NAN,
            values => f64::from(largest_of(values) / largest),
        };
        self.record(name, error, self.tolerance.key_gradient);
    }

    /// Records that nothing but what was expected has received a gradient.
    pub(crate) fn record_strays(&mut self, left: &BTreeMap<ParamPath, Vec<f32>>) {
        let strays = left.len() as f64;
        self.record("gradients of frozen parameters".into(), strays, 0.0);
    }

    /// One optimizer step on each batch; compares the losses, and returns the model after them.
    pub(crate) fn steps<M: TaskModel>(
        &mut self,
        name: &str,
        model: M,
        terms: &TermSet,
        batches: &[EncodedSet],
    ) -> Result<M, ParityError> {
        let config = TrainConfig::new(terms.clone(), 1e-3, 1, 0);
        let mut optimizer = config.optimizer();
        let mut model = with_trainable(model, terms)?;
        let masks = GradMasks::default();
        let mut losses = Vec::new();
        for batch in batches {
            let chosen: Vec<usize> = (0..batch.len()).collect();
            let (next, loss) =
                training_step(model, &masks, batch, &chosen, &config, 0, &mut optimizer);
            model = next;
            losses.push(loss as f32);
        }
        let full = format!("step.losses.{name}");
        self.compare(full.clone(), &full, &losses)?;
        Ok(model)
    }
}

/// Values as PyTorch has them.
pub(crate) fn as_stored(data: ParamData) -> Vec<f32> {
    match data.shape[..] {
        [rows, columns] => transposed(&data.values, rows, columns),
        _ => data.values,
    }
}

pub(crate) fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|c| (0..rows).map(move |r| values[r * columns + c]))
        .collect()
}

pub(crate) fn largest_of(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |m, x| m.max(x.abs()))
}

/// Every gradient of a model by path, weights as PyTorch has them.
pub(crate) fn gradients_by_path<M: Module>(
    model: &M,
    grads: GradientsParams,
) -> BTreeMap<ParamPath, Vec<f32>> {
    let found = beft_train::gradients_by_path(model, grads).into_iter();
    found.map(|(path, data)| (path, as_stored(data))).collect()
}
