use std::path::Path;

use beft_checkpoint::{ModelDir, NameTable};
use beft_core::{BiasSite, BiasTerm, EncodedSet, Head, Pooling, Targets, TermSet};
use beft_decoder::DecoderWithHead;
use beft_encoder::EncoderWithHead;
use beft_nn::{Batch, Padding, ParamPath, TaskModel, map_params, read_params};
use beft_train::{batch_loss, with_trainable};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, TensorData};

use crate::found::{Found, as_stored, gradients_by_path, largest_of, transposed};
use crate::{Check, Expected, ParityError, Tolerance, norm_error};

/// The kinds of heads that fixtures have beside their own, by the ends of their files' names.
const KINDS: [(&str, Head); 5] = [
    ("sequence", Head::Sequence(LABELS)),
    ("tokens", Head::Tokens(LABELS)),
    ("spans", Head::Spans),
    ("similarity", Head::Embedding(Pooling::Mean)),
    ("ranking", Head::Embedding(Pooling::Mean)),
];
const LABELS: usize = 3;
/// Beside the largest gradient, one that is zero in exact arithmetic.
const NO_GRADIENT: f32 = 1e-9;
/// Batches of a fixture, and the inputs of each.
const BATCHES: usize = 3;
const INPUTS: usize = 4;

/// Compares a model with other heads than its own, where `head-KIND.safetensors` lies beside it: outputs and losses,
/// packed and padded; gradients of all biases; parameters and losses over three AdamW steps.
///
/// # Errors
///
/// When the model or a fixture cannot be read; a wrong result is a failed [`Check`].
pub fn check_heads(
    model_dir: &Path,
    device: &Device,
    tolerance: &Tolerance,
) -> Result<Vec<Check>, ParityError> {
    let mut checks = Vec::new();
    for (kind, head) in KINDS {
        let file = model_dir.join(format!("head-{kind}.safetensors"));
        if !file.is_file() {
            continue;
        }
        let expected = Expected::open(&file)?;
        let dir = ModelDir::open(model_dir)?;
        let files = dir.tensors()?;
        let encoder = beft_encoder::Architecture::named(&dir.model_type()?).is_some();
        let own = match encoder {
            true => {
                let (model, _) = EncoderWithHead::load(&dir, &files, head, 0, device)?;
                let names = model.names();
                let model = tolerance.precision.apply(model.without_dropout());
                run(model, names, &expected, tolerance, device)?
            }
            false => {
                let how = (tolerance.precision, 0);
                let (model, _) = DecoderWithHead::load(&dir, &files, head, how, device)?;
                let names = model.names();
                let tolerance = &Tolerance {
                    values: tolerance.decoder_values,
                    ..*tolerance
                };
                run(model.without_dropout(), names, &expected, tolerance, device)?
            }
        };
        checks.extend(own.into_iter().map(|check| Check {
            name: format!("{kind}: {}", check.name),
            ..check
        }));
    }
    Ok(checks)
}

struct Run<'a, M> {
    model: M,
    names: &'static NameTable,
    batches: Vec<EncodedSet>,
    device: &'a Device,
    found: Found<'a>,
}

fn run<M: TaskModel>(
    model: M,
    names: &'static NameTable,
    expected: &Expected,
    tolerance: &Tolerance,
    device: &Device,
) -> Result<Vec<Check>, ParityError> {
    let batches = (0..BATCHES).map(|index| batch(expected, index, model.head()));
    let batches = batches.collect::<Result<Vec<_>, _>>()?;
    let mut run = Run {
        model: with_head(model, names, expected)?,
        names,
        batches,
        device,
        found: Found {
            expected,
            tolerance,
            checks: Vec::new(),
        },
    };
    run.outputs()?;
    run.gradients()?;
    run.steps("v", &TermSet::of([BiasTerm::V]))?;
    run.steps("all", &TermSet::all())?;
    Ok(run.found.checks)
}

/// A batch with its targets.
fn batch(expected: &Expected, index: usize, head: Head) -> Result<EncodedSet, ParityError> {
    match head {
        Head::Sequence(_) => expected.batch(index),
        Head::Spans => expected.spans(index),
        Head::Tokens(_) => expected.tagged(index, INPUTS),
        Head::Embedding(_) => {
            let name = format!("batch{index}.similarities");
            let (targets, views) = match expected.contains(&name) {
                true => (Targets::Similarities(expected.floats(&name)?), 2),
                false => (Targets::Ranked(INPUTS), 3),
            };
            let encodings = expected.encodings(index, views * INPUTS)?;
            Ok(EncodedSet::new(encodings, targets))
        }
        Head::CausalLm(_) => Err(ParityError::Missing(format!("{head:?}"))),
    }
}

