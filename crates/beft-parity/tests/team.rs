//! Several devices and processes train what one does.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::{Arc, Barrier, Mutex, PoisonError};

use beft_checkpoint::ModelDir;
use beft_core::{EncodedSet, Stop};
use beft_encoder::EncoderWithHead as Encoder;
use beft_eval::{Part, RepeatedPrediction, predict};
use beft_modes::Mode;
use beft_nn::{BiasModel, ParamData, ParamPath, Savings, read_params};
use beft_parity::Expected;
use beft_train::{
    Checkpoint, Event, Metrics, Peers, Team, TrainConfig, TrainError, train, train_together,
};
use burn::module::Module;
use burn::tensor::Device;

fn load(name: &str) -> Encoder {
    let dir = ModelDir::open(&beft_fixtures::model(name)).unwrap();
    let files = dir.tensors().unwrap();
    let head = beft_core::Head::Sequence(3);
    let (model, _) = Encoder::load(&dir, &files, head, 0, &Device::flex()).unwrap();
    model
}

fn data(name: &str) -> EncodedSet {
    let file = beft_fixtures::model(name).join("expected.safetensors");
    Expected::open(&file).unwrap().batch(0).unwrap()
}

type Values = BTreeMap<ParamPath, ParamData>;

/// The device has one generator, by which LoRA's factors are drawn: one training at a time begins.
static DEVICE: Mutex<()> = Mutex::new(());

fn config(mode: &str, team: Team) -> TrainConfig {
    let mut config = TrainConfig::new(mode.parse::<Mode>().unwrap(), 1e-3, 3, 0);
    config.settings.batch_size = 3;
    config.settings.team = team;
    config
}

fn trained(name: &str, config: &TrainConfig) -> (Values, Vec<f64>) {
    let mut losses = Vec::new();
    let nothing = |_: &Encoder| Ok::<_, TrainError>(Metrics::new());
    let result = train(load(name), &data(name), config, nothing, |event| {
        if let Event::Step { loss, .. } = event {
            losses.push(loss);
        }
    });
    (read_params(&result.unwrap().model, |_| true), losses)
}

fn alone(name: &str, config: &TrainConfig) -> (Values, Vec<f64>) {
    let _alone = DEVICE.lock().unwrap_or_else(PoisonError::into_inner);
    trained(name, config)
}

/// Threads that take each other for processes.
#[derive(Debug)]
struct Threads {
    rank: usize,
    said: Arc<Mutex<Vec<Vec<u8>>>>,
    barrier: Arc<Barrier>,
}

impl Peers for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.said.lock().unwrap().len()
    }

    fn gather(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        self.said.lock().unwrap()[self.rank] = mine.to_vec();
        self.barrier.wait();
        let all = self.said.lock().unwrap().clone();
        self.barrier.wait();
        Ok(all)
    }
}

fn threads(count: usize) -> Vec<Team> {
    let said = Arc::new(Mutex::new(vec![Vec::new(); count]));
    let barrier = Arc::new(Barrier::new(count));
    let thread = |rank| Threads {
        rank,
        said: Arc::clone(&said),
        barrier: Arc::clone(&barrier),
    };
    let team = |rank| Team {
        peers: Some(Arc::new(thread(rank))),
        more_devices: Vec::new(),
    };
    (0..count).map(team).collect()
}

/// The same to 1e-6, but for key biases: their gradient is zero, and Adam makes steps of its rounding.
fn same_values(what: &str, a: &Values, b: &Values) {
    assert!(a.keys().eq(b.keys()));
    for ((path, a), b) in a.iter().zip(b.values()) {
        let most = match path.as_str().ends_with("biases.k") {
            true => 1e-4,
            false => 1e-6,
        };
        let off = a.values.iter().zip(&b.values).map(|(a, b)| (a - b).abs());
        let worst = off.fold(0.0, f32::max);
        assert!(worst < most, "{what} {path}: {worst}");
    }
}

fn check(name: &str, mode: &str, one: &(Values, Vec<f64>), more: &(Values, Vec<f64>)) {
    assert_eq!(one.1.len(), more.1.len());
    for (one, more) in one.1.iter().zip(&more.1) {
        assert!(
            (one - more).abs() < 2e-6 * one.abs().max(1.0),
            "{name} {mode}: {one} {more}"
        );
    }
    same_values(&format!("{name} {mode}"), &one.0, &more.0);
}

#[test]
fn devices_share_a_training() {
    for (name, modes) in [
        (
            "bert-tiny",
            ["v", "all", "lora-v", "full", "frozen"].as_slice(),
        ),
        ("modernbert-tiny", &["v", "all"]),
    ] {
        for mode in modes {
            let one = alone(name, &config(mode, Team::default()));
            for count in [1, 2, 6] {
                let team = Team {
                    more_devices: vec![Device::flex(); count],
                    peers: None,
                };
                let more = alone(name, &config(mode, team.clone()));
                check(name, mode, &one, &more);
                assert_eq!(more, alone(name, &config(mode, team)), "the same bytes");
            }
        }
    }
}

