//! What passes leave out changes no result.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread;

use beft_checkpoint::ModelDir;
use beft_core::{EncodedSet, Stop};
use beft_encoder::EncoderWithHead as Encoder;
use beft_eval::{RepeatedPrediction, predict};
use beft_fixtures::ENCODERS;
use beft_modes::Mode;
use beft_nn::{BiasModel, Padding, ParamData, ParamPath, Savings, read_params};
use beft_parity::Expected;
use beft_train::{Event, Metrics, TrainConfig, TrainError, batch_loss, train, unchanged_layers};
use burn::module::Module;
use burn::tensor::Device;

/// What is trained: every kind of mode for one architecture, and for the others a term, the highest layer alone, and
/// everything.
fn modes(name: &str) -> &'static [&'static str] {
    match name {
        "bert-tiny" => &[
            "frozen",
            "k",
            "v",
            "v@1",
            "all",
            "full",
            "lora-v",
            "random",
            "pooler",
            "embeddings",
        ],
        "modernbert-mean-tiny" => &["k", "v@1", "full", "final_norm,pooler"],
        _ => &["k", "v@1", "full"],
    }
}

fn load(name: &str) -> Encoder {
    let dir = ModelDir::open(&beft_fixtures::model(name)).unwrap();
    let files = dir.tensors().unwrap();
    Encoder::load(
        &dir,
        &files,
        beft_core::Head::Sequence(3),
        0,
        &Device::flex(),
    )
    .unwrap()
    .0
}

/// Inputs of different lengths.
fn data(name: &str) -> EncodedSet {
    let expected =
        Expected::open(&beft_fixtures::model(name).join("expected.safetensors")).unwrap();
    expected.batch(0).unwrap()
}

struct Outcome {
    values: BTreeMap<ParamPath, ParamData>,
    losses: Vec<f64>,
    scores: Vec<Vec<f32>>,
    kept: Vec<usize>,
}

/// Three epochs in small batches, with the class scores of an evaluation after each.
fn trained(model: Encoder, data: &EncodedSet, mode: &str, savings: Savings) -> Outcome {
    let mut config = TrainConfig::new(mode.parse::<Mode>().unwrap(), 1e-2, 3, 0);
    config.settings.batch_size = 3;
    config.settings.savings = savings;
    trained_by(model, data, &config)
}

/// The device has one generator, by which LoRA's factors are drawn: one training at a time.
static DEVICE: Mutex<()> = Mutex::new(());

