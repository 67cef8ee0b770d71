//! Tasks beyond the user's own two-class texts: GLUE forms, regression, samples, the hub's cache.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{Scratch, refusal};
use serde_json::Value;

/// A regression is trained, measured by its correlations, and written for the GLUE server.
#[test]
fn stsb_is_a_regression() {
    let scratch = Scratch::new();
    scratch.remove_head();
    let table = |rows: usize| -> String {
        let words = ["good", "bad", "the", "movie", "never"];
        let row = |i: usize| {
            let word = words[i % 5];
            format!(
                "{i}\tg\tf\ty\t{i}\ta\tb\t{word} film\tbad film\t{}.5\n",
                i % 5
            )
        };
        let head = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n";
        head.to_owned() + &(0..rows).map(row).collect::<String>()
    };
    scratch.write("stsb/train.tsv", &table(20));
    scratch.write("stsb/dev.tsv", &table(10));
    let head = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\n";
    scratch.write(
        "stsb/test.tsv",
        &format!("{head}0\tg\tf\ty\t0\ta\tb\tgood\tbad\n"),
    );
    let tune = [
        "tune",
        "--model",
        "model",
        "--task",
        "STS-B",
        "--data",
        "stsb",
        "--train-size",
        "20",
        "--epochs",
        "3",
        "--lr",
        "0.01",
        "--out",
        "out",
    ];
    scratch.beft(&tune).assert().success();
    let results: Value = serde_json::from_str(&scratch.read("out/results.json")).unwrap();
    let metrics = results["modes"][0]["metrics"].as_object().unwrap();
    assert_eq!(metrics.keys().collect::<Vec<_>>(), ["pearson", "spearman"]);

    let eval = [
        "eval",
        "--adapter",
        "out/adapter",
        "--data",
        "stsb",
        "--out",
        "eval.json",
    ];
    scratch.beft(&eval).assert().success();
    let eval: Value = serde_json::from_str(&scratch.read("eval.json")).unwrap();
    // The adapter holds changes, and adding them up again rounds.
    let value = |metrics: &Value| metrics["pearson"].as_f64().unwrap();
    let difference = value(&eval["metrics"]) - value(&results["modes"][0]["metrics"]);
    assert!(difference.abs() < 1e-4, "{eval}");

    let glue = [
        "predict",
        "--adapter",
        "out/adapter",
        "--data",
        "stsb",
        "--split",
        "test",
        "--format",
        "glue",
        "--out",
        "server",
    ];
    scratch.beft(&glue).assert().success();
    let file = scratch.read("server/STS-B.tsv");
    let lines: Vec<&str> = file.lines().collect();
    assert_eq!(lines[0], "index\tprediction");
    let value: f64 = lines[1].strip_prefix("0\t").unwrap().parse().unwrap();
    assert!((0.0..=5.0).contains(&value));
}

/// MNLI has two dev and two test splits.
#[test]
fn mnli_is_measured_twice() {
    let scratch = Scratch::new();
    let labels = ["entailment", "neutral", "contradiction"];
    let table = |rows: usize, label: bool| -> String {
        let head = if label { "\tgold_label" } else { "" };
        let row = |i: usize| {
            let end = if label {
                format!("\t{}", labels[i % 3])
            } else {
                String::new()
            };
            format!("{i}\tgood film {i}\tthe bad one{end}\n")
        };
        format!("index\tsentence1\tsentence2{head}\n") + &(0..rows).map(row).collect::<String>()
    };
    for (file, rows, label) in [
        ("train", 12, true),
        ("dev_matched", 6, true),
        ("dev_mismatched", 9, true),
        ("test_matched", 4, false),
        ("test_mismatched", 5, false),
    ] {
        scratch.write(&format!("mnli/{file}.tsv"), &table(rows, label));
    }
    let tune = [
        "tune",
        "--model",
        "model",
        "--task",
        "mnli",
        "--data",
        "mnli",
        "--train-size",
        "12",
        "--epochs",
        "2",
        "--out",
        "out",
    ];
    scratch.beft(&tune).assert().success();
    let results: Value = serde_json::from_str(&scratch.read("out/results.json")).unwrap();
    let metrics = results["modes"][0]["metrics"].as_object().unwrap();
    assert_eq!(
        metrics.keys().collect::<Vec<_>>(),
        ["accuracy", "accuracy_mm"]
    );
    let glue = [
        "predict",
        "--adapter",
        "out/adapter",
        "--data",
        "mnli",
        "--split",
        "test",
        "--format",
        "glue",
        "--out",
        "server",
    ];
    scratch.beft(&glue).assert().success();
    assert_eq!(scratch.list("server"), ["MNLI-m.tsv", "MNLI-mm.tsv"]);
    assert_eq!(scratch.read("server/MNLI-mm.tsv").lines().count(), 6);
    let last = scratch.read("server/MNLI-m.tsv");
    let (_, label) = last.lines().last().unwrap().split_once('\t').unwrap();
    assert!(labels.contains(&label), "{label}");
}

