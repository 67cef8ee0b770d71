//! docs/guide.md, command by command.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::{Scratch, decoder};

/// The commands of each section of the page that has any. Lines that go on are one.
fn sections() -> Vec<(String, Vec<String>)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide.md");
    let page = fs::read_to_string(page).unwrap();
    let sections = page.split("\n## ").skip(1).map(|section| {
        let title = section.lines().next().unwrap().to_owned();
        let blocks = section.split("```sh\n").skip(1);
        let text: String = blocks.map(|b| b.split("```").next().unwrap()).collect();
        let text = text.replace("\\\n", " ");
        let lines = text.lines().filter(|line| line.contains("beft "));
        (title, lines.map(str::to_owned).collect::<Vec<_>>())
    });
    sections.filter(|(_, lines)| !lines.is_empty()).collect()
}

/// A folder with everything that the page's commands read: tiny models and a few examples of each task under their names.
fn folder(model: &str) -> Scratch {
    let scratch = decoder::scratch(model);
    for (name, of) in [
        ("DIR", model),
        ("Qwen2.5-0.5B", "qwen2-tiny"),
        ("sentence-transformers/all-MiniLM-L6-v2", "bert-tiny"),
    ] {
        beft_fixtures::copy_model(of, &scratch.path(name)).unwrap();
    }
    for file in scratch.list("copa") {
        scratch.write(
            &format!("COPA/{file}"),
            &scratch.read(&format!("copa/{file}")),
        );
    }
    for split in ["train", "dev"] {
        let rows = (0..12).map(|i| {
            let label = ["entailment", "not_entailment"][i % 2];
            format!("{i}\tA film {i} was good.\tA film was there.\t{label}\n")
        });
        let film = |i: usize| format!("a {} film {i}\t{}\n", ["bad", "great"][i % 2], i % 2);
        let films = "sentence\tlabel\n".to_owned() + &(0..40).map(film).collect::<String>();
        scratch.write(&format!("SST-2/{split}.tsv"), &films);
        let question = |i: usize| {
            let answer = r#"{"text": "number 1", "answer_start": 9}"#;
            format!(r#"{{"question": "What number?", "id": "{i}", "answers": [{answer}]}}"#)
        };
        let questions = (0..6).map(question).collect::<Vec<_>>().join(", ");
        let squad = format!(
            r#"{{"data": [{{"title": "A_film", "paragraphs": [{{"context": "The film number 1 was great.", "qas": [{questions}]}}]}}]}}"#
        );
        scratch.write(&format!("SQuAD/{split}.json"), &squad);
        let head = "index\tsentence1\tsentence2\tlabel\n".to_owned();
        scratch.write(
            &format!("RTE/{split}.tsv"),
            &(head + &rows.collect::<String>()),
        );
        scratch.write(
            &format!("WNUT17/{split}.conll"),
            &"Ann\tB-person\nsaw\tO\nParis\tB-location\n\n".repeat(8),
        );
    }
    scratch.write(
        "all.conll",
        &"Ann\tB-person\nsaw\tO\nParis\tB-location\n\n".repeat(20),
    );
    let ticket = |i: usize| format!("the film {i} is late,{}\n", ["film", "sound"][i % 2]);
    scratch.write(
        "tickets.csv",
        &("text,label\n".to_owned() + &(0..40).map(ticket).collect::<String>()),
    );
    let pair =
        |i: usize| format!("{{\"query\": \"film {i}\", \"positive\": \"the film number {i}\"}}\n");
    scratch.write("pairs.jsonl", &(0..40).map(pair).collect::<String>());
    scratch.write("texts.txt", "a great film\nAnn saw Paris\n");
    scratch.write("prompts.txt", "a great\n");
    scratch.write("texts.csv", "id,body\n1,a great film\n");
    scratch.write("texts.jsonl", "{\"sentence\": \"a great film\"}\n");
    let question =
        "{\"question\": \"What number?\", \"context\": \"The film number 1 was great.\"}\n";
    scratch.write("questions.jsonl", question);
    scratch
}

#[test]
fn every_command_of_the_guide_works() {
    let mut tried = 0;
    for (title, lines) in sections() {
        let model = match title.as_str() {
            "Decoders" => "opt-tiny",
            _ => "bert-tiny",
        };
        let scratch = folder(model);
        let run = |line: &str| {
            // Data that come from the hub.
            if line.contains("--task sst2 --head") || line.contains("--task sts ") {
                return;
            }
            // One seed, and what the tiny model takes.
            let short = line.replace("--seeds 0,1,2", "--seeds 0");
            let short = short.replace("--length 512", "--length 48");
            let output = scratch.shell(&short);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{title}: {line}\n{said}");
        };
        // What sections take for granted.
        match title.as_str() {
            "Use and judge a model" => {
                run("beft tune --model DIR --task sst2 --data SST-2/ --terms v --out mood/");
                run("beft tune --model DIR --task sst2 --data SST-2/ --terms q --out topic/");
            }
            "One model of adapter and base" => {
                run("beft tune --model DIR --task sst2 --data SST-2/ --terms v --out tuned/");
            }
            _ => {}
        }
        for line in &lines {
            run(line);
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried}");
}