fn trained_by(model: Encoder, data: &EncodedSet, config: &TrainConfig) -> Outcome {
    let _alone = DEVICE.lock().unwrap_or_else(PoisonError::into_inner);
    let (mode, savings) = (config.mode.clone(), config.settings.savings);
    let layers = unchanged_layers(&model, &mode, savings).unwrap();
    let mut repeated = RepeatedPrediction::new(&data.encodings, 2, savings, layers);
    let (mut losses, mut scores, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    let evaluate = |model: &Encoder| {
        let again = repeated.predict(model, &Stop::default()).unwrap();
        assert_eq!(again, predict(model, &data.encodings, 2, savings, |_| ()));
        scores.extend(again);
        Ok::<_, TrainError>(Metrics::new())
    };
    let result = train(model, data, config, evaluate, |event| match event {
        Event::Step { loss, .. } => losses.push(loss),
        Event::Keeping { layers, .. } => kept.push(layers),
        _ => {}
    })
    .unwrap();
    Outcome {
        values: read_params(&result.model, |_| true),
        losses,
        scores,
        kept,
    }
}

fn worst(a: &Outcome, b: &Outcome) -> f64 {
    let losses = a.losses.iter().zip(&b.losses).map(|(a, b)| (a - b).abs());
    let scores = a.scores.concat().into_iter().zip(b.scores.concat());
    let scores = scores.map(|(a, b)| f64::from((a - b).abs()));
    assert_eq!(
        (a.losses.len(), a.scores.len()),
        (b.losses.len(), b.scores.len())
    );
    losses.chain(scores).fold(0.0, f64::max)
}

/// With dropout: its masks are the same whatever is left out, as long as the host draws them.
#[test]
fn every_saving_alone_leaves_the_training_as_it_is() {
    for name in ENCODERS {
        let data = data(name);
        for mode in modes(name) {
            let all = trained(load(name), &data, mode, Savings::default());
            for saving in [
                "packing",
                "first-token",
                "zero-gradients",
                "reuse",
                "packed-layers",
            ] {
                let savings = Savings::default().without(saving).unwrap();
                let difference = worst(&all, &trained(load(name), &data, mode, savings));
                assert!(difference < 2e-4, "{name} {mode} {saving}: {difference}");
            }
            let padded = Savings::from(Padding::To(24));
            let difference = worst(&all, &trained(load(name), &data, mode, padded));
            assert!(difference < 2e-4, "{name} {mode} padded: {difference}");
        }
    }
}

/// With dropout, in every kind of mode, with and without a kept prefix.
#[test]
fn layers_computed_anew_give_the_same_training() {
    let compare = |name| {
        let data = data(name);
        for mode in modes(name) {
            for dropout in [true, false] {
                let model = || match dropout {
                    true => load(name),
                    false => load(name).without_dropout(),
                };
                let mut config = TrainConfig::new(mode.parse::<Mode>().unwrap(), 1e-2, 3, 0);
                config.settings.batch_size = 3;
                let kept = trained_by(model(), &data, &config);
                config.settings.checkpointing = true;
                let difference = worst(&kept, &trained_by(model(), &data, &config));
                assert!(difference < 2e-4, "{name} {mode} {dropout}: {difference}");
            }
        }
    };
    thread::scope(|scope| {
        for name in ENCODERS {
            scope.spawn(move || compare(name));
        }
    });
}

#[test]
fn functions_on_the_host_are_those_of_the_backend() {
    let savings = Savings::default();
    let without = savings.without("host-functions").unwrap();
    for name in ENCODERS {
        let data = data(name);
        let run = |savings| trained(load(name).without_dropout(), &data, "all", savings);
        let difference = worst(&run(savings), &run(without));
        assert!(difference < 2e-4, "{name}: {difference}");
    }
}

#[test]
fn kept_layers_are_those_that_training_leaves_alone() {
    let count = |mode: &str, savings| {
        unchanged_layers(&load("bert-tiny"), &mode.parse().unwrap(), savings).unwrap()
    };
    let layers = 3;
    for (mode, unchanged) in [
        ("frozen", layers),
        ("k", layers),
        ("k@1", layers),
        ("v", 0),
        ("v@1", 1),
        ("v@2", 2),
        ("k@0,v@2", 0),
        ("all", 0),
        ("full", 0),
        ("lora-v", 0),
        ("random", 0),
    ] {
        assert_eq!(count(mode, Savings::default()), unchanged, "{mode}");
    }
    let savings = Savings::default().without("zero-gradients").unwrap();
    assert_eq!((count("k", savings), count("k@1", savings)), (0, 1));
}

/// Without dropout the layers below are computed once, and nothing else changes.
#[test]
fn a_kept_prefix_gives_the_same_training() {
    for name in ENCODERS {
        let data = data(name);
        let keys = if load(name).ignores_key_bias() { 3 } else { 0 };
        for (mode, layers) in [("frozen", 3), ("k", keys), ("v@2", 2), ("m3@1,ln2@2", 1)] {
            let run = |savings| trained(load(name).without_dropout(), &data, mode, savings);
            let kept = run(Savings::default());
            let anew = run(Savings::default().without("reuse").unwrap());
            let expected = [layers];
            let expected = if layers > 0 { &expected[..] } else { &[] };
            assert_eq!((kept.kept.as_slice(), anew.kept.len()), (expected, 0));
            let difference = worst(&kept, &anew);
            assert!(difference < 1e-5, "{name} {mode}: {difference}");
            assert_eq!(kept.values.len(), anew.values.len());
        }
        // With dropout nothing can be kept for training.
        let dropping = trained(load(name), &data, "v@2", Savings::default());
        assert!(dropping.kept.is_empty());
    }
}

/// The gradient of the key's bias is zero but for rounding, and that of no other term is.
#[test]
fn the_gradient_of_the_key_bias_is_zero() {
    for name in ENCODERS {
        let data = data(name);
        let model = load(name).freeze();
        if !model.ignores_key_bias() {
            continue;
        }
        let terms = "all".parse().unwrap();
        let model = beft_train::with_trainable(model, &terms).unwrap();
        let device = model.devices()[0].clone();
        let chosen: Vec<usize> = (0..data.len()).collect();
        let grads = batch_loss(&model, &data, &chosen, Padding::Packed, &device).backward();
        for layer in &model.encoder.layers {
            let largest = |bias: &burn::module::Param<burn::tensor::Tensor<1>>| -> f32 {
                let grad = bias.val().grad(&grads).unwrap();
                grad.abs().max().into_scalar::<f32>()
            };
            let biases = &layer.biases;
            let others = [&biases.q, &biases.v, &biases.m2].map(largest);
            let smallest = others.into_iter().fold(f32::INFINITY, f32::min);
            assert!(largest(&biases.k) < 1e-4 * smallest, "{name}: {others:?}");
        }
    }
}
