//! What is said of decoders, adapters and prompts that do not fit.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::decoder::scratch;
use common::{Scratch, refused, run};
use serde_json::Value;

/// The same name is not the same task.
#[test]
fn an_adapter_is_asked_what_it_was_trained_on() {
    let scratch = scratch("llama-tiny");
    let task = |candidates: &str, template: &str| {
        format!(
            "name = \"mine\"\nlabel = \"label\"\nlabels = [{candidates}]\n[prompt]\ntemplate = \"{template}\"\ncandidates = [\" bad\", \" good\"]\n"
        )
    };
    scratch.write("mine.toml", &task("\"0\", \"1\"", "{sentence} It was"));
    scratch.write("labels.toml", &task("\"1\", \"0\"", "{sentence} It was"));
    scratch.write(
        "template.toml",
        &task("\"0\", \"1\"", "{sentence} All in all"),
    );
    let common = [
        "tune",
        "--model",
        "model",
        "--task",
        "mine.toml",
        "--data",
        "sst2",
    ];
    scratch
        .beft(&common)
        .args(["--epochs", "1", "--out", "out"])
        .assert()
        .success();
    let eval = |more: &[&str]| {
        let command = ["eval", "--adapter", "out/adapter", "--data", "sst2"];
        let output = scratch.beft(&command).args(more).assert();
        String::from_utf8(output.get_output().stderr.clone()).unwrap()
    };
    assert_eq!(eval(&["--task", "mine.toml"]), "");
    assert!(eval(&["--task", "labels.toml"]).contains("with the labels"));
    assert!(eval(&["--task", "template.toml"]).contains("another prompt"));
    // The adapter carries its task.
    assert_eq!(eval(&[]), "");
    // One of before that does not.
    let sidecar = scratch.read("out/adapter/beft.json");
    let mut facts: Value = serde_json::from_str(&sidecar).unwrap();
    facts
        .as_object_mut()
        .unwrap()
        .remove("task_definition")
        .unwrap();
    scratch.write("out/adapter/beft.json", &facts.to_string());
    assert!(eval(&[]).contains("give its file with --task"));
}

