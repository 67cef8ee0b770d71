//! Models of every architecture in 8 bits give nearly what they give in f32.

#![allow(clippy::unwrap_used)]

use beft::{Base, Model};
use beft_core::Encoding;
use beft_fixtures::Fixtures;
use beft_nn::{Batch, Packing, Savings, TaskModel};
use burn::tensor::{Device, Tensor};

fn inputs(decoder: bool) -> Vec<Encoding> {
    let lengths = [9, 3, 14];
    let ids = |length: u32| -> Vec<u32> { (0..length).map(|i| 5 + i * 7 % 40).collect() };
    let encodings = lengths.into_iter().map(|length| match decoder {
        true => Encoding::with_branches(&ids(length), [([11].as_slice(), 1), (&[12], 1)]),
        false => Encoding {
            ids: ids(length),
            type_ids: vec![0; length as usize],
            ..Encoding::default()
        },
    });
    encodings.collect()
}

/// What the layers give in 8 bits: the norm of the difference beside that of the numbers in f32. The numbers of an untrained
/// head are near 0, where nothing could be said of them.
fn error(model: &impl TaskModel, rounded: &impl TaskModel, batch: &Batch) -> f32 {
    let numbers = |x: Tensor<2>| -> Vec<f32> { x.into_data().iter().collect() };
    let layers = model.reusable_layers();
    let full = numbers(model.hidden(batch, layers));
    let head = numbers(rounded.forward(batch));
    let rounded = numbers(rounded.hidden(batch, layers));
    assert!(head.iter().all(|x| x.is_finite()), "{head:?}");
    assert_eq!(full.len(), rounded.len());
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|x| x * x).sum::<f32>().sqrt();
    let difference = norm(&mut full.iter().zip(&rounded).map(|(a, b)| a - b));
    difference / norm(&mut full.iter().copied())
}

#[test]
fn eight_bits_give_nearly_the_same_numbers() {
    let fixtures = Fixtures::unpack().unwrap();
    let device = Device::flex();
    let mut count = 0;
    for dir in fixtures.models() {
        let name = dir.display().to_string();
        let base = Base::open(&name, None, &device).unwrap();
        let (model, _) = base.model(2, 0).unwrap();
        let batch = |decoder| Batch::new(&inputs(decoder), Savings::default(), &device);
        let error = match model {
            Model::Encoder(model) => {
                error(&model, &model.clone().packed(Packing::Int8), &batch(false))
            }
            Model::Decoder(model) => {
                error(&model, &model.clone().packed(Packing::Int8), &batch(true))
            }
            Model::DecoderWithHead(model) => {
                error(&model, &model.clone().packed(Packing::Int8), &batch(false))
            }
        };
        println!("{name}: {error:.1e}");
        // Something was rounded, and little by it.
        assert!(error > 0.0 && error < 0.1, "{name}: {error}");
        count += 1;
    }
    assert!(count > 10, "{count} models");
}
