//! The commands on good input: what they write, and that they write it again byte for byte.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{Scratch, refused};
use serde_json::Value;

const TUNED: [&str; 4] = ["predict", "--adapter", "out/adapter", "--data"];

#[test]
fn tune_eval_predict() {
    let scratch = Scratch::new();
    scratch
        .tune(&["--terms", "v", "--lr", "0.01"])
        .assert()
        .success();
    assert_eq!(scratch.list("out"), ["adapter", "results.json"]);
    assert_eq!(
        scratch.list("out/adapter"),
        [
            "README.md",
            "adapter_config.json",
            "adapter_model.safetensors",
            "beft.json"
        ]
    );
    let config: Value =
        serde_json::from_str(&scratch.read("out/adapter/adapter_config.json")).unwrap();
    assert_eq!(config["peft_type"], "BEFT");
    assert_eq!(
        config["target_modules"],
        serde_json::json!(["pooler.dense", "value"])
    );
    assert_eq!(config["base_model_name_or_path"], "model");

    // The dev accuracy that training reported is what `eval` finds through the saved adapter.
    let results: Value = serde_json::from_str(&scratch.read("out/results.json")).unwrap();
    let mode = &results["modes"][0];
    assert_eq!(mode["mode"], "v");
    assert_eq!(mode["trainable"], 3 * 32 + 32 + 3 * 32 + 3);
    assert_eq!(mode["epochs"].as_array().unwrap().len(), 2);
    scratch
        .beft(&[
            "eval",
            "--adapter",
            "out/adapter",
            "--data",
            "data",
            "--out",
            "eval.json",
        ])
        .assert()
        .success();
    let eval: Value = serde_json::from_str(&scratch.read("eval.json")).unwrap();
    assert_eq!(eval["metrics"], mode["metrics"]);
    assert_eq!(eval["examples"], 9);

    // Lines from standard input, TSV and JSONL give the same rows.
    let texts = ["good film", "the bad one", "film"];
    scratch.write("in.tsv", &format!("text\n{}\n", texts.join("\n")));
    let json: String = texts
        .iter()
        .map(|t| format!("{{\"text\": \"{t}\"}}\n"))
        .collect();
    scratch.write("in.jsonl", &json);
    let output = |name: &str| {
        let out = scratch
            .beft(&[TUNED.as_slice(), &[name, "--keep", "none"]].concat())
            .output()
            .unwrap();
        assert!(out.status.success(), "{out:?}");
        String::from_utf8(out.stdout).unwrap()
    };
    let tsv = output("in.tsv");
    assert_eq!(output("in.jsonl"), tsv);
    let stdin = scratch
        .beft(&TUNED[..3])
        .write_stdin(texts.join("\n"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(stdin.stdout).unwrap(), tsv);
    let rows: Vec<Value> = tsv
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 3);
    for (index, row) in rows.iter().enumerate() {
        assert_eq!(row["index"], index);
        assert!(["a", "b", "c"].contains(&row["label"].as_str().unwrap()));
        assert_eq!(row["logits"].as_array().unwrap().len(), 3);
    }
    // To a file instead.
    let file = [
        TUNED.as_slice(),
        &["in.tsv", "--keep", "none", "--out", "deep/rows.jsonl"],
    ]
    .concat();
    scratch.beft(&file).assert().success();
    assert_eq!(scratch.read("deep/rows.jsonl"), tsv);
}

/// The weights are the same, and so are the metrics of the epochs that were evaluated.
#[test]
fn fewer_evaluations_change_no_weight() {
    let scratch = Scratch::new();
    let run = |out: &str, options: &[&str]| -> (Vec<u8>, Value) {
        let mut args = vec!["--epochs", "3", "--out", out];
        args.extend(options);
        scratch.tune(&args).assert().success();
        let weights = scratch.path(out).join("adapter/adapter_model.safetensors");
        let results = scratch.read(&format!("{out}/results.json"));
        let mut results: Value = serde_json::from_str(&results).unwrap();
        (fs::read(weights).unwrap(), results["modes"][0].take())
    };
    let (weights, each) = run("each", &[]);
    for (option, evaluated) in [("2", [false, true, true]), ("last", [false, false, true])] {
        let (same, found) = run(option, &["--evaluate", option]);
        assert_eq!(same, weights);
        assert_eq!(found["metrics"], each["metrics"]);
        let epochs = found["epochs"].as_array().unwrap();
        let metrics = |epoch: &Value| !epoch["metrics"].as_object().unwrap().is_empty();
        assert_eq!(epochs.iter().map(metrics).collect::<Vec<_>>(), evaluated);
    }
    let tune = [
        "tune", "--model", "model", "--task", "text", "--data", "data",
    ];
    for (options, part) in [
        (
            vec!["last", "--keep", "best"],
            "train several and evaluate each, or each Nth",
        ),
        (
            vec!["last", "--patience", "2"],
            "train several and evaluate each, or each Nth",
        ),
        (vec!["0"], "expected each, last, or a number"),
    ] {
        let args = [&tune[..], &["--evaluate"], &options].concat();
        refused(&scratch, &args, part);
    }
}

