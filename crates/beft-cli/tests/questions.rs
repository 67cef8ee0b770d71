//! Questions that a part of a context answers, from data to predictions.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Scratch, refused, run};
use serde_json::{Value, json};

/// Questions about contexts, three about each, of which every fourth may have no answer. Written by `row` from context,
/// question and answer, which is a text and its place.
fn questions(
    contexts: usize,
    unanswerable: bool,
    row: impl Fn(&str, &str, Option<(&str, usize)>) -> String,
) -> String {
    let mut rows = String::new();
    for i in 0..contexts {
        let (first, last) = (["good", "bad"][i % 2], ["long", "short"][i % 3 / 2]);
        let context =
            format!("the \u{e9}t\u{e9} film {i} was {first} , and the end of it was {last} .");
        for (j, (question, answer)) in [
            ("is it good", first),
            ("was it long", last),
            ("what is it", "the \u{e9}t\u{e9} film"),
        ]
        .into_iter()
        .enumerate()
        {
            let answer = (!unanswerable || (3 * i + j) % 4 != 0).then_some(answer);
            let place = |text: &str| context[..context.find(text).unwrap()].chars().count();
            rows += &row(&context, question, answer.map(|text| (text, place(text))));
        }
    }
    rows
}

/// As the hub has them, one object a line.
fn line(context: &str, question: &str, answer: Option<(&str, usize)>) -> String {
    let (texts, starts): (Vec<_>, Vec<_>) = answer.into_iter().unzip();
    let answers = json!({"text": texts, "answer_start": starts});
    format!(
        "{}\n",
        json!({"id": "q", "title": "t", "context": context, "question": question, "answers": answers})
    )
}

/// SQuAD's own nesting, an article for each question.
fn document(rows: &str) -> String {
    let articles = rows.lines().map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        let lists = |key: &str| row["answers"][key].as_array().unwrap().clone();
        let answers = lists("text").into_iter().zip(lists("answer_start"));
        let answers: Vec<Value> = answers.map(|(text, start)| json!({"text": text, "answer_start": start})).collect();
        let impossible = answers.is_empty();
        let qas = json!([{"id": "q", "question": row["question"], "answers": answers, "is_impossible": impossible}]);
        json!({"title": "t", "paragraphs": [{"context": row["context"], "qas": qas}]})
    });
    json!({"version": "1", "data": articles.collect::<Vec<_>>()}).to_string()
}

const TUNE: [&str; 10] = [
    "tune", "--model", "model", "--terms", "v", "--epochs", "2", "--lr", "0.01", "--data",
];

#[test]
fn all_forms_of_data_give_the_same_training() {
    let scratch = Scratch::new();
    for (split, contexts) in [("train", 8), ("dev", 4)] {
        let rows = questions(contexts, false, line);
        scratch.write(&format!("lines/{split}.jsonl"), &rows);
        scratch.write(&format!("nested/{split}-v1.1.json"), &document(&rows));
        let cells = |context: &str, question: &str, answer: Option<(&str, usize)>| {
            format!("\"{context}\",{question},{}\n", answer.unwrap().0)
        };
        let table = "passage,asked,answer\n".to_owned() + &questions(contexts, false, cells);
        scratch.write(&format!("table/{split}.csv"), &table);
    }
    let task = "name = \"mine\"\nkind = \"question_answering\"\nquestion = \"asked\"\ncontext = \"passage\"\nanswers = \"answer\"\n";
    scratch.write("mine.toml", task);
    let mut metrics = Vec::new();
    for (folder, task) in [
        ("lines", "squad"),
        ("nested", "squad"),
        ("table", "mine.toml"),
    ] {
        let out = format!("out-{folder}");
        let (said, _) = run(
            &scratch,
            &[
                &TUNE[..],
                &[folder, "--task", task, "--train-size", "24", "--out", &out],
            ]
            .concat(),
        );
        metrics.push(said.lines().next().unwrap().to_owned());
    }
    assert!(
        metrics[0].contains("token_f1") && metrics[0].contains("exact_match"),
        "{metrics:?}"
    );
    assert!(
        metrics.iter().all(|said| *said == metrics[0]),
        "{metrics:?}"
    );
    // An adapter as PEFT writes it for such a model.
    let config: Value =
        serde_json::from_str(&scratch.read("out-lines/adapter/adapter_config.json")).unwrap();
    assert_eq!(config["task_type"], "QUESTION_ANS");
    assert_eq!(config["modules_to_save"], json!(["qa_outputs"]));

    let (answers, _) = run(
        &scratch,
        &[
            "predict",
            "--adapter",
            "out-table/adapter",
            "--data",
            "table/dev.csv",
            "--format",
            "csv",
            "--keep",
            "asked",
        ],
    );
    let mut lines = answers.lines();
    assert_eq!(lines.next(), Some("index,asked,answer,score,start,end"));
    assert_eq!(lines.count(), 12);
    let (answers, _) = run(
        &scratch,
        &[
            "predict",
            "--adapter",
            "out-lines/adapter",
            "--data",
            "nested/dev-v1.1.json",
        ],
    );
    for row in answers.lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        let context = row["context"].as_str().unwrap();
        let place = |key: &str| row[key].as_u64().unwrap() as usize;
        let text: String = context
            .chars()
            .skip(place("start"))
            .take(place("end") - place("start"))
            .collect();
        assert_eq!(row["answer"], text);
        let score = row["score"].as_f64().unwrap();
        assert!(score > 0.0 && score <= 1.0, "{row}");
    }
}