/// The model with the head of the fixture.
fn with_head<M: Module>(
    model: M,
    names: &NameTable,
    expected: &Expected,
) -> Result<M, ParityError> {
    let mut head = Vec::new();
    for name in expected.with_prefix("head.") {
        let missing = || ParityError::Missing(name.to_owned());
        let (_, path) = names.by_hf(name).ok_or_else(missing)?;
        head.push((path, expected.floats(&format!("head.{name}"))?));
    }
    Ok(map_params(model, |path, shape| {
        let (_, values) = head.iter().find(|(own, _)| own == path)?;
        let values = match shape {
            [rows, columns] => transposed(values, *columns, *rows),
            _ => values.clone(),
        };
        Some(TensorData::new(values, shape.to_vec()))
    }))
}

impl<M: TaskModel> Run<'_, M> {
    fn outputs(&mut self) -> Result<(), ParityError> {
        let model = self.model.valid();
        for (index, batch) in self.batches.iter().enumerate() {
            let chosen: Vec<usize> = (0..batch.len()).collect();
            for padding in [Padding::Packed, Padding::Longest] {
                let outputs = model.forward(&Batch::new(&batch.encodings, padding, self.device));
                let outputs: Vec<f32> = outputs.into_data().iter().collect();
                let name = format!("batch{index}.outputs");
                self.found
                    .compare(format!("{name} ({padding:?})"), &name, &outputs)?;
                let loss = batch_loss(&model, batch, &chosen, padding, self.device);
                let name = format!("batch{index}.loss");
                let loss = [loss.into_scalar::<f32>()];
                self.found
                    .compare(format!("{name} ({padding:?})"), &name, &loss)?;
            }
        }
        Ok(())
    }

    fn gradients(&mut self) -> Result<(), ParityError> {
        let model = with_trainable(self.model.clone(), &TermSet::all())?;
        let batch = &self.batches[0];
        let chosen: Vec<usize> = (0..batch.len()).collect();
        let loss = batch_loss(&model, batch, &chosen, Padding::Packed, self.device);
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        let mut gradients = gradients_by_path(&model, grads);
        let expected = self.found.expected;
        let largest = self.found.largest_gradient("grad.")?;
        for name in expected.with_prefix("grad.") {
            let path = self.path(name)?;
            let actual = gradients.remove(&path).unwrap_or_default();
            let name = format!("grad.{name}");
            // A key bias, and what moves the scores of all tokens alike: the last norm's bias, where an answer is found
            // by softmax over the tokens.
            if !(self.has_no_gradient(&name, largest)?
                || path.term() == Some(BiasTerm::K) && model.ignores_key_bias())
            {
                self.found.compare(name.clone(), &name, &actual)?;
                continue;
            }
            self.found.record_no_gradient(name, &actual, largest);
        }
        self.found.record_strays(&gradients);
        Ok(())
    }

    fn steps(&mut self, name: &str, terms: &TermSet) -> Result<(), ParityError> {
        let model = self.model.clone();
        let model = self.found.steps(name, model, terms, &self.batches)?;
        let largest = self.found.largest_gradient("grad.")?;
        let prefix = format!("step3.{name}.");
        let mut values = read_params(&model, |_| true);
        let expected = self.found.expected;
        for short in expected.with_prefix(&prefix) {
            let path = self.path(short)?;
            let data = values
                .remove(&path)
                .ok_or_else(|| ParityError::Missing(path.to_string()))?;
            let actual = as_stored(data);
            let full = format!("{prefix}{short}");
            let error = norm_error(&actual, &expected.floats(&full)?);
            // AdamW turns what rounding leaves of a gradient into small updates.
            let still = self.has_no_gradient(&format!("grad.{short}"), largest)?;
            let tolerance = match (still, self.model.is_added(&path)) {
                (true, _) => self.found.tolerance.key_after_steps,
                (false, true) => self.found.tolerance.decoder_after_steps,
                (false, false) => self.found.tolerance.values,
            };
            self.found.record(full, error, tolerance);
        }
        Ok(())
    }

    /// Whether an expected gradient is zero in exact arithmetic, beside the largest one.
    fn has_no_gradient(&self, name: &str, largest: f32) -> Result<bool, ParityError> {
        Ok(largest_of(&self.found.expected.floats(name)?) < NO_GRADIENT * largest)
    }

    /// The path of what a fixture calls by HF's name, `...Wqkv.bias#1` for a part, `3.v`, or `final_norm`.
    fn path(&self, name: &str) -> Result<ParamPath, ParityError> {
        if name == "final_norm" {
            return Ok("decoder.final_bias".into());
        }
        let site = name.split_once('.').and_then(|(layer, term)| {
            let (layer, term) = (layer.parse().ok()?, term.parse().ok()?);
            Some(self.model.site_path(BiasSite::new(layer, term)))
        });
        let (hf, part) = name.split_once('#').unwrap_or((name, "0"));
        let places = self.names.all_by_hf(hf).into_iter();
        let by_name = part
            .parse()
            .ok()
            .and_then(|part| places.into_iter().nth(part));
        site.or(by_name.map(|(_, path)| path))
            .ok_or_else(|| ParityError::Missing(name.to_owned()))
    }
}
