//! Tasks in which several labels may hold, from data to predictions.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Scratch, refused, run};
use serde_json::Value;

/// Texts with the labels `good` and `long`, which depend on their words; written by `row` from text and labels.
fn table(rows: usize, row: impl Fn(&str, [bool; 2]) -> String) -> String {
    let rows = (0..rows).map(|i| {
        let labels = [i % 2 == 0, i % 3 == 0];
        let text = format!(
            "the {} film{} number {i}",
            if labels[0] { "good" } else { "bad" },
            if labels[1] {
                " and the film and the film"
            } else {
                ""
            }
        );
        row(&text, labels)
    });
    rows.collect()
}

fn named(labels: [bool; 2]) -> Vec<&'static str> {
    let names = ["good", "long"].into_iter().zip(labels);
    names
        .filter(|(_, holds)| *holds)
        .map(|(name, _)| name)
        .collect()
}

const TUNE: [&str; 13] = [
    "tune",
    "--model",
    "model",
    "--multi-label",
    "--dev-share",
    "0.25",
    "--terms",
    "all",
    "--epochs",
    "3",
    "--lr",
    "0.01",
    "--data",
];

#[test]
fn a_list_text_and_columns_are_the_same_labels() {
    let scratch = Scratch::new();
    let list = |text: &str, labels| {
        format!(
            "{}\n",
            serde_json::json!({"text": text, "label": named(labels)})
        )
    };
    scratch.write("list.jsonl", &table(48, list));
    let separated = |text: &str, labels| format!("{text},\"{}\"\n", named(labels).join(", "));
    scratch.write(
        "text.csv",
        &("text,label\n".to_owned() + &table(48, separated)),
    );
    let flags = |text: &str, [a, b]: [bool; 2]| format!("{},{text},{}\n", u8::from(a), u8::from(b));
    scratch.write(
        "flags.csv",
        &("good,text,long\n".to_owned() + &table(48, flags)),
    );
    let tuned = |file: &str, more: &[&str]| {
        let out = ["--out", file.split_once('.').unwrap().0];
        run(&scratch, &[&TUNE[..], &[file], &out, more].concat()).0
    };
    let metrics = |said: &str| said.lines().next().unwrap().to_owned();
    let one = metrics(&tuned("list.jsonl", &["--tune-thresholds"]));
    assert!(
        one.contains("macro_f1") && one.contains("subset_accuracy"),
        "{one}"
    );
    assert_eq!(metrics(&tuned("text.csv", &[])), one);
    assert_eq!(metrics(&tuned("flags.csv", &["--label", "good,long"])), one);

    // The adapter carries labels and thresholds.
    let facts: Value = serde_json::from_str(&scratch.read("list/adapter/beft.json")).unwrap();
    assert_eq!(facts["problem_type"], "multi_label_classification");
    assert_eq!(facts["thresholds"].as_array().unwrap().len(), 2);
    assert_eq!(facts["labels"], serde_json::json!(["good", "long"]));
    let results: Value = serde_json::from_str(&scratch.read("list/results.json")).unwrap();
    let (json, _) = run(
        &scratch,
        &[
            "eval",
            "--adapter",
            "list/adapter",
            "--data",
            "list.jsonl",
            "--held-out",
            "--json",
            "--report",
            "r",
        ],
    );
    let found: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(found["metrics"], results["modes"][0]["threshold_metrics"]);
    assert_eq!(found["details"][0]["classes"][1]["label"], "long");
    assert_eq!(
        scratch.list("r"),
        ["reliability.svg", "report.html", "report.md"]
    );

    scratch.write("new.txt", "the good film\n\n");
    let (rows, said) = run(
        &scratch,
        &["predict", "--adapter", "list/adapter", "--data", "new.txt"],
    );
    let row: Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
    let thresholds = facts["thresholds"].as_array().unwrap();
    for (label, threshold) in ["good", "long"].iter().zip(thresholds) {
        let holds = row["labels"]
            .as_array()
            .unwrap()
            .contains(&Value::from(*label));
        let probability = row["probabilities"][label].as_f64().unwrap();
        assert_eq!(holds, probability >= threshold.as_f64().unwrap(), "{row}");
    }
    assert!(said.contains("1 of 2 texts are empty"), "{said}");
}

