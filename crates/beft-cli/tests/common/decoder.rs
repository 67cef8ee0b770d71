//! A scratch folder with a decoder and prompts.

use super::Scratch;
use serde_json::Value;

/// `model/` is one of the parity suite's random decoders; `sst2/`, `copa/` and `squad/` a few examples.
pub fn scratch(model: &str) -> Scratch {
    let scratch = Scratch::new();
    beft_fixtures::copy_model(model, &scratch.path("model")).unwrap();
    let words = ["great film", "bad plot", "fine actor", "dull story"];
    let sentences = |count: usize| {
        let row = |i: usize| format!("the {} number {i}\t{}\n", words[i % 4], 1 - i % 2);
        "sentence\tlabel\n".to_owned() + &(0..count).map(row).collect::<String>()
    };
    scratch.write("sst2/train.tsv", &sentences(16));
    scratch.write("sst2/dev.tsv", &sentences(10));
    let choices = |count: usize| {
        let row = |i: usize| {
            let question = ["cause", "effect"][i % 2];
            format!(
                r#"{{"premise": "The film {i} was dull.", "choice1": "It was long.", "choice2": "I was there.", "question": "{question}", "label": {}}}"#,
                i % 2
            ) + "\n"
        };
        (0..count).map(row).collect::<String>()
    };
    scratch.write("copa/train.jsonl", &choices(8));
    scratch.write("copa/dev.jsonl", &choices(6));
    let question = |i: usize| {
        format!(
            r#"{{"question": "What number?", "id": "{i}", "answers": [{{"text": "number {i}", "answer_start": 9}}]}}"#
        )
    };
    let document = |count: usize| {
        let questions: Vec<String> = (0..count).map(question).collect();
        format!(
            r#"{{"data": [{{"title": "A_film", "paragraphs": [{{"context": "The film number 1 was great.", "qas": [{}]}}]}}]}}"#,
            questions.join(", ")
        )
    };
    scratch.write("squad/train.json", &document(6));
    scratch.write("squad/dev.json", &document(3));
    scratch
}

pub fn json(scratch: &Scratch, file: &str) -> Value {
    serde_json::from_str(&scratch.read(file)).unwrap()
}

pub fn tune(scratch: &Scratch, task: &str, more: &[&str]) -> Value {
    let common = [
        "tune", "--model", "model", "--task", task, "--data", task, "--epochs", "2", "--out", "out",
    ];
    scratch.beft(&common).args(more).assert().success();
    json(scratch, "out/results.json")
}
