use std::collections::BTreeMap;
use std::path::Path;

use beft_checkpoint::{CheckpointError, ModelDir};
use beft_core::{EncodedSet, TermSet, TermSetError};
use beft_encoder::{BertForSequenceClassification, SEQUENCE_CLASSIFICATION_NAMES as NAMES};
use beft_nn::{Batch, Padding, SequenceClassifier, map_params, read_params};
use beft_train::{TrainConfig, training_step, with_trainable};
use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::Expected;

/// A parity run that could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum ParityError {
    /// A fixture or model cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A term set does not fit.
    #[error(transparent)]
    Terms(#[from] TermSetError),
    /// A fixture lacks a tensor.
    #[error("the fixture has no usable tensor `{0}`")]
    Missing(String),
}

/// One comparison.
#[derive(Clone, Debug)]
pub struct Check {
    /// What was compared: `logits`, `grad.bert.pooler.dense.bias`, ...
    pub name: String,
    /// The error found; see [`relative_error`], and [`norm_error`] for `step3`.
    pub error: f64,
    /// The largest error allowed.
    pub tolerance: f64,
}

impl Check {
    /// Whether the error is within the tolerance (a NaN is not).
    pub fn passes(&self) -> bool {
        self.error <= self.tolerance
    }
}

/// `max |a - b| / max(|b|, 10 % of the largest |b|)`: relative element by element, except for
/// elements far below the scale of their own tensor, where f32 sums cancel. (At 1 % PyTorch's own
/// f32 gradients of MiniLM are 1.9e-4 off its f64 ones.) Infinite when lengths differ.
pub fn relative_error(actual: &[f32], expected: &[f32]) -> f64 {
    if actual.len() != expected.len() {
        return f64::INFINITY;
    }
    let largest = expected
        .iter()
        .fold(0.0f64, |m, x| m.max(f64::from(x.abs())));
    actual
        .iter()
        .zip(expected)
        .map(|(a, b)| {
            let (a, b) = (f64::from(*a), f64::from(*b));
            (a - b).abs() / b.abs().max(0.1 * largest).max(f64::MIN_POSITIVE)
        })
        .fold(0.0, |worst: f64, e| {
            if worst.is_nan() || e.is_nan() {
                f64::NAN
            } else {
                worst.max(e)
            }
        })
}

/// `|a - b| / |b|` in the Euclidean norm, for parameters after optimizer steps: AdamW divides by
/// the gradient's own size, so single elements whose gradient cancels to almost nothing are noise
/// (element by element, PyTorch's own f32 is 2.7e-4 off its f64 on MiniLM's pooler bias, which
/// starts at 0). One wrong element still shows. Infinite when lengths differ.
pub fn norm_error(actual: &[f32], expected: &[f32]) -> f64 {
    if actual.len() != expected.len() {
        return f64::INFINITY;
    }
    let square = |x: f64| x * x;
    let pairs = actual
        .iter()
        .zip(expected)
        .map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let difference: f64 = pairs.clone().map(|(a, b)| square(a - b)).sum();
    let norm: f64 = pairs.map(|(_, b)| square(b)).sum();
    (difference / norm.max(f64::MIN_POSITIVE)).sqrt()
}

/// f32 arithmetic in another order of operations than PyTorch's.
const TOLERANCE: f64 = 1e-4;
/// The key bias has gradient 0 up to rounding. AdamW turns that noise into updates of
/// `lr * g / (|g| + 1e-6)`: a few percent of `lr` a step.
const KEY_AFTER_STEPS: f64 = 1e-3;
/// Bound of the key bias's gradient, relative to the largest gradient of the model.
const KEY_GRADIENT: f64 = 1e-6;

