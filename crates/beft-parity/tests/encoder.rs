//! The identities of the method, padding, adapters and the tokenizer, on the parity suite's model.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use beft_checkpoint::{Adapter, ModelDir, TextTokenizer};
use beft_core::{BiasSite, BiasTerm, Encoding, TermSet};
use beft_encoder::{
    BertConfig, BertForSequenceClassification, SEQUENCE_CLASSIFICATION_NAMES as NAMES,
};
use beft_nn::{Batch, BiasModel, Padding, SequenceClassifier, map_params, read_params};
use beft_parity::{Expected, relative_error};
use beft_train::{TrainConfig, train, trainable_count};
use burn::module::Module;
use burn::tensor::{Device, TensorData};

type Bert = BertForSequenceClassification;

/// The folder of a committed fixture.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

fn tiny() -> Bert {
    let dir = ModelDir::open(&fixture("bert-tiny")).unwrap();
    Bert::load(&dir, &dir.tensors().unwrap(), 3, 0, &Device::flex())
        .unwrap()
        .0
}

fn inputs() -> Vec<Encoding> {
    let expected = Expected::open(&fixture("bert-tiny/expected.safetensors")).unwrap();
    (0..3)
        .flat_map(|i| expected.batch(i).unwrap().encodings)
        .collect()
}

fn logits(model: &Bert, inputs: &[Encoding], padding: Padding) -> Vec<f32> {
    let batch = Batch::new(inputs, padding, &Device::flex());
    model.valid().forward(&batch).into_data().iter().collect()
}

fn max_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |m, (a, b)| m.max((a - b).abs()))
}

#[test]
fn padding_changes_no_logit() {
    let (model, inputs) = (tiny(), inputs());
    let packed = logits(&model, &inputs, Padding::Packed);
    for padding in [Padding::Longest, Padding::To(32), Padding::To(40)] {
        let difference = max_difference(&packed, &logits(&model, &inputs, padding));
        assert!(difference < 1e-5, "{padding:?}: {difference}");
    }
    // Sorted and cut into batches by `predict`, and one by one.
    let sorted: Vec<f32> = beft_eval::predict(&model, &inputs, 5, Padding::Packed, |_| ()).concat();
    assert!(max_difference(&packed, &sorted) < 1e-5);
    let single: Vec<f32> = inputs
        .iter()
        .flat_map(|input| logits(&model, std::slice::from_ref(input), Padding::To(24)))
        .collect();
    assert!(max_difference(&packed, &single) < 1e-5);
}

