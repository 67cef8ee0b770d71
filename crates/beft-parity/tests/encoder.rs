//! The identities of the method, padding, adapters and the tokenizer, on the parity suite's model.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use beft_checkpoint::{ModelDir, TensorFiles};
use beft_core::{BiasSite, BiasTerm, Encoding, TermSet};
use beft_encoder::architectures::ROBERTA;
use beft_encoder::{BERT_NAMES as NAMES, EncoderConfig, EncoderForSequenceClassification};
use beft_modes::{Adapter, Mode, Names};
use beft_nn::{
    Batch, BiasModel, Padding, ParamData, ParamPath, Rows, SequenceClassifier, map_params,
    read_params,
};
use beft_parity::{Expected, relative_error};
use beft_train::{TrainConfig, TrainError, prepare, train, trainable_count};
use burn::module::Module;
use burn::tensor::{Device, TensorData};

type Bert = EncoderForSequenceClassification;

/// The folder of a committed fixture.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

fn tiny() -> Bert {
    load("bert-tiny")
}

fn load(name: &str) -> Bert {
    let dir = ModelDir::open(&fixture(name)).unwrap();
    Bert::load(&dir, &dir.tensors().unwrap(), 3, 0, &Device::flex())
        .unwrap()
        .0
}

fn inputs() -> Vec<Encoding> {
    inputs_of("bert-tiny")
}

