//! Model folders that are well formed, with numbers in config.json that no model has: each is computed with, or refused
//! with a message that names the key, or the tensor that does not fit it.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use beft_fuzz::{Case, Sample};
use serde_json::{Value, json};

/// What stands in place of a number, a text or a list.
fn hostile(value: &Value) -> Vec<Value> {
    match value {
        Value::Number(_) => [
            "0",
            "-1",
            "1",
            "7",
            "0.5",
            "1e30",
            "1000000007",
            "18446744073709551615",
        ]
        .map(|text| serde_json::from_str(text).unwrap())
        .into_iter()
        .chain([json!("NaN"), json!(null)])
        .collect(),
        Value::Bool(own) => vec![json!(!own), json!(null), json!(2), json!("yes")],
        Value::String(_) => vec![
            json!(""),
            json!("x"),
            json!(null),
            json!(1),
            json!(["relu"]),
        ],
        Value::Array(_) => vec![
            json!([]),
            json!([0]),
            json!([-1, "x"]),
            json!(null),
            json!(1),
        ],
        Value::Object(_) => vec![
            json!({}),
            json!({"0": 1}),
            json!({"-1": "a"}),
            json!(null),
            json!(7),
        ],
        Value::Null => vec![
            json!(0),
            json!(-1),
            json!(1e9),
            json!("x"),
            json!({}),
            json!(true),
        ],
    }
}

/// What a refusal may call a key that several architectures spell differently, or that decides what is wrong.
const SPELLED: &[(&str, &[&str])] = &[
    ("n_head", &["num_attention_heads"]),
    ("n_embd", &["hidden_size"]),
    ("n_layer", &["num_hidden_layers"]),
    (
        "n_positions",
        &["max_position_embeddings", "the model takes"],
    ),
    ("n_inner", &["intermediate_size"]),
    ("ffn_dim", &["intermediate_size"]),
    (
        "max_position_embeddings",
        &["the model takes", "max_relative_positions"],
    ),
    ("pad_token_id", &["max_position_embeddings"]),
    ("num_hidden_layers", &["layer_types"]),
    ("rope_", &["the rotary scaling"]),
    ("hidden_dim", &["intermediate_size"]),
    ("dim", &["hidden_size"]),
    ("classifier_bias", &["head.dense.bias"]),
    ("rotary_dim", &["values of each head are rotated"]),
    ("pdrop", &["probability of dropout"]),
    ("dropout", &["probability of dropout"]),
    ("eps", &["layer_norm_eps"]),
    ("init_std", &["initializer_range"]),
];

/// Whether a refusal says what is wrong: the key, or a tensor that does not fit it.
fn names(message: &str, key: &str) -> bool {
    let mut spelled = SPELLED.iter().filter(|(part, _)| key.contains(part));
    let other = spelled.any(|(_, others)| others.iter().any(|other| message.contains(other)));
    let tensor = message.contains("model.safetensors") && message.contains('`');
    message.contains(key) || other || tensor
}

/// Tries each key of a model's config with each hostile value. Gives the number of models that were taken, and the problems.
fn every_key(sample: &Sample, config: &Value) -> (usize, Vec<String>) {
    // What reads without training is enough here.
    let target = beft_fuzz::target("safetensors");
    let (mut taken, mut problems) = (0, Vec::new());
    for (key, value) in config.as_object().unwrap() {
        for new in hostile(value) {
            let mut changed = config.clone();
            changed[key] = new.clone();
            let case = Case::unchanged(&sample.clone().with("config.json", changed.to_string()));
            let problem = match catch_unwind(AssertUnwindSafe(|| case.read(target))) {
                Ok(Ok(())) => {
                    taken += 1;
                    continue;
                }
                Ok(Err(message)) if names(&message, key) => continue,
                Ok(Err(message)) => message,
                Err(_) => "a panic".to_owned(),
            };
            problems.push(format!(
                "{}: {key} = {new}: {problem}",
                config["model_type"]
            ));
        }
    }
    (taken, problems)
}

#[test]
fn every_key_of_every_architecture() {
    let mut seen = BTreeSet::new();
    let models = (beft_fuzz::target("config").samples)().into_iter();
    let models = models.filter_map(|sample| Some((sample.json("config.json")?, sample)));
    let models: Vec<(Value, Sample)> = models
        .filter(|(config, _)| seen.insert(config["model_type"].to_string()))
        .collect();
    let (mut taken, mut problems) = (0, Vec::new());
    thread::scope(|scope| {
        let threads: Vec<_> = { models.iter() }
            .map(|(config, sample)| scope.spawn(|| every_key(sample, config)))
            .collect();
        for (more, others) in threads.into_iter().map(|thread| thread.join().unwrap()) {
            taken += more;
            problems.extend(others);
        }
    });
    assert!(
        problems.is_empty(),
        "{} problems\n{}",
        problems.len(),
        problems.join("\n")
    );
    assert!(taken > 100, "{taken}");
}