#[test]
fn they_are_ranked_compared_and_reported() {
    let scratch = Scratch::new();
    let row = |text: &str, labels| format!("{text}\t{}\n", named(labels).join(";"));
    for (name, rows) in [("train", 30), ("dev", 12)] {
        let text = "text\ttags\n".to_owned() + &table(rows, row);
        scratch.write(&format!("data/{name}.tsv"), &text);
    }
    scratch.write(
        "tags.toml",
        "name = 'tags'\nkind = 'multi_label'\ntext = 'text'\nlabel = 'tags'\nseparator = ';'\nlabels = ['good', 'long']\nbalanced = true\n",
    );
    let common = ["--model", "model", "--epochs", "1"];
    let one = ["--task", "tags.toml", "--data", "data"];
    run(
        &scratch,
        &[&["run"][..], &common, &one, &["--out", "run"]].concat(),
    );
    let report = scratch.read("run/report.md");
    assert!(
        report.contains("| long |") && report.contains("Classes count in the loss"),
        "{report}"
    );
    run(
        &scratch,
        &[&["rank"][..], &common, &one, &["--scorer", "all"]].concat(),
    );
    let many = [
        "--task",
        "tags.toml=data",
        "--mode",
        "q",
        "--mode",
        "v",
        "--mode",
        "full",
        "--seeds",
        "0,1",
    ];
    run(
        &scratch,
        &[
            &["compare"][..],
            &common,
            &many,
            &["--out", "c", "--log-samples"],
        ]
        .concat(),
    );
    let table = scratch.read("c/compare.md");
    assert!(table.contains("micro_f1"), "{table}");

    // A whole model says in its config.json that several labels may hold.
    run(
        &scratch,
        &[
            &["tune"][..],
            &common,
            &one,
            &["--terms", "full", "--out", "full"],
        ]
        .concat(),
    );
    let config: Value =
        serde_json::from_str(&scratch.read("full/tuned-model/config.json")).unwrap();
    assert_eq!(config["problem_type"], "multi_label_classification");
    let (json, _) = run(
        &scratch,
        &[
            "eval",
            "--model",
            "full/tuned-model",
            "--data",
            "data",
            "--json",
        ],
    );
    let found: Value = serde_json::from_str(&json).unwrap();
    let results: Value = serde_json::from_str(&scratch.read("full/results.json")).unwrap();
    assert_eq!(found["metrics"], results["modes"][0]["metrics"]);
}

#[test]
fn what_is_not_for_them_is_refused() {
    let scratch = Scratch::new();
    let refused = |args: &[&str], part: &str| refused(&scratch, args, part);
    let tune = [
        "tune", "--model", "model", "--data", "data", "--epochs", "1", "--out", "out",
    ];
    refused(
        &[&tune[..], &["--tune-thresholds"]].concat(),
        "several labels may hold",
    );
    refused(
        &[&tune[..], &["--metric", "micro_f1"]].concat(),
        "does not measure what it asks for",
    );
    refused(
        &[&tune[..], &["--metric", "rmse"]].concat(),
        "unknown metric `rmse`",
    );
    scratch.write("flags.csv", "text,a,b\nx,1,2\ny,0,1\n");
    let flags = [
        "tune",
        "--model",
        "model",
        "--data",
        "flags.csv",
        "--dev-share",
        "0.5",
        "--multi-label",
        "--label",
        "a,b",
        "--out",
        "out",
    ];
    refused(
        &flags,
        "flags.csv:2: field `b` is something else: it must be 0 or 1",
    );
    scratch.tune(&[]).assert().success();
    scratch.write(
        "tags.toml",
        "name = 'tags'\nkind = 'multi_label'\ntext = 'text'\n",
    );
    refused(
        &[
            "eval",
            "--adapter",
            "out/adapter",
            "--data",
            "data",
            "--task",
            "tags.toml",
        ],
        "any number of labels",
    );
}
