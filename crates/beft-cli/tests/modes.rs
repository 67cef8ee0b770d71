//! What is trained beside single biases: full models, masks, LoRA; and trainings that survive.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{DATA, Scratch};
use serde_json::Value;

/// Every mode is trained, saved, and evaluated from what was saved with the result of training.
#[test]
fn every_mode_can_be_used_again() {
    let scratch = Scratch::new();
    for mode in [
        "full",
        "random",
        "random-lines",
        "ln",
        "ia3",
        "lora-v",
        "lora-qkv",
        "lora-v-r1",
        "embeddings",
        "v@1",
    ] {
        let _ = fs::remove_dir_all(scratch.path("out"));
        let args = ["--terms", mode, "--lr", "0.002"];
        scratch.tune(&args).assert().success();
        let results: Value = serde_json::from_str(&scratch.read("out/results.json")).unwrap();
        let trained = &results["modes"][0];
        assert_eq!(trained["mode"], mode);
        let share = trained["share"].as_f64().unwrap();
        assert_eq!(share == 1.0, mode == "full", "{mode}: {share}");
        let saved = match mode {
            "full" | "random" | "random-lines" => ["--model", "out/tuned-model"],
            _ => ["--adapter", "out/adapter"],
        };
        let args = [
            &["eval", "--data", "data", "--out", "eval.json"],
            &saved[..],
        ]
        .concat();
        scratch.beft(&args).assert().success();
        let eval: Value = serde_json::from_str(&scratch.read("eval.json")).unwrap();
        assert_eq!(eval["metrics"], trained["metrics"], "{mode}");
    }
    let config: Value =
        serde_json::from_str(&scratch.read("out/adapter/adapter_config.json")).unwrap();
    assert_eq!(config["peft_type"], "BEFT");
}

/// The best epoch is kept when asked for, and training stops when nothing gets better.
#[test]
fn best_epoch_and_early_stopping() {
    let scratch = Scratch::new();
    let args = [
        "--terms",
        "v",
        "--lr",
        "0.02",
        "--epochs",
        "40",
        "--keep",
        "best",
        "--patience",
        "3",
    ];
    let output = scratch.tune(&args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let results: Value = serde_json::from_str(&scratch.read("out/results.json")).unwrap();
    let mode = &results["modes"][0];
    let epochs = mode["epochs"].as_array().unwrap();
    let value = |epoch: &Value| epoch["metrics"]["accuracy"].as_f64().unwrap();
    let best = epochs.iter().map(value).fold(0.0, f64::max);
    assert_eq!(mode["metrics"]["accuracy"].as_f64().unwrap(), best);
    let first_best = epochs.iter().position(|e| value(e) == best).unwrap();
    assert_eq!(epochs.len(), first_best + 1 + 3);
    assert!(epochs.len() < 40);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains(&format!("Kept epoch {} of", first_best + 1)),
        "{text}"
    );
}

/// Killed with no chance to say goodbye, a training that resumes writes the very adapter of one
/// that was never interrupted.
#[test]
fn a_killed_training_resumes_to_the_same_bytes() {
    let scratch = Scratch::new();
    for mode in ["v", "lora-v", "random"] {
        let args = |out: &'static str| {
            [
                "tune", "--model", "model", "--task", "text", "--data", "data", "--terms", mode,
                "--epochs", "60", "--lr", "0.01", "--out", out,
            ]
        };
        for out in ["whole", "cut"] {
            let _ = fs::remove_dir_all(scratch.path(out));
        }
        scratch.beft(&args("whole")).assert().success();

        let state = scratch.path("cut/state");
        let mut child = scratch.start(&args("cut"));
        scratch.wait_for("cut/state", 60);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(
            state.exists(),
            "{mode}: it was over before it could be killed"
        );
        assert!(!scratch.path("cut/results.json").exists(), "{mode}");

        let resumed = [&args("cut")[..], &["--resume"]].concat();
        let output = scratch.beft(&resumed).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("continuing after epoch"), "{text}");
        assert!(!state.exists(), "{mode}");
        let (folder, file) = match mode {
            "random" => ("tuned-model", "model.safetensors"),
            _ => ("adapter", "adapter_model.safetensors"),
        };
        let bytes = |out: &str| fs::read(scratch.path(out).join(folder).join(file)).unwrap();
        assert!(bytes("whole") == bytes("cut"), "{mode}: other bytes");
        assert_eq!(
            results(&scratch, "whole")["modes"],
            results(&scratch, "cut")["modes"],
            "{mode}"
        );
    }
}

fn results(scratch: &Scratch, out: &str) -> Value {
    serde_json::from_str(&scratch.read(&format!("{out}/results.json"))).unwrap()
}

#[test]
fn a_state_of_another_training_is_refused() {
    let scratch = Scratch::new();
    scratch.write("out/state", "not a state");
    let output = scratch.tune(&["--resume"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("out/state") && text.contains("delete it"),
        "{text}"
    );
    // Without --resume it is begun anew.
    scratch.tune(&[]).assert().success();
}

#[test]
fn every_scorer_ranks() {
    let scratch = Scratch::new();
    let args = [
        "rank", "--model", "model", "--task", "text", "--data", "data", "--epochs", "2",
        "--scorer", "all", "--out", "rank",
    ];
    scratch.beft(&args).assert().success();
    let ranking: Value = serde_json::from_str(&scratch.read("rank/ranking.json")).unwrap();
    for scorer in [
        "beft",
        "magnitude",
        "angle",
        "l2",
        "fisher",
        "gradnorm",
        "snr",
        "slope",
        "random",
    ] {
        assert_eq!(
            ranking["ranking"][scorer].as_array().unwrap().len(),
            8,
            "{scorer}"
        );
        assert!(
            scratch
                .path(&format!("rank/heatmap_{scorer}.svg"))
                .is_file()
        );
    }
    // The key bias has no gradient.
    let fisher = ranking["ranking"]["fisher"].as_array().unwrap();
    let mean = |term: &str| {
        let row = fisher.iter().find(|row| row["term"] == term).unwrap();
        row["mean"].as_f64().unwrap()
    };
    assert!(mean("k") < 1e-9 * mean("v"), "{fisher:?}");

    // What needs no training trains nothing.
    let args = ["--scorer", "fisher,random", "--out", "before"];
    let args = [&["rank"], &DATA[..], &args].concat();
    let output = scratch.beft(&args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(
        text.contains("before any training") && !text.contains("epoch 1"),
        "{text}"
    );
}
