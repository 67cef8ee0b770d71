//! Causal language models through the command: prompts in, adapters and texts out.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::decoder::{json, scratch, tune};

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
