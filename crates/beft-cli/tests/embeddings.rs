//! Embeddings that are compared, from data to vectors.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{Scratch, refused, run};
use serde_json::{Value, json};

const WORDS: [&str; 6] = ["film", "good", "bad", "number", "the", "and"];

/// Pairs of a text with one of the same word, and with another.
fn pairs() -> String {
    let rows = (0..36).map(|i| {
        let (a, b) = (WORDS[i % 6], WORDS[(i + i / 6) % 6]);
        let score = if a == b { 5.0 } else { (i % 3) as f64 / 2.0 };
        format!("the {a} {a} {i},a {b} {b},{score}\n")
    });
    "sentence1,sentence2,score\n".to_owned() + &rows.collect::<String>()
}

fn triples(negative: bool) -> String {
    let rows = (0..24).map(|i| {
        let (word, other) = (WORDS[i % 6], WORDS[(i + 1) % 6]);
        let mut row =
            json!({"anchor": format!("the {word} {i}"), "positive": format!("{word} {word}")});
        if negative {
            row["negative"] = json!(format!("{other} film"));
        }
        format!("{row}\n")
    });
    rows.collect()
}

/// A task of similarities.
const ALIKE: &str = "name = \"alike\"\nkind = \"similarity\"\ntext = \"sentence1\"\npair = \"sentence2\"\nlabel = \"score\"\nrange = [0, 5]\n";

const SHORT: [&str; 6] = ["--epochs", "8", "--lr", "0.01", "--dev-share", "0.25"];

fn metric(scratch: &Scratch, args: &[&str], name: &str) -> f64 {
    let (said, _) = run(scratch, args);
    let said: Value = serde_json::from_str(&said).unwrap();
    said["metrics"][name].as_f64().unwrap()
}

#[test]
fn similarities_are_learned_measured_and_written() {
    let scratch = Scratch::new();
    scratch.write("pairs.csv", &pairs());
    scratch.write("task.toml", ALIKE);
    let tune = [
        "tune",
        "--model",
        "model",
        "--task",
        "task.toml",
        "--data",
        "pairs.csv",
        "--terms",
        "all",
    ];
    let (_, said) = run(&scratch, &[&tune[..], &SHORT, &["--out", "out"]].concat());
    assert!(said.contains("no modules.json"), "{said}");
    let config: Value =
        serde_json::from_str(&scratch.read("out/adapter/adapter_config.json")).unwrap();
    assert_eq!(config["task_type"], "FEATURE_EXTRACTION");
    assert_eq!(config["modules_to_save"], Value::Null);

    let eval = ["eval", "--data", "pairs.csv", "--json"];
    let before = ["--model", "model", "--task", "task.toml"];
    let after = ["--adapter", "out/adapter"];
    let before = metric(&scratch, &[&eval[..], &before].concat(), "spearman");
    let after = metric(&scratch, &[&eval[..], &after].concat(), "spearman");
    assert!(after > before, "{before} {after}");

    // The cosine that is predicted is that of the vectors that are written.
    let predict = ["predict", "--adapter", "out/adapter", "--data", "pairs.csv"];
    let (rows, _) = run(&scratch, &predict);
    let row: Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
    let embed = ["embed", "--adapter", "out/adapter", "--data", "pairs.csv"];
    let vectors = |column: &str| -> Vec<Vec<f64>> {
        let (rows, _) = run(&scratch, &[&embed[..], &["--text", column]].concat());
        let rows = rows.lines().map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            serde_json::from_value(row["embedding"].clone()).unwrap()
        });
        rows.collect()
    };
    let (first, second) = (vectors("sentence1"), vectors("sentence2"));
    assert_eq!((first.len(), first[0].len()), (36, 32));
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (a, b) = (&first[0], &second[0]);
    let cosine = product(a, b) / (product(a, a) * product(b, b)).sqrt();
    assert!(
        (cosine - row["value"].as_f64().unwrap()).abs() < 1e-6,
        "{row}"
    );

    // The numpy file holds the same.
    let npy = ["--text", "sentence1", "--out", "vectors.npy"];
    run(&scratch, &[&embed[..], &npy].concat());
    let bytes = fs::read(scratch.path("vectors.npy")).unwrap();
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    assert_eq!(bytes.len() % 64, (36 * 32 * 4) % 64);
    let header = String::from_utf8_lossy(&bytes[10..128]);
    assert!(
        header.contains("'descr': '<f4'") && header.contains("(36, 32)"),
        "{header}"
    );
    let start = bytes.len() - 36 * 32 * 4;
    let value = f32::from_le_bytes(bytes[start..start + 4].try_into().unwrap());
    assert!((f64::from(value) - first[0][0]).abs() < 1e-7);

    // What else an adapter is used for.
    run(&scratch, &["inspect", "out/adapter"]);
    let compare = [
        "compare",
        "--model",
        "model",
        "--task",
        "task.toml=pairs.csv",
        "--mode",
        "q",
        "--mode",
        "v",
        "--epochs",
        "1",
        "--out",
        "compared",
    ];
    refused(&scratch, &compare, "pairs.csv");
    fs::create_dir_all(scratch.path("own")).unwrap();
    scratch.write("own/train.csv", &pairs());
    scratch.write("own/dev.csv", &pairs());
    let folder = compare.map(|arg| arg.replace("pairs.csv", "own"));
    let folder: Vec<&str> = folder.iter().map(String::as_str).collect();
    run(&scratch, &folder);
    let run_all = [
        "run",
        "--model",
        "model",
        "--task",
        "task.toml",
        "--data",
        "own",
        "--epochs",
        "1",
    ];
    run(&scratch, &[&run_all[..], &["--out", "run"]].concat());
}