/// Compares a BERT classifier on `device` with the tensors in `expected`: logits and loss of every
/// batch, gradients of all biases, and parameters and losses over three AdamW steps, for all
/// biases and for the value bias alone. Dropout is off, as it was in the reference.
///
/// # Errors
///
/// When the model or the fixture cannot be read; a wrong result is a failed [`Check`].
pub fn check_encoder(
    model_dir: &Path,
    expected: &Expected,
    device: &Device,
) -> Result<Vec<Check>, ParityError> {
    let batches = [expected.batch(0)?, expected.batch(1)?, expected.batch(2)?];
    let classes = expected.floats("batch0.logits")?.len() / batches[0].len();
    let model = load(model_dir, expected, classes, device)?;
    let mut checks = Vec::new();
    for (index, batch) in batches.iter().enumerate() {
        for padding in [Padding::Packed, Padding::Longest] {
            let (logits, loss) = forward(&model.valid(), batch, padding, device);
            let want = expected.floats(&format!("batch{index}.logits"))?;
            let actual: Vec<f32> = logits.into_data().iter().collect();
            checks.push(check(
                format!("batch{index}.logits ({padding:?})"),
                &actual,
                &want,
            ));
            let want = expected.floats(&format!("batch{index}.loss"))?;
            let actual = [loss.into_scalar::<f32>()];
            checks.push(check(
                format!("batch{index}.loss ({padding:?})"),
                &actual,
                &want,
            ));
        }
    }
    gradients(&model, &batches[0], expected, device, &mut checks)?;
    for (name, terms) in [
        ("all", TermSet::all()),
        ("v", TermSet::of([beft_core::BiasTerm::V])),
    ] {
        steps(
            model.clone(),
            name,
            &terms,
            &batches,
            expected,
            device,
            &mut checks,
        )?;
    }
    Ok(checks)
}

fn check(name: impl Into<String>, actual: &[f32], expected: &[f32]) -> Check {
    Check {
        name: name.into(),
        error: relative_error(actual, expected),
        tolerance: TOLERANCE,
    }
}

/// Loads the model without dropout (`freeze` switches it off; training sets gradients anew). The
/// head comes from the fixture when it holds one, since a bare encoder has none.
fn load(
    dir: &Path,
    expected: &Expected,
    classes: usize,
    device: &Device,
) -> Result<BertForSequenceClassification, ParityError> {
    let dir = ModelDir::open(dir)?;
    let (model, _) =
        BertForSequenceClassification::load(&dir, &dir.tensors()?, classes, 0, device)?;
    let mut head = BTreeMap::new();
    for name in ["classifier.weight", "classifier.bias"] {
        if expected.contains(name) {
            head.insert(name, expected.floats(name)?);
        }
    }
    let model = map_params(model, |path, shape| {
        let values = head.remove(path)?;
        let values = match shape {
            [rows, columns] => transposed(&values, *columns, *rows),
            _ => values,
        };
        Some(TensorData::new(values, shape.to_vec()))
    });
    Ok(model.freeze())
}

fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|c| (0..rows).map(move |r| values[r * columns + c]))
        .collect()
}

fn forward(
    model: &BertForSequenceClassification,
    data: &EncodedSet,
    padding: Padding,
    device: &Device,
) -> (Tensor<2>, Tensor<1>) {
    let batch = Batch::new(&data.encodings, padding, device);
    let labels: Vec<i64> = data.labels.iter().map(|l| *l as i64).collect();
    let targets = Tensor::<1, Int>::from_data(TensorData::new(labels, [data.len()]), device);
    let logits = model.forward(&batch);
    let loss = CrossEntropyLossConfig::new()
        .init(device)
        .forward(logits.clone(), targets);
    (logits, loss)
}

