use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use beft_checkpoint::ModelDir;
use beft_core::{BiasSite, BiasTerm, EncodedSet, Encoding, Targets, TermSet};
use beft_decoder::{DecoderForCausalLM, GenerateOptions};
use beft_nn::{Batch, BiasModel, Padding, ParamPath, TaskModel, read_params};
use beft_train::{batch_loss, with_trainable};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use serde::Deserialize;

use crate::found::{Found, gradients_by_path, largest_of};
use crate::{Check, Expected, ParityError, Tolerance, norm_error};

/// A value that three steps in f64 left smaller than this had no gradient.
const NEVER_MOVED: f32 = 1e-8;

/// Inputs of a fixture, `cases.json`.
#[derive(Deserialize)]
struct Cases {
    texts: Vec<Vec<u32>>,
    groups: Vec<Vec<Example>>,
    generate: Vec<Generated>,
}

#[derive(Deserialize)]
struct Example {
    prompt: Vec<u32>,
    candidates: Vec<Vec<u32>>,
    right: usize,
}

#[derive(Deserialize)]
struct Generated {
    prompt: Vec<u32>,
    ids: Vec<u32>,
}

/// Compares a causal language model on `device` with the tensors in `expected`: logits of texts that the
/// reference padded on the left, scores of candidates with their prompt computed once and with each by
/// itself, both losses, gradients of every bias (added ones too), parameters and losses over three AdamW
/// steps (for all biases and for the value bias alone), and 50 generated tokens.
///
/// # Errors
///
/// When the model or the fixture cannot be read; a wrong result is a failed [`Check`].
pub fn check_decoder(
    model_dir: &Path,
    expected: &Expected,
    device: &Device,
    tolerance: &Tolerance,
) -> Result<Vec<Check>, ParityError> {
    let cases = Cases::read(model_dir)?;
    let dir = ModelDir::open(model_dir)?;
    let (model, _) = DecoderForCausalLM::load(&dir, &dir.tensors()?, tolerance.precision, device)?;
    let tolerance = &Tolerance {
        values: tolerance.decoder_values,
        ..*tolerance
    };
    let mut run = Run {
        model: model.without_dropout(),
        cases,
        device,
        found: Found {
            expected,
            tolerance,
            checks: Vec::new(),
        },
    };
    run.texts()?;
    run.scores()?;
    run.gradients()?;
    run.steps("v", &TermSet::of([BiasTerm::V]))?;
    run.steps("all", &TermSet::all())?;
    run.generate();
    Ok(run.found.checks)
}

/// The examples of a decoder's fixture: prompts with candidates of which one is right, and with the right
/// text alone.
///
/// # Errors
///
/// When the fixture cannot be read.
pub fn decoder_examples(model_dir: &Path) -> Result<[EncodedSet; 2], ParityError> {
    let cases = Cases::read(model_dir)?;
    let examples: Vec<&Example> = cases.groups.iter().flatten().collect();
    Ok([choices(&examples), right_texts(&examples)])
}

fn choices(examples: &[&Example]) -> EncodedSet {
    EncodedSet {
        class_weights: Vec::new(),
        encodings: examples.iter().map(|e| e.together()).collect(),
        targets: Targets::Classes(examples.iter().map(|e| e.right).collect()),
    }
}

fn right_texts(examples: &[&Example]) -> EncodedSet {
    let tokens = examples.iter().map(|e| e.candidates[e.right].len());
    EncodedSet {
        class_weights: Vec::new(),
        encodings: examples.iter().map(|e| e.one(e.right)).collect(),
        targets: Targets::Tokens(tokens.collect()),
    }
}

impl Cases {
    fn read(model_dir: &Path) -> Result<Self, ParityError> {
        let cases = fs::read(model_dir.join("cases.json"))?;
        serde_json::from_slice(&cases).map_err(|e| ParityError::Missing(format!("cases.json: {e}")))
    }
}

struct Run<'a> {
    model: DecoderForCausalLM,
    cases: Cases,
    device: &'a Device,
    found: Found<'a>,
}

impl Example {
    /// The prompt once, with all candidates behind it.
    fn together(&self) -> Encoding {
        let candidates = self.candidates.iter().map(|ids| (&ids[..], ids.len()));
        Encoding::with_branches(&self.prompt, candidates)
    }

    /// The prompt with one candidate.
    fn one(&self, candidate: usize) -> Encoding {
        let ids = &self.candidates[candidate];
        Encoding::with_branches(&self.prompt, [(&ids[..], ids.len())])
    }
}

