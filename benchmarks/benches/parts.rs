//! `cargo xtask bench parts`: the parts of a training step, of scoring and of loading, each alone.
//!
//! The shape is MiniLM's (6 layers, 384 wide), 16 inputs of 4 to 30 tokens; with `BEFT_MODEL` set to a
//! model folder, loading and tokenising are timed as well.

use std::hint::black_box;

use beft::{Base, parse_device};
use beft_core::{BiasSite, BiasSnapshot, BiasTerm, EncodedSet, Encoding, Targets, TermSet};
use beft_encoder::{EncoderConfig, EncoderWithHead};
use beft_nn::{Batch, Padding, Rows, Savings, TaskModel, gelu};
use beft_score::{Beft, Magnitude, Scorer};
use beft_train::{GradMasks, TrainConfig, gradient_moments, training_step, with_trainable};
use burn::module::Module;
use burn::tensor::module::layer_norm;
use burn::tensor::{Device, Distribution, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};

const INPUTS: usize = 16;

fn device() -> Device {
    parse_device("flex").expect("the default device")
}

fn config() -> EncoderConfig {
    EncoderConfig {
        vocab_size: 30522,
        num_hidden_layers: 6,
        ..EncoderConfig::base_cased().with_width(384)
    }
}

fn model() -> EncoderWithHead {
    EncoderWithHead::init(&config(), beft_core::Head::Sequence(2), &device())
}

fn data() -> EncodedSet {
    let encoding = |index: usize| {
        let length = 4 + (index * 7) % 27;
        Encoding {
            ids: (0..length as u32).map(|i| 1000 + 31 * i).collect(),
            type_ids: vec![0; length],
            ..Encoding::default()
        }
    };
    EncodedSet {
        class_weights: Vec::new(),
        encodings: (0..INPUTS).map(encoding).collect(),
        targets: Targets::Classes((0..INPUTS).map(|i| i % 2).collect()),
    }
}

fn operations(c: &mut Criterion) {
    let device = device();
    let model = model();
    let data = data();
    let batch = Batch::new(&data.encodings, Padding::Packed, &device);
    let random = |width| {
        Tensor::<2>::random(
            [batch.layout.rows(), width],
            Distribution::Normal(0.0, 1.0),
            &device,
        )
    };
    let (x, wide) = (random(384), random(1536));
    let layer = &model.encoder.layers[0];
    let mut group = c.benchmark_group("operation");
    group.bench_function("linear", |b| {
        b.iter(|| {
            let y = layer
                .biases
                .project(BiasTerm::M2, x.clone(), &layer.intermediate, None);
            y.into_data()
        });
    });
    for host in [true, false] {
        let name = if host { "gelu" } else { "gelu of the backend" };
        group.bench_function(name, |b| b.iter(|| gelu(wide.clone(), host).into_data()));
    }
    let gamma = layer.norm2_gamma.val();
    let context = model.encoder.context(&batch);
    group.bench_function("layer norm", |b| {
        b.iter(|| layer_norm(x.clone(), gamma.clone(), None, 1e-12).into_data());
    });
    group.bench_function("attention", |b| {
        b.iter(|| layer.attend(x.clone(), &context, Rows::All).into_data());
    });
    group.bench_function("layer forward", |b| {
        b.iter(|| layer.forward(x.clone(), &context, Rows::All).into_data());
    });
    let learning = with_trainable(model.clone(), &TermSet::of([BiasTerm::V])).expect("a valid set");
    let layer = &learning.encoder.layers[0];
    let device = device.clone().autodiff();
    let batch = Batch::new(&data.encodings, Padding::Packed, &device);
    let context = learning.encoder.context(&batch);
    let x = Tensor::from_inner(x);
    group.bench_function("layer forward and backward", |b| {
        b.iter(|| {
            layer
                .forward(x.clone(), &context, Rows::All)
                .sum()
                .backward()
        });
    });
    group.finish();
}

fn passes(c: &mut Criterion) {
    let data = data();
    let terms = TermSet::of([BiasTerm::V]);
    let chosen: Vec<usize> = (0..INPUTS).collect();
    let mut group = c.benchmark_group("pass");
    group.sample_size(20);
    let savings = [
        ("all savings", Savings::default()),
        ("padded to 128", Savings::none(Padding::To(128))),
    ];
    for (name, savings) in savings {
        let mut config = TrainConfig::new(terms.clone(), 1e-4, 1, 0);
        config.settings.savings = savings;
        let mut model = with_trainable(model(), &terms).expect("a valid set");
        let mut optimizer = config.optimizer();
        let masks = GradMasks::default();
        group.bench_function(format!("value-bias step, {name}"), |b| {
            b.iter(|| {
                let next = training_step(
                    model.clone(),
                    &masks,
                    &data,
                    &chosen,
                    &config,
                    0,
                    &mut optimizer,
                );
                model = next.0;
                next.1
            });
        });
    }
    let model = model();
    let batch = Batch::new(&data.encodings, Padding::Packed, &device());
    group.bench_function("frozen forward", |b| {
        b.iter(|| model.forward(&batch).into_data())
    });
    group.bench_function("gradient moments", |b| {
        b.iter(|| {
            gradient_moments(model.clone(), &data, 8, 1.0, Padding::Packed, || ()).expect("scores")
        });
    });
    group.finish();
    black_box(model.num_params());
}

fn scores(c: &mut Criterion) {
    let snapshot = |shift: f32| -> BiasSnapshot {
        BiasSite::all(12)
            .map(|site| {
                let width = if site.term == BiasTerm::M2 { 3072 } else { 768 };
                (
                    site,
                    (0..width)
                        .map(|i| (i as f32 * 0.37).sin() + shift)
                        .collect(),
                )
            })
            .collect()
    };
    let (before, after) = (snapshot(0.0), snapshot(0.01));
    let mut group = c.benchmark_group("score");
    group.bench_function("beft", |b| b.iter(|| Beft.score(&before, &after)));
    group.bench_function("magnitude", |b| b.iter(|| Magnitude.score(&before, &after)));
    group.finish();
}

fn files(c: &mut Criterion) {
    let Ok(folder) = std::env::var("BEFT_MODEL") else {
        return;
    };
    let mut group = c.benchmark_group("files");
    group.sample_size(10);
    let open =
        || Base::open(&folder, Some(128), &device()).expect("BEFT_MODEL names a model folder");
    group.bench_function("load", |b| {
        b.iter(|| open().model(2, 0).expect("a classifier"));
    });
    let base = open();
    let text = "a warm , funny and quietly moving film that earns every one of its tears";
    group.bench_function("tokenise 1000 texts", |b| {
        b.iter(|| {
            base.encode((0..1000).map(|_| (text, None)))
                .expect("tokens")
        });
    });
    group.finish();
}

criterion_group!(benches, operations, passes, scores, files);
criterion_main!(benches);