/// Softmax is shift invariant: any key bias gives the same logits.
#[test]
fn key_bias_does_not_matter() {
    let (model, inputs) = (tiny(), inputs());
    let before = logits(&model, &inputs, Padding::Packed);
    let moved = map_params(model, |path, shape| {
        path.ends_with(".biases.k")
            .then(|| TensorData::full(shape.to_vec(), 0.7f32))
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
    let x = model.bert.embeddings.forward(&batch);
    let before = model.bert.layers[1].attend(x.clone(), &batch);
    let shift = |i: usize| 0.1 * (i as f32 - 15.5);
    let b_v = &read_params(&model, |p| p == "bert.layers.1.biases.v")["bert.layers.1.biases.v"];
    let moved_bias: Vec<f32> = b_v
        .values
        .iter()
        .enumerate()
        .map(|(i, b)| b + shift(i))
        .collect();
    let moved = map_params(model.clone(), |path, shape| {
        (path == "bert.layers.1.biases.v")
            .then(|| TensorData::new(moved_bias.clone(), shape.to_vec()))
    });
    let after = moved.bert.layers[1].attend(x, &batch);
    let change: Vec<f32> = (after - before).into_data().iter().collect();
    for (index, change) in change.iter().enumerate() {
        assert!(
            (change - shift(index % 32)).abs() < 1e-5,
            "{index}: {change}"
        );
    }
}

#[test]
fn trainable_counts_of_bert_base() {
    let model = Bert::init(&BertConfig::base_cased(), 2, &Device::flex());
    let count = |terms: &str| trainable_count(&model, &terms.parse().unwrap()).unwrap();
    assert_eq!(count("all"), 104_450);
    for term in ["q", "k", "v"] {
        assert_eq!(count(term), 11_522);
    }
    assert_eq!(count("frozen"), 1_538);
    assert_eq!(count("v@6-11"), 1_538 + 768 + 6 * 768);
}

/// Every trained tensor moves, and nothing else does, bit for bit.
#[test]
fn only_the_chosen_parameters_change() {
    let expected = Expected::open(&fixture("bert-tiny/expected.safetensors")).unwrap();
    let data = expected.batch(0).unwrap();
    for written in ["frozen", "q", "k", "v", "m1,ln1", "m2,m3,ln2", "v@1", "all"] {
        let terms: TermSet = written.parse().unwrap();
        let model = tiny();
        let before = read_params(&model, |_| true);
        let trained = model.trainable_paths(&terms).unwrap();
        let config = TrainConfig::new(terms, 1e-3, 2, 0);
        let result = train(
            model,
            &data,
            &config,
            |_| Ok::<_, beft_train::TrainError>(Default::default()),
            |_| (),
        )
        .unwrap();
        assert!(result.failure.is_none());
        let mut moved = 0;
        for (path, after) in read_params(&result.model, |_| true) {
            if !trained.contains(&path) {
                assert_eq!(
                    after, before[&path],
                    "{path} moved while training {written}"
                );
            } else if !path.ends_with(".biases.k") {
                assert_ne!(
                    after, before[&path],
                    "{path} did not move while training {written}"
                );
            }
            moved += usize::from(trained.contains(&path)) * after.values.len();
        }
        assert_eq!(moved, result.trainable, "{written}");
    }
}

#[test]
fn tokenizer_equals_the_hf_fast_tokenizer() {
    let text = std::fs::read_to_string(fixture("bert-tiny/text.json")).unwrap();
    let cases: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let tokenizer = TextTokenizer::open(&fixture("bert-tiny/tokenizer.json"), 16).unwrap();
    assert!(cases.len() >= 10);
    for case in &cases {
        let field = |name: &str| case[name].as_str();
        let encoding = &tokenizer
            .encode([(field("text").unwrap(), field("text_pair"))])
            .unwrap()[0];
        let ints = |name: &str| -> Vec<u32> {
            case[name]
                .as_array()
                .unwrap()
                .iter()
                .map(|v| v.as_u64().unwrap() as u32)
                .collect()
        };
        assert_eq!(encoding.ids, ints("input_ids"), "{case}");
        assert_eq!(encoding.type_ids, ints("token_type_ids"), "{case}");
    }
}

/// Adapters that PEFT trained give PEFT's logits here.
#[test]
fn peft_adapters_load() {
    let inputs = Expected::open(&fixture("bert-tiny/expected.safetensors"))
        .unwrap()
        .batch(0)
        .unwrap();
    let plain = logits(&tiny(), &inputs.encodings, Padding::Packed);
    for name in ["bert-tiny-peft", "bert-tiny-peft-pooler"] {
        let dir = fixture(name);
        let adapter = Adapter::load(&dir).unwrap();
        assert_eq!(adapter.num_classes(), Some(3));
        let tuned = adapter.apply(tiny(), &NAMES, &dir).unwrap();
        let actual = logits(&tuned, &inputs.encodings, Padding::Packed);
        let expected = Expected::open(&dir.join("expected.safetensors")).unwrap();
        let expected = expected.floats("logits").unwrap();
        assert!(max_difference(&actual, &expected) < 1e-5);
        assert!(
            relative_error(&plain, &expected) > 0.1,
            "the adapter must matter"
        );
    }
}

/// An adapter saved and loaded again gives the tuned model's logits.
#[test]
fn adapters_round_trip() {
    let expected = Expected::open(&fixture("bert-tiny/expected.safetensors")).unwrap();
    let data = expected.batch(0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (written, targets) in [
        ("v", vec!["pooler.dense", "value"]),
        ("v@2", vec!["2.attention.self.value", "pooler.dense"]),
        (
            "m3,ln2@0",
            vec![
                "0.output.dense",
                "1.output.dense",
                "2.output.dense",
                "pooler.dense",
            ],
        ),
    ] {
        let terms: TermSet = written.parse().unwrap();
        let model = tiny();
        let paths = model.trainable_paths(&terms).unwrap();
        let wanted = |path: &str| paths.iter().any(|p| p == path);
        let before = read_params(&model, wanted);
        let config = TrainConfig::new(terms, 1e-2, 3, 0);
        let evaluate = |_: &Bert| Ok::<_, beft_train::TrainError>(Default::default());
        let trained = train(model, &data, &config, evaluate, |_| ())
            .unwrap()
            .model;
        let after = read_params(&trained, wanted);
        let head = trained.bias_layout().head;
        let adapter = Adapter::between(&trained, &NAMES, &before, &after, head);
        assert_eq!(adapter.target_modules, targets, "{written}");
        let dir = folder.path().join("adapter");
        adapter.save(&dir).unwrap();
        let loaded = Adapter::load(&dir)
            .unwrap()
            .apply(tiny(), &NAMES, &dir)
            .unwrap();
        let difference = max_difference(
            &logits(&trained, &data.encodings, Padding::Packed),
            &logits(&loaded, &data.encodings, Padding::Packed),
        );
        assert!(difference < 1e-5, "{written}: {difference}");
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

/// Dropout acts wherever the config puts it, also where no gradient flows (`frozen`), and not at
/// all outside training.
#[test]
fn dropout_acts_in_training_whatever_is_trained() {
    let inputs = inputs();
    for written in ["frozen", "v@2", "all"] {
        let model = beft_train::with_trainable(tiny(), &written.parse().unwrap()).unwrap();
        let batch = Batch::new(&inputs, Padding::Packed, &Device::flex());
        let share_of_zeros = |embedded: burn::tensor::Tensor<2>| {
            let values: Vec<f32> = embedded.into_data().iter().collect();
            values.iter().filter(|x| **x == 0.0).count() as f64 / values.len() as f64
        };
        let zeros = share_of_zeros(model.bert.embeddings.forward(&batch));
        assert!((0.08..0.12).contains(&zeros), "{written}: {zeros}");
        let zeros = share_of_zeros(model.valid().bert.embeddings.forward(&batch));
        assert_eq!(zeros, 0.0, "{written}");
        // Attention weights have their own: with one layer's alone, passes still differ.
        let layer = &model.bert.layers[0];
        let x = model.valid().bert.embeddings.forward(&batch).autodiff();
        let pass = || -> Vec<f32> { layer.attend(x.clone(), &batch).into_data().iter().collect() };
        assert_ne!(pass(), pass(), "{written}");
    }
}
