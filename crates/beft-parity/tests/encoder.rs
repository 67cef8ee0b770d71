//! The identities of the method, and padding, on the parity suite's models.

#![allow(clippy::unwrap_used)]

mod common;

use beft_core::{BiasSite, BiasTerm, Encoding};
use beft_nn::{Batch, Padding, Rows, map_params, read_params};
use burn::tensor::{Device, TensorData};
use common::{Bert, inputs, inputs_of, load, logits, max_difference, tiny};

#[test]
fn padding_changes_no_logit() {
    for name in beft_fixtures::ENCODERS {
        padding_changes_no_logit_of(&load(name), &inputs_of(name));
    }
}

fn padding_changes_no_logit_of(model: &Bert, inputs: &[Encoding]) {
    let packed = logits(model, inputs, Padding::Packed);
    for padding in [Padding::Longest, Padding::To(32), Padding::To(40)] {
        let difference = max_difference(&packed, &logits(model, inputs, padding));
        assert!(difference < 1e-5, "{padding:?}: {difference}");
    }
    // Sorted and cut into batches by `predict`, and one by one.
    let sorted: Vec<f32> = beft_eval::predict(model, inputs, 5, Padding::Packed, |_| ()).concat();
    assert!(max_difference(&packed, &sorted) < 1e-5);
    let single: Vec<f32> = inputs
        .iter()
        .flat_map(|input| logits(model, std::slice::from_ref(input), Padding::To(24)))
        .collect();
    assert!(max_difference(&packed, &single) < 1e-5);
}

/// Softmax is shift invariant: any key bias gives the same logits.
#[test]
fn key_bias_does_not_matter() {
    let (model, inputs) = (tiny(), inputs());
    let before = logits(&model, &inputs, Padding::Packed);
    let moved = map_params(model, |path, shape| {
        (path.term() == Some(BiasTerm::K)).then(|| TensorData::full(shape.to_vec(), 0.7f32))
    });
    let difference = max_difference(&before, &logits(&moved, &inputs, Padding::Packed));
    assert!(difference < 1e-5, "{difference}");
}

/// Attention rows sum to 1: a value bias b shifts what attention returns by b, whatever the input
/// (and its output projection by b W_o).
#[test]
fn value_bias_shifts_attention_by_itself() {
    let model = tiny();
    let batch = Batch::new(&inputs(), Padding::Packed, &Device::flex());
    let x = model.encoder.embeddings.forward(&batch);
    let context = model.encoder.context(&batch);
    let before = model.encoder.layers[1].attend(x.clone(), &context, Rows::All);
    let shift = |i: usize| 0.1 * (i as f32 - 15.5);
    let b_v =
        &read_params(&model, |p| *p == "encoder.layers.1.biases.v")["encoder.layers.1.biases.v"];
    let moved_bias: Vec<f32> = b_v
        .values
        .iter()
        .enumerate()
        .map(|(i, b)| b + shift(i))
        .collect();
    let moved = map_params(model.clone(), |path, shape| {
        (*path == "encoder.layers.1.biases.v")
            .then(|| TensorData::new(moved_bias.clone(), shape.to_vec()))
    });
    let after = moved.encoder.layers[1].attend(x, &context, Rows::All);
    let change: Vec<f32> = (after - before).into_data().iter().collect();
    for (index, change) in change.iter().enumerate() {
        assert!(
            (change - shift(index % 32)).abs() < 1e-5,
            "{index}: {change}"
        );
    }
}

#[test]
fn snapshots_cover_all_terms() {
    let snapshot = beft_nn::snapshot(&tiny());
    assert_eq!(snapshot.len(), 24);
    assert_eq!(
        snapshot.get(BiasSite::new(2, BiasTerm::M2)).unwrap().len(),
        64
    );
}