#[test]
fn damaged_or_foreign_weights_are_noticed() {
    let scratch = scratch("opt-tiny");
    let eval = || {
        let command = [
            "eval", "--model", "model", "--task", "sst2", "--data", "sst2",
        ];
        let output = scratch.beft(&command).assert().code(2);
        String::from_utf8(output.get_output().stderr.clone()).unwrap()
    };
    let config = scratch.read("model/config.json");
    let fewer = config.replace("\"num_hidden_layers\": 3", "\"num_hidden_layers\": 2");
    assert_ne!(config, fewer);
    scratch.write("model/config.json", &fewer);
    let text = eval();
    assert!(
        text.contains("layers.2") && text.contains("fewer layers"),
        "{text}"
    );

    scratch.write("model/config.json", &config);
    let path = scratch.path("model/model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    assert!(eval().contains("no numbers"), "{}", eval());
}

#[test]
fn what_is_cut_is_said() {
    let scratch = scratch("opt-tiny");
    let long = "the film was great ".repeat(40);
    scratch.write(
        "sst2/dev.tsv",
        &format!("sentence\tlabel\n{long}\t1\nfine\t0\n"),
    );
    let command = [
        "eval", "--model", "model", "--task", "sst2", "--data", "sst2",
    ];
    let output = scratch.beft(&command).assert().success();
    let text = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(
        text.contains("1 inputs are longer than 64 tokens"),
        "{text}"
    );
    let sample = ["sample", "--task", "copa", "--data", "copa"];
    let output = scratch.beft(&sample).assert().success();
    assert_eq!(
        output
            .get_output()
            .stdout
            .iter()
            .filter(|b| **b == b'\n')
            .count(),
        8
    );
}

#[test]
fn what_does_not_fit_is_said() {
    let scratch = scratch("gptj-tiny");
    let refused = |args: &[&str], expected: &str| {
        let output = scratch.beft(args).assert().code(2);
        let text = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert!(text.contains(expected), "{args:?}: {text}");
    };
    let tune = |terms| {
        [
            "tune", "--model", "model", "--task", "sst2", "--data", "sst2", "--terms", terms,
        ]
    };
    refused(&tune("frozen"), "no head");
    refused(&tune("full"), "norms (ln), IA3, LoRA or a prefix");
    refused(
        &["predict", "--model", "model", "--data", "sst2/dev.tsv"],
        "give --task",
    );
    refused(
        &[
            "predict", "--model", "model", "--task", "sst2", "--data", "sst2", "--split", "dev",
            "--format", "glue", "--out", "glue",
        ],
        "is a task of prompts",
    );
    refused(
        &["eval", "--model", "model", "--data", "sst2"],
        "give --task",
    );
    // One mode that does not fit stops a comparison before anything is trained.
    refused(
        &[
            "compare",
            "--model",
            "model",
            "--task",
            "sst2=sst2",
            "--mode",
            "v",
            "--mode",
            "frozen",
        ],
        "no head",
    );
    refused(&tune("ln2"), "no bias `ln2`");
    refused(&tune("zero-shot"), "beft eval");
    refused(
        &[
            "eval", "--model", "model", "--task", "cola", "--data", "sst2",
        ],
        "cola is a task of labelled texts",
    );
    refused(
        &[
            "eval",
            "--model",
            "model",
            "--task",
            "sst2",
            "--data",
            "sst2/dev.tsv",
            "--shots",
            "2",
        ],
        "needs --data with a folder",
    );
    refused(
        &[
            "eval", "--model", "model", "--task", "sst2", "--data", "sst2", "--shots", "99",
        ],
        "99 worked examples",
    );
    // What is for decoders is refused of an encoder.
    let encoder = Scratch::new();
    for (args, expected) in [
        (
            &["generate", "--model", "model", "--prompt", "a"][..],
            "encoder",
        ),
        (
            &["plan", "--model", "model", "--length", "9999"],
            "9999 tokens",
        ),
    ] {
        let output = encoder.beft(args).assert().code(2);
        let text = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert!(text.contains(expected), "{args:?}: {text}");
    }
}

/// The text comes all the same, and with it a note that the model has read nothing of the prompt.
#[test]
fn a_prompt_of_unknown_tokens_is_noted() {
    let scratch = scratch("llama-tiny");
    scratch.write(
        "model/tokenizer.json",
        r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
            "model": {"type": "WordLevel", "vocab": {"<unk>": 0, "good": 1, "film": 2}, "unk_token": "<unk>"}}"#,
    );
    for (prompt, noted) in [("zzz yyy", true), ("zzz film", false), ("good", false)] {
        let args = [
            "generate",
            "--model",
            "model",
            "--max-new-tokens",
            "2",
            "--prompt",
            prompt,
        ];
        let output = scratch.beft(&args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(!output.stdout.is_empty());
        let text = String::from_utf8(output.stderr).unwrap();
        let note = format!("knows no part of the prompt \"{prompt}\"");
        assert_eq!(text.contains(&note), noted, "{prompt}: {text}");
    }
}

#[test]
fn a_right_text_has_no_classes_to_balance() {
    let scratch = scratch("llama-tiny");
    let tune = [
        "tune",
        "--model",
        "model",
        "--task",
        "sst2",
        "--data",
        "sst2",
        "--balanced",
    ];
    let said = "sst2 is trained on the right text, which has no classes to balance";
    refused(
        &scratch,
        &[&tune[..], &["--objective", "text"]].concat(),
        said,
    );
    let short = ["--train-size", "8", "--epochs", "1", "--out", "out"];
    run(&scratch, &[&tune[..], &short].concat());
}

#[test]
fn the_tasks_that_are_listed_are_those_of_the_model() {
    let scratch = scratch("llama-tiny");
    let tune = ["tune", "--model", "model", "--task", "copper"];
    let said = "unknown prompt task `copper`: expected one of sst2, rte, cb, boolq, wsc";
    refused(&scratch, &tune, said);
    let head = [&tune[..], &["--head"]].concat();
    refused(&scratch, &head, "expected one of cola, mnli");
}
