//! Decoders with a classification head, from data to predictions.

#![allow(clippy::unwrap_used)]

mod common;

use common::decoder::scratch;
use common::run;
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_decoder_with_a_head_is_trained_evaluated_and_asked() {
    for model in ["gpt2-tiny", "llama-tiny", "opt-post-tiny"] {
        let scratch = scratch(model);
        let common = [
            "--model", "model", "--task", "sst2", "--data", "sst2", "--head",
        ];
        let short = ["--epochs", "2", "--lr", "0.01", "--train-size", "16"];
        let command = [
            &["tune", "--terms", "v", "--out", "out"],
            &common[..],
            &short,
        ]
        .concat();
        run(&scratch, &command);
        let config = json(&scratch.read("out/adapter/adapter_config.json"));
        assert_eq!(config["task_type"], "SEQ_CLS");
        assert_eq!(
            config["modules_to_save"],
            serde_json::json!(["classifier", "score"])
        );

        // The adapter says by itself that there is a head, and which task it does.
        let (said, _) = run(
            &scratch,
            &[
                "eval",
                "--adapter",
                "out/adapter",
                "--data",
                "sst2",
                "--json",
            ],
        );
        let said = json(&said);
        assert_eq!(said["task"], "sst2");
        let command = [
            "predict",
            "--adapter",
            "out/adapter",
            "--data",
            "sst2/dev.tsv",
        ];
        let (rows, _) = run(&scratch, &command);
        let row = json(rows.lines().next().unwrap());
        assert!(
            ["0", "1"].contains(&row["label"].as_str().unwrap()),
            "{row}"
        );
        assert!(row["probability"].as_f64().unwrap() >= 0.5, "{row}");
        // Batches do not matter.
        let alone = scratch.read("sst2/dev.tsv");
        let mut lines = alone.lines();
        let alone = format!("{}\n{}\n", lines.next().unwrap(), lines.next().unwrap());
        scratch.write("one.tsv", &alone);
        let command = ["predict", "--adapter", "out/adapter", "--data", "one.tsv"];
        let (one, _) = run(&scratch, &command);
        let (one, row) = (json(&one), &row);
        let near = one["probability"].as_f64().unwrap() - row["probability"].as_f64().unwrap();
        assert!(near.abs() < 1e-5, "{one} {row}");

        // The prompts of the same task still work.
        let command = [
            &["tune", "--terms", "v", "--out", "asked"],
            &common[..6],
            &short,
        ]
        .concat();
        run(&scratch, &command);
        let config = json(&scratch.read("asked/adapter/adapter_config.json"));
        assert_eq!(config["task_type"], "CAUSAL_LM");
    }
}

#[test]
fn a_task_of_texts_alone_needs_no_option_and_a_whole_model_keeps_its_head() {
    let scratch = scratch("gpt2-tiny");
    scratch.write(
        "own.csv",
        "text,label\ngood film,up\nbad film,down\nthe good film,up\nthe bad film,down\n",
    );
    let common = [
        "--model",
        "model",
        "--data",
        "own.csv",
        "--dev-share",
        "0.5",
        "--epochs",
        "1",
    ];
    run(
        &scratch,
        &[&["tune", "--terms", "full", "--out", "full"], &common[..]].concat(),
    );
    let config = json(&scratch.read("full/tuned-model/config.json"));
    assert_eq!(config["architectures"][0], "GPT2ForSequenceClassification");
    let command = [
        "predict",
        "--model",
        "full/tuned-model",
        "--data",
        "own.csv",
    ];
    let (rows, _) = run(&scratch, &command);
    assert_eq!(rows.lines().count(), 4);

    // The head alone is trained where a language model has none.
    run(
        &scratch,
        &[&["tune", "--terms", "frozen", "--out", "head"], &common[..]].concat(),
    );
    let (ranked, _) = run(
        &scratch,
        &[&["rank", "--out", "ranked"], &common[..]].concat(),
    );
    assert!(ranked.contains("beft"), "{ranked}");
    let modes = ["--mode", "frozen", "--mode", "q", "--mode", "full"];
    let mut compare = vec![
        "compare",
        "--model",
        "model",
        "--task",
        "sst2=sst2",
        "--head",
        "--epochs",
        "1",
    ];
    compare.extend(["--train-size", "8", "--out", "compared"]);
    compare.extend(modes);
    run(&scratch, &compare);
    let report = scratch.read("compared/compare.csv");
    assert!(
        report.contains("frozen") && report.contains("full"),
        "{report}"
    );

    // What only language models can do is refused.
    let output = scratch
        .beft(&[&["tune", "--terms", "prefix", "--out", "x"], &common[..]].concat())
        .assert()
        .code(2);
    let text = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(text.contains("this model has a head"), "{text}");
}
