//! Trainings that run together give what each gives by itself.

#![allow(clippy::unwrap_used)]

use beft_checkpoint::ModelDir;
use beft_core::{EncodedSet, Targets};
use beft_encoder::EncoderWithHead as Encoder;
use beft_eval::predict;
use beft_fixtures::ENCODERS;
use beft_modes::Mode;
use beft_nn::{Padding, read_params};
use beft_parity::Expected;
use beft_train::{
    Checkpoint, Event, Job, Keep, Metrics, TrainConfig, TrainError, Trained, train, train_together,
};
use burn::tensor::Device;

fn load(name: &str, seed: u32) -> Encoder {
    let dir = ModelDir::open(&beft_fixtures::model(name)).unwrap();
    let files = dir.tensors().unwrap();
    Encoder::load(
        &dir,
        &files,
        beft_core::Head::Sequence(3),
        u64::from(seed),
        &Device::flex(),
    )
    .unwrap()
    .0
}

/// Inputs of different lengths, in another order for each seed, and other ones last.
fn data(name: &str, seed: u32) -> EncodedSet {
    let expected =
        Expected::open(&beft_fixtures::model(name).join("expected.safetensors")).unwrap();
    let mut set = expected.batch(0).unwrap();
    let Targets::Classes(classes) = &mut set.targets else {
        panic!("classes")
    };
    set.encodings.rotate_left(seed as usize);
    classes.rotate_left(seed as usize);
    set.encodings.pop();
    classes.pop();
    set
}

fn config(mode: &str, seed: u32, learning_rate: f64) -> TrainConfig {
    let mode: Mode = mode.parse().unwrap();
    let mut config = TrainConfig::new(mode, learning_rate, 3, seed);
    config.settings.batch_size = 2;
    config
}

/// The mean of all class scores: whatever differs between two models shows in it.
fn metrics(model: &Encoder, data: &EncodedSet) -> Metrics {
    let scores = predict(model, &data.encodings, 4, Padding::Packed, |_| ()).concat();
    let squares: f64 = scores.iter().map(|x| f64::from(x * x)).sum();
    [("score".to_owned(), squares)].into()
}

type Outcome = Trained<Encoder>;

fn together(jobs: Vec<Job<'_, Encoder>>) -> Vec<Outcome> {
    let data: Vec<EncodedSet> = jobs.iter().map(|job| job.data.clone()).collect();
    let evaluate = |job: usize, model: &Encoder| Ok::<_, TrainError>(metrics(model, &data[job]));
    train_together(jobs, evaluate, |_, _| ()).unwrap()
}

fn alone(job: Job<'_, Encoder>) -> Outcome {
    let evaluate = |model: &Encoder| Ok::<_, TrainError>(metrics(model, job.data));
    train(job.model, job.data, &job.config, evaluate, |_| ()).unwrap()
}

fn assert_same(a: &Outcome, b: &Outcome, what: &str) {
    assert_eq!(
        (a.trainable, &a.paths, a.kept, a.failure, a.epochs.len()),
        (b.trainable, &b.paths, b.kept, b.failure, b.epochs.len()),
        "{what}"
    );
    for (a, b) in a.epochs.iter().zip(&b.epochs) {
        assert!(
            (a.train_loss - b.train_loss).abs() < 1e-4,
            "{what}: {a:?} {b:?}"
        );
        let (a, b) = (a.metrics["score"], b.metrics["score"]);
        assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "{what}: {a} {b}");
    }
    let (a, b) = (
        read_params(&a.model, |_| true),
        read_params(&b.model, |_| true),
    );
    for (path, b) in &b {
        let a = &a[path];
        assert_eq!(a.shape, b.shape, "{what} {path}");
        let off = a.values.iter().zip(&b.values).map(|(a, b)| (a - b).abs());
        let off = off.fold(0.0, f32::max);
        assert!(off < 1e-4, "{what} {path}: {off}");
    }
}

/// Other terms, seeds (and with them heads, orders, dropout), learning rates and data.
#[test]
fn each_training_is_its_own_single_run() {
    let cases = [
        ("v", 0, 1e-3),
        ("q", 0, 1e-3),
        ("v", 1, 4e-3),
        ("all", 2, 2e-3),
        ("q,k@1", 1, 1e-3),
        ("v@2", 3, 1e-3),
        ("v@1.h1,q.h0", 1, 1e-3),
    ];
    for name in ENCODERS {
        for dropout in [false, true] {
            let sets: Vec<EncodedSet> =
                cases.iter().map(|(_, seed, _)| data(name, *seed)).collect();
            let job = |index: usize| {
                let (mode, seed, rate) = cases[index];
                let model = load(name, seed);
                Job {
                    model: if dropout {
                        model
                    } else {
                        model.without_dropout()
                    },
                    data: &sets[index],
                    config: config(mode, seed, rate),
                }
            };
            let outcomes = together((0..cases.len()).map(job).collect());
            for (index, outcome) in outcomes.iter().enumerate() {
                let what = format!("{name} {:?} dropout {dropout}", cases[index]);
                assert_same(outcome, &alone(job(index)), &what);
            }
        }
    }
}

