//! docs/guide.md, and what README.md and docs/scale.md show, command by command.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::{Scratch, decoder};

/// The commands of each section of a page that has any. Lines that go on are one.
fn sections(page: &str) -> Vec<(String, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join(page)).unwrap();
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
    for (title, lines) in sections("docs/guide.md") {
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

/// The commands of a section, which are there.
fn commands(page: &str, section: &str) -> Vec<String> {
    let mut all = sections(page).into_iter();
    let (_, lines) = all.find(|(title, _)| title == section).unwrap();
    lines
}

fn works(scratch: &Scratch, line: &str) {
    let output = scratch.shell(line);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}\n{said}");
}

#[test]
fn the_commands_of_the_readme_work() {
    let scratch = folder("bert-tiny");
    beft_fixtures::copy_model("bert-tiny", &scratch.path("bert-base-cased")).unwrap();
    scratch.write("new.csv", "id,sentence\n7,a great film\n");
    let ticket = |i: usize| format!("film {i},it is late,{}\n", ["film", "sound"][i % 2]);
    let tickets = (0..40).map(ticket).collect::<String>();
    scratch.write("tickets.csv", &format!("subject,body,queue\n{tickets}"));
    let lines = commands("README.md", "Use it");
    assert!(lines.len() >= 7, "{lines:?}");
    for line in lines {
        // Data that would come from the hub.
        let line = line.replace("--task sst2 ", "--task sst2 --data SST-2/ ");
        let line = line.replace("--task squad ", "--task squad --data SQuAD/ ");
        works(&scratch, &line);
    }
    let predicted = scratch.shell("beft predict --adapter tuned/adapter --data new.csv");
    let predicted = String::from_utf8(predicted.stdout).unwrap();
    assert!(predicted.contains("\"id\":\"7\""), "{predicted}");
}

#[test]
fn the_parts_of_a_comparison_are_put_together() {
    let scratch = folder("bert-tiny");
    scratch.write(
        "plan.toml",
        "models = [\"DIR\"]\nmodes = [\"q\", \"v\", \"ln\"]\nepochs = 1\n[[tasks]]\ntask = \"sst2\"\ndata = \"SST-2\"\n",
    );
    let lines = commands("docs/scale.md", "A comparison in parts");
    assert_eq!(lines.len(), 4);
    for line in lines {
        works(&scratch, &line);
    }
    assert!(scratch.read("shared/out/compare.md").contains("`ln`"));
}
