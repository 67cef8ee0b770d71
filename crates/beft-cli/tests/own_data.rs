//! Data as people have them: one file that is split, columns with names of their own, and what looks like something else.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Scratch, refusal, run};
use serde_json::Value;

/// A file with a third column that nobody needs, and labels of very different size.
fn csv(rows: usize) -> String {
    let row = |i: usize| {
        let (word, label) = if i.is_multiple_of(11) {
            ("bad", "no")
        } else {
            ("good", "yes")
        };
        format!("{i},{word} film number {i},{label}\n")
    };
    "id,body,verdict\n".to_owned() + &(0..rows).map(row).collect::<String>()
}

const TUNE: [&str; 13] = [
    "tune", "--model", "model", "--data", "all.csv", "--text", "body", "--label", "verdict",
    "--epochs", "1", "--out", "out",
];

fn refused(scratch: &Scratch, args: &[&str], parts: &[&str]) {
    let said = refusal(scratch, args);
    for part in parts {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
}

#[test]
fn one_file_is_split_and_the_rest_is_measured() {
    let scratch = Scratch::new();
    scratch.write("all.csv", &csv(66));
    let (_, said) = run(
        &scratch,
        &[
            &TUNE[..],
            &["--dev-share", "0.5", "--balanced", "--metric", "macro_f1"],
        ]
        .concat(),
    );
    assert!(
        said.contains("30 training examples of `yes`, 3 of `no`; all classes count alike"),
        "{said}"
    );
    let results: Value = serde_json::from_str(&scratch.read("out/results.json")).unwrap();
    assert_eq!(results["settings"]["held_out"]["share"], 0.5);
    assert_eq!(results["settings"]["balanced"], true);
    let split = scratch.read("out/split.tsv");
    assert_eq!(split.lines().count(), 67);

    let eval = ["eval", "--adapter", "out/adapter", "--data", "all.csv"];
    let (json, _) = run(&scratch, &[&eval[..], &["--held-out", "--json"]].concat());
    let found: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(found["metrics"], results["modes"][0]["metrics"]);
    assert_eq!(found["examples"], 33);
    let (_, said) = run(&scratch, &eval);
    assert!(said.contains("--held-out measures on the rest"), "{said}");
    // Another file is not the one that was split.
    scratch.write("all.csv", &csv(65));
    refused(
        &scratch,
        &[&eval[..], &["--held-out"]].concat(),
        &["all.csv is not the file that was split"],
    );
    refused(
        &scratch,
        &[
            "eval",
            "--adapter",
            "out/adapter",
            "--data",
            "data",
            "--held-out",
        ],
        &["data is a folder: leave it out"],
    );
}

#[test]
fn what_does_not_go_together_is_refused() {
    let scratch = Scratch::new();
    scratch.write("all.csv", &csv(20));
    refused(&scratch, &TUNE, &["all.csv: is a file", "--dev-share"]);
    let with = |more: &[&'static str]| [&TUNE[..], more].concat();
    refused(
        &scratch,
        &with(&["--dev-share", "1.5"]),
        &["above 0 and below 1"],
    );
    refused(
        &scratch,
        &with(&["--dev-share", "0.5", "--label", "id,verdict"]),
        &["several labels may hold"],
    );
    refused(
        &scratch,
        &with(&["--dev-share", "0.5", "--label", "queue"]),
        &["all.csv:1: no column `queue`: found `id`, `body`, `verdict`"],
    );
    refused(
        &scratch,
        &with(&["--dev-share", "0.5", "--label", "id"]),
        &["no label has two examples"],
    );
    refused(
        &scratch,
        &with(&["--data", "data", "--dev-share", "0.5"]),
        &["data is a folder"],
    );
    scratch.write("list.csv", "body,verdict\na,\"[\"\"x\"\"\"\nb,y\nc,y\n");
    let list = with(&["--data", "list.csv", "--multi-label", "--dev-share", "0.4"]);
    refused(
        &scratch,
        &list,
        &["list.csv:2: the labels `[\"x\"` are no list"],
    );
}

#[test]
fn inputs_that_look_like_something_else() {
    let scratch = Scratch::new();
    scratch.tune(&[]).assert().success();
    let predict = ["predict", "--adapter", "out/adapter"];
    let piped = |input: &[u8], more: &[&str]| {
        let output = scratch
            .beft(&predict)
            .args(more)
            .write_stdin(input)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    for (input, format) in [
        ("{\"text\": \"a\"}\n", "jsonl"),
        ("id,text\n1,a\n", "csv"),
        ("text\tid\na\t1\n", "tsv"),
    ] {
        let (code, said) = piped(input.as_bytes(), &[]);
        assert!(
            code == Some(0) && said.contains(&format!("--input-format {format}")),
            "{said}"
        );
        assert_eq!(
            piped(input.as_bytes(), &["--input-format", format]),
            (Some(0), String::new())
        );
    }
    // UTF-16, which has a zero for every other byte.
    let (code, said) = piped(b"a\0b\0\n\0", &[]);
    assert!(
        code == Some(2) && said.contains("standard input:1: not UTF-8"),
        "{said}"
    );
    let (code, said) = piped(b"", &[]);
    assert!(
        code == Some(0) && said.contains("there are no rows"),
        "{said}"
    );
    scratch.write("in.csv", "text,label,input_label,,\na,b,c,d,e\n");
    let (row, said) = run(
        &scratch,
        &[&predict[..], &["--data", "in.csv", "--format", "csv"]].concat(),
    );
    let header = "index,text,input_input_label,input_label,column_4,column_5,label,probability,";
    assert!(
        row.starts_with(header) && row.contains("\n0,a,b,c,d,e,"),
        "{row}"
    );
    assert!(
        said.contains("`label` of the input is called `input_input_label`"),
        "{said}"
    );
    refused(
        &scratch,
        &[&predict[..], &["--data", "in.csv", "--out", "out.xlsx"]].concat(),
        &["give --format"],
    );
    refused(
        &scratch,
        &[&predict[..], &["--data", "in.csv", "--split", "dev"]].concat(),
        &["in.csv is a file: leave it out"],
    );
    // A row without words is predicted, and counted.
    scratch.write("null.jsonl", "{\"text\": null}\n{\"text\": \"a\"}\n");
    let (rows, said) = run(
        &scratch,
        &[&predict[..], &["--data", "null.jsonl"]].concat(),
    );
    assert!(
        rows.lines().count() == 2 && said.contains("1 of 2 texts are empty"),
        "{said}"
    );
}

#[test]
fn mistakes_of_values_are_those_that_are_farthest_off() {
    let scratch = Scratch::new();
    let rows = |count: usize| {
        (0..count)
            .map(|i| format!("film number {i},{}.5\n", i % 7))
            .collect::<String>()
    };
    scratch.write("r/train.csv", &("text,label\n".to_owned() + &rows(30)));
    scratch.write("r/dev.csv", &("text,label\n".to_owned() + &rows(9)));
    scratch.write("r.toml", "name = 'r'\nkind = 'regression'\ntext = 'text'\n");
    let tune = [
        "tune", "--model", "model", "--task", "r.toml", "--data", "r", "--epochs", "1", "--out",
        "out",
    ];
    run(&scratch, &tune);
    refused(
        &scratch,
        &[&tune[..], &["--balanced"]].concat(),
        &["it has no classes to balance"],
    );
    run(
        &scratch,
        &[
            "eval",
            "--adapter",
            "out/adapter",
            "--data",
            "r",
            "--errors",
            "e.csv",
            "--report",
            "rep",
        ],
    );
    let errors = scratch.read("e.csv");
    assert_eq!(errors.lines().count(), 10);
    let off: Vec<f64> = errors
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            (cells[3].parse::<f64>().unwrap() - cells[4].parse::<f64>().unwrap()).abs()
        })
        .collect();
    assert!(off.is_sorted_by(|a, b| a >= b), "{off:?}");
    assert!(scratch.read("rep/report.md").contains("farthest off"));
}

#[test]
fn a_changed_sidecar_is_refused() {
    let scratch = Scratch::new();
    scratch.tune(&[]).assert().success();
    let sidecar = scratch.read("out/adapter/beft.json");
    let facts: Value = serde_json::from_str(&sidecar).unwrap();
    for (key, value) in [
        ("labels", serde_json::json!("good")),
        ("labels", serde_json::json!(["", "b", "c"])),
        ("thresholds", serde_json::json!([7, -3, 0.5])),
        ("thresholds", serde_json::json!([0.5])),
    ] {
        let mut changed = facts.clone();
        changed[key] = value;
        scratch.write("out/adapter/beft.json", &changed.to_string());
        refused(
            &scratch,
            &["inspect", "out/adapter"],
            &["beft.json", "copy the adapter again"],
        );
        refused(
            &scratch,
            &[
                "predict",
                "--adapter",
                "out/adapter",
                "--data",
                "data/dev.tsv",
            ],
            &["beft.json"],
        );
    }
}
