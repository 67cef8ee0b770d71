use std::collections::BTreeMap;
use std::path::Path;

use beft_checkpoint::{CheckpointError, ModelDir};
use beft_core::{
    BiasSite, BiasSnapshot, BiasTerm, EncodedSet, Head, Targets, TermSet, TermSetError,
};
use beft_encoder::EncoderWithHead;
use beft_nn::{
    Batch, BiasModel, ForwardPrecision, Padding, ParamPath, TaskModel, map_params, read_params,
    snapshot,
};
use beft_score::{Beft, Magnitude, ScoreError, Scorer, fisher};
use beft_train::{TrainError, batch_loss, gradient_moments, with_trainable};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

use crate::found::{Found, as_stored, gradients_by_path, transposed};
use crate::{Check, Expected, Tolerance, norm_error};

/// A parity run that could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum ParityError {
    /// A fixture or model cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A term set does not fit.
    #[error(transparent)]
    Terms(#[from] TermSetError),
    /// Training that cannot start.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Biases that cannot be scored.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// A device that failed.
    #[error("the device failed: {0}")]
    Device(String),
    /// A temporary folder cannot be written, or a file read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A fixture lacks a tensor.
    #[error("the fixture has no usable tensor `{0}`")]
    Missing(String),
}

/// Compares a model on `device` with the tensors in `expected`: logits and loss of every batch,
/// gradients and Fisher information of all biases, parameters and losses over three AdamW steps (for all biases and for
/// the value bias alone), and the scores that follow from those. Dropout is off, as it was in the
/// reference.
///
/// # Errors
///
/// When the model or the fixture cannot be read; a wrong result is a failed [`Check`].
pub fn check_encoder(
    model_dir: &Path,
    expected: &Expected,
    device: &Device,
    tolerance: &Tolerance,
) -> Result<Vec<Check>, ParityError> {
    let batches = [expected.batch(0)?, expected.batch(1)?, expected.batch(2)?];
    let classes = expected.floats("batch0.logits")?.len() / batches[0].len();
    let model = load(model_dir, expected, classes, device)?;
    let before = snapshot(&model);
    let model = tolerance.precision.apply(model);
    let mut run = Run {
        before,
        packed: model
            .packs_for_biases()
            .then(|| model.clone().packed_for_biases(ForwardPrecision::F32)),
        model,
        batches,
        device,
        found: Found {
            expected,
            tolerance,
            checks: Vec::new(),
        },
    };
    run.logits()?;
    run.gradients()?;
    run.fisher()?;
    run.steps("v", &TermSet::of([BiasTerm::V]))?;
    let after = run.steps("all", &TermSet::all())?;
    run.scores(&after)?;
    Ok(run.found.checks)
}

/// Loads the model without dropout (`freeze` switches it off; training sets gradients anew). The
/// head comes from the fixture when it holds one, since a bare encoder has none.
fn load(
    dir: &Path,
    expected: &Expected,
    classes: usize,
    device: &Device,
) -> Result<EncoderWithHead, ParityError> {
    let dir = ModelDir::open(dir)?;
    let (model, _) =
        EncoderWithHead::load(&dir, &dir.tensors()?, Head::Sequence(classes), 0, device)?;
    let mut head = BTreeMap::new();
    for name in ["classifier.weight", "classifier.bias"] {
        if expected.contains(name) {
            head.insert(name, expected.floats(name)?);
        }
    }
    let model = map_params(model, |path, shape| {
        let values = head.remove(path.as_str())?;
        let values = match shape {
            [rows, columns] => transposed(&values, *columns, *rows),
            _ => values,
        };
        Some(TensorData::new(values, shape.to_vec()))
    });
    Ok(model.freeze())
}

/// One model on one device, and what was found so far.
struct Run<'a> {
    model: EncoderWithHead,
    /// The same, where the host computes layers whose biases alone learn.
    packed: Option<EncoderWithHead>,
    before: BiasSnapshot,
    batches: [EncodedSet; 3],
    device: &'a Device,
    found: Found<'a>,
}

