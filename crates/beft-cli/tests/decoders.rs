//! Causal language models through the command: prompts in, adapters and texts out.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::Scratch;
use serde_json::Value;

/// `model/` is one of the parity suite's random decoders; `sst2/`, `copa/` and `squad/` a few examples.
fn scratch(model: &str) -> Scratch {
    let scratch = Scratch::new();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../beft-parity/fixtures");
    for file in ["config.json", "model.safetensors", "tokenizer.json"] {
        let to = scratch.path("model").join(file);
        fs::copy(fixture.join(model).join(file), to).unwrap();
    }
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

fn json(scratch: &Scratch, file: &str) -> Value {
    serde_json::from_str(&scratch.read(file)).unwrap()
}

fn tune(scratch: &Scratch, task: &str, more: &[&str]) -> Value {
    let common = [
        "tune", "--model", "model", "--task", task, "--data", task, "--epochs", "2", "--out", "out",
    ];
    scratch.beft(&common).args(more).assert().success();
    json(scratch, "out/results.json")
}

#[test]
fn an_adapter_gives_what_its_training_saw() {
    for (model, values) in [
        ("opt-tiny", 96),
        ("llama-tiny", 48),
        ("mistral-tiny", 32),
        ("gpt2-tiny", 96),
    ] {
        let scratch = scratch(model);
        for (task, metric) in [
            ("sst2", "accuracy"),
            ("copa", "accuracy"),
            ("squad", "token_f1"),
        ] {
            let results = tune(&scratch, task, &["--lr", "5e-2"]);
            let mode = &results["modes"][0];
            assert_eq!(mode["trainable"], values, "{model} {task}");
            scratch
                .beft(&["eval", "--adapter", "out/adapter", "--data", task])
                .args(["--out", "eval.json"])
                .assert()
                .success();
            let found = json(&scratch, "eval.json");
            assert_eq!(
                found["metrics"][metric], mode["metrics"][metric],
                "{model} {task}"
            );
        }
    }
}

#[test]
fn the_adapter_is_pefts() {
    let scratch = scratch("llama-tiny");
    tune(&scratch, "sst2", &[]);
    let config = json(&scratch, "out/adapter/adapter_config.json");
    assert_eq!(config["peft_type"], "BEFT");
    assert_eq!(config["task_type"], "CAUSAL_LM");
    assert_eq!(config["target_modules"], serde_json::json!(["v_proj"]));
    let bytes = fs::read(scratch.path("out/adapter/adapter_model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let name = "base_model.model.model.layers.2.self_attn.v_proj.beft_bias";
    assert_eq!(tensors.tensor(name).unwrap().shape(), [1, 16]);
    assert_eq!(tensors.len(), 3);
}

#[test]
fn modes_are_compared_and_scorers_rank() {
    let scratch = scratch("qwen2-tiny");
    scratch
        .beft(&["compare", "--model", "model", "--task", "sst2=sst2"])
        .args(["--task", "squad=squad", "--epochs", "2", "--out", "out"])
        .args(["--log-samples", "--jobs", "1"])
        .args(
            ["zero-shot", "icl-2", "k", "v", "all", "lora-qv", "prefix"]
                .map(|m| format!("--mode={m}")),
        )
        .assert()
        .success();
    let table = scratch.read("out/compare.csv");
    for mode in ["zero-shot", "icl-2", "k", "v", "all", "lora-qv", "prefix"] {
        assert!(table.contains(&format!(",{mode},")), "{mode}: {table}");
    }
    let report = scratch.read("out/compare.md");
    assert!(
        report.contains("token_f1") && report.contains("fisher"),
        "{report}"
    );
}

#[test]
fn calibration_and_worked_examples_change_the_question() {
    let scratch = scratch("opt-tiny");
    let eval = |more: &[&str]| {
        scratch
            .beft(&[
                "eval", "--model", "model", "--task", "sst2", "--data", "sst2",
            ])
            .args(["--out", "eval.json"])
            .args(more)
            .assert()
            .success();
        json(&scratch, "eval.json")
    };
    assert_eq!(eval(&[])["examples"], 10);
    let asked = eval(&["--shots", "3", "--calibrate", "--limit", "4"]);
    assert_eq!(
        (&asked["shots"], &asked["examples"]),
        (&3.into(), &4.into())
    );
}

/// The whole job on a model without biases: BEFT's scores are all the same there, Fisher's decide.
#[test]
fn the_whole_job_on_a_model_without_biases() {
    let scratch = scratch("llama-tiny");
    scratch
        .beft(&[
            "run", "--model", "model", "--task", "sst2", "--data", "sst2",
        ])
        .args(["--epochs", "2", "--out", "out"])
        .assert()
        .success();
    let results = json(&scratch, "out/results.json");
    let fisher = results["recommended"]["fisher"].as_str().unwrap();
    assert_eq!(results["picked"], fisher);
    assert!(results["recommended"]["beft"].is_null());
    let modes: Vec<&str> = results["modes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mode| mode["mode"].as_str().unwrap())
        .collect();
    assert_eq!(modes, ["q", "k", "v", "all"]);
}

#[test]
fn a_ranking_has_the_terms_that_there_are() {
    let scratch = scratch("gptj-tiny");
    scratch
        .beft(&[
            "rank", "--model", "model", "--task", "sst2", "--data", "sst2",
        ])
        .args(["--epochs", "1", "--scorer", "all", "--out", "out"])
        .assert()
        .success();
    let ranking = json(&scratch, "out/ranking.json");
    for (scorer, terms) in ranking["ranking"].as_object().unwrap() {
        assert_eq!(terms.as_array().unwrap().len(), 7, "{scorer}");
    }
}

/// A step in parts, and with layers computed anew, gives the same model to rounding.
#[test]
fn memory_is_saved_without_another_result() {
    let scratch = scratch("opt-tiny");
    let tuned = |more: &[&str]| {
        let results = tune(&scratch, "sst2", more);
        results["modes"][0]["epochs"][1]["train_loss"]
            .as_f64()
            .unwrap()
    };
    let usual = tuned(&[]);
    for more in [&["--gradient-checkpointing"][..], &["--micro-batch", "3"]] {
        assert!((tuned(more) - usual).abs() < 1e-4, "{more:?}");
    }
}

#[test]
fn texts_are_generated_with_and_without_an_adapter() {
    let scratch = scratch("gptj-tiny");
    tune(&scratch, "squad", &["--lr", "0.5", "--terms", "m3"]);
    let text = |more: &[&str]| {
        let command = [
            "generate",
            "--prompt",
            "the film was",
            "--max-new-tokens",
            "12",
        ];
        let output = scratch.beft(&command).args(more).assert().success();
        String::from_utf8(output.get_output().stdout.clone()).unwrap()
    };
    let (plain, tuned) = (
        text(&["--model", "model"]),
        text(&["--adapter", "out/adapter"]),
    );
    assert!(plain.starts_with("the film was") && tuned.starts_with("the film was"));
    assert_ne!(plain, tuned);
}

#[test]
fn a_plan_needs_the_config_alone() {
    let scratch = scratch("llama-tiny");
    fs::remove_file(scratch.path("model/model.safetensors")).unwrap();
    let output = scratch
        .beft(&["plan", "--model", "model", "--terms", "v"])
        .assert()
        .success();
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    assert!(
        text.contains("48 are trained (v)") && text.contains("in all"),
        "{text}"
    );
}

/// The same name is not the same task.
#[test]
fn an_adapter_is_asked_what_it_was_trained_on() {
    let scratch = scratch("llama-tiny");
    let task = |candidates: &str, template: &str| {
        format!(
            "name = \"mine\"\nlabel = \"label\"\nlabels = [{candidates}]\n[prompt]\ntemplate = \"{template}\"\ncandidates = [\" bad\", \" good\"]\n"
        )
    };
    scratch.write("mine.toml", &task("\"0\", \"1\"", "{sentence} It was"));
    scratch.write("labels.toml", &task("\"1\", \"0\"", "{sentence} It was"));
    scratch.write(
        "template.toml",
        &task("\"0\", \"1\"", "{sentence} All in all"),
    );
    let common = [
        "tune",
        "--model",
        "model",
        "--task",
        "mine.toml",
        "--data",
        "sst2",
    ];
    scratch
        .beft(&common)
        .args(["--epochs", "1", "--out", "out"])
        .assert()
        .success();
    let eval = |more: &[&str]| {
        let command = ["eval", "--adapter", "out/adapter", "--data", "sst2"];
        let output = scratch.beft(&command).args(more).assert();
        String::from_utf8(output.get_output().stderr.clone()).unwrap()
    };
    assert_eq!(eval(&["--task", "mine.toml"]), "");
    assert!(eval(&["--task", "labels.toml"]).contains("with the labels"));
    assert!(eval(&["--task", "template.toml"]).contains("another prompt"));
    // The adapter carries its task.
    assert_eq!(eval(&[]), "");
    // One of before that does not.
    let sidecar = scratch.read("out/adapter/beft.json");
    let mut facts: Value = serde_json::from_str(&sidecar).unwrap();
    facts
        .as_object_mut()
        .unwrap()
        .remove("task_definition")
        .unwrap();
    scratch.write("out/adapter/beft.json", &facts.to_string());
    assert!(eval(&[]).contains("give its file with --task"));
}

#[test]
fn damaged_or_foreign_weights_are_noticed() {
    let scratch = scratch("opt-tiny");
    let eval = || {
        let command = [
            "eval", "--model", "model", "--task", "sst2", "--data", "sst2",
        ];
        let output = scratch.beft(&command).assert().code(2);
        String::from_utf8(output.get_output().stderr.clone()).unwrap()
    };
    let config = scratch.read("model/config.json");
    let fewer = config.replace("\"num_hidden_layers\": 3", "\"num_hidden_layers\": 2");
    assert_ne!(config, fewer);
    scratch.write("model/config.json", &fewer);
    let text = eval();
    assert!(
        text.contains("layers.2") && text.contains("fewer layers"),
        "{text}"
    );

    scratch.write("model/config.json", &config);
    let path = scratch.path("model/model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    assert!(eval().contains("no numbers"), "{}", eval());
}

#[test]
fn what_is_cut_is_said() {
    let scratch = scratch("opt-tiny");
    let long = "the film was great ".repeat(40);
    scratch.write(
        "sst2/dev.tsv",
        &format!("sentence\tlabel\n{long}\t1\nfine\t0\n"),
    );
    let command = [
        "eval", "--model", "model", "--task", "sst2", "--data", "sst2",
    ];
    let output = scratch.beft(&command).assert().success();
    let text = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(
        text.contains("1 inputs are longer than 64 tokens"),
        "{text}"
    );
    let sample = ["sample", "--task", "copa", "--data", "copa"];
    let output = scratch.beft(&sample).assert().success();
    assert_eq!(
        output
            .get_output()
            .stdout
            .iter()
            .filter(|b| **b == b'\n')
            .count(),
        8
    );
}

#[test]
fn what_does_not_fit_is_said() {
    let scratch = scratch("gptj-tiny");
    let refused = |args: &[&str], expected: &str| {
        let output = scratch.beft(args).assert().code(2);
        let text = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert!(text.contains(expected), "{args:?}: {text}");
    };
    let tune = |terms| {
        [
            "tune", "--model", "model", "--task", "sst2", "--data", "sst2", "--terms", terms,
        ]
    };
    refused(&tune("frozen"), "no head");
    refused(&tune("full"), "biases, LoRA or a prefix");
    refused(
        &[
            "predict",
            "--model",
            "model",
            "--task",
            "sst2",
            "--data",
            "sst2/dev.tsv",
        ],
        "is a decoder",
    );
    refused(
        &["eval", "--model", "model", "--data", "sst2"],
        "give --task",
    );
    // One mode that does not fit stops a comparison before anything is trained.
    refused(
        &[
            "compare",
            "--model",
            "model",
            "--task",
            "sst2=sst2",
            "--mode",
            "v",
            "--mode",
            "frozen",
        ],
        "no head",
    );
    refused(&tune("ln2"), "no bias `ln2`");
    refused(&tune("zero-shot"), "beft eval");
    refused(
        &[
            "tune", "--model", "model", "--task", "cola", "--data", "sst2",
        ],
        "cola is a task of labelled texts",
    );
    refused(
        &[
            "eval",
            "--model",
            "model",
            "--task",
            "sst2",
            "--data",
            "sst2/dev.tsv",
            "--shots",
            "2",
        ],
        "needs --data with a folder",
    );
    refused(
        &[
            "eval", "--model", "model", "--task", "sst2", "--data", "sst2", "--shots", "99",
        ],
        "99 worked examples",
    );
    // What is for decoders is refused of an encoder.
    let encoder = Scratch::new();
    for (args, expected) in [
        (
            &["generate", "--model", "model", "--prompt", "a"][..],
            "encoder",
        ),
        (&["plan", "--model", "model"], "bert"),
    ] {
        let output = encoder.beft(args).assert().code(2);
        let text = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert!(text.contains(expected), "{args:?}: {text}");
    }
}

/// The text comes all the same, and with it a note that the model has read nothing of the prompt.
#[test]
fn a_prompt_of_unknown_tokens_is_noted() {
    let scratch = scratch("llama-tiny");
    scratch.write(
        "model/tokenizer.json",
        r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
            "model": {"type": "WordLevel", "vocab": {"<unk>": 0, "good": 1, "film": 2}, "unk_token": "<unk>"}}"#,
    );
    for (prompt, noted) in [("zzz yyy", true), ("zzz film", false), ("good", false)] {
        let args = [
            "generate",
            "--model",
            "model",
            "--max-new-tokens",
            "2",
            "--prompt",
            prompt,
        ];
        let output = scratch.beft(&args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(!output.stdout.is_empty());
        let text = String::from_utf8(output.stderr).unwrap();
        let note = format!("knows no part of the prompt \"{prompt}\"");
        assert_eq!(text.contains(&note), noted, "{prompt}: {text}");
    }
}