impl Run<'_> {
    fn texts(&mut self) -> Result<(), ParityError> {
        let plain = |ids: &Vec<u32>| Encoding::with_branches(ids, []);
        let texts: Vec<Encoding> = self.cases.texts.iter().map(plain).collect();
        // One after another: the rows of a batch lie by length.
        let mut logits = Vec::new();
        for text in &texts {
            let batch = Batch::new([text], Padding::Packed, self.device);
            let rows = self.model.valid().forward_all(&batch).into_data();
            logits.extend(rows.iter::<f32>());
        }
        self.found
            .compare("text.logits".to_owned(), "text.logits", &logits)?;

        // Every token but the first is predicted.
        let texts = self.cases.texts.iter();
        let targets = texts.clone().map(|ids| ids.len() - 1).collect();
        let all = EncodedSet {
            class_weights: Vec::new(),
            encodings: texts
                .map(|ids| Encoding::with_branches(&ids[..1], [(&ids[1..], ids.len() - 1)]))
                .collect(),
            targets: Targets::Tokens(targets),
        };
        self.loss("text.loss", &all)
    }

    fn loss(&mut self, name: &str, data: &EncodedSet) -> Result<(), ParityError> {
        let chosen: Vec<usize> = (0..data.len()).collect();
        for padding in [Padding::Packed, Padding::Longest] {
            let loss = batch_loss(&self.model.valid(), data, &chosen, padding, self.device);
            let loss = [loss.into_scalar::<f32>()];
            self.found
                .compare(format!("{name} ({padding:?})"), name, &loss)?;
        }
        Ok(())
    }

    fn scores(&mut self) -> Result<(), ParityError> {
        let model = self.model.valid();
        for index in 0..self.cases.groups.len() {
            let group = &self.cases.groups[index];
            let together: Vec<Encoding> = group.iter().map(Example::together).collect();
            let alone: Vec<Encoding> = group
                .iter()
                .flat_map(|e| (0..e.candidates.len()).map(|candidate| e.one(candidate)))
                .collect();
            let name = format!("scores{index}");
            for padding in [Padding::Packed, Padding::Longest] {
                for (how, encodings) in [("together", &together), ("alone", &alone)] {
                    let batch = Batch::new(encodings, padding, self.device);
                    let scores: Vec<f32> = model.forward(&batch).into_data().iter().collect();
                    let what = format!("{name} ({how}, {padding:?})");
                    self.found.compare(what, &name, &scores)?;
                }
            }
            let (choice, text) = (self.choices(index), self.right_texts(index));
            self.loss(&format!("loss{index}"), &choice)?;
            self.loss(&format!("lm_loss{index}"), &text)?;
        }
        Ok(())
    }

    fn choices(&self, group: usize) -> EncodedSet {
        choices(&self.cases.groups[group].iter().collect::<Vec<_>>())
    }

    fn right_texts(&self, group: usize) -> EncodedSet {
        right_texts(&self.cases.groups[group].iter().collect::<Vec<_>>())
    }

    /// The path of what a fixture calls `3.v`, `final_norm` or `head`.
    fn path(&self, name: &str) -> Result<ParamPath, ParityError> {
        let missing = || ParityError::Missing(name.to_owned());
        match name {
            "final_norm" => Ok("decoder.final_bias".into()),
            "head" => Ok("head_bias".into()),
            _ => {
                let (layer, term) = name.split_once('.').ok_or_else(missing)?;
                let layer = layer.parse().map_err(|_| missing())?;
                let term = term.parse().map_err(|_| missing())?;
                Ok(self.model.site_path(BiasSite::new(layer, term)))
            }
        }
    }

    fn gradients(&mut self) -> Result<(), ParityError> {
        let model = with_trainable(self.model.clone(), &TermSet::all())?;
        let data = [
            ("grad.", self.choices(0)),
            ("lm_grad.", self.right_texts(0)),
        ];
        for (prefix, data) in data {
            let chosen: Vec<usize> = (0..data.len()).collect();
            let loss = batch_loss(&model, &data, &chosen, Padding::Packed, self.device);
            let grads = GradientsParams::from_grads(loss.backward(), &model);
            let mut gradients = gradients_by_path(&model, grads);
            let expected = self.found.expected;
            let largest = self.found.largest_gradient(prefix)?;
            for name in expected.with_prefix(prefix) {
                let path = self.path(name)?;
                let actual = gradients.remove(&path).unwrap_or_default();
                let full = format!("{prefix}{name}");
                if !(path.term() == Some(BiasTerm::K) && model.ignores_key_bias()) {
                    self.found.compare(full.clone(), &full, &actual)?;
                    continue;
                }
                self.found.record_no_gradient(full, &actual, largest);
            }
            if prefix == "grad." {
                self.found.record_strays(&gradients);
            }
        }
        Ok(())
    }

    fn steps(&mut self, name: &str, terms: &TermSet) -> Result<(), ParityError> {
        let groups = 0..self.cases.groups.len();
        let batches: Vec<EncodedSet> = groups.map(|group| self.choices(group)).collect();
        let model = self.model.clone();
        let model = self.found.steps(name, model, terms, &batches)?;
        let prefix = format!("step3.{name}.");
        let mut values: BTreeMap<_, _> = read_params(&model, |_| true);
        let expected = self.found.expected;
        for short in expected.with_prefix(&prefix) {
            let path = self.path(short)?;
            let data = values
                .remove(&path)
                .ok_or_else(|| ParityError::Missing(path.to_string()))?;
            let full = format!("{prefix}{short}");
            let wanted = expected.floats(&full)?;
            if path.term() == Some(BiasTerm::K) && wanted.iter().any(|x| x.abs() < NEVER_MOVED) {
                self.partly_rotated(full, &data.values, &wanted);
                continue;
            }
            let error = norm_error(&data.values, &wanted);
            let noise = path.term() == Some(BiasTerm::K) && model.ignores_key_bias();
            let tolerance = match noise {
                true => self.found.tolerance.key_after_steps,
                false => self.found.tolerance.decoder_after_steps,
            };
            self.found.record(full, error, tolerance);
        }
        Ok(())
    }

    /// Key biases of which some are rotated, and count, and some are not, whose gradient is exactly zero:
    /// AdamW turns what rounding leaves of it into small updates.
    fn partly_rotated(&mut self, name: String, actual: &[f32], expected: &[f32]) {
        let part = |moved: bool, values: &[f32]| -> Vec<f32> {
            let all = values.iter().zip(expected);
            all.filter(|(_, e)| (e.abs() >= NEVER_MOVED) == moved)
                .map(|(value, _)| *value)
                .collect()
        };
        let error = norm_error(&part(true, actual), &part(true, expected));
        let largest = f64::from(largest_of(expected));
        let noise = f64::from(largest_of(&part(false, actual))) / largest;
        let tolerance = self.found.tolerance;
        let rotated = format!("{name} (rotated)");
        self.found
            .record(rotated, error, tolerance.decoder_after_steps);
        self.found.record(
            format!("{name} (not rotated)"),
            noise,
            50.0 * tolerance.key_after_steps,
        );
    }

    /// Token for token, each prompt alone and both in one batch.
    fn generate(&mut self) {
        let cases = &self.cases.generate;
        let options = GenerateOptions {
            max_new_tokens: cases.first().map_or(0, |case| case.ids.len()),
            ..GenerateOptions::default()
        };
        let prompts: Vec<Vec<u32>> = cases.iter().map(|case| case.prompt.clone()).collect();
        let together = self.model.generate(&prompts, &options, |_, _| ());
        let alone = prompts.iter().map(|prompt| {
            let prompt = std::slice::from_ref(prompt);
            self.model.generate(prompt, &options, |_, _| ()).remove(0)
        });
        let alone: Vec<Vec<u32>> = alone.collect();
        let expected: Vec<&Vec<u32>> = cases.iter().map(|case| &case.ids).collect();
        let wrong = |found: &[Vec<u32>]| {
            let tokens = found
                .iter()
                .zip(&expected)
                .flat_map(|(a, b)| a.iter().zip(*b));
            let count = found.iter().map(Vec::len).sum::<usize>();
            let all = expected.iter().map(|ids| ids.len()).sum::<usize>();
            (tokens.filter(|(a, b)| a != b).count() + all - count) as f64
        };
        let (together, alone) = (wrong(&together), wrong(&alone));
        // What weights of lower precision find most probable may be another token.
        let tolerance = match self.found.tolerance.precision {
            beft_nn::Precision::F32 => 0.0,
            _ => f64::INFINITY,
        };
        self.found.record(
            "wrong generated tokens (together)".into(),
            together,
            tolerance,
        );
        self.found
            .record("wrong generated tokens (alone)".into(), alone, tolerance);
    }
}
