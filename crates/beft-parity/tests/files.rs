//! Weights, adapters and tokenizers that other tools wrote, on the parity suite's models.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use beft_checkpoint::{ModelDir, TensorFiles};
use beft_core::TermSet;
use beft_encoder::BERT_NAMES as NAMES;
use beft_fixtures::ENCODERS;
use beft_modes::{Adapter, Names};
use beft_nn::{BiasModel, Padding};
use beft_parity::{Expected, relative_error};
use beft_train::{TrainConfig, TrainError, train};
use common::{Bert, load, logits, max_difference, tiny};

/// Weights that `torch.save` wrote are those of the safetensors file.
#[test]
fn pickled_weights_are_the_same() {
    let (plain, pickled) = (
        beft_fixtures::model("bert-tiny"),
        beft_fixtures::model("bert-tiny-pickle"),
    );
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
    let files = TensorFiles::open(&beft_fixtures::model("bert-tiny-pickle/evil.bin")).unwrap();
    assert_eq!(files.names().collect::<Vec<_>>(), ["weight"]);
    assert_eq!(files.read("weight").unwrap(), [0.0, 0.0]);
    for folder in [".", env!("CARGO_MANIFEST_DIR")] {
        assert!(!Path::new(folder).join("beft-was-here").exists());
    }
}

#[test]
fn tokenizers_equal_the_hf_fast_tokenizers() {
    for name in ENCODERS {
        tokenizer_equals(name);
    }
    // Aliases with tokenizers of their own.
    tokenizer_equals("xlm-roberta-tiny");
    tokenizer_equals("camembert-tiny");
}

fn tokenizer_equals(name: &str) {
    let text = std::fs::read_to_string(beft_fixtures::model(name).join("text.json")).unwrap();
    let cases: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let tokenizer = ModelDir::open(&beft_fixtures::model(name))
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
    // RoBERTa's layout of adapters is BERT's.
    let models = ENCODERS.into_iter().filter(|name| *name != "roberta-tiny");
    let adapters = models.map(|name| (name, format!("{name}-peft")));
    let others = ["bert-tiny-peft-pooler", "bert-tiny-ia3"];
    let others = others.map(|adapter| ("bert-tiny", adapter.to_owned()));
    for (name, adapter) in adapters.chain(others) {
        let inputs = Expected::open(&beft_fixtures::model(name).join("expected.safetensors"))
            .unwrap()
            .batch(0)
            .unwrap();
        let model = load(name);
        let plain = logits(&model, &inputs.encodings, Padding::Packed);
        let dir = beft_fixtures::model(&adapter);
        let adapter = Adapter::load(&dir).unwrap();
        assert_eq!(adapter.num_classes(), Some(3));
        let names = model.names();
        let tuned = adapter.apply(model, names, &dir).unwrap();
        let actual = logits(&tuned, &inputs.encodings, Padding::Packed);
        let expected = Expected::open(&dir.join("expected.safetensors")).unwrap();
        let expected = expected.floats("logits").unwrap();
        let difference = max_difference(&actual, &expected);
        assert!(difference < 1e-5, "{name}: {difference}");
        assert!(
            relative_error(&plain, &expected) > 0.1,
            "{name}: the adapter must matter"
        );
    }
}

/// An adapter saved and loaded again gives the tuned model's logits.
#[test]
fn adapters_round_trip() {
    let expected = Expected::open(&beft_fixtures::model("bert-tiny/expected.safetensors")).unwrap();
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
