//! Bad input: exit code 2, one readable message, nothing half-written.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{Scratch, assert_says};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

/// Rewrites a tensor file without the names that contain `drop`, and with `reshape` given another
/// shape.
fn rewrite(scratch: &Scratch, file: &str, drop: &str, reshape: Option<(&str, &[usize])>) {
    let path = scratch.path(file);
    let bytes = fs::read(&path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let views: Vec<(String, TensorView<'_>)> = tensors
        .iter()
        .filter(|(name, _)| drop.is_empty() || !name.contains(drop))
        .map(|(name, view)| {
            let shape = match reshape {
                Some((other, shape)) if other == name => shape.to_vec(),
                _ => view.shape().to_vec(),
            };
            (
                name.to_owned(),
                TensorView::new(view.dtype(), shape, view.data()).unwrap(),
            )
        })
        .collect();
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn missing_files() {
    let scratch = Scratch::new();
    assert_says(
        &scratch,
        &["--model", "no/model"],
        &["no/model", "not found"],
    );
    assert_says(&scratch, &["--data", "no/data"], &["no/data"]);
    fs::remove_file(scratch.path("data/dev.tsv")).unwrap();
    assert_says(&scratch, &[], &["dev.tsv", "data"]);
    fs::remove_file(scratch.path("model/tokenizer.json")).unwrap();
    assert_says(&scratch, &[], &["tokenizer.json is missing"]);
}

#[test]
fn another_architecture() {
    let scratch = Scratch::new();
    let config = scratch
        .read("model/config.json")
        .replace("\"bert\"", "\"t5\"");
    scratch.write("model/config.json", &config);
    assert_says(&scratch, &[], &["config.json", "`t5`", "supported: bert"]);
}

#[test]
fn damaged_config() {
    let scratch = Scratch::new();
    let config = scratch.read("model/config.json");
    scratch.write(
        "model/config.json",
        &config.replace("\"hidden_size\"", "\"hidden\""),
    );
    assert_says(&scratch, &[], &["config.json", "hidden_size"]);
    scratch.write("model/config.json", &config[..config.len() / 2]);
    assert_says(&scratch, &[], &["config.json", "line"]);
    // A text has a word piece that the model has no row for.
    scratch.write(
        "model/config.json",
        &config.replace("\"vocab_size\": 98", "\"vocab_size\": 9"),
    );
    assert_says(
        &scratch,
        &[],
        &["the model has 9 tokens", "vocab_size", "`good` with id 74"],
    );
}

#[test]
fn tensors_that_do_not_fit() {
    let value = "bert.encoder.layer.1.attention.self.value.bias";
    let scratch = Scratch::new();
    rewrite(
        &scratch,
        "model/model.safetensors",
        value,
        Some(("bert.pooler.dense.weight", &[16, 64])),
    );
    let missing = format!("tensor `{value}` is missing (expected shape [32])");
    let misshapen = "`bert.pooler.dense.weight` has shape [16, 64], expected [32, 32]";
    assert_says(&scratch, &[], &["model.safetensors", &missing, misshapen]);
}

#[test]
fn truncated_weights() {
    let scratch = Scratch::new();
    let path = scratch.path("model/model.safetensors");
    let bytes = fs::read(&path).unwrap();
    for keep in [0, 100, bytes.len() - 7] {
        fs::write(&path, &bytes[..keep]).unwrap();
        assert_says(
            &scratch,
            &[],
            &["model.safetensors", "not a whole file of weights"],
        );
    }
}

#[test]
fn data_that_cannot_be_used() {
    let scratch = Scratch::new();
    let good = scratch.read("data/train.tsv");
    scratch.write("data/train.tsv", &good.replacen("text\t", "body\t", 1));
    assert_says(&scratch, &[], &["train.tsv", "text", "body"]);
    scratch.write("data/train.tsv", "");
    assert_says(&scratch, &[], &["train.tsv", "empty"]);
    scratch.write(
        "data/train.tsv",
        &good.replacen("number 2\tc", "number 2", 1),
    );
    assert_says(&scratch, &[], &["train.tsv:4"]);
    scratch.write("data/train.tsv", &good);
    let dev = scratch.read("data/dev.tsv");
    scratch.write(
        "data/dev.tsv",
        &dev.replacen("number 1\tb", "number 1\tz", 1),
    );
    assert_says(&scratch, &[], &["dev.tsv:3", "`z`", "`a`, `b`, `c`"]);
}

#[test]
fn settings_that_make_no_sense() {
    let scratch = Scratch::new();
    assert_says(
        &scratch,
        &["--train-size", "25"],
        &["25 training examples", "24 examples", "--train-size"],
    );
    for wrong in ["0", "-1", "nan", "inf", "1e39"] {
        assert_says(&scratch, &["--lr", wrong], &["--lr", "positive and finite"]);
    }
    assert_says(&scratch, &["--terms", "v@1-3"], &["layer 3", "3 layers"]);
    assert_says(&scratch, &["--device", "tpu"], &["`tpu`", "flex"]);
    assert_says(&scratch, &["--task", "sst3"], &["`sst3`", "sst2"]);
    for wrong in [
        ["--terms", "w"],
        ["--epochs", "0"],
        ["--batch-size", "0"],
        ["--train-size", "0"],
    ] {
        scratch.tune(&wrong).assert().code(2);
    }
}

/// A checkpoint with a head for three classes, and data with two.
#[test]
fn labels_and_head_disagree() {
    let scratch = Scratch::new();
    for file in ["data/train.tsv", "data/dev.tsv"] {
        let two = scratch.read(file).replace("\tc\n", "\tb\n");
        scratch.write(file, &two);
    }
    let differ = "`classifier.weight` has shape [3, 32], expected [2, 32]";
    assert_says(&scratch, &["--keep-head"], &[differ, "--keep-head"]);
    // The usual is a new head, which is said.
    let output = scratch.tune(&[]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains(differ), "{text}");
    assert!(
        text.contains("newly initialised (seed 0), not in the checkpoint: classifier.weight"),
        "{text}"
    );
}

#[test]
fn adapters_that_do_not_fit() {
    let scratch = Scratch::new();
    scratch.tune(&[]).assert().success();
    let eval = |more: &[&str]| {
        let output = scratch
            .beft(
                &[
                    &["eval", "--adapter", "out/adapter", "--data", "data"],
                    more,
                ]
                .concat(),
            )
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    // Another base: one weight differs, or a row of a table.
    let other = scratch.path("other");
    fs::create_dir(&other).unwrap();
    for file in scratch.list("model") {
        fs::copy(scratch.path("model").join(&file), other.join(&file)).unwrap();
    }
    let path = other.join("model.safetensors");
    let whole = fs::read(&path).unwrap();
    let data = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let middle = (data + whole.len()) / 2;
    for changed in [data..data + 1, middle..middle + 512] {
        let mut bytes = whole.clone();
        bytes[changed].iter_mut().for_each(|byte| *byte ^= 1);
        fs::write(&path, bytes).unwrap();
        let text = eval(&["--model", "other"]);
        assert!(text.contains("another base model (`model`"), "{text}");
    }

    let sidecar = scratch.read("out/adapter/beft.json");
    scratch.write(
        "out/adapter/beft.json",
        &sidecar.replace("\"max_length\": ", "\"max_length\": -"),
    );
    assert!(eval(&[]).contains("beft.json: max_length is -"));
    scratch.write("out/adapter/beft.json", &sidecar);

    // One bias of three, or half the head, is missing; or it is said to be another term's.
    let weights = fs::read(scratch.path("out/adapter/adapter_model.safetensors")).unwrap();
    for gone in [
        "bert.encoder.layer.1.attention.self.value",
        "classifier.weight",
    ] {
        rewrite(
            &scratch,
            "out/adapter/adapter_model.safetensors",
            gone,
            None,
        );
        let text = eval(&[]);
        assert!(text.contains(gone) && text.contains("missing"), "{text}");
        fs::write(
            scratch.path("out/adapter/adapter_model.safetensors"),
            &weights,
        )
        .unwrap();
    }
    let terms = sidecar.replace("\"terms\": \"v\"", "\"terms\": \"v@0\"");
    scratch.write("out/adapter/beft.json", &terms);
    assert!(eval(&[]).contains("is not part of its terms `v@0`"));
    scratch.write("out/adapter/beft.json", &sidecar);

    let config = scratch.read("out/adapter/adapter_config.json");
    let targets = |from: &str, to: &str| {
        scratch.write("out/adapter/adapter_config.json", &config.replace(from, to));
        eval(&[])
    };
    let text = targets("\"value\"", "\"query\"");
    assert!(
        text.contains("leaves out `bert.encoder.layer.0.attention.self.value`"),
        "{text}"
    );
    let text = targets("\"value\"", "\"value\", \"query\"");
    assert!(
        text.contains(
            "the values for `bert.encoder.layer.0.attention.self.query`, which target_modules"
        ),
        "{text}"
    );
    scratch.write(
        "out/adapter/adapter_config.json",
        &config.replace("\"BEFT\"", "\"LORA\""),
    );
    assert!(eval(&[]).contains("peft_type is `LORA`, but"));
    scratch.write(
        "out/adapter/adapter_config.json",
        &config.replace("\"BEFT\"", "\"VERA\""),
    );
    assert!(eval(&[]).contains("peft_type is `VERA`"));
    fs::remove_file(scratch.path("out/adapter/adapter_config.json")).unwrap();
    assert!(eval(&[]).contains("adapter_config.json: no such file"));
}

#[test]
fn single_texts_for_an_adapter_trained_on_pairs() {
    let scratch = Scratch::new();
    let single = scratch.read("data/dev.tsv");
    for file in ["data/train.tsv", "data/dev.tsv"] {
        let rows = scratch.read(file).replace('\t', "\tthe film\t");
        scratch.write(file, &rows.replacen("the film", "text_pair", 1));
    }
    scratch.tune(&[]).assert().success();
    scratch.write("single.tsv", &single);
    for command in ["eval", "predict"] {
        let on = |data: &str| {
            let args = [command, "--adapter", "out/adapter", "--data", data];
            scratch.beft(&args).output().unwrap()
        };
        let refused = on("single.tsv");
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        let text = String::from_utf8(refused.stderr).unwrap();
        assert!(text.contains("trained on pairs of texts"), "{text}");
        assert!(on("data/dev.tsv").status.success());
    }
}