#[test]
fn processes_share_a_training() {
    for mode in ["v", "all", "full"] {
        let name = "bert-tiny";
        let one = alone(name, &config(mode, Team::default()));
        let _alone = DEVICE.lock().unwrap_or_else(PoisonError::into_inner);
        for count in [1, 2, 4, 5] {
            let found = std::thread::scope(|scope| {
                let team = |team| scope.spawn(|| trained(name, &config(mode, team)));
                let running: Vec<_> = threads(count).into_iter().map(team).collect();
                let found = running.into_iter().map(|thread| thread.join().unwrap());
                found.collect::<Vec<_>>()
            });
            check(name, mode, &one, &found[0]);
            for other in &found[1..] {
                assert_eq!(*other, found[0], "each process has the same model");
            }
        }
    }
}

/// It is stopped after an epoch of some processes, and continues with other ones.
#[test]
fn another_number_of_processes_continues() {
    let name = "bert-tiny";
    let one = alone(name, &config("v", Team::default()));
    let _alone = DEVICE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let run = |count: usize, epochs: usize| {
        std::thread::scope(|scope| {
            let team = |team: Team| {
                let mut config = config("v", team);
                config.settings.epochs = epochs;
                config.settings.checkpoint = Some(Checkpoint {
                    path: dir.path().join("state"),
                    resume: true,
                });
                scope.spawn(move || trained(name, &config))
            };
            let running: Vec<_> = threads(count).into_iter().map(team).collect();
            let found = running.into_iter().map(|thread| thread.join().unwrap());
            found.collect::<Vec<_>>()
        })
    };
    run(3, 1);
    let rest = run(2, 3);
    let steps = rest[0].1.len();
    assert!(
        steps > 0 && steps < one.1.len(),
        "{steps} steps of {}",
        one.1.len()
    );
    same_values("continued", &one.0, &rest[0].0);
    assert_eq!(rest[0], rest[1]);
}

#[test]
fn processes_that_train_something_else_are_told() {
    let name = "bert-tiny";
    let _alone = DEVICE.lock().unwrap_or_else(PoisonError::into_inner);
    let failed = std::thread::scope(|scope| {
        let run = |(mode, team)| {
            scope.spawn(move || {
                let nothing = |_: &Encoder| Ok::<_, TrainError>(Metrics::new());
                let result = train(
                    load(name),
                    &data(name),
                    &config(mode, team),
                    nothing,
                    |_| (),
                );
                result.unwrap_err().to_string()
            })
        };
        let running: Vec<_> = ["v", "all"].into_iter().zip(threads(2)).map(run).collect();
        let failed = running.into_iter().map(|thread| thread.join().unwrap());
        failed.collect::<Vec<_>>()
    });
    for message in failed {
        assert!(
            message.contains("the same model, data and options"),
            "{message}"
        );
    }
}

#[test]
fn several_trainings_share_devices() {
    let name = "bert-tiny";
    let _alone = DEVICE.lock().unwrap_or_else(PoisonError::into_inner);
    let run = |team: &Team| {
        let data = data(name);
        let job = |mode: &str| beft_train::Job {
            model: load(name),
            data: &data,
            config: config(mode, team.clone()),
        };
        let nothing = |_, _: &Encoder| Ok::<_, TrainError>(Metrics::new());
        let trained = train_together(vec![job("v"), job("q"), job("all")], nothing, |_, _| ());
        let values = trained.unwrap().into_iter();
        values
            .map(|t| read_params(&t.model, |_| true))
            .collect::<Vec<_>>()
    };
    let one = run(&Team::default());
    let two = run(&Team {
        more_devices: vec![Device::flex()],
        peers: None,
    });
    for (one, two) in one.iter().zip(&two) {
        same_values("together", one, two);
    }
}

#[test]
fn processes_share_an_evaluation() {
    let name = "bert-tiny";
    let (model, data) = (load(name), data(name));
    let savings = Savings::default();
    let whole = predict(&model, &data.encodings, 2, savings, |_| ());
    assert!(model.num_layers() > 1);
    for layers in [0, 1] {
        for of in [1, 2, 3, 50] {
            let mut found = vec![Vec::new(); whole.len()];
            for number in 0..of {
                let part = Part { number, of };
                let prediction = RepeatedPrediction::new(&data.encodings, 2, savings, layers);
                let rows = prediction
                    .of_part(part)
                    .predict(&model.valid(), &Stop::default())
                    .unwrap();
                for (all, row) in found
                    .iter_mut()
                    .zip(rows)
                    .filter(|(_, row)| !row.is_empty())
                {
                    assert!(all.is_empty(), "each input is one process's");
                    *all = row;
                }
            }
            let pairs = found.concat().into_iter().zip(whole.concat());
            assert!(pairs.clone().all(|(a, b)| (a - b).abs() < 1e-5));
            assert_eq!(pairs.count(), 3 * whole.len());
        }
    }
}