#[test]
fn questions_without_an_answer_and_their_threshold() {
    let scratch = Scratch::new();
    scratch.write("all.jsonl", &questions(12, true, line));
    let tune = [
        &TUNE[..],
        &[
            "all.jsonl",
            "--dev-share",
            "0.3",
            "--task",
            "squad_v2",
            "--train-size",
            "20",
            "--tune-thresholds",
            "--out",
            "out",
        ],
    ]
    .concat();
    let (said, _) = run(&scratch, &tune);
    assert!(
        said.contains("At thresholds chosen on the dev split"),
        "{said}"
    );
    let facts: Value = serde_json::from_str(&scratch.read("out/adapter/beft.json")).unwrap();
    assert!(facts["no_answer_threshold"].is_number(), "{facts}");
    let results: Value = serde_json::from_str(&scratch.read("out/results.json")).unwrap();
    let eval = [
        "eval",
        "--adapter",
        "out/adapter",
        "--data",
        "all.jsonl",
        "--held-out",
        "--json",
        "--errors",
        "wrong.jsonl",
    ];
    let (json, _) = run(&scratch, &eval);
    let found: Value = serde_json::from_str(&json).unwrap();
    for metric in ["token_f1", "exact_match"] {
        assert_eq!(
            found["metrics"][metric],
            results["modes"][0]["threshold_metrics"][metric]
        );
        let part = |kind: &str| {
            found["metrics"][format!("{metric}_{kind}")]
                .as_f64()
                .unwrap()
        };
        let (with, without) = (part("answerable"), part("unanswerable"));
        let all = found["metrics"][metric].as_f64().unwrap();
        assert!(
            all >= with.min(without) && all <= with.max(without),
            "{found}"
        );
    }
    // No context is in both parts: three questions are about each.
    let examples = found["examples"].as_u64().unwrap();
    assert!(examples.is_multiple_of(3) && examples < 36, "{examples}");
    for row in scratch.read("wrong.jsonl").lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        assert!(row["text_pair"].as_str().unwrap().contains("film"), "{row}");
    }
    // The same model gives answers where every question has one.
    let rows = |task: &str| {
        run(
            &scratch,
            &[
                "predict",
                "--adapter",
                "out/adapter",
                "--task",
                task,
                "--data",
                "all.jsonl",
            ],
        )
        .0
    };
    assert!(
        rows("squad")
            .lines()
            .all(|row| !row.contains("\"answer\":\"\""))
    );
    refused(
        &scratch,
        &[
            &TUNE[..],
            &[
                "all.jsonl",
                "--dev-share",
                "0.3",
                "--task",
                "squad",
                "--out",
                "none",
            ],
        ]
        .concat(),
        "field `answers`: there is no answer: give one, or use a task that has questions without an answer",
    );
}

