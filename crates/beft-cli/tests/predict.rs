//! `predict`: rows in, rows out, one chunk after another.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::decoder;
use common::{Scratch, refused, run};
use serde_json::Value;

const PREDICT: [&str; 3] = ["predict", "--adapter", "out/adapter"];

fn tuned() -> Scratch {
    let scratch = Scratch::new();
    scratch.tune(&[]).assert().success();
    scratch
}

fn predicted(scratch: &Scratch, more: &[&str]) -> (String, String) {
    let output = scratch.beft(&PREDICT).args(more).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{more:?}: {said}");
    (String::from_utf8(output.stdout).unwrap(), said)
}

fn started(scratch: &Scratch, more: &[&str]) -> Child {
    scratch
        .process(&PREDICT)
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn the_columns_of_the_input_are_kept() {
    let scratch = tuned();
    // As Excel writes it where the comma is the decimal sign.
    let csv = "\u{feff}id;text;label\r\n7;\"good; really\r\ngood\";a\r\n8;\"\";b\r\n";
    scratch.write("in.csv", csv);
    let (rows, said) = predicted(&scratch, &["--data", "in.csv"]);
    let rows: Vec<Value> = rows
        .lines()
        .map(|row| serde_json::from_str(row).unwrap())
        .collect();
    assert_eq!((rows.len(), &rows[0]["id"]), (2, &Value::from("7")));
    assert_eq!(rows[0]["text"], "good; really\r\ngood");
    // The gold label has the name of the predicted one.
    assert_eq!(rows[1]["input_label"], "b");
    assert!(said.contains("the column `label` of the input is called `input_label`"));
    assert!(said.contains("semicolons"), "{said}");
    let probabilities = rows[0]["probabilities"].as_object().unwrap();
    let sum: f64 = probabilities.values().map(|p| p.as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-6);
    let label = rows[0]["label"].as_str().unwrap();
    assert_eq!(probabilities[label], rows[0]["probability"]);

    let (csv, _) = predicted(
        &scratch,
        &["--data", "in.csv", "--format", "csv", "--keep", "id"],
    );
    let header = "index,id,label,probability,probability_a,probability_b,probability_c";
    assert!(csv.starts_with(&format!("{header}\n0,7,{label},")), "{csv}");
    // The name of the output tells the format.
    predicted(&scratch, &["--data", "in.csv", "--out", "rows.tsv"]);
    let tsv = scratch.read("rows.tsv");
    assert!(
        tsv.starts_with("index\tid\ttext\tinput_label\tlabel\t"),
        "{tsv}"
    );
    assert!(tsv.contains("good; really good"), "{tsv}");

    let wrong = [&PREDICT[..], &["--data", "in.csv", "--keep", "number"]].concat();
    let output = scratch.beft(&wrong).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = "the input has no column `number` to keep: name one of `id`, `text`, `label`";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn eight_bits_give_nearly_the_same_answers() {
    let scratch = tuned();
    let texts = ["good film", "bad film number 7", "the", "a good, bad film"];
    scratch.write("in.txt", &texts.join("\n"));
    let rows = |precision: &str| -> Vec<Value> {
        let (rows, _) = predicted(&scratch, &["--data", "in.txt", "--precision", precision]);
        rows.lines()
            .map(|row| serde_json::from_str(row).unwrap())
            .collect()
    };
    let (full, rounded) = (rows("f32"), rows("q8"));
    assert_eq!(full.len(), texts.len());
    let mut worst = 0.0_f64;
    for (full, rounded) in full.iter().zip(&rounded) {
        assert_eq!(full["label"], rounded["label"]);
        for (label, p) in full["probabilities"].as_object().unwrap() {
            let other = rounded["probabilities"][label].as_f64().unwrap();
            worst = worst.max((p.as_f64().unwrap() - other).abs());
        }
    }
    // Not f32 under another name, either.
    assert!(worst > 0.0 && worst < 0.02, "{worst}");

    // Several adapters over one base in 8 bits answer as each does alone.
    let twice = [
        "--adapter",
        "b=out/adapter",
        "--data",
        "in.txt",
        "--precision",
        "q8",
    ];
    let (together, _) = predicted(&scratch, &twice);
    let together: Vec<Value> = { together.lines() }
        .map(|row| serde_json::from_str(row).unwrap())
        .collect();
    assert_eq!(together.len(), 2 * texts.len());
    for (row, alone) in together
        .iter()
        .zip(rounded.iter().flat_map(|row| [row, row]))
    {
        assert_eq!(row["label"], alone["label"]);
        let p = |row: &Value| row["probability"].as_f64().unwrap();
        assert!((p(row) - p(alone)).abs() < 1e-6, "{row} {alone}");
    }
    let unknown = [&PREDICT[..], &["--data", "in.txt", "--precision", "q4"]].concat();
    refused(&scratch, &unknown, "expected f32, bf16, f16 or q8");
    let trained = [
        "tune", "--model", "model", "--task", "text", "--data", "data",
    ];
    let trained = [&trained[..], &["--out", "other", "--precision", "q8"]].concat();
    refused(&scratch, &trained, "expected f32, bf16 or f16");
    assert!(!scratch.path("other").exists());
}

#[test]
fn a_line_is_answered_before_the_next_is_written() {
    let scratch = tuned();
    for (format, header, row) in [
        ("lines", "", "good film\n"),
        ("csv", "text,id\n", "good film,1\n"),
        ("jsonl", "", "{\"text\": \"good film\"}\n"),
    ] {
        let mut child = started(&scratch, &["--input-format", format]);
        let mut input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        input.write_all(header.as_bytes()).unwrap();
        for index in 0..3 {
            input.write_all(row.as_bytes()).unwrap();
            let mut line = String::new();
            // Waits for ever if the program waits for the end of its input.
            output.read_line(&mut line).unwrap();
            let row: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(row["index"], index, "{format}");
        }
        drop(input);
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn one_process_writes_a_file_at_a_time() {
    let scratch = tuned();
    let out = ["--out", "rows.jsonl"];
    let mut child = started(&scratch, &out);
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"good film\n").unwrap();
    let written =
        || fs::metadata(scratch.path("rows.jsonl.partial")).is_ok_and(|file| file.len() > 0);
    let began = Instant::now();
    while !written() {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "nothing is written"
        );
        thread::sleep(Duration::from_millis(10));
    }
    let args = [&PREDICT[..], &["--data", "data/dev.tsv"], &out].concat();
    refused(
        &scratch,
        &args,
        "rows.jsonl.partial: wait until that is finished",
    );
    drop(input);
    assert!(child.wait().unwrap().success());
    assert_eq!(scratch.read("rows.jsonl").lines().count(), 1);
}

#[test]
fn an_adapter_has_the_name_of_the_folder_it_is_in() {
    let scratch = tuned();
    let mut command = scratch.beft(&["predict", "--adapter", ".", "--model", "../../model"]);
    let run = command
        .current_dir(scratch.path("out/adapter"))
        .write_stdin("good film\n");
    run.assert().success();
}

#[test]
fn rows_before_a_bad_one_are_there() {
    let scratch = tuned();
    let mut csv = "id,text\n".to_owned();
    (0..100).for_each(|id| csv += &format!("{id},good film\n"));
    scratch.write("in.csv", &(csv.clone() + "100\n"));
    let args = [&PREDICT[..], &["--data", "in.csv", "--out", "rows.csv"]].concat();
    let output = scratch.beft(&args).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("in.csv:102: found 1 columns, expected 2"),
        "{said}"
    );
    assert!(
        said.contains("100 predictions were made before; they are in"),
        "{said}"
    );
    assert!(!scratch.path("rows.csv").exists());
    assert_eq!(scratch.read("rows.csv.partial").lines().count(), 101);
    scratch.write("in.csv", &csv);
    scratch.beft(&args).assert().success();
    assert_eq!(scratch.read("rows.csv").lines().count(), 101);
    assert!(!scratch.path("rows.csv.partial").exists());
}

#[test]
fn a_reader_that_goes_away_ends_the_work() {
    let scratch = tuned();
    let rows = "good film\n".repeat(20_000);
    scratch.write("in.txt", &rows);
    let mut child = started(&scratch, &["--data", "in.txt"]);
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"index\":0,"), "{line}");
    drop(output);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn decoders_choose_and_generate() {
    let scratch = decoder::scratch("opt-tiny");
    let beft = |args: &[&str]| {
        let output = scratch.beft(args).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{args:?}: {said}");
        let out = String::from_utf8(output.stdout).unwrap();
        let rows = out.lines().map(|row| serde_json::from_str(row).unwrap());
        rows.collect::<Vec<Value>>()
    };
    let base = ["predict", "--model", "model", "--task"];
    let rows = beft(&[&base[..], &["sst2", "--data", "sst2", "--split", "dev"]].concat());
    let probability = rows[0]["probability"].as_f64().unwrap();
    assert!((0.5..1.0).contains(&probability), "{rows:?}");
    assert!(["0", "1"].contains(&rows[0]["label"].as_str().unwrap()));
    // The choices of an example are texts.
    let rows = beft(
        &[
            &base[..],
            &["copa", "--data", "copa/dev.jsonl", "--keep", "none"],
        ]
        .concat(),
    );
    let label = rows[0]["label"].as_str().unwrap();
    assert!(
        ["It was long.", "I was there."]
            .map(str::to_lowercase)
            .contains(&label.to_lowercase()),
        "{label}"
    );
    let generated = "name = 'reply'\n[prompt]\ntemplate = \"{sentence} It was\"\nanswer = \"{reply}\"\nmax_new_tokens = 4\n";
    scratch.write("reply.toml", generated);
    scratch.write("in.jsonl", "{\"sentence\": \"A film\", \"id\": 3}\n");
    let rows = beft(&[&base[..], &["reply.toml", "--data", "in.jsonl"]].concat());
    assert_eq!(rows[0]["id"], 3);
    assert!(rows[0]["generated_text"].is_string(), "{rows:?}");
}