fn gradients(
    model: &BertForSequenceClassification,
    data: &EncodedSet,
    expected: &Expected,
    device: &Device,
    checks: &mut Vec<Check>,
) -> Result<(), ParityError> {
    let model = with_trainable(model.clone(), &TermSet::all())?;
    let (_, loss) = forward(&model, data, Padding::Packed, device);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    let mut reader = GradReader {
        grads,
        path: Vec::new(),
        found: BTreeMap::new(),
    };
    model.visit(&mut reader);

    let mut largest = 0.0f32;
    for name in expected.with_prefix("grad.") {
        largest = expected
            .floats(&format!("grad.{name}"))?
            .iter()
            .fold(largest, |m, x| m.max(x.abs()));
    }
    for name in expected.with_prefix("grad.") {
        let path = NAMES.by_hf(name).map(|(_, path)| path).unwrap_or_default();
        let actual = reader.found.remove(&path).unwrap_or_default();
        let name = format!("grad.{name}");
        if path.ends_with(".biases.k") {
            let worst = actual.iter().fold(0.0f32, |m, x| m.max(x.abs()));
            // An absent gradient would pass as zero.
            let error = if actual.is_empty() {
                f64::NAN
            } else {
                f64::from(worst / largest)
            };
            checks.push(Check {
                name,
                error,
                tolerance: KEY_GRADIENT,
            });
        } else {
            checks.push(check(name.clone(), &actual, &expected.floats(&name)?));
        }
    }
    // Nothing else may have received a gradient.
    let strays = reader.found.len() as f64;
    checks.push(Check {
        name: "gradients of frozen parameters".into(),
        error: strays,
        tolerance: 0.0,
    });
    Ok(())
}

struct GradReader {
    grads: GradientsParams,
    path: Vec<String>,
    found: BTreeMap<String, Vec<f32>>,
}

impl ModuleVisitor for GradReader {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.remove::<D>(param.id) {
            // Weights are transposed here: the fixture holds PyTorch's order.
            let grad = if D == 2 { grad.swap_dims(0, 1) } else { grad };
            self.found
                .insert(self.path.join("."), grad.into_data().iter().collect());
        }
    }
}

fn steps(
    model: BertForSequenceClassification,
    name: &str,
    terms: &TermSet,
    batches: &[EncodedSet; 3],
    expected: &Expected,
    device: &Device,
    checks: &mut Vec<Check>,
) -> Result<(), ParityError> {
    let config = TrainConfig::new(terms.clone(), 1e-3, 1, 0);
    let mut optimizer = config.optimizer();
    let mut model = with_trainable(model, terms)?;
    let mut losses = Vec::new();
    for batch in batches {
        let chosen: Vec<usize> = (0..batch.len()).collect();
        let (next, loss) = training_step(model, batch, &chosen, &config, &mut optimizer, device);
        model = next;
        losses.push(loss as f32);
    }
    checks.push(check(
        format!("step.losses.{name}"),
        &losses,
        &expected.floats(&format!("step.losses.{name}"))?,
    ));
    let prefix = format!("step3.{name}.");
    let mut values = read_params(&model, |_| true);
    for hf in expected.with_prefix(&prefix) {
        let (_, path) = NAMES
            .by_hf(hf)
            .ok_or_else(|| ParityError::Missing(hf.to_owned()))?;
        let data = values
            .remove(&path)
            .ok_or_else(|| ParityError::Missing(path.clone()))?;
        let actual = match data.shape[..] {
            [rows, columns] => transposed(&data.values, rows, columns),
            _ => data.values,
        };
        let full = format!("{prefix}{hf}");
        let error = norm_error(&actual, &expected.floats(&full)?);
        let key = path.ends_with(".biases.k");
        let tolerance = if key { KEY_AFTER_STEPS } else { TOLERANCE };
        checks.push(Check {
            name: full,
            error,
            tolerance,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_measure_sees_what_it_should() {
        assert_eq!(relative_error(&[1.0, 2.0], &[1.0, 2.0]), 0.0);
        assert!((relative_error(&[1.0, 2.2], &[1.0, 2.0]) - 0.1).abs() < 1e-6);
        assert!(relative_error(&[1.0], &[1.0, 2.0]).is_infinite());
        assert!(relative_error(&[f32::NAN, 2.0], &[1.0, 2.0]).is_nan());
        assert!((norm_error(&[3.0, 4.5], &[3.0, 4.0]) - 0.1).abs() < 1e-6);
        assert!(norm_error(&[f32::NAN], &[1.0]).is_nan());
        // Noise around zero counts relative to the tensor's scale.
        assert!(relative_error(&[100.0, 1e-9], &[100.0, 0.0]) < 1e-8);
    }
}