/// The training loss of each epoch.
fn losses(said: &str) -> Vec<f64> {
    let losses = said.lines().filter_map(|line| line.split_once(": loss "));
    let losses = losses.filter_map(|(_, rest)| rest.split(',').next()?.trim().parse().ok());
    losses.collect()
}

#[test]
fn texts_are_told_from_those_of_others() {
    let scratch = Scratch::new();
    for (negative, name) in [(false, "pairs.jsonl"), (true, "triples.jsonl")] {
        scratch.write(name, &triples(negative));
        let tune = [
            "tune", "--model", "model", "--task", "ranking", "--data", name, "--terms", "all",
        ];
        let out = if negative { "three" } else { "two" };
        let (_, said) = run(&scratch, &[&tune[..], &SHORT, &["--out", out]].concat());
        let losses = losses(&said);
        assert!(
            losses.len() == 8 && losses[7] < losses[0],
            "{name}: {losses:?}"
        );
        let adapter = format!("{out}/adapter");
        let eval = ["eval", "--data", name, "--json", "--adapter", &adapter];
        let mrr = metric(&scratch, &eval, "mrr");
        // By chance it is the mean of 1 / place among 24 texts.
        assert!(mrr > 0.05 && mrr <= 1.0, "{name}: {mrr}");
        let untrained = ["eval", "--data", name, "--json", "--model", "model"];
        metric(
            &scratch,
            &[&untrained[..], &["--task", "ranking"]].concat(),
            "accuracy",
        );
    }
    // The same bytes whatever is saved on the way.
    let tune = [
        "tune",
        "--model",
        "model",
        "--task",
        "ranking",
        "--data",
        "triples.jsonl",
        "--terms",
        "v",
    ];
    let short = [&tune[..], &SHORT].concat();
    run(&scratch, &[&short[..], &["--out", "a"]].concat());
    run(&scratch, &[&short[..], &["--out", "b"]].concat());
    let weights = |out: &str| {
        fs::read(scratch.path(&format!("{out}/adapter/adapter_model.safetensors"))).unwrap()
    };
    assert_eq!(weights("a"), weights("b"));

    let half = triples(true).replacen(",\"negative\":\"good film\"", "", 1);
    scratch.write("half.jsonl", &half);
    let bad = [
        "tune",
        "--model",
        "model",
        "--task",
        "ranking",
        "--data",
        "half.jsonl",
    ];
    refused(&scratch, &[&bad[..], &SHORT].concat(), "half.jsonl:");
    let parts = [&short[..], &["--micro-batch", "4", "--out", "x"]].concat();
    refused(&scratch, &parts, "smaller batch");
    scratch.write("pairs.csv", &pairs());
    let range = [
        "tune",
        "--model",
        "model",
        "--task",
        "similarity",
        "--data",
        "pairs.csv",
    ];
    refused(&scratch, &[&range[..], &SHORT].concat(), "`range`");
    refused(
        &scratch,
        &[
            "embed",
            "--model",
            "model",
            "--data",
            "pairs.csv",
            "--out",
            "x.pickle",
        ],
        "--format",
    );
}