/// The rows that `sample` prints are the ones a run learns from: numpy's.
#[test]
fn sample_prints_numpys_rows() {
    let scratch = Scratch::new();
    let rows = |more: &[&str]| -> Vec<usize> {
        let args = [&["sample", "--task", "text", "--data", "data"], more].concat();
        let output = scratch.beft(&args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| line.parse().unwrap()).collect()
    };
    // numpy: np.random.seed(0); np.random.permutation(24)[:5]
    assert_eq!(rows(&["--train-size", "5"]), NUMPY_24);
    assert_ne!(rows(&["--train-size", "5", "--seed", "1"]), NUMPY_24);
    assert_eq!(rows(&[]).len(), 24);
    let output = scratch
        .beft(&[
            "sample", "--task", "text", "--data", "data", "--regime", "low",
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("no low regime"), "{text}");
}

const NUMPY_24: [usize; 5] = [11, 10, 22, 14, 20];

/// A task of the user's own, described in TOML.
#[test]
fn a_task_file_is_a_task() {
    let scratch = Scratch::new();
    scratch.write(
        "reviews.toml",
        "name = \"reviews\"\ntext = \"body\"\nlabel = \"stars\"\nmetrics = [\"macro_f1\", \"accuracy\"]\n",
    );
    let table: String = (0..12)
        .map(|i| format!("the film {i}\t{}\n", i % 3))
        .collect();
    for file in ["train", "dev"] {
        scratch.write(
            &format!("reviews/{file}.tsv"),
            &format!("body\tstars\n{table}"),
        );
    }
    let args = [
        "tune",
        "--model",
        "model",
        "--task",
        "reviews.toml",
        "--data",
        "reviews",
        "--epochs",
        "2",
        "--out",
        "out",
    ];
    scratch.beft(&args).assert().success();
    let results: Value = serde_json::from_str(&scratch.read("out/results.json")).unwrap();
    assert!(results["modes"][0]["metrics"]["macro_f1"].is_number());

    // The adapter carries the task: its columns and metrics are known without the file.
    fs::remove_file(scratch.path("reviews.toml")).unwrap();
    let eval = ["eval", "--adapter", "out/adapter", "--data", "reviews"];
    let said = scratch.beft(&eval).assert().success().get_output().clone();
    assert!(String::from_utf8(said.stdout).unwrap().contains("macro_f1"));
    scratch.write("new.csv", "body\nthe film\n");
    let predict = ["predict", "--adapter", "out/adapter", "--data", "new.csv"];
    scratch.beft(&predict).assert().success();

    // A definition that makes no sense is refused, unless another is given.
    let sidecar = scratch.read("out/adapter/beft.json");
    let broken = sidecar.replace("\"macro_f1\"", "\"pearson\"");
    scratch.write("out/adapter/beft.json", &broken);
    let said = refusal(&scratch, &eval);
    let expected =
        "out/adapter: beft.json: task_definition: `metrics` makes no sense: give the file";
    assert!(said.contains(expected), "{said}");
    let toml = "name = \"again\"\ntext = \"body\"\nlabel = \"stars\"\nmetrics = [\"f1\"]\n";
    scratch.write("again.toml", toml);
    let again = [&eval[..], &["--task", "again.toml"]].concat();
    let said = refusal(&scratch, &again);
    let expected =
        "there are 3 labels (`0`, `1`, `2`), and the metric `f1` is of two: write `macro_f1`";
    assert!(said.contains(expected), "{said}");
    let mut tune = args;
    tune[4] = "again.toml";
    tune[10] = "other";
    assert!(refusal(&scratch, &tune).contains(expected));
    scratch.write("again.toml", &toml.replace("f1", "mcc"));
    scratch.beft(&again).assert().success();
}

/// An adapter of PEFT's own names no classes: they are those of the task, and the server's file has its names.
#[test]
fn classes_without_names_are_those_of_the_task() {
    let scratch = Scratch::new();
    scratch.tune(&[]).assert().success();
    fs::remove_file(scratch.path("out/adapter/beft.json")).unwrap();
    let rows = |label: &str, labels: [&str; 3]| {
        let row = |i: usize| format!("{i}\tgood film {i}\tthe bad one{}\n", labels[i]);
        format!("index\tsentence1\tsentence2{label}\n") + &(0..3).map(row).collect::<String>()
    };
    let labels = ["\tEntailment", "\tneutral", "\t-1"];
    for (file, labels) in [("dev_matched", labels), ("dev_mismatched", labels)] {
        scratch.write(&format!("mnli/{file}.tsv"), &rows("\tgold_label", labels));
    }
    for file in ["test_matched", "test_mismatched"] {
        scratch.write(&format!("mnli/{file}.tsv"), &rows("", ["", "", ""]));
    }
    let of = |command: &'static str, task: &'static str| {
        vec![
            command,
            "--adapter",
            "out/adapter",
            "--task",
            task,
            "--data",
            "mnli",
        ]
    };
    let said = scratch
        .beft(&of("eval", "mnli"))
        .assert()
        .success()
        .get_output()
        .clone();
    let said = String::from_utf8(said.stderr).unwrap();
    let note = "they are taken as `entailment`, `neutral`, `contradiction` of task mnli";
    assert!(said.contains(note), "{said}");
    assert!(
        said.contains("1 lines without a label (or malformed) left out, the first is line 4"),
        "{said}"
    );

    let glue = [
        &of("predict", "mnli")[..],
        &["--split", "test", "--format", "glue", "--out", "server"],
    ];
    scratch.beft(&glue.concat()).assert().success();
    for file in ["server/MNLI-m.tsv", "server/MNLI-mm.tsv"] {
        for row in scratch.read(file).lines().skip(1) {
            let name = row.split('\t').nth(1).unwrap();
            assert!(
                ["entailment", "neutral", "contradiction"].contains(&name),
                "{row}"
            );
        }
    }
    // Predictions stand beside all rows, labelled or not.
    let dev = [&of("predict", "mnli")[..], &["--split", "dev"]].concat();
    let rows = scratch.beft(&dev).assert().success().get_output().clone();
    let rows = String::from_utf8(rows.stdout).unwrap();
    assert_eq!(rows.lines().count(), 6);
    assert!(
        rows.lines()
            .all(|row| row.contains("entail") || row.contains("neutral") || row.contains("contra"))
    );

    let said = refusal(&scratch, &of("eval", "rte"));
    assert!(
        said.contains("those of task rte are `entailment`, `not_entailment`"),
        "{said}"
    );
}

/// A model by name comes out of the Hugging Face cache without any network.
#[test]
fn a_model_is_found_in_the_cache() {
    let scratch = Scratch::new();
    let repository = scratch.path("hf/hub/models--someone--tiny-bert");
    let snapshot = repository.join("snapshots/0123456789012345678901234567890123456789");
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(repository.join("refs")).unwrap();
    fs::write(
        repository.join("refs/main"),
        "0123456789012345678901234567890123456789",
    )
    .unwrap();
    for file in ["config.json", "model.safetensors", "tokenizer.json"] {
        fs::copy(scratch.path("model").join(file), snapshot.join(file)).unwrap();
    }
    let args = [
        "tune",
        "--model",
        "someone/tiny-bert",
        "--task",
        "text",
        "--data",
        "data",
        "--epochs",
        "1",
        "--out",
        "out",
    ];
    scratch.beft(&args).assert().success();
    let config: Value =
        serde_json::from_str(&scratch.read("out/adapter/adapter_config.json")).unwrap();
    assert_eq!(config["base_model_name_or_path"], "someone/tiny-bert");
    scratch
        .beft(&["eval", "--adapter", "out/adapter", "--data", "data"])
        .assert()
        .success();
}
