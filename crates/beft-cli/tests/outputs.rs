//! What is left behind by commands that fail, and what is never replaced.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{Scratch, assert_says, refused};

#[test]
fn a_loss_that_is_not_finite_keeps_the_last_good_adapter() {
    let scratch = Scratch::new();
    // One example a step: the values grow by the learning rate until they overflow.
    let args = ["--lr", "1e37", "--batch-size", "1"];
    let output = scratch.tune(&args).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("not finite at step "), "{text}");
    assert!(
        text.contains("what was last good is in out/last-good"),
        "{text}"
    );
    assert_eq!(scratch.list("out"), ["last-good"]);
    let eval = ["eval", "--adapter", "out/last-good", "--data", "data"];
    scratch.beft(&eval).assert().success();
    // A good run into the same folder takes it away.
    scratch.tune(&[]).assert().success();
    assert_eq!(scratch.list("out"), ["adapter", "results.json"]);
}

#[test]
fn a_loss_that_is_not_finite_at_once_leaves_nothing() {
    let scratch = Scratch::new();
    assert_says(
        &scratch,
        &["--lr", "1e38"],
        &["not finite at step 2 of epoch 1", "nothing was saved"],
    );
}

#[test]
fn outputs_that_cannot_be_written() {
    let scratch = Scratch::new();
    scratch.write("taken", "a file");
    let fails = |args: &[&str]| {
        let output = scratch.tune(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let text = fails(&["--out", "taken/deep"]);
    assert!(
        text.contains("cannot write to the output folder taken/deep"),
        "{text}"
    );
    assert_eq!(scratch.read("taken"), "a file");
    let text = fails(&["--out", "taken"]);
    assert!(
        text.contains("cannot write to the output folder taken"),
        "{text}"
    );

    scratch.tune(&[]).assert().success();
    let predict = ["predict", "--adapter", "out/adapter", "--out", "data"];
    scratch
        .beft(&predict)
        .write_stdin("a film\n")
        .assert()
        .code(2);
}

#[test]
fn nothing_of_the_users_is_replaced() {
    let scratch = Scratch::new();
    // The model itself, and a folder with other files, stand where the adapter would go.
    fs::create_dir(scratch.path("out")).unwrap();
    fs::rename(scratch.path("model"), scratch.path("out/adapter")).unwrap();
    let output = scratch.tune(&["--model", "out/adapter"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("out/adapter") && text.contains("not part of it"),
        "{text}"
    );
    assert_eq!(scratch.list("out/adapter").len(), 3);

    let tune = ["--model", "out/adapter", "--out", "good"];
    scratch.tune(&tune).assert().success();
    scratch.write("in.txt", "good film\n");
    let predict = [
        "predict",
        "--adapter",
        "good/adapter",
        "--data",
        "in.txt",
        "--out",
        "in.txt",
    ];
    scratch.beft(&predict).assert().code(2);
    assert_eq!(scratch.read("in.txt"), "good film\n");
    for file in ["out/adapter/config.json", "good/adapter/beft.json"] {
        let before = scratch.read(file);
        let eval = [
            "eval",
            "--adapter",
            "good/adapter",
            "--data",
            "data",
            "--out",
            file,
        ];
        scratch.beft(&eval).assert().code(2);
        assert_eq!(scratch.read(file), before);
    }

    scratch.write("demo/data/train.tsv", "mine\n");
    scratch.beft(&["demo", "--out", "demo"]).assert().code(2);
    assert_eq!(scratch.read("demo/data/train.tsv"), "mine\n");
}

#[test]
fn what_an_earlier_training_of_another_kind_saved_is_named() {
    let scratch = Scratch::new();
    scratch.tune(&[]).assert().success();
    let full = scratch.tune(&["--terms", "full", "--json"]).assert();
    let said = String::from_utf8(full.success().get_output().stderr.clone()).unwrap();
    assert!(
        said.contains("out/adapter is what an earlier training saved"),
        "{said}"
    );
}

/// Options that would lose a result, or do nothing.
#[test]
fn what_would_be_lost_or_ignored_is_refused() {
    let scratch = Scratch::new();
    scratch.tune(&[]).assert().success();
    let weights = fs::read(scratch.path("model/model.safetensors")).unwrap();
    // A model that was made here is a base, too.
    let merge = ["merge", "--adapter", "out/adapter", "--out", "whole"];
    scratch.beft(&merge).assert().success();
    let second = ["--model", "whole", "--out", "second"];
    scratch.tune(&second).assert().success();
    // A model that others made has the same names of files as one of ours.
    fs::create_dir(scratch.path("theirs")).unwrap();
    for name in ["model.safetensors", "config.json"] {
        let theirs = scratch.path("theirs").join(name);
        fs::copy(scratch.path("model").join(name), theirs).unwrap();
    }
    scratch.write("plan.toml", "models = [\"model\"]\nmodes = [\"v\"]\n[[tasks]]\ntask = \"text\"\ndata = \"data\"\nepochs = 0\n");
    let adapter = ["--adapter", "out/adapter"];
    let with = |command: &'static str, more: &[&'static str]| -> Vec<&'static str> {
        [&[command][..], &adapter, more].concat()
    };
    for (args, said) in [
        (
            vec!["merge", "--adapter", "second/adapter", "--out", "whole"],
            "whole is the base model",
        ),
        (
            with("merge", &["--out", "model"]),
            "but no `beft.json`, so another program wrote it",
        ),
        (
            with("merge", &["--out", "theirs"]),
            "but no `beft.json`, so another program wrote it",
        ),
        (
            with(
                "eval",
                &["--data", "data", "--out", "e.json", "--errors", "./e.json"],
            ),
            "--out and --errors are both e.json",
        ),
        (
            with(
                "predict",
                &["--data", "data", "--split", "dev", "--input-format", "csv"],
            ),
            "leave --input-format out",
        ),
        (with("predict", &["--split", "dev"]), "--split needs --data"),
        (
            with("serve", &["--max-tokens", "9"]),
            "--max-tokens is for models that generate text",
        ),
        (
            vec![
                "sample",
                "--task",
                "text",
                "--data",
                "data",
                "--dev-share",
                "0.2",
            ],
            "--dev-share splits one file",
        ),
        (
            vec![
                "tune",
                "--model",
                "model",
                "--task",
                "text",
                "--data",
                "data",
                "--multi-label",
                "--label",
                "a,b",
                "--separator",
                ";",
            ],
            "a separator is for labels in one column",
        ),
        (
            vec![
                "compare",
                "--model",
                "model",
                "--model",
                "./model",
                "--task",
                "text=data",
            ],
            "twice: leave one out",
        ),
        (vec!["compare", "--file", "plan.toml"], "epochs is 0"),
        (
            vec!["compare", "--file", "plan.toml", "--head"],
            "write head = true",
        ),
        (
            vec!["compare", "--file", "plan.toml", "--shard", "1/1", "--json"],
            "--shard writes no tables",
        ),
    ] {
        refused(&scratch, &args, said);
    }
    assert_eq!(
        fs::read(scratch.path("model/model.safetensors")).unwrap(),
        weights
    );
}

/// A reader that stops reading is no error to speak of.
#[test]
fn a_closed_pipe_does_not_panic() {
    let scratch = Scratch::new();
    scratch.tune(&[]).assert().success();
    let beft = assert_cmd::cargo::cargo_bin("beft");
    let line = format!(
        "{} eval --adapter out/adapter --data data 2>err | head -c 0; exit ${{PIPESTATUS[0]}}",
        beft.display()
    );
    let status = std::process::Command::new("bash")
        .current_dir(scratch.path(""))
        .args(["-c", &line])
        .status()
        .unwrap();
    assert!(status.success(), "{}", scratch.read("err"));
}
