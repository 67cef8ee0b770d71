//! Layers that the host computes, forward and backward, give what the device gives: under every head.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use beft_checkpoint::ModelDir;
use beft_core::{EncodedSet, Head, Pooling, Targets};
use beft_encoder::EncoderWithHead as Encoder;
use beft_modes::Mode;
use beft_nn::{
    BiasModel, ForwardPrecision, ParamPath, Savings, TaskModel, param_shapes, read_params,
};
use beft_parity::Expected;
use beft_train::{Event, Metrics, TrainConfig, TrainError, train};
use burn::module::Module;
use burn::tensor::Device;

/// Those whose layers the host computes.
const PLAIN: [&str; 4] = [
    "bert-tiny",
    "roberta-tiny",
    "distilbert-tiny",
    "electra-tiny",
];

fn load(name: &str, head: Head) -> Encoder {
    let dir = ModelDir::open(&beft_fixtures::model(name)).unwrap();
    let files = dir.tensors().unwrap();
    let (model, _) = Encoder::load(&dir, &files, head, 0, &Device::flex()).unwrap();
    model
}

fn data(name: &str, head: Head) -> EncodedSet {
    let file = beft_fixtures::model(name).join("expected.safetensors");
    let mut data = Expected::open(&file).unwrap().batch(0).unwrap();
    let tokens: Vec<usize> = data.encodings.iter().map(|e| e.ids.len()).collect();
    data.targets = match head {
        Head::Tokens(classes) => Targets::Tags(
            tokens
                .iter()
                .map(|tokens| {
                    (0..*tokens)
                        .map(|at| (at > 0).then_some(at % classes))
                        .collect()
                })
                .collect(),
        ),
        Head::Spans => Targets::Spans(tokens.iter().map(|tokens| (1, tokens - 1)).collect()),
        Head::Embedding(_) => {
            data.encodings.truncate(tokens.len() / 2 * 2);
            let pairs = data.encodings.len() / 2;
            Targets::Similarities((0..pairs).map(|at| at as f32 / pairs as f32).collect())
        }
        Head::Sequence(_) | Head::CausalLm(_) => data.targets,
    };
    data
}

/// Losses of two epochs with dropout, and the values of all parameters after them.
fn trained(name: &str, head: Head, mode: &str, savings: Savings) -> (Vec<f64>, Vec<f32>) {
    let mut config = TrainConfig::new(mode.parse::<Mode>().unwrap(), 1e-2, 2, 0);
    config.settings.batch_size = 3;
    config.settings.savings = savings;
    let (model, data) = (load(name, head), data(name, head));
    let mut losses = Vec::new();
    let evaluate = |_: &Encoder| Ok::<_, TrainError>(Metrics::new());
    let trained = train(model, &data, &config, evaluate, |event| {
        if let Event::Step { loss, .. } = event {
            losses.push(loss);
        }
    });
    let values = read_params(&trained.unwrap().model, |_| true);
    (
        losses,
        values.into_values().flat_map(|data| data.values).collect(),
    )
}

#[test]
fn every_head_trains_as_on_the_device() {
    let heads = [
        Head::Sequence(3),
        Head::Tokens(3),
        Head::Spans,
        Head::Embedding(Pooling::Mean),
        Head::Embedding(Pooling::FirstToken),
    ];
    for name in PLAIN {
        let (plain, head) = (load(name, heads[0]), heads[0]);
        assert!(plain.packs_for_biases(), "{name}");
        let packed = load(name, head).packed_for_biases(ForwardPrecision::F32);
        assert_eq!(packed.num_values(), plain.num_params(), "{name}");
        // Adapters name their modules by the paths of all.
        let paths = |model: &Encoder| -> BTreeSet<ParamPath> {
            let params = param_shapes(model).into_iter().map(|(path, _)| path);
            params.chain(model.packed_paths()).collect()
        };
        assert_eq!(paths(&packed), paths(&plain), "{name}");
        for head in heads {
            for mode in ["v", "q@1", "m2@0,ln1@1", "ln2@2", "m1@1,m3@2", "all"] {
                let run = |savings| trained(name, head, mode, savings);
                let on_host = run(Savings::default());
                let savings = Savings::default().without("packed-layers").unwrap();
                let on_device = run(savings);
                let what = format!("{name} {head:?} {mode}");
                assert_eq!(on_host.1.len(), on_device.1.len(), "{what}");
                let losses = on_host.0.iter().zip(&on_device.0);
                let losses = losses.map(|(a, b)| (a - b).abs());
                let values = on_host.1.iter().zip(&on_device.1);
                let values = values.map(|(a, b)| f64::from((a - b).abs()));
                let (losses, values) = (losses.fold(0.0, f64::max), values.fold(0.0, f64::max));
                assert!(losses < 2e-5, "{what}: losses differ by {losses}");
                // AdamW makes a whole step of a gradient that is rounding alone.
                assert!(values < 2e-3, "{what}: values differ by {values}");
            }
        }
    }
}