fn inputs_of(name: &str) -> Vec<Encoding> {
    let expected = Expected::open(&fixture(name).join("expected.safetensors")).unwrap();
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
    for name in ["bert-tiny", "roberta-tiny"] {
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
    let before = model.encoder.layers[1].attend(x.clone(), &batch, Rows::All);
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
    let after = moved.encoder.layers[1].attend(x, &batch, Rows::All);
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
    let model = Bert::init(&EncoderConfig::base_cased(), 2, &Device::flex());
    let count = |terms: &str| trainable_count(&model, &terms.parse().unwrap()).unwrap();
    assert_eq!(count("all"), 104_450);
    for term in ["q", "k", "v"] {
        assert_eq!(count(term), 11_522);
    }
    assert_eq!(count("frozen"), 1_538);
    assert_eq!(count("v@6-11"), 1_538 + 768 + 6 * 768);
}

/// RoBERTa's head has a dense layer of its own, trained always.
#[test]
fn trainable_counts_of_roberta_base() {
    let config = EncoderConfig {
        architecture: &ROBERTA,
        vocab_size: 50_265,
        max_position_embeddings: 514,
        type_vocab_size: 1,
        ..EncoderConfig::base_cased()
    };
    assert_eq!(config.max_tokens(), 512);
    let model = Bert::init(&config, 2, &Device::flex());
    let count = |terms: &str| trainable_count(&model, &terms.parse().unwrap()).unwrap();
    let head = 768 * 768 + 768 + 1_538;
    assert_eq!(count("frozen"), head);
    assert_eq!(count("v"), head + 12 * 768);
    assert_eq!(count("all"), head + 768 + 12 * (7 * 768 + 3_072));
}

/// Every trained tensor moves, and nothing else does, bit for bit.
#[test]
fn only_the_chosen_parameters_change() {
    for name in ["bert-tiny", "roberta-tiny"] {
        for written in [
            "frozen",
            "q",
            "k",
            "v",
            "m1,ln1",
            "m2,m3,ln2",
            "v@1",
            "all",
            "full",
        ] {
            let (before, after, trained, trainable) = trained(name, written);
            let mut moved = 0;
            for (path, after) in after {
                // The second segment of a BERT occurs in these inputs, other rows of tables may not.
                let before = &before[&path];
                if !trained.contains(&path) {
                    assert_eq!(&after, before, "{path} moved while training {written}");
                } else if path.term() != Some(BiasTerm::K) {
                    assert_ne!(&after, before, "{path} is not trained by {written}");
                }
                moved += usize::from(trained.contains(&path)) * after.values.len();
            }
            assert_eq!(moved, trainable, "{name} {written}");
        }
    }
}

/// What a training changed: values before and after by path, what was trained, how many values.
fn trained(
    name: &str,
    written: &str,
) -> (
    BTreeMap<ParamPath, ParamData>,
    BTreeMap<ParamPath, ParamData>,
    Vec<ParamPath>,
    usize,
) {
    let mode: Mode = written.parse().unwrap();
    let path = fixture(name).join("expected.safetensors");
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

/// Of a masked tensor, the entries of the mask move and no other.
#[test]
fn random_masks_train_their_entries_alone() {
    let head = 3 * 32 + 3;
    // Every bias of the model: 3 layers of 7 x 32 + 64, the pooler's, the embeddings'.
    let biases = 3 * (7 * 32 + 64) + 2 * 32;
    for (written, expected) in [("random", biases), ("random-lines", 0)] {
        let (before, after, _, trainable) = trained("bert-tiny", written);
        let mut moved = 0;
        for (path, after) in &after {
            let pairs = after.values.iter().zip(&before[path].values);
            let count = pairs.filter(|(a, b)| a.to_bits() != b.to_bits()).count();
            moved += count;
            if written == "random-lines" && before[path].shape.len() == 2 && count > 0 {
                let line = path.layer().is_some() && before[path].shape.contains(&count);
                assert!(line || *path == "classifier.weight", "{path}: {count}");
            }
        }
        if expected > 0 {
            assert_eq!(trainable, head + expected);
        }
        // Rows of words that do not occur, and key biases, have no gradient.
        assert!(
            moved <= trainable && moved > trainable / 2,
            "{written}: {moved} of {trainable}"
        );
    }
}

/// LoRA trains its factors and the head; the weights beside them stay, and what is saved in PEFT's
/// layout gives the trained model's logits when it is loaded onto the base.
#[test]
fn lora_trains_factors_and_round_trips() {
    let (before, after, paths, trainable) = trained("bert-tiny", "lora-qv");
    assert_eq!(trainable, 3 * 32 + 3 + 2 * 3 * 2 * 8 * 32);
    for (path, values) in &before {
        let same = *values == after[path];
        assert_eq!(same, !path.as_str().starts_with("classifier."), "{path}");
    }
    assert_eq!(after.len(), before.len() + 2 * 2 * 3);
    assert!(paths.contains(&ParamPath::from("encoder.layers.2.value.lora.b")));

    let data = Expected::open(&fixture("bert-tiny/expected.safetensors"));
    let data = data.unwrap().batch(0).unwrap();
    let config = TrainConfig::new("lora-v".parse::<Mode>().unwrap(), 1e-2, 4, 0);
    let untrained = prepare(tiny(), &config).unwrap().model;
    let start = logits(&untrained, &data.encodings, Padding::Packed);
    let plain = logits(&tiny(), &data.encodings, Padding::Packed);
    assert!(
        max_difference(&start, &plain) < 1e-6,
        "LoRA begins at no change"
    );
    let evaluate = |_: &Bert| Ok::<_, TrainError>(Default::default());
    let tuned = train(tiny(), &data, &config, evaluate, |_| ()).unwrap();
    let (mode, settings) = (&config.mode, &config.settings.modes);
    let (model, paths) = (&tuned.model, &tuned.paths);
    let adapter = Adapter::between(mode, settings, &NAMES, model, model, paths);
    let adapter = adapter.unwrap();
    assert_eq!(
        adapter.targets.include,
        Names::Suffixes(vec!["value".to_owned()])
    );
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("adapter");
    adapter.save(&dir).unwrap();
    let loaded = Adapter::load(&dir).unwrap();
    let loaded = loaded.apply(tiny(), &NAMES, &dir).unwrap();
    let expected = logits(&tuned.model, &data.encodings, Padding::Packed);
    let actual = logits(&loaded, &data.encodings, Padding::Packed);
    assert!(max_difference(&expected, &actual) < 1e-5);
    assert!(max_difference(&expected, &plain) > 0.1, "it must matter");
}

/// Weights that `torch.save` wrote are those of the safetensors file.
#[test]
fn pickled_weights_are_the_same() {
    let (plain, pickled) = (fixture("bert-tiny"), fixture("bert-tiny-pickle"));
    let plain = TensorFiles::open(&plain.join("model.safetensors")).unwrap();
    let pickled = TensorFiles::open(&pickled.join("pytorch_model.bin")).unwrap();
    assert!(plain.names().all(|name| pickled.contains(name)));
    for name in plain.names() {
        assert_eq!(pickled.shape(name), plain.shape(name), "{name}");
        assert_eq!(
            pickled.read(name).unwrap(),
            plain.read(name).unwrap(),
            "{name}"
        );
    }
}

/// A file that would run a command in Python runs none here: its tensors are all that is read.
#[test]
fn pickles_are_not_executed() {
    let files = TensorFiles::open(&fixture("bert-tiny-pickle/evil.bin")).unwrap();
    assert_eq!(files.names().collect::<Vec<_>>(), ["weight"]);
    assert_eq!(files.read("weight").unwrap(), [0.0, 0.0]);
    for folder in [".", env!("CARGO_MANIFEST_DIR")] {
        assert!(!Path::new(folder).join("beft-was-here").exists());
    }
}

#[test]
fn tokenizers_equal_the_hf_fast_tokenizers() {
    for name in [
        "bert-tiny",
        "roberta-tiny",
        "xlm-roberta-tiny",
        "camembert-tiny",
    ] {
        tokenizer_equals(name);
    }
}

fn tokenizer_equals(name: &str) {
    let text = std::fs::read_to_string(fixture(name).join("text.json")).unwrap();
    let cases: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let tokenizer = ModelDir::open(&fixture(name))
        .unwrap()
        .tokenizer(16)
        .unwrap();
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
        let config = TrainConfig::new(terms, 1e-2, 3, 0);
        let evaluate = |_: &Bert| Ok::<_, TrainError>(Default::default());
        let trained = train(model.clone(), &data, &config, evaluate, |_| ())
            .unwrap()
            .model;
        let (mode, settings) = (&config.mode, &config.settings.modes);
        let adapter = Adapter::between(mode, settings, &NAMES, &model, &trained, &paths);
        let adapter = adapter.unwrap();
        let targets = Names::Suffixes(targets.iter().map(|t| (*t).to_owned()).collect());
        assert_eq!(adapter.targets.include, targets, "{written}");
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
        let zeros = share_of_zeros(model.encoder.embeddings.forward(&batch));
        assert!((0.08..0.12).contains(&zeros), "{written}: {zeros}");
        let zeros = share_of_zeros(model.valid().encoder.embeddings.forward(&batch));
        assert_eq!(zeros, 0.0, "{written}");
        // Attention weights have their own: with one layer's alone, passes still differ.
        let layer = &model.encoder.layers[0];
        let x = model.valid().encoder.embeddings.forward(&batch).autodiff();
        let pass = || -> Vec<f32> {
            layer
                .attend(x.clone(), &batch, Rows::All)
                .into_data()
                .iter()
                .collect()
        };
        assert_ne!(pass(), pass(), "{written}");
    }
}