/// Where all of them leave the lowest layers alone, those are computed once per data set; in a file
/// where memory is short.
#[test]
fn a_kept_prefix_serves_them_all() {
    let sets = [data("bert-tiny", 0), data("bert-tiny", 1)];
    for (modes, layers) in [(["v@2", "q@2"], 2), (["frozen", "k"], 3)] {
        for kept_memory in [u64::MAX, 0] {
            let job = |index: usize| {
                let mut config = config(modes[index % 2], index as u32, 1e-3);
                config.settings.kept_memory = kept_memory;
                Job {
                    model: load("bert-tiny", 0).without_dropout(),
                    data: &sets[index / 2],
                    config,
                }
            };
            let mut kept = None;
            let evaluate =
                |_: usize, model: &Encoder| Ok::<_, TrainError>(metrics(model, &sets[0]));
            let outcomes = train_together((0..4).map(job).collect(), evaluate, |_, event| {
                if let Event::Keeping {
                    layers,
                    bytes,
                    in_file,
                } = event
                {
                    kept = Some((layers, bytes, in_file));
                }
            })
            .unwrap();
            let rows: usize = sets
                .iter()
                .flat_map(|set| &set.encodings)
                .map(|e| if layers == 3 { 1 } else { e.len() })
                .sum();
            let width = read_params(&outcomes[0].model, |p| p.as_str().ends_with("norm_gamma"));
            let width = width.values().next().unwrap().values.len();
            assert_eq!(
                kept,
                Some((layers, (4 * rows * width) as u64, kept_memory == 0))
            );
            for (index, outcome) in outcomes.iter().enumerate() {
                let mut job = job(index);
                job.config.settings.savings.reuse = false;
                let evaluate = |model: &Encoder| Ok::<_, TrainError>(metrics(model, &sets[0]));
                let own = train(job.model, job.data, &job.config, evaluate, |_| ()).unwrap();
                assert_same(outcome, &own, &format!("{modes:?} {index}"));
            }
        }
    }
}

/// One that diverges ends as it does by itself, and the others do not notice.
#[test]
fn a_training_that_diverges_leaves_the_others_alone() {
    for name in ENCODERS {
        let set = data(name, 0);
        let job = |(mode, rate): (&str, f64)| Job {
            model: load(name, 0),
            data: &set,
            config: config(mode, 0, rate),
        };
        let cases = [("v", 1e-3), ("all", 1e38), ("q", 1e-3)];
        let outcomes = together(cases.into_iter().map(job).collect());
        assert!(outcomes[1].failure.is_some() && outcomes[0].failure.is_none());
        for (case, outcome) in cases.into_iter().zip(&outcomes) {
            let own = alone(job(case));
            if case.1 < 1.0 {
                assert_same(outcome, &own, &format!("{name} {case:?}"));
            }
            assert_eq!((outcome.failure, outcome.kept), (own.failure, own.kept));
            let values = read_params(&outcome.model, |_| true);
            assert!(
                values
                    .values()
                    .all(|p| p.values.iter().all(|x| x.is_finite()))
            );
        }
    }
}

/// Each keeps its own best epoch and stops by itself.
#[test]
fn stopping_and_keeping_are_each_ones_own() {
    let set = data("bert-tiny", 0);
    let job = |(mode, patience): (&str, Option<usize>)| {
        let mut config = config(mode, 0, 1e-3);
        config.settings.epochs = 6;
        config.metric = "score".to_owned();
        config.settings.keep = Keep::Best;
        config.settings.patience = patience;
        Job {
            model: load("bert-tiny", 0),
            data: &set,
            config,
        }
    };
    let cases = [("v", Some(1)), ("q", Some(1)), ("all", None)];
    // Falling for v and q, so that they stop after two epochs more than the best.
    let score = |job: usize, call: usize| match job {
        0 => [3.0, 4.0, 1.0, 1.0, 1.0, 1.0][call],
        1 => [5.0, 1.0, 1.0, 1.0, 1.0, 1.0][call],
        _ => call as f64,
    };
    let mut calls = [0; 3];
    let evaluate = |job: usize, _: &Encoder| {
        calls[job] += 1;
        let value = score(job, calls[job] - 1);
        Ok::<_, TrainError>(Metrics::from([("score".to_owned(), value)]))
    };
    let outcomes = train_together(cases.into_iter().map(job).collect(), evaluate, |_, _| ());
    let outcomes = outcomes.unwrap();
    let facts: Vec<_> = outcomes.iter().map(|o| (o.epochs.len(), o.kept)).collect();
    assert_eq!(facts, [(3, 2), (2, 1), (6, 6)]);
    for (index, (case, outcome)) in cases.into_iter().zip(&outcomes).enumerate() {
        let (mut call, job) = (0, job(case));
        let evaluate = |_: &Encoder| {
            call += 1;
            let value = score(index, call - 1);
            Ok::<_, TrainError>(Metrics::from([("score".to_owned(), value)]))
        };
        let own = train(job.model, job.data, &job.config, evaluate, |_| ()).unwrap();
        assert_same(outcome, &own, &format!("{case:?}"));
    }
}

