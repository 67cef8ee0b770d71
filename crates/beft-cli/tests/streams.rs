//! Standard input and output: empty ones, full ones, and ones that nobody reads.

#![allow(clippy::unwrap_used)]

mod common;

use std::process::Stdio;

use common::Scratch;

fn tuned() -> Scratch {
    let scratch = Scratch::new();
    scratch.tune(&[]).assert().success();
    scratch
}

const PREDICT: [&str; 3] = ["predict", "--adapter", "out/adapter"];

#[test]
fn no_texts_give_no_rows() {
    let scratch = tuned();
    let empty = |args: &[&str]| {
        let args = [&PREDICT[..], args].concat();
        let output = scratch.beft(&args).write_stdin("").output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
    };
    empty(&[]);
    for format in ["lines", "tsv", "csv", "jsonl"] {
        empty(&["--input-format", format]);
    }
    for (name, text) in [
        ("none.tsv", "text\n"),
        ("none.csv", "text\n"),
        ("none.jsonl", ""),
        ("none.txt", ""),
    ] {
        scratch.write(name, text);
        let format = if name == "none.txt" {
            "lines"
        } else {
            &name[5..]
        };
        empty(&["--data", name, "--input-format", format]);
    }
    let file = [&PREDICT[..], &["--data", "none.tsv", "--out", "rows.jsonl"]].concat();
    scratch.beft(&file).assert().success();
    assert_eq!(scratch.read("rows.jsonl"), "");
    // A header without the column is as wrong as ever.
    scratch.write("other.tsv", "body\n");
    let wrong = [&PREDICT[..], &["--data", "other.tsv"]].concat();
    scratch.beft(&wrong).assert().code(2);
}

/// A device without room for what a command prints, and a reader that has gone away.
#[cfg(target_os = "linux")]
#[test]
fn output_that_does_not_arrive_is_an_error() {
    let scratch = tuned();
    let decoder = beft_fixtures::model("llama-tiny").display().to_string();
    scratch.write("in.txt", "good film\n");
    let train = ["--model", "model", "--task", "text", "--epochs", "1"];
    let one = |name: &'static str, more: &[&'static str]| [&[name], &train[..], more].concat();
    let commands: Vec<Vec<&str>> = vec![
        vec!["--help"],
        vec!["--version"],
        vec!["tune", "--help"],
        vec!["devices"],
        vec!["plan", "--model", &decoder],
        vec!["sample", "--task", "text", "--data", "data"],
        vec!["eval", "--adapter", "out/adapter", "--data", "data"],
        [
            &PREDICT[..],
            &["--data", "in.txt", "--input-format", "lines"],
        ]
        .concat(),
        vec![
            "generate",
            "--model",
            &decoder,
            "--prompt",
            "a",
            "--max-new-tokens",
            "2",
        ],
        one("tune", &["--data", "data", "--out", "o1"]),
        one("rank", &["--data", "data", "--out", "o2"]),
        one("run", &["--data", "data", "--out", "o3"]),
        vec![
            "compare",
            "--model",
            "model",
            "--task",
            "text=data",
            "--mode",
            "v",
            "--epochs",
            "1",
            "--out",
            "o4",
        ],
        vec![
            "sweep",
            "--model",
            "model",
            "--task",
            "text=data",
            "--mode",
            "v",
            "--lr",
            "0.01",
            "--epochs",
            "1",
            "--out",
            "o5",
        ],
    ];
    for args in commands {
        let run = |stdout: Stdio| {
            scratch
                .process(&args)
                .stdin(Stdio::null())
                .stdout(stdout)
                .stderr(Stdio::piped())
                .output()
                .unwrap()
        };
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
        let output = run(full.unwrap().into());
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(!text.contains("panicked"), "{args:?}: {text}");
        let errors = text.lines().filter(|line| line.starts_with("error: "));
        let errors: Vec<&str> = errors.collect();
        assert_eq!(errors.len(), 1, "{args:?}: {text}");
        assert!(errors[0].contains("standard output"), "{args:?}: {text}");

        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = run(writer.into());
        assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
        assert!(!String::from_utf8(output.stderr).unwrap().contains("error"));
    }
}
