//! The random BERT and its inputs.

// Not every test uses all of it.
#![allow(dead_code)]

use std::collections::BTreeMap;

use beft_checkpoint::ModelDir;
use beft_core::Encoding;
use beft_encoder::EncoderWithHead;
use beft_modes::Mode;
use beft_nn::{Batch, Padding, ParamData, ParamPath, TaskModel, read_params};
use beft_parity::Expected;
use beft_train::{TrainConfig, TrainError, train};
use burn::module::Module;
use burn::tensor::Device;

pub type Bert = EncoderWithHead;

pub fn tiny() -> Bert {
    load("bert-tiny")
}

pub fn load(name: &str) -> Bert {
    let dir = ModelDir::open(&beft_fixtures::model(name)).unwrap();
    Bert::load(
        &dir,
        &dir.tensors().unwrap(),
        beft_core::Head::Sequence(3),
        0,
        &Device::flex(),
    )
    .unwrap()
    .0
}

pub fn inputs() -> Vec<Encoding> {
    inputs_of("bert-tiny")
}

pub fn inputs_of(name: &str) -> Vec<Encoding> {
    let expected =
        Expected::open(&beft_fixtures::model(name).join("expected.safetensors")).unwrap();
    (0..3)
        .flat_map(|i| expected.batch(i).unwrap().encodings)
        .collect()
}

pub fn logits(model: &Bert, inputs: &[Encoding], padding: Padding) -> Vec<f32> {
    let batch = Batch::new(inputs, padding, &Device::flex());
    model.valid().forward(&batch).into_data().iter().collect()
}

pub fn max_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |m, (a, b)| m.max((a - b).abs()))
}

/// What a training changed: values before and after by path, what was trained, how many values.
pub fn trained(
    name: &str,
    written: &str,
) -> (
    BTreeMap<ParamPath, ParamData>,
    BTreeMap<ParamPath, ParamData>,
    Vec<ParamPath>,
    usize,
) {
    let mode: Mode = written.parse().unwrap();
    let path = beft_fixtures::model(name).join("expected.safetensors");
    let data = Expected::open(&path).unwrap().batch(0).unwrap();
    let model = load(name);
    let before = read_params(&model, |_| true);
    let config = TrainConfig::new(mode, 1e-3, 2, 0);
    let evaluate = |_: &Bert| Ok::<_, TrainError>(Default::default());
    let result = train(model, &data, &config, evaluate, |_| ()).unwrap();
    assert!(result.failure.is_none());
    let after = read_params(&result.model, |_| true);
    (before, after, result.paths, result.trainable)
}