/// Without an evaluation after each epoch the values are the same, and the best of those evaluated is kept.
#[test]
fn evaluations_are_as_asked_and_change_no_value() {
    let set = data("bert-tiny", 0);
    let run = |evaluate: &str, keep, patience| {
        let mut config = config("v", 0, 1e-3);
        config.settings.epochs = 5;
        config.metric = "score".to_owned();
        config.settings.evaluate = evaluate.parse().unwrap();
        config.settings.keep = keep;
        config.settings.patience = patience;
        let mut calls = 0.0;
        let evaluate = |_: &Encoder| {
            calls += 1.0;
            Ok::<_, TrainError>(Metrics::from([("score".to_owned(), -calls)]))
        };
        train(load("bert-tiny", 0), &set, &config, evaluate, |_| ())
    };
    let each = run("each", Keep::Last, None).unwrap();
    for (evaluate, after) in [("2", vec![2, 4, 5]), ("last", vec![5])] {
        let outcome = run(evaluate, Keep::Last, None).unwrap();
        let values = |outcome: &Outcome| read_params(&outcome.model, |_| true);
        assert_eq!(values(&outcome), values(&each), "{evaluate}");
        let evaluated = outcome.epochs.iter().filter(|e| !e.metrics.is_empty());
        let evaluated: Vec<usize> = evaluated.map(|e| e.epoch).collect();
        assert_eq!(evaluated, after);
    }
    let best = run("2", Keep::Best, Some(2)).unwrap();
    assert_eq!((best.kept, best.epochs.len()), (2, 4));
    for (keep, patience) in [(Keep::Best, None), (Keep::Last, Some(2))] {
        let error = run("last", keep, patience).unwrap_err().to_string();
        assert!(error.contains("train several and evaluate each"), "{error}");
    }
}

/// Interrupted after an epoch and resumed, the values are the very ones of a run without a break.
#[test]
fn they_resume_together() {
    let folder = tempfile::tempdir().unwrap();
    let set = data("bert-tiny", 0);
    let jobs = |checkpoint: Option<Checkpoint>| -> Vec<Job<'_, Encoder>> {
        let cases = [("v", 1e-3), ("all", 1e38), ("q", 4e-3)];
        let job = |(mode, rate)| {
            let mut config = config(mode, 0, rate);
            config.settings.checkpoint = checkpoint.clone();
            config.identity = "three".to_owned();
            config.settings.keep = Keep::Best;
            config.metric = "score".to_owned();
            Job {
                model: load("bert-tiny", 0),
                data: &set,
                config,
            }
        };
        cases.into_iter().map(job).collect()
    };
    let checkpoint = Checkpoint {
        path: folder.path().join("state"),
        resume: true,
    };
    let whole = together(jobs(None));
    let mut epochs = 0;
    let stop = |_: usize, model: &Encoder| {
        epochs += 1;
        match epochs {
            // Two of three still train.
            0..=2 => Ok(metrics(model, &set)),
            _ => Err(TrainError::NoData),
        }
    };
    train_together(jobs(Some(checkpoint.clone())), stop, |_, _| ()).unwrap_err();
    let mut done = Vec::new();
    let evaluate = |_: usize, model: &Encoder| Ok::<_, TrainError>(metrics(model, &set));
    let resumed = train_together(jobs(Some(checkpoint)), evaluate, |_, event| {
        if let Event::Started { done: epochs, .. } = event {
            done.push(epochs);
        }
    })
    .unwrap();
    assert_eq!(done, [1, 1, 1]);
    for (whole, resumed) in whole.iter().zip(&resumed) {
        assert_eq!(
            (&whole.epochs, whole.kept, whole.failure),
            (&resumed.epochs, resumed.kept, resumed.failure)
        );
        let (a, b) = (
            read_params(&whole.model, |_| true),
            read_params(&resumed.model, |_| true),
        );
        assert_eq!(a, b);
    }
}

#[test]
fn what_cannot_run_together_is_refused() {
    let (set, other) = (data("bert-tiny", 0), data("bert-tiny", 1));
    let mut shorter = other.clone();
    shorter.encodings.pop();
    shorter.targets.truncate(shorter.encodings.len());
    let refused = |data: &EncodedSet, config: TrainConfig| {
        let job = |data, config| Job {
            model: load("bert-tiny", 0),
            data,
            config,
        };
        let jobs = vec![job(&set, super_config()), job(data, config)];
        let evaluate = |_: usize, _: &Encoder| Ok::<_, TrainError>(Metrics::new());
        train_together(jobs, evaluate, |_, _| ())
            .unwrap_err()
            .to_string()
    };
    fn super_config() -> TrainConfig {
        config("v", 0, 1e-3)
    }
    assert!(refused(&other, config("full", 0, 1e-3)).contains("of biases"));
    assert!(refused(&shorter, super_config()).contains("equally many"));
    let mut longer = super_config();
    longer.settings.epochs = 4;
    assert!(refused(&other, longer).contains("equally many"));
}
