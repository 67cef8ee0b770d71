//! What decoders leave out changes no result, trainings of them run together, and the identities that the
//! method rests on.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use beft_checkpoint::ModelDir;
use beft_core::{BiasSite, BiasTerm, EncodedSet, Encoding, Stop};
use beft_decoder::{DecoderForCausalLM as Decoder, GenerateOptions};
use beft_eval::{RepeatedPrediction, predict};
use beft_modes::Mode;
use beft_nn::{BiasModel, Padding, ParamPath, Precision, Savings, map_params, read_params};
use beft_parity::{decoder_examples, norm_error};
use beft_train::{
    Event, Job, Metrics, Schedule, TrainConfig, TrainError, Trained, train, train_together,
    unchanged_layers,
};
use burn::tensor::{Device, TensorData};

const MODELS: [&str; 4] = ["opt-tiny", "llama-tiny", "gptj-tiny", "gpt2-tiny"];

fn load(name: &str) -> Decoder {
    let dir = ModelDir::open(&beft_fixtures::model(name)).unwrap();
    let files = dir.tensors().unwrap();
    Decoder::load(&dir, &files, Precision::F32, &Device::flex())
        .unwrap()
        .0
}

fn config(mode: &str, seed: u32, learning_rate: f64) -> TrainConfig {
    let mode: Mode = mode.parse().unwrap();
    let mut config = TrainConfig::new(mode, learning_rate, 3, seed);
    config.settings.batch_size = 5;
    config.schedule = Schedule::Linear;
    config
}

struct Outcome {
    values: Vec<f32>,
    losses: Vec<f64>,
    scores: Vec<Vec<f32>>,
    kept: Vec<usize>,
}

/// Three epochs, with the scores of an evaluation after each.
fn trained(model: Decoder, data: &EncodedSet, config: &TrainConfig) -> Outcome {
    let savings = config.settings.savings;
    let layers = unchanged_layers(&model, &config.mode, savings).unwrap();
    let mut repeated = RepeatedPrediction::new(&data.encodings, 4, savings, layers);
    let (mut losses, mut scores, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    let evaluate = |model: &Decoder| {
        scores.extend(repeated.predict(model, &Stop::default()).unwrap());
        Ok::<_, TrainError>(Metrics::new())
    };
    let result = train(model, data, config, evaluate, |event| match event {
        Event::Step { loss, .. } => losses.push(loss),
        Event::Keeping { layers, .. } => kept.push(layers),
        _ => {}
    })
    .unwrap();
    Outcome {
        values: values(&result),
        losses,
        scores,
        kept,
    }
}

fn values(trained: &Trained<Decoder>) -> Vec<f32> {
    let wanted = |path: &ParamPath| trained.paths.contains(path);
    let values = read_params(&trained.model, wanted);
    values.into_values().flat_map(|data| data.values).collect()
}

fn assert_close(a: &[f32], b: &[f32], tolerance: f32, what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    let largest = b.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    for (a, b) in a.iter().zip(b) {
        let error = (a - b).abs() / b.abs().max(0.1 * largest);
        assert!(error <= tolerance, "{what}: {a} {b}");
    }
}

#[test]
fn savings_change_no_result() {
    for name in MODELS {
        for (which, data) in decoder_examples(&beft_fixtures::model(name))
            .unwrap()
            .iter()
            .enumerate()
        {
            for mode in ["v", "v@1-2", "q,m3@2", "k"] {
                let mut config = config(mode, 1, 1e-2);
                let model = || load(name).without_dropout();
                let full = trained(model(), data, &config);
                let mut least = Savings::default();
                for saving in Savings::NAMES {
                    least = least.without(saving).unwrap();
                }
                for savings in [
                    Savings::default().without("packing").unwrap(),
                    Savings::default().without("first-token").unwrap(),
                    Savings::default().without("reuse").unwrap(),
                    least,
                ] {
                    config.settings.savings = savings;
                    let other = trained(model(), data, &config);
                    let what = format!("{name} {which} {mode} {savings:?}");
                    let float = |x: &[f64]| x.iter().map(|x| *x as f32).collect::<Vec<f32>>();
                    assert_close(&float(&other.losses), &float(&full.losses), 1e-4, &what);
                    assert_close(&other.scores.concat(), &full.scores.concat(), 1e-4, &what);
                }
                // What is below the lowest trained layer is computed once.
                let expected: &[usize] = match mode {
                    "v@1-2" => &[1],
                    "k" if load(name).ignores_key_bias() => &[2],
                    _ => &[],
                };
                assert_eq!(full.kept, expected, "{name} {mode}");
            }
        }
    }
}

#[test]
fn a_step_in_parts_is_the_same_step() {
    for name in MODELS {
        for data in decoder_examples(&beft_fixtures::model(name)).unwrap() {
            let mut config = config("v", 0, 1e-2);
            let model = || load(name).without_dropout();
            let whole = trained(model(), &data, &config);
            config.settings.micro_batch = Some(1);
            let parts = trained(model(), &data, &config);
            config.settings.micro_batch = None;
            config.settings.checkpointing = true;
            let again = trained(model(), &data, &config);
            assert_close(&again.values, &whole.values, 1e-3, name);
            let float = |x: &[f64]| x.iter().map(|x| *x as f32).collect::<Vec<f32>>();
            assert_close(&float(&parts.losses), &float(&whole.losses), 1e-4, name);
        }
    }
}

#[test]
fn trainings_together_give_what_each_gives_alone() {
    for name in MODELS {
        for data in decoder_examples(&beft_fixtures::model(name)).unwrap() {
            let configs = [
                config("q", 0, 1e-2),
                config("v", 1, 4e-3),
                config("all", 2, 1e-3),
                config("v", 3, 2e-2),
            ];
            let jobs = configs.iter().map(|config| Job {
                model: load(name),
                data: &data,
                config: config.clone(),
            });
            let nothing = |_: usize, _: &Decoder| Ok::<_, TrainError>(Metrics::new());
            let together = train_together(jobs.collect(), nothing, |_, _| ()).unwrap();
            for (config, together) in configs.iter().zip(&together) {
                let alone = trained(load(name), &data, config);
                let what = format!("{name} {}", config.mode);
                // In the Euclidean norm: AdamW makes steps of the noise in gradients that are zero.
                let error = norm_error(&values(together), &alone.values);
                assert!(error < 1e-3, "{what}: {error}");
                let losses = together.epochs.iter().map(|e| e.train_loss as f32);
                let steps = data.len().div_ceil(config.settings.batch_size);
                assert_eq!(alone.losses.len(), 3 * steps);
                assert!(losses.clone().all(f32::is_finite), "{what}");
            }
        }
    }
}

/// A real pretrained decoder writes what is recorded beside it (`../shared/data/README.md`).
#[test]
fn stories260k_tells_its_story() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/models");
    let path = shared.join("stories260K");
    if !path.is_dir() {
        eprintln!("skipped: {} is absent", path.display());
        return;
    }
    let dir = ModelDir::open(&path).unwrap();
    let files = dir.tensors().unwrap();
    let (model, _) = Decoder::load(&dir, &files, Precision::F32, &Device::flex()).unwrap();
    let tokenizer = dir.tokenizer(512).unwrap();
    let ids = tokenizer
        .encode_ids(["Lily loved her big red ball."])
        .unwrap();
    assert_eq!(
        ids[0],
        [1, 317, 401, 396, 311, 370, 352, 266, 268, 388, 426]
    );
    let options = GenerateOptions {
        max_new_tokens: 80,
        ..GenerateOptions::default()
    };
    let text = model.generate(&[vec![1]], &options, |_, _| ()).remove(0);
    assert_eq!(
        tokenizer.decode(&text).unwrap(),
        "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. \
         One day, she saw a big, red ball. She wanted to play with it, but it was too high.\n\
         Lily's mom said, \"Lily, let's go to"
    );
}