/// Every text under every adapter, or under those that its row names; each as by itself.
#[test]
fn several_adapters_answer_in_one_call() {
    let scratch = tuned();
    let mut args = vec![
        "tune", "--model", "model", "--task", "text", "--data", "data",
    ];
    args.extend([
        "--epochs", "1", "--terms", "all", "--lr", "0.01", "--out", "other",
    ]);
    run(&scratch, &args);
    let rows = "{\"text\": \"good film\", \"id\": 7}\n\
                {\"text\": \"bad film\", \"id\": 8, \"adapter\": \"other\"}\n\
                {\"text\": \"the film\", \"id\": 9, \"adapter\": [\"b\", \"other\"]}\n";
    scratch.write("rows.jsonl", rows);
    let predict = |more: &[&str]| {
        let mut args = vec!["predict", "--data", "rows.jsonl"];
        args.extend_from_slice(more);
        let (text, _) = run(&scratch, &args);
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<Value>>()
    };
    let both = predict(&["--adapter", "b=out/adapter", "--adapter", "other/adapter"]);
    let named: Vec<_> = { both.iter() }
        .map(|row| {
            (
                row["index"].as_u64().unwrap(),
                row["adapter"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        named,
        [(0, "b"), (0, "other"), (1, "other"), (2, "b"), (2, "other")]
    );
    let alone = [
        predict(&["--adapter", "out/adapter"]),
        predict(&["--adapter", "other/adapter"]),
    ];
    for row in &both {
        let of = usize::from(row["adapter"] == "other");
        let same = &alone[of][row["index"].as_u64().unwrap() as usize];
        assert_eq!((&row["id"], &row["label"]), (&same["id"], &same["label"]));
        for (a, b) in
            { row["logits"].as_array().unwrap().iter() }.zip(same["logits"].as_array().unwrap())
        {
            let difference = a.as_f64().unwrap() - b.as_f64().unwrap();
            assert!(difference.abs() < 1e-5, "{row} is not {same}");
        }
    }
    assert_ne!(both[0]["logits"], both[1]["logits"]);

    let adapters = ["--adapter", "b=out/adapter", "--adapter", "other/adapter"];
    let refuse = |more: &[&str], part: &str| {
        let mut args = vec!["predict", "--data", "rows.jsonl"];
        args.extend_from_slice(more);
        refused(&scratch, &args, part);
    };
    refuse(
        &[adapters.as_slice(), &["--format", "csv"]].concat(),
        "use --format jsonl",
    );
    refuse(
        &[adapters.as_slice(), &["--task", "text"]].concat(),
        "leave out --task",
    );
    refuse(
        &["--adapter", "out/adapter", "--adapter", "out=other/adapter"],
        "two adapters are called `out`",
    );
    // Of one adapter the field is a column like others, which is no name of who answers.
    assert_eq!(alone[0][1]["input_adapter"], "other");
    assert!(alone[0][1]["adapter"].is_null());
    for wrong in ["[]", "[\"b\", \"b\"]"] {
        let row = format!("{{\"text\": \"good film\", \"adapter\": {wrong}}}\n");
        scratch.write("rows.jsonl", &row);
        refuse(&adapters, "name each adapter once");
    }
    scratch.write(
        "rows.jsonl",
        "{\"text\": \"good film\", \"adapter\": \"mood\"}\n",
    );
    refuse(
        &adapters,
        "there is no adapter `mood`: choose one of b, other",
    );
    let mut args = vec![
        "tune", "--model", "model", "--task", "text", "--data", "data",
    ];
    args.extend(["--epochs", "1", "--terms", "lora-v", "--out", "lora"]);
    run(&scratch, &args);
    refuse(
        &["--adapter", "out/adapter", "--adapter", "lora/adapter"],
        "LoRA changes weights",
    );
    refused(
        &scratch,
        &[
            "eval",
            "--data",
            "data",
            "--adapter",
            "out/adapter",
            "--adapter",
            "other/adapter",
        ],
        "give --adapter once",
    );
}

#[test]
fn texts_are_drawn_by_seed_and_end_at_a_text() {
    let scratch = decoder::scratch("llama-tiny");
    let run = |args: &[&str]| {
        let base = ["generate", "--model", "model", "--prompt", "good film"];
        let output = scratch.beft(&[&base[..], args].concat()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{args:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    };
    let drawn = ["--temperature", "1.5", "--max-new-tokens", "12"];
    let of = |more: &[&str]| run(&[&drawn[..], more].concat());
    let first = of(&["--seed", "3"]);
    assert_eq!(first, of(&["--seed", "3"]));
    let second = of(&["--seed", "4"]);
    assert_ne!(first, second);
    // The next continuation has the next seed, and is what it is alone.
    let both = of(&["--seed", "3", "--n", "2"]);
    assert_eq!(both, format!("{first}{second}"));
    // One token is left to draw from.
    let greedy = run(&["--max-new-tokens", "12"]);
    assert_eq!(of(&["--top-k", "1"]), greedy);
    assert_eq!(of(&["--top-p", "0.0001"]), greedy);

    let rows = of(&[
        "--format",
        "jsonl",
        "--seed",
        "3",
        "--n",
        "2",
        "--logprobs",
        "2",
    ]);
    let rows: Vec<Value> = rows
        .lines()
        .map(|row| serde_json::from_str(row).unwrap())
        .collect();
    assert_eq!(rows.len(), 2);
    for (row, (index, text)) in rows.iter().zip([&first, &second].into_iter().enumerate()) {
        assert_eq!(
            (&row["index"], &row["prompt"]),
            (&index.into(), &"good film".into())
        );
        assert!(text.ends_with(&format!("{}\n", row["text"].as_str().unwrap())));
        let tokens = row["tokens"].as_array().unwrap().len();
        assert_eq!((&row["finish_reason"], tokens), (&"length".into(), 12));
        let logprobs = row["logprobs"].as_object().unwrap();
        let names: Vec<&String> = logprobs.keys().collect();
        assert_eq!(
            names,
            ["tokens", "token_logprobs", "top_logprobs", "text_offset"]
        );
        assert!(
            logprobs
                .values()
                .all(|of| of.as_array().unwrap().len() == 12)
        );
        assert_eq!(logprobs["top_logprobs"][0].as_object().unwrap().len(), 2);
        assert_eq!(logprobs["text_offset"][0], 0);
    }

    let text = greedy.trim_end().strip_prefix("good film").unwrap();
    let stop: String = text.chars().skip(5).take(3).collect();
    let row = run(&[
        "--max-new-tokens",
        "12",
        "--format",
        "jsonl",
        "--stop",
        "never",
        "--stop",
        &stop,
    ]);
    let row: Value = serde_json::from_str(&row).unwrap();
    assert_eq!(row["text"], text.split(&stop).next().unwrap());
    assert_eq!(row["finish_reason"], "stop");
    let cut = run(&["--max-new-tokens", "12", "--stop", &stop]);
    assert_eq!(cut, format!("good film{}\n", row["text"].as_str().unwrap()));

    for (args, part) in [
        (&["--n", "2"][..], "--temperature"),
        (&["--top-p", "0.5"], "--temperature"),
        (&["--temperature", "-1"], "temperature is -1"),
        (&["--temperature", "1", "--top-p", "2"], "top-p is 2"),
        (&["--logprobs", "1"], "--format jsonl"),
        (&["--stop", ""], "--stop"),
    ] {
        let base = ["generate", "--model", "model", "--prompt", "a"];
        let output = scratch.beft(&[&base[..], args].concat()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(part), "{args:?}: {said}");
    }
}