impl Run<'_> {
    fn logits(&mut self) -> Result<(), ParityError> {
        let packed = self
            .packed
            .as_ref()
            .map(|model| (model.valid(), "packed, "));
        for (model, how) in [(self.model.valid(), "")].into_iter().chain(packed) {
            for index in 0..self.batches.len() {
                for padding in [Padding::Packed, Padding::Longest] {
                    let batch = &self.batches[index];
                    let (logits, loss) = forward(&model, batch, padding, self.device);
                    let logits: Vec<f32> = logits.into_data().iter().collect();
                    let loss = [loss.into_scalar::<f32>()];
                    for (field, actual) in [("logits", logits.as_slice()), ("loss", &loss)] {
                        let name = format!("batch{index}.{field}");
                        let what = format!("{name} ({how}{padding:?})");
                        self.found.compare(what, &name, actual)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn gradients(&mut self) -> Result<(), ParityError> {
        let model = with_trainable(self.model.clone(), &TermSet::all())?;
        let (_, loss) = forward(&model, &self.batches[0], Padding::Packed, self.device);
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        let mut gradients = gradients_by_path(&model, grads);
        let expected = self.found.expected;
        let largest = self.found.largest_gradient("grad.")?;
        for name in expected.with_prefix("grad.") {
            let path = self.path(name);
            let actual = path.as_ref().and_then(|path| gradients.remove(path));
            let actual = actual.unwrap_or_default();
            let name = format!("grad.{name}");
            let still = path.and_then(|path| path.term()) == Some(BiasTerm::K);
            if !(still && model.ignores_key_bias()) {
                self.found.compare(name.clone(), &name, &actual)?;
                continue;
            }
            self.found.record_no_gradient(name, &actual, largest);
        }
        self.found.record_strays(&gradients);
        Ok(())
    }

    /// The Fisher information of the layers' biases but the keys', over all batches.
    fn fisher(&mut self) -> Result<(), ParityError> {
        let mut all = EncodedSet {
            class_weights: Vec::new(),
            encodings: Vec::new(),
            targets: Targets::Classes(Vec::new()),
        };
        for batch in &self.batches {
            all.encodings.extend_from_slice(&batch.encodings);
            if let (Targets::Classes(all), Targets::Classes(more)) =
                (&mut all.targets, &batch.targets)
            {
                all.extend_from_slice(more);
            }
        }
        let size = self.batches[0].len();
        let model = self.model.clone();
        let found = gradient_moments(model, &all, size, 1.0, Padding::Packed, || ())?;
        let values: Vec<f32> = found
            .into_iter()
            .filter(|(site, _)| site.term != BiasTerm::K)
            .map(|(_, gradients)| fisher(&gradients) as f32)
            .collect();
        self.found
            .compare("scores.fisher".to_owned(), "fisher", &values)
    }

    /// Three optimizer steps; the biases after them.
    fn steps(&mut self, name: &str, terms: &TermSet) -> Result<BiasSnapshot, ParityError> {
        if let Some(packed) = self.packed.clone() {
            self.steps_of(packed, name, terms)?;
        }
        let model = self.steps_of(self.model.clone(), name, terms)?;
        Ok(snapshot(&model))
    }

    fn steps_of(
        &mut self,
        model: EncoderWithHead,
        name: &str,
        terms: &TermSet,
    ) -> Result<EncoderWithHead, ParityError> {
        let model = self.found.steps(name, model, terms, &self.batches)?;
        let prefix = format!("step3.{name}.");
        let mut values = read_params(&model, |_| true);
        let expected = self.found.expected;
        for hf in expected.with_prefix(&prefix) {
            let path = self
                .path(hf)
                .ok_or_else(|| ParityError::Missing(hf.to_owned()))?;
            let data = values
                .remove(&path)
                .ok_or_else(|| ParityError::Missing(path.to_string()))?;
            let actual = as_stored(data);
            let full = format!("{prefix}{hf}");
            let error = norm_error(&actual, &expected.floats(&full)?);
            let key = path.term() == Some(BiasTerm::K);
            let added = self.model.is_added(&path);
            let tolerance = match (key && self.model.ignores_key_bias(), added) {
                (true, _) => self.found.tolerance.key_after_steps,
                (false, true) => self.found.tolerance.decoder_after_steps,
                (false, false) => self.found.tolerance.values,
            };
            self.found.record(full, error, tolerance);
        }
        Ok(model)
    }

    /// The path of what a fixture calls `bert.pooler.dense.bias`, or `....Wqkv.bias#1` for a part of a fused bias.
    fn path(&self, name: &str) -> Option<ParamPath> {
        let (name, part) = name.split_once('#').unwrap_or((name, "0"));
        let places = self.model.names().all_by_hf(name).into_iter();
        let (_, path) = places.into_iter().nth(part.parse().ok()?)?;
        Some(path)
    }

    /// Scores of all sites but the key biases (whose change is noise) after three steps.
    fn scores(&mut self, after: &BiasSnapshot) -> Result<(), ParityError> {
        let sites = BiasSite::all(self.model.num_layers()).filter(|site| site.term != BiasTerm::K);
        let mut wanted = BiasSnapshot::default();
        for site in sites {
            let path = self.model.site_path(site);
            let (row, name) = self
                .model
                .names()
                .by_path(&path)
                .ok_or_else(|| ParityError::Missing(path.to_string()))?;
            let name = match row.stored.part() {
                Some(part) => format!("{name}#{part}"),
                None => name,
            };
            wanted.insert(
                site,
                self.found.expected.floats(&format!("step3.all.{name}"))?,
            );
        }
        let only = |snapshot: &BiasSnapshot| -> BiasSnapshot {
            snapshot
                .iter()
                .filter(|(site, _)| wanted.get(*site).is_some())
                .map(|(site, values)| (site, values.to_vec()))
                .collect()
        };
        let (before, after) = (only(&self.before), only(after));
        let added = |path| self.model.is_added(&path);
        let native = before
            .iter()
            .any(|(site, _)| !added(self.model.site_path(site)));
        for scorer in [&Beft as &dyn Scorer, &Magnitude] {
            // BEFT's score says nothing of a bias that was zero.
            if scorer.name() == Beft.name() && !native {
                continue;
            }
            let values = |after: &BiasSnapshot| -> Result<Vec<f32>, ParityError> {
                let scores = scorer.score(&before, after)?;
                Ok(before
                    .iter()
                    .filter_map(|(site, _)| scores.value(site))
                    .map(|score| score as f32)
                    .collect())
            };
            let (actual, expected) = (values(&after)?, values(&wanted)?);
            let error = self.found.tolerance.measure(&actual, &expected);
            let name = format!("scores.{}", scorer.name());
            self.found.record(name, error, self.found.tolerance.values);
        }
        Ok(())
    }
}

fn forward(
    model: &EncoderWithHead,
    data: &EncodedSet,
    padding: Padding,
    device: &Device,
) -> (Tensor<2>, Tensor<1>) {
    let logits = model.forward(&Batch::new(&data.encodings, padding, device));
    let chosen: Vec<usize> = (0..data.len()).collect();
    let loss = batch_loss(model, data, &chosen, padding, device);
    (logits, loss)
}