#[test]
fn what_sentence_transformers_wrote_is_applied_or_refused() {
    let scratch = Scratch::new();
    scratch.write("texts.txt", "the good film\nbad\n");
    let embed = ["embed", "--model", "model", "--data", "texts.txt"];
    let first = |scratch: &Scratch| -> Vec<f64> {
        let (rows, _) = run(scratch, &embed);
        let row: Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
        serde_json::from_value(row["embedding"].clone()).unwrap()
    };
    let mean = first(&scratch);
    let modules = |kinds: &[&str]| {
        let lines = kinds.iter().map(|kind| {
            let path = if *kind == "Transformer" { "" } else { kind };
            json!({"path": path, "type": format!("sentence_transformers.models.{kind}")})
        });
        json!(lines.collect::<Vec<_>>()).to_string()
    };
    for folder in ["model/Pooling", "model/Normalize"] {
        fs::create_dir(scratch.path(folder)).unwrap();
    }
    scratch.write(
        "model/modules.json",
        &modules(&["Transformer", "Pooling", "Normalize"]),
    );
    scratch.write(
        "model/Pooling/config.json",
        "{\"pooling_mode_cls_token\": true}",
    );
    let cls = first(&scratch);
    assert!((cls.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-6);
    assert_ne!(mean, cls);
    scratch.write("model/Pooling/config.json", "{\"pooling_mode\": \"mean\"}");
    let norm = mean.iter().map(|x| x * x).sum::<f64>().sqrt();
    for (a, b) in first(&scratch).iter().zip(&mean) {
        assert!((a - b / norm).abs() < 1e-6);
    }
    // A model that is trained whole keeps all of it, and can be written again.
    scratch.write("pairs.csv", &pairs());
    scratch.write("model/Pooling/config.json", "{\"pooling_mode\": \"cls\"}");
    scratch.write("alike.toml", ALIKE);
    for _ in 0..2 {
        let full = [
            "tune",
            "--model",
            "model",
            "--task",
            "alike.toml",
            "--data",
            "pairs.csv",
        ];
        let full = [
            &full[..],
            &["--terms", "full", "--epochs", "1", "--dev-share", "0.5"],
        ]
        .concat();
        run(&scratch, &[&full[..], &["--out", "full"]].concat());
    }
    let whole = [
        "embed",
        "--model",
        "full/tuned-model",
        "--data",
        "texts.txt",
    ];
    let (rows, said) = run(&scratch, &whole);
    assert!(!said.contains("modules.json"), "{said}");
    let row: Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
    let vector: Vec<f64> = serde_json::from_value(row["embedding"].clone()).unwrap();
    assert!((vector.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-6);
    // It remembers its task.
    let eval = [
        "eval",
        "--model",
        "full/tuned-model",
        "--data",
        "pairs.csv",
        "--json",
    ];
    let spearman = metric(&scratch, &eval, "spearman");
    assert!((-1.0..=1.0).contains(&spearman));
    let pooling = scratch.read("full/tuned-model/1_Pooling/config.json");
    assert_eq!(pooling, "{\"pooling_mode\": \"cls\"}");
    scratch.write("model/Pooling/config.json", "{\"pooling_mode\": \"mean\"}");
    // The words of the tokenizer are in lower case, and it is made one that keeps capitals.
    scratch.write("model/tokenizer_config.json", "{\"do_lower_case\": false}");
    let lower = first(&scratch);
    scratch.write("texts.txt", "The GOOD film\n");
    assert_ne!(first(&scratch), lower);
    let settings = "model/sentence_bert_config.json";
    scratch.write(settings, "{\"do_lower_case\": true}");
    assert_eq!(first(&scratch), lower);
    fs::remove_file(scratch.path("model/tokenizer_config.json")).unwrap();
    scratch.write("texts.txt", "the good film\nbad\n");
    scratch.write(settings, "{\"max_seq_length\": 5}");
    let (_, said) = run(&scratch, &embed);
    assert!(!said.contains("cut"), "{said}");
    scratch.write("texts.txt", "the good film and the bad film\n");
    let (_, said) = run(&scratch, &embed);
    assert!(said.contains("longer than 5 tokens"), "{said}");
    // An old release named it by the model.
    let named = |name: &str| scratch.path(&format!("model/sentence_{name}_config.json"));
    fs::rename(named("bert"), named("roberta")).unwrap();
    let (_, said) = run(&scratch, &embed);
    assert!(said.contains("longer than 5 tokens"), "{said}");
    // One without content says nothing.
    scratch.write("model/sentence_bert_config.json", "{}");
    let (_, said) = run(&scratch, &embed);
    assert!(said.contains("longer than 5 tokens"), "{said}");
    fs::rename(named("roberta"), named("bert")).unwrap();
    // It stands in place of the tokenizer's own.
    scratch.write("model/tokenizer_config.json", "{\"model_max_length\": 4}");
    let (_, said) = run(&scratch, &embed);
    assert!(said.contains("longer than 5 tokens"), "{said}");
    // An adapter beside the model is spoken of.
    assert!(!said.contains("adapter"), "{said}");
    scratch.write("model/adapter_config.json", "{}");
    let (_, said) = run(&scratch, &embed);
    assert!(said.contains("adapter_config.json"), "{said}");
    fs::remove_file(scratch.path("model/adapter_config.json")).unwrap();
    fs::remove_file(scratch.path("model/tokenizer_config.json")).unwrap();
    for (file, text, part) in [
        (
            "Pooling/config.json",
            "{\"pooling_mode\": \"max\"}",
            "`max`",
        ),
        (
            "sentence_bert_config.json",
            "{\"model_kwargs\": {\"num_hidden_layers\": 1}}",
            "model_kwargs",
        ),
        (
            "sentence_bert_config.json",
            "{\"longest\": 5}",
            "`longest` is not known",
        ),
        (
            "Pooling/config.json",
            "{\"pooling_mode\": \"mean\", \"weights\": 1}",
            "`weights` is not known",
        ),
        (
            "Normalize/config.json",
            "{\"module_input_name\": \"token_embeddings\"}",
            "module_input_name",
        ),
        (
            "config_sentence_transformers.json",
            "{\"default_prompt_name\": \"query\", \"prompts\": {\"query\": \"Find: \"}}",
            "\"Find: \" is put before every input",
        ),
        (
            "config_sentence_transformers.json",
            "{\"default_prompt_name\": \"query\"}",
            "no text of this name",
        ),
        (
            "Pooling/config.json",
            "{\"pooling_mode\": [\"mean\", \"cls\"]}",
            "[\"mean\",\"cls\"]",
        ),
        (
            "Pooling/config.json",
            "{\"pooling_mode_cls_token\": 1, \"pooling_mode_mean_tokens\": true}",
            "cls_token and mean_tokens",
        ),
        (
            "modules.json",
            &modules(&["Pooling", "Transformer"]),
            "first module",
        ),
        (
            "modules.json",
            &modules(&["Transformer", "Pooling"]).replace("\"Pooling\"", "\"../Pooling\""),
            "`../Pooling` leaves the folder",
        ),
        (
            "config_sentence_transformers.json",
            "{\"truncate_dim\": 16}",
            "truncate_dim",
        ),
        (
            "modules.json",
            &modules(&["Transformer", "Pooling"])
                .replace("sentence_transformers.models.P", "own.P"),
            "own.Pooling",
        ),
        (
            "modules.json",
            &modules(&["Transformer", "Pooling", "Dense"]),
            "Dense",
        ),
        ("modules.json", "[{\"type\": 3}]", "modules.json"),
        ("modules.json", &modules(&["Transformer"]), "pooling"),
        // A copy of which a file is missing, and weights that lie elsewhere.
        (
            "modules.json",
            &modules(&["Transformer", "1_Pooling"]).replace("models.1_", "models."),
            "1_Pooling/config.json",
        ),
        (
            "modules.json",
            &modules(&["Transformer", "Pooling"]).replace("\"\"", "\"0_Transformer\""),
            "0_Transformer",
        ),
    ] {
        let own = scratch.path(&format!("model/{file}"));
        let before = fs::read(&own).ok();
        scratch.write(&format!("model/{file}"), text);
        refused(&scratch, &embed, part);
        match before {
            Some(bytes) => fs::write(own, bytes).unwrap(),
            None => fs::remove_file(own).unwrap(),
        }
    }
}
