//! Adapters that become one model with their base.

#![allow(clippy::unwrap_used)]

mod common;

use common::decoder::scratch as decoder;
use common::{Scratch, refused, run};
use serde_json::Value;

/// Trains an adapter in `mode`, merges it, and compares what both say of texts.
fn check(scratch: &Scratch, tune: &[&str], mode: &str, rows: &[&str], key: &str) {
    let short = [
        "--epochs", "1", "--lr", "0.01", "--terms", mode, "--out", mode,
    ];
    run(
        scratch,
        &[&["tune", "--model", "model"], tune, &short].concat(),
    );
    let (adapter, merged) = (format!("{mode}/adapter"), format!("{mode}/merged"));
    run(scratch, &["merge", "--adapter", &adapter, "--out", &merged]);
    let (with, _) = run(scratch, &[rows, &["--adapter", &adapter]].concat());
    let (whole, _) = run(scratch, &[rows, &["--model", &merged]].concat());
    let numbers = |rows: &str| -> Vec<f64> {
        let rows = rows.lines().map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            serde_json::from_value::<Vec<f64>>(row[key].clone()).unwrap()
        });
        rows.flatten().collect()
    };
    let (with, whole) = (numbers(&with), numbers(&whole));
    assert!(!with.is_empty() && with.len() == whole.len());
    for (a, b) in with.iter().zip(&whole) {
        assert!((a - b).abs() < 1e-5, "{mode}: {a} {b}");
    }
    let (said, _) = run(scratch, &["inspect", &merged]);
    assert!(said.contains("model") || said.contains("For"), "{said}");
}

#[test]
fn an_encoder_gives_the_same_with_its_adapter_and_merged() {
    let scratch = Scratch::new();
    let tune = ["--task", "text", "--data", "data"];
    let rows = ["predict", "--data", "data/dev.tsv"];
    for mode in ["v", "all", "lora-v"] {
        check(&scratch, &tune, mode, &rows, "logits");
    }
    refused(
        &scratch,
        &["merge", "--adapter", "v/adapter", "--out", "data"],
        "data",
    );
}

#[test]
fn a_decoder_gives_the_same_with_its_adapter_and_merged() {
    let head = [
        "--task",
        "sst2",
        "--data",
        "sst2",
        "--head",
        "--train-size",
        "8",
    ];
    let rows = ["predict", "--data", "sst2/dev.tsv"];
    for (model, modes) in [
        ("gpt2-tiny", &["v", "all"][..]),
        // Biases that the base lacks, switched on in config.json.
        ("llama-tiny", &["v", "lora-v"]),
        ("opt-tiny", &["all"]),
    ] {
        let scratch = decoder(model);
        for mode in modes {
            check(&scratch, &head, mode, &rows, "logits");
        }
    }
    // A language model is asked its prompts.
    let scratch = decoder("llama-tiny");
    let asked = ["--task", "sst2", "--data", "sst2", "--train-size", "8"];
    let rows = ["predict", "--task", "sst2", "--data", "sst2/dev.tsv"];
    check(&scratch, &asked, "v", &rows, "logits");
    let config: Value = serde_json::from_str(&scratch.read("v/merged/config.json")).unwrap();
    assert_eq!(config["attention_bias"], true);
    assert_eq!(config["architectures"][0], "LlamaForCausalLM");
}

#[test]
fn what_cannot_be_merged_is_refused_by_name() {
    let tune = [
        "tune", "--model", "model", "--task", "sst2", "--data", "sst2", "--epochs", "1",
    ];
    let short = ["--train-size", "8", "--out", "out", "--terms"];
    let merge = ["merge", "--adapter", "out/adapter", "--out", "merged"];
    for (model, mode, part) in [
        ("mistral-tiny", "v", "model.layers.0.self_attn.v_proj.bias"),
        ("gptj-tiny", "v", "v_proj.bias"),
        ("llama-tiny", "ln1", "input_layernorm.bias"),
        ("opt-tiny", "prefix", "before the input"),
    ] {
        let scratch = decoder(model);
        run(&scratch, &[&tune[..], &short, &[mode]].concat());
        refused(&scratch, &merge, part);
        assert!(!scratch.path("merged").exists(), "{model}");
    }
}