#[test]
fn they_are_ranked_compared_and_inspected() {
    let scratch = Scratch::new();
    scratch.write("data/train.jsonl", &questions(6, false, line));
    scratch.write("data/dev.jsonl", &questions(3, false, line));
    for file in ["train.tsv", "dev.tsv"] {
        std::fs::remove_file(scratch.path("data").join(file)).unwrap();
    }
    let (said, _) = run(
        &scratch,
        &[
            "run",
            "--model",
            "model",
            "--task",
            "squad",
            "--data",
            "data",
            "--train-size",
            "12",
            "--epochs",
            "1",
            "--out",
            "run",
        ],
    );
    assert!(said.contains("token_f1"), "{said}");
    let report = scratch.read("run/report.md");
    assert!(report.contains("exact_match"), "{report}");
    let (said, _) = run(&scratch, &["inspect", "run/adapter"]);
    assert!(said.contains("qa_outputs"), "{said}");
    let compare = [
        "compare",
        "--model",
        "model",
        "--task",
        "squad=data",
        "--mode",
        "v",
        "--mode",
        "all",
        "--seeds",
        "1,2",
        "--train-size",
        "12",
        "--epochs",
        "1",
        "--out",
        "c",
    ];
    let (said, _) = run(&scratch, &compare);
    assert!(said.contains("token_f1"), "{said}");
    let sample = [
        "sample",
        "--task",
        "squad",
        "--data",
        "data",
        "--train-size",
        "5",
    ];
    assert_eq!(run(&scratch, &sample).0.lines().count(), 5);
}

#[test]
fn what_cannot_be_used_is_refused() {
    let scratch = Scratch::new();
    let wrong = |context: &str, question: &str, _: Option<(&str, usize)>| {
        line(context, question, Some(("Paris", 3)))
    };
    scratch.write("w/train.jsonl", &questions(1, false, wrong));
    scratch.write("w/dev.jsonl", &questions(1, false, line));
    let tune = |data: &'static str| {
        [
            &TUNE[..],
            &[
                data,
                "--task",
                "squad",
                "--train-size",
                "3",
                "--out",
                "none",
            ],
        ]
        .concat()
    };
    refused(
        &scratch,
        &tune("w"),
        "train.jsonl:1: field `answers`: the answer `Paris` is not in the context of its question",
    );
    // Not where the answer is: found nearby, and said.
    let moved = |context: &str, question: &str, answer: Option<(&str, usize)>| {
        line(
            context,
            question,
            answer.map(|(text, start)| (text, start + 1)),
        )
    };
    scratch.write("m/train.jsonl", &questions(2, false, moved));
    scratch.write("m/dev.jsonl", &questions(1, false, line));
    let (_, said) = run(
        &scratch,
        &[
            &TUNE[..],
            &[
                "m",
                "--task",
                "squad",
                "--train-size",
                "6",
                "--out",
                "moved",
            ],
        ]
        .concat(),
    );
    assert!(
        said.contains("6 answers do not stand where answer_start says"),
        "{said}"
    );
    // A model with this head does nothing else.
    refused(
        &scratch,
        &[
            "predict",
            "--adapter",
            "moved/adapter",
            "--task",
            "text",
            "--data",
            "m/dev.jsonl",
        ],
        "needs a head of kind SEQ_CLS",
    );
    refused(
        &scratch,
        &[
            &TUNE[..],
            &[
                "m",
                "--task",
                "squad",
                "--train-size",
                "6",
                "--tune-thresholds",
                "--out",
                "none",
            ],
        ]
        .concat(),
        "thresholds are for tasks in which several labels may hold, or questions may have no answer",
    );
    scratch.write("lines.txt", "is it good\n");
    refused(
        &scratch,
        &[
            "predict",
            "--adapter",
            "moved/adapter",
            "--data",
            "lines.txt",
        ],
        "no column `context`",
    );
}
