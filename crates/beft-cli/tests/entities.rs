//! A tag for each word (token classification), from data to entities.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Scratch, refused, run};
use serde_json::{Value, json};

/// Texts in words with their tags: films and stories are things, actors are people.
fn texts(count: usize) -> Vec<Vec<(&'static str, &'static str)>> {
    let text = |i: usize| {
        let mut words = vec![("the", "O"), (["good", "bad", "dull"][i % 3], "O")];
        match i % 4 {
            0 => words.extend([("film", "B-thing"), ("story", "I-thing")]),
            1 => words.push(("movie", "B-thing")),
            2 => words.extend([("actor", "B-person"), ("and", "O"), ("film", "B-thing")]),
            _ => words.push(("time", "O")),
        }
        words.extend([("was", "O"), ("funny", "O"), (".", "O")]);
        words
    };
    (0..count).map(text).collect()
}

fn conll(count: usize) -> String {
    let texts = texts(count).into_iter().map(|words| {
        let lines = words
            .into_iter()
            .map(|(word, tag)| format!("{word}\tX\t{tag}\n"));
        lines.collect::<String>() + "\n"
    });
    texts.collect()
}

fn jsonl(count: usize, tag: impl Fn(&str) -> Value) -> String {
    let texts = texts(count).into_iter().map(|words| {
        let tags: Vec<Value> = words.iter().map(|(_, of)| tag(of)).collect();
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        format!("{}\n", json!({"tokens": words, "ner_tags": tags}))
    });
    texts.collect()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

const TUNE: [&str; 13] = [
    "tune",
    "--model",
    "model",
    "--task",
    "ner",
    "--terms",
    "all",
    "--epochs",
    "12",
    "--lr",
    "0.02",
    "--dev-share",
    "0.25",
];

const NAMES: [&str; 4] = ["B-person", "B-thing", "I-thing", "O"];

#[test]
fn one_file_becomes_an_adapter_that_finds_entities() {
    let scratch = Scratch::new();
    scratch.write("all.conll", &conll(60));
    let (said, _) = run(
        &scratch,
        &[&TUNE[..], &["--data", "all.conll", "--out", "out"]].concat(),
    );
    assert!(said.contains("entity_f1"), "{said}");
    let facts = parsed(&scratch.read("out/adapter/beft.json"));
    assert_eq!(facts["labels"], json!(NAMES));
    let config = parsed(&scratch.read("out/adapter/adapter_config.json"));
    assert_eq!(config["task_type"], "TOKEN_CLS");
    let card = scratch.read("out/adapter/README.md");
    assert!(card.contains("AutoModelForTokenClassification"), "{card}");

    // Evaluation gives what training measured.
    let results = parsed(&scratch.read("out/results.json"));
    let (json, _) = run(
        &scratch,
        &[
            "eval",
            "--adapter",
            "out/adapter",
            "--data",
            "all.conll",
            "--held-out",
            "--json",
            "--report",
            "r",
        ],
    );
    let found = parsed(&json);
    assert_eq!(found["metrics"], results["modes"][0]["metrics"]);
    let classes = found["details"][0]["classes"].as_array().unwrap();
    let kinds: Vec<&Value> = classes.iter().map(|class| &class["label"]).collect();
    assert_eq!(kinds, ["person", "thing"]);
    assert!(
        found["metrics"]["entity_f1"].as_f64().unwrap() > 0.9,
        "{json}"
    );
    assert!(scratch.read("r/report.md").contains("| person |"));

    // Entities of a text are told by their characters, which are not its bytes.
    scratch.write(
        "new.txt",
        "\u{c9} the good film story was funny .\nthe dull actor and film was funny .\n\n",
    );
    let (rows, said) = run(
        &scratch,
        &["predict", "--adapter", "out/adapter", "--data", "new.txt"],
    );
    let rows: Vec<Value> = rows.lines().map(parsed).collect();
    let entity = |start: usize, end: usize, kind: &str, text: &str, found: &Value| {
        let score = found["score"].as_f64().unwrap();
        assert!(score > 0.5 && score <= 1.0, "{found}");
        let expected = json!({"start": start, "end": end, "type": kind, "text": text, "score": found["score"]});
        assert_eq!(*found, expected);
    };
    let found = rows[0]["entities"].as_array().unwrap();
    assert_eq!(found.len(), 1, "{rows:?}");
    entity(11, 21, "thing", "film story", &found[0]);
    let found = rows[1]["entities"].as_array().unwrap();
    assert_eq!(found.len(), 2, "{rows:?}");
    entity(9, 14, "person", "actor", &found[0]);
    entity(19, 23, "thing", "film", &found[1]);
    assert!(rows[0].get("tags").is_none());
    assert_eq!(rows[2]["entities"], json!([]));
    assert!(said.contains("1 of 3 texts are empty"), "{said}");

    // Of given words there are the tags too; and as a table.
    scratch.write(
        "words.jsonl",
        "{\"id\": 7, \"tokens\": [\"the\", \"good\", \"movie\", \"was\", \"funny\"]}\n",
    );
    let (rows, _) = run(
        &scratch,
        &[
            "predict",
            "--adapter",
            "out/adapter",
            "--data",
            "words.jsonl",
        ],
    );
    let row = parsed(rows.trim());
    assert_eq!(
        (&row["id"], &row["tags"]),
        (&json!(7), &json!(["O", "O", "B-thing", "O", "O"]))
    );
    entity(9, 14, "thing", "movie", &row["entities"][0]);
    let csv = [
        "predict",
        "--adapter",
        "out/adapter",
        "--data",
        "words.jsonl",
        "--format",
        "csv",
        "--keep",
        "id",
    ];
    let (rows, _) = run(&scratch, &csv);
    assert!(
        rows.starts_with("index,id,entities,tags\n0,7,\"[{\"\"start\"\":9,"),
        "{rows}"
    );
    assert!(rows.ends_with(",O O B-thing O O\n"), "{rows}");
}

#[test]
fn lists_and_numbers_are_the_same_tags() {
    let scratch = Scratch::new();
    let short = ["--epochs", "1", "--out"];
    let metrics = |args: &[&str]| {
        let (said, _) = run(
            &scratch,
            &[&TUNE[..7], &["--dev-share", "0.25"], args].concat(),
        );
        said.lines().next().unwrap().to_owned()
    };
    scratch.write("all.conll", &conll(40));
    let one = metrics(&[&["--data", "all.conll"], &short[..], &["a"]].concat());
    scratch.write("names.jsonl", &jsonl(40, |tag| json!(tag)));
    assert_eq!(
        metrics(&[&["--data", "names.jsonl"], &short[..], &["b"]].concat()),
        one
    );
    let number = |tag: &str| json!(NAMES.iter().position(|name| *name == tag).unwrap());
    scratch.write("numbers.jsonl", &jsonl(40, number));
    scratch.write(
        "own.toml",
        "name = 'own'\nkind = 'token_classification'\ntokens = 'tokens'\nlabel = 'ner_tags'\n\
         labels = ['B-person', 'B-thing', 'I-thing', 'O']\nmetrics = ['entity_f1', 'precision', 'recall']\n",
    );
    let own = [
        "tune",
        "--model",
        "model",
        "--task",
        "own.toml",
        "--terms",
        "all",
        "--dev-share",
        "0.25",
    ];
    let (said, _) = run(
        &scratch,
        &[&own[..], &["--data", "numbers.jsonl"], &short[..], &["c"]].concat(),
    );
    assert_eq!(said.lines().next().unwrap(), one);
}

#[test]
fn they_are_ranked_compared_and_reported() {
    let scratch = Scratch::new();
    scratch.write("ner/train.conll", &conll(30));
    scratch.write("ner/dev.conll", &conll(12));
    let common = ["--model", "model", "--epochs", "1"];
    let one = ["--task", "ner", "--data", "ner"];
    run(
        &scratch,
        &[&["run"][..], &common, &one, &["--out", "run"]].concat(),
    );
    let report = scratch.read("run/report.md");
    assert!(
        report.contains("| thing |") && report.contains("entity_f1"),
        "{report}"
    );
    run(
        &scratch,
        &[&["rank"][..], &common, &one, &["--scorer", "all"]].concat(),
    );
    let many = [
        "--task", "ner=ner", "--mode", "q", "--mode", "v", "--mode", "frozen", "--mode", "full",
        "--seeds", "0,1",
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
    assert!(table.contains("entity_f1"), "{table}");

    // A whole model is one of HF's class, and is opened by it.
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
    let config = parsed(&scratch.read("full/tuned-model/config.json"));
    assert_eq!(
        config["architectures"],
        json!(["BertForTokenClassification"])
    );
    let (json, _) = run(
        &scratch,
        &[
            "eval",
            "--model",
            "full/tuned-model",
            "--data",
            "ner",
            "--json",
        ],
    );
    let results = parsed(&scratch.read("full/results.json"));
    assert_eq!(parsed(&json)["metrics"], results["modes"][0]["metrics"]);
}

#[test]
fn decoders_have_such_a_head_too() {
    let scratch = Scratch::new();
    for model in ["gpt2-tiny", "llama-tiny", "roberta-tiny"] {
        beft_fixtures::copy_model(model, &scratch.path(model)).unwrap();
        scratch.write("all.conll", &conll(24));
        let tune = [
            "tune",
            "--model",
            model,
            "--task",
            "ner",
            "--terms",
            "v",
            "--epochs",
            "1",
            "--dev-share",
            "0.25",
        ];
        run(
            &scratch,
            &[&tune[..], &["--data", "all.conll", "--out", "out"]].concat(),
        );
        let results = parsed(&scratch.read("out/results.json"));
        let eval = [
            "eval",
            "--adapter",
            "out/adapter",
            "--data",
            "all.conll",
            "--held-out",
            "--json",
        ];
        let (json, _) = run(&scratch, &eval);
        assert_eq!(
            parsed(&json)["metrics"],
            results["modes"][0]["metrics"],
            "{model}"
        );
        std::fs::remove_dir_all(scratch.path("out")).unwrap();
    }
}

#[test]
fn what_cannot_be_is_refused_or_told() {
    let scratch = Scratch::new();
    let refused = |args: &[&str], part: &str| refused(&scratch, args, part);
    scratch.write(
        "numbers.jsonl",
        "{\"tokens\": [\"a\"], \"ner_tags\": [3]}\n",
    );
    let tune = |data: &'static str| [&TUNE[..], &["--data", data, "--out", "out"]].concat();
    refused(
        &tune("numbers.jsonl"),
        "numbers.jsonl:1: the tag `3` is a number",
    );
    refused(
        &tune("data/train.tsv"),
        "field `text` is a string: it must be a list of words",
    );
    refused(
        &[&tune("all.conll")[..], &["--multi-label"]].concat(),
        "a list of words",
    );
    refused(
        &[&tune("all.conll")[..], &["--metric", "accuracy"]].concat(),
        "entity_f1",
    );
    scratch.write("ner/train.conll", &conll(12));
    scratch.write("ner/dev.conll", "the O\nplot B-place\n");
    let one = [
        "tune", "--model", "model", "--task", "ner", "--data", "ner", "--epochs", "1", "--out",
        "out",
    ];
    refused(&one, "dev.conll:2: label `B-place` is not one of");
    // Words beyond the longest input are measured as no entity.
    scratch.write("ner/dev.conll", &conll(3));
    let (_, said) = run(&scratch, &[&one[..], &["--max-length", "6"]].concat());
    assert!(
        said.contains("words were cut off or have no token"),
        "{said}"
    );
    // An adapter of another kind.
    let eval = [
        "eval",
        "--adapter",
        "out/adapter",
        "--data",
        "data",
        "--task",
        "text",
    ];
    refused(&eval, "text");
}