/// Candidates that share a prompt have the scores that each has by itself.
#[test]
fn a_shared_prompt_changes_no_score() {
    for name in MODELS {
        let [choices, _] = decoder_examples(&beft_fixtures::model(name)).unwrap();
        let model = load(name);
        let together = predict(&model, &choices.encodings, 4, Padding::Packed, |_| ());
        let mut alone = Vec::new();
        for encoding in &choices.encodings {
            let (prompt, mut rest) = encoding.ids.split_at(encoding.prompt_len());
            for branch in &encoding.branches {
                let (own, others) = rest.split_at(branch.tokens);
                rest = others;
                alone.push(Encoding::with_branches(prompt, [(own, branch.scored)]));
            }
        }
        let alone = predict(&model, &alone, 64, Padding::Longest, |_| ());
        assert_close(&together.concat(), &alone.concat(), 1e-5, name);
    }
}

/// Attention weights add up to 1: a value bias moves attention's output by what the output projection
/// makes of it, whatever the input.
#[test]
fn a_value_bias_shifts_attention_by_itself() {
    for name in MODELS {
        let [choices, _] = decoder_examples(&beft_fixtures::model(name)).unwrap();
        let model = load(name);
        let layer = &model.decoder.layers[1];
        let [all, hidden] = layer.attention_output.dims();
        let [_, shared] = layer.value.dims();
        let head_dim = 8;
        let shift: Vec<f32> = (0..shared).map(|i| 0.3 * (i as f32).sin()).collect();
        // Query heads that share a value head get its bias each.
        let repeat = all / shared;
        let weights: Vec<f32> = layer
            .attention_output
            .param()
            .unwrap()
            .val()
            .into_data()
            .iter()
            .collect();
        let mut output = vec![0.0f32; hidden];
        for i in 0..all {
            let (head, at) = (i / head_dim, i % head_dim);
            let value = shift[head / repeat * head_dim + at];
            for (o, cell) in output.iter_mut().enumerate() {
                *cell += value * weights[i * hidden + o];
            }
        }
        let moved = |model: Decoder, term, by: &[f32]| {
            let path = model.site_path(BiasSite::new(1, term));
            let values = read_params(&model, |p| *p == path).remove(&path).unwrap();
            let values: Vec<f32> = values.values.iter().zip(by).map(|(b, x)| b + x).collect();
            map_params(model, |p, shape| {
                (*p == path).then(|| TensorData::new(values.clone(), shape.to_vec()))
            })
        };
        let scores = |model: &Decoder| {
            predict(model, &choices.encodings, 4, Padding::Packed, |_| ()).concat()
        };
        let by_value = scores(&moved(load(name), BiasTerm::V, &shift));
        let by_output = scores(&moved(load(name), BiasTerm::M1, &output));
        assert_close(&by_value, &by_output, 1e-4, name);
        assert_ne!(by_value, scores(&model), "{name}");
    }
}