/// Products in 8 bits give nearly the same adapter, and say so; what cannot have them is refused.
#[test]
fn the_forward_pass_can_have_8_bits() {
    let scratch = Scratch::new();
    scratch.tune(&["--out", "plain"]).assert().success();
    let mut command = scratch.tune(&["--out", "rounded", "--forward", "q8"]);
    let rounded = command.assert().success();
    let said = String::from_utf8_lossy(&rounded.get_output().stderr).into_owned();
    assert!(said.contains("metrics are those of q8 products"), "{said}");
    let loss = |out: &str| {
        let results = scratch.read(&format!("{out}/results.json"));
        let results: Value = serde_json::from_str(&results).unwrap();
        let epochs = results["modes"][0]["epochs"].as_array().unwrap();
        epochs.last().unwrap()["train_loss"].as_f64().unwrap()
    };
    let difference = (loss("plain") - loss("rounded")).abs();
    assert!(difference > 0.0 && difference < 0.02, "{difference}");
    for file in ["adapter/beft.json", "adapter/README.md", "results.json"] {
        assert!(
            scratch.read(&format!("rounded/{file}")).contains("q8"),
            "{file}"
        );
    }
    // A finished training with another precision is not the one that is asked for.
    let output = scratch
        .tune(&["--out", "rounded", "--resume"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("forward is not given, the finished training has q8"),
        "{said}"
    );
    assert!(said.contains("--forward q8"), "{said}");
    let tune = [
        "tune", "--model", "model", "--task", "text", "--data", "data",
    ];
    for options in [
        ["--forward", "q8", "--terms", "lora-v"],
        ["--forward", "q8", "--without", "packed-layers"],
    ] {
        let args = [&tune[..], &options].concat();
        refused(&scratch, &args, "a training cannot multiply in q8, because");
    }
    refused(
        &scratch,
        &[&tune[..], &["--forward", "q4"]].concat(),
        "expected f32 or q8",
    );
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let scratch = Scratch::new();
    let files = |out: &str| {
        [
            "adapter/adapter_model.safetensors",
            "adapter/beft.json",
            "results.json",
        ]
        .map(|file| fs::read(scratch.path(out).join(file)).unwrap())
    };
    scratch
        .tune(&["--terms", "all", "--out", "one"])
        .assert()
        .success();
    scratch
        .tune(&["--terms", "all", "--out", "two"])
        .assert()
        .success();
    scratch
        .tune(&["--terms", "all", "--out", "three", "--seed", "1"])
        .assert()
        .success();
    assert_eq!(files("one"), files("two"));
    assert_ne!(files("one")[0], files("three")[0]);
    // Norm biases do not fit PEFT's tuner and go beside it.
    assert!(
        scratch
            .list("one/adapter")
            .contains(&"extra_biases.safetensors".to_owned())
    );
    scratch
        .beft(&["eval", "--adapter", "one/adapter", "--data", "data/dev.tsv"])
        .assert()
        .success();
}

#[test]
fn run_writes_the_report_and_everything_in_it() {
    let scratch = Scratch::new();
    let args = [
        "run", "--model", "model", "--task", "text", "--data", "data", "--epochs", "1",
    ];
    let output = scratch.beft(&args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        scratch.list("beft-run"),
        [
            "adapter",
            "confusion.svg",
            "curves.svg",
            "heatmap_beft.svg",
            "heatmap_magnitude.svg",
            "modes.svg",
            "ranking.svg",
            "reliability.svg",
            "report.html",
            "report.md",
            "results.json"
        ]
    );
    let results: Value = serde_json::from_str(&scratch.read("beft-run/results.json")).unwrap();
    for scorer in ["beft", "magnitude"] {
        let ranking = results["ranking"][scorer].as_array().unwrap();
        assert_eq!(ranking.len(), 8);
        let means: Vec<f64> = ranking
            .iter()
            .map(|r| r["mean"].as_f64().unwrap())
            .collect();
        assert!(means.is_sorted_by(|a, b| a >= b), "{means:?}");
        assert_eq!(ranking[0]["layers"].as_array().unwrap().len(), 3);
    }
    let modes: Vec<&str> = results["modes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["mode"].as_str().unwrap())
        .collect();
    assert_eq!(modes, ["frozen", "q", "k", "v", "all"]);
    let picked = results["picked"].as_str().unwrap();
    let sidecar: Value = serde_json::from_str(&scratch.read("beft-run/adapter/beft.json")).unwrap();
    assert_eq!(sidecar["terms"], picked);

    let report = scratch.read("beft-run/report.md");
    for text in ["heatmap_beft.svg", "| `all` |", "accuracy", "adapter/"] {
        assert!(report.contains(text), "{text} in {report}");
    }
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("report.html") && printed.contains(&format!("Picked {picked}")));
}

#[test]
fn rank_scores_what_was_trained() {
    let scratch = Scratch::new();
    let args = [
        "rank", "--model", "model", "--task", "text", "--data", "data", "--epochs", "1",
    ];
    let mut command = scratch.beft(&args);
    let ranked = command.args(["--terms", "v@1,m2"]).assert().success();
    // Nobody asked what the training came to.
    let said = String::from_utf8_lossy(&ranked.get_output().stderr).into_owned();
    assert!(
        said.contains("epoch 1: loss") && !said.contains("accuracy"),
        "{said}"
    );
    let ranking: Value = serde_json::from_str(&scratch.read("beft-rank/ranking.json")).unwrap();
    let beft = ranking["ranking"]["beft"].as_array().unwrap();
    let terms: Vec<&str> = beft
        .iter()
        .map(|row| row["term"].as_str().unwrap())
        .collect();
    assert_eq!(terms.len(), 2);
    assert!(terms.contains(&"v") && terms.contains(&"m2"));
    let v = beft.iter().find(|row| row["term"] == "v").unwrap();
    assert!(v["layers"][0].is_null() && v["layers"][1].is_f64());
}
