//! Rows of an adapter set are what each adapter says alone.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use beft::{AdapterSet, Answer, Base, Error, InferencePrecision, OpenOptions, Predictor};
use beft_checkpoint::HeadTensor;
use beft_core::{BiasSite, TaskType};
use beft_modes::{Adapter, Mode, ModeSettings};
use beft_nn::{BiasModel, map_params};
use beft_tasks::{PromptExample, TaskInput};
use burn::tensor::{Device, TensorData};
use serde_json::json;

/// Writes an adapter whose trained values are moved by a pattern of `seed`.
fn write_adapter(
    (model, dir): (&Path, &Path),
    task_type: TaskType,
    (terms, outputs, seed): (&str, usize, usize),
    facts: &[(&str, serde_json::Value)],
) -> PathBuf {
    let base = Base::open(model.to_str().unwrap(), None, &Device::flex()).unwrap();
    let base = base.with_task_type(task_type).unwrap();
    let (before, _) = base.model(outputs, 0).unwrap();
    let mode: Mode = terms.parse().unwrap();
    let paths = before.trainable_paths(mode.terms().unwrap()).unwrap();
    let mut number = seed;
    let trained = map_params(before.clone(), |path, shape| {
        paths.contains(path).then(|| {
            let values = (0..shape.iter().product()).map(|_| {
                number = (number * 1103 + 12345) % 65536;
                number as f32 / 65536.0 - 0.5
            });
            TensorData::new(values.collect::<Vec<f32>>(), shape.to_vec())
        })
    });
    let settings = ModeSettings::default();
    let made = Adapter::between(&mode, &settings, before.names(), &before, &trained, &paths);
    let mut adapter = made.unwrap();
    adapter.base_model = model.display().to_string();
    adapter.set_fingerprint(base.fingerprint());
    adapter.facts.insert("terms".into(), terms.into());
    for (key, value) in facts {
        adapter.facts.insert((*key).into(), value.clone());
    }
    let folder = dir.join(format!("{terms}-{seed}").replace(['@', ','], "-"));
    adapter.save(&folder).unwrap();
    folder
}

/// Whether two answers are the same, their numbers to 1e-5.
fn assert_alike(a: &Answer, b: &Answer, what: &str) {
    let close = |a: &[f32], b: &[f32]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5)
    };
    let alike = match (a, b) {
        (
            Answer::Class { label, logits, .. },
            Answer::Class {
                label: other,
                logits: others,
                ..
            },
        ) => label == other && close(logits, others),
        (
            Answer::Labels { labels, logits, .. },
            Answer::Labels {
                labels: other,
                logits: others,
                ..
            },
        ) => labels == other && close(logits, others),
        (Answer::Value(a), Answer::Value(b)) => close(&[*a], &[*b]),
        (
            Answer::Tags { entities, .. },
            Answer::Tags {
                entities: others, ..
            },
        ) => {
            let places = |all: &[beft::FoundEntity]| -> Vec<(usize, usize, String)> {
                { all.iter() }
                    .map(|e| (e.start, e.end, e.kind.clone()))
                    .collect()
            };
            let scores =
                |all: &[beft::FoundEntity]| all.iter().map(|e| e.score).collect::<Vec<_>>();
            places(entities) == places(others) && close(&scores(entities), &scores(others))
        }
        _ => false,
    };
    assert!(alike, "{what}: {a:?} is not {b:?}");
}

fn open(adapter: &Path) -> Predictor {
    Predictor::open(&OpenOptions {
        adapter: Some(adapter),
        ..OpenOptions::default()
    })
    .unwrap()
}

fn texts() -> Vec<TaskInput> {
    let texts = [
        "a b c",
        "good film",
        "bad , bad film",
        "x",
        "one two three four five six",
    ];
    texts.into_iter().map(TaskInput::from).collect()
}

/// Every adapter of `folders` about every text, in one call, beside each adapter alone.
fn compare(model: &Path, folders: &[PathBuf], texts: &[TaskInput]) -> AdapterSet {
    let name = model.to_str().unwrap();
    let set = AdapterSet::open(name, &Device::flex(), InferencePrecision::default()).unwrap();
    let names: Vec<String> = (0..folders.len()).map(|n| format!("a{n}")).collect();
    for (name, folder) in names.iter().zip(folders) {
        set.load(name, folder).unwrap();
    }
    let mut rows: Vec<(&str, &TaskInput)> = Vec::new();
    for text in texts {
        rows.extend(names.iter().map(|name| (name.as_str(), text)));
    }
    let found = set.predict(&rows).unwrap().answers;
    assert_eq!(found.len(), rows.len());
    for (number, (name, folder)) in names.iter().zip(folders).enumerate() {
        let alone = open(folder).predict(texts).unwrap().answers;
        for (text, alone) in alone.iter().enumerate() {
            let together = &found[text * names.len() + number];
            let what = format!("{} {name} text {text}", model.display());
            assert_alike(together, alone, &what);
        }
    }
    // The adapters differ, or the comparison would show nothing.
    assert_ne!(found[0], found[1]);
    set
}

#[test]
fn encoders_answer_for_several_adapters_in_one_batch() {
    for name in beft_fixtures::ENCODERS {
        let model = beft_fixtures::model(name);
        let dir = tempfile::tempdir().unwrap();
        let at = (model.as_path(), dir.path());
        let classes = TaskType::SequenceClassification;
        let last = BiasSite::all(2).last().unwrap().layer;
        let tags = json!(["O", "B-X", "I-X"]);
        let folders = [
            write_adapter(
                at,
                classes,
                ("v", 2, 1),
                &[("labels", json!(["no", "yes"]))],
            ),
            write_adapter(
                at,
                classes,
                ("all", 3, 2),
                &[("labels", json!(["a", "b", "c"]))],
            ),
            write_adapter(at, classes, (&format!("q,m2@{last}"), 1, 3), &[]),
            write_adapter(
                at,
                classes,
                ("frozen", 2, 4),
                &[("labels", json!(["no", "yes"]))],
            ),
            write_adapter(
                at,
                classes,
                ("k,v", 4, 5),
                &[
                    ("labels", json!(["p", "q", "r", "s"])),
                    ("problem_type", json!("multi_label_classification")),
                    ("max_length", json!(6)),
                ],
            ),
            write_adapter(
                at,
                TaskType::TokenClassification,
                ("v", 3, 6),
                &[("labels", tags), ("task", json!("ner"))],
            ),
        ];
        compare(&model, &folders, &texts());
    }
}

#[test]
fn decoders_with_a_score_answer_for_several_adapters() {
    for name in ["llama-tiny", "gpt2-tiny", "opt-tiny", "gptj-tiny"] {
        let model = beft_fixtures::model(name);
        let dir = tempfile::tempdir().unwrap();
        let at = (model.as_path(), dir.path());
        let classes = TaskType::SequenceClassification;
        let folders = [
            write_adapter(
                at,
                classes,
                ("v", 2, 1),
                &[("labels", json!(["no", "yes"]))],
            ),
            write_adapter(
                at,
                classes,
                ("all", 3, 2),
                &[("labels", json!(["a", "b", "c"]))],
            ),
            write_adapter(at, classes, ("q@1", 1, 3), &[]),
        ];
        compare(&model, &folders, &texts());
    }
}

/// Prompts of several tasks with other numbers of candidates.
#[test]
fn decoders_that_are_asked_answer_for_several_adapters() {
    for name in ["llama-tiny", "opt-tiny"] {
        let model = beft_fixtures::model(name);
        let dir = tempfile::tempdir().unwrap();
        let at = (model.as_path(), dir.path());
        let task = [("task", json!("copa"))];
        let folders = [
            write_adapter(at, TaskType::CausalLm, ("v", 1, 1), &task),
            write_adapter(at, TaskType::CausalLm, ("all", 1, 2), &task),
            write_adapter(at, TaskType::CausalLm, ("v@1", 1, 3), &task),
        ];
        let prompt = |prompt: &str, candidates: &[&str]| {
            TaskInput::Prompt(PromptExample {
                prompt: prompt.to_owned(),
                candidates: candidates.iter().map(|text| (*text).to_owned()).collect(),
                right: Vec::new(),
                answers: Vec::new(),
                content_free: String::new(),
                line: 1,
                group: None,
            })
        };
        let inputs = [
            prompt("a b c", &[" good", " bad"]),
            prompt("one", &[" two", " three four", " five"]),
        ];
        compare(&model, &folders, &inputs);
    }
}

#[test]
fn adapters_come_and_go_and_keep_their_generation() {
    let model = beft_fixtures::model("bert-tiny");
    let dir = tempfile::tempdir().unwrap();
    let at = (model.as_path(), dir.path());
    let classes = TaskType::SequenceClassification;
    let labels = [("labels", json!(["no", "yes"]))];
    let first = write_adapter(at, classes, ("v", 2, 1), &labels);
    let second = write_adapter(at, classes, ("v", 2, 2), &labels);
    let set = AdapterSet::open(
        model.to_str().unwrap(),
        &Device::flex(),
        InferencePrecision::default(),
    )
    .unwrap();
    let old = set.load("a", &first).unwrap();
    let new = set.load_over("a", &second, Some(old.generation())).unwrap();
    assert!(new.generation() > old.generation());
    let late = set.load_over("a", &first, Some(old.generation()));
    assert!(matches!(late, Err(Error::OtherGeneration { .. })));
    assert!(Arc::ptr_eq(&set.get("a").unwrap(), &new));
    assert!(matches!(
        set.load_over("b", &first, Some(7)),
        Err(Error::OtherGeneration { found: 0, .. })
    ));
    // What is not there, or damaged, changes nothing.
    std::fs::write(first.join("adapter_model.safetensors"), b"damaged").unwrap();
    assert!(set.load("a", &first).is_err());
    assert!(Arc::ptr_eq(&set.get("a").unwrap(), &new));
    assert!(set.remove("a", Some(old.generation())).is_err());
    set.remove("a", Some(new.generation())).unwrap();
    assert!(matches!(
        set.remove("a", None),
        Err(Error::NoSuchAdapter { .. })
    ));
    let text = TaskInput::from("a");
    let error = set.predict(&[("a", &text)]).unwrap_err();
    assert!(error.to_string().contains("none is loaded"), "{error}");
}

#[test]
fn what_cannot_share_a_backbone_is_refused_by_name() {
    let model = beft_fixtures::model("bert-tiny");
    let dir = tempfile::tempdir().unwrap();
    let labels = [("labels", json!(["no", "yes"]))];
    let classes = TaskType::SequenceClassification;
    let at = (model.as_path(), dir.path());
    let adapter = write_adapter(at, classes, ("v", 2, 1), &labels);
    // The fingerprint of another model.
    let other = beft_fixtures::model("roberta-tiny");
    let set = AdapterSet::open(
        other.to_str().unwrap(),
        &Device::flex(),
        InferencePrecision::default(),
    )
    .unwrap();
    let error = set.load("a", &adapter).unwrap_err().to_string();
    assert!(
        error.contains("other weights") || error.contains("trained on"),
        "{error}"
    );

    let set = AdapterSet::open(
        model.to_str().unwrap(),
        &Device::flex(),
        InferencePrecision::default(),
    )
    .unwrap();
    // A matrix of the backbone that was trained whole.
    let mut whole = Adapter::load(&adapter).unwrap();
    let shape = vec![32, 32];
    let values = vec![0.0; 32 * 32];
    let name = "bert.encoder.layer.0.attention.self.query.weight";
    whole.head.insert(name.into(), HeadTensor { shape, values });
    whole.facts.remove("terms");
    let folder = dir.path().join("whole");
    whole.save(&folder).unwrap();
    let error = set.load("a", &folder).unwrap_err().to_string();
    assert!(error.contains(name) && error.contains("whole"), "{error}");
    // A head that this architecture does not have, alone as well.
    let mut causal = Adapter::load(&adapter).unwrap();
    causal.task_type = Some(TaskType::CausalLm);
    let folder = dir.path().join("causal");
    causal.save(&folder).unwrap();
    let alone = Predictor::open(&OpenOptions {
        adapter: Some(&folder),
        ..OpenOptions::default()
    });
    let errors = [
        alone.map(|_| ()).unwrap_err(),
        set.load("a", &folder).unwrap_err(),
    ];
    for error in errors.map(|error| error.to_string()) {
        let names = [
            "causal",
            "task_type",
            "BertForCausalLM",
            "adapter_config.json",
        ];
        assert!(names.iter().all(|name| error.contains(name)), "{error}");
    }
    assert!(set.members().is_empty());
    // The base's own head answers, too.
    set.add_base("base").unwrap();
    let texts = texts();
    let rows: Vec<(&str, &TaskInput)> = texts.iter().map(|text| ("base", text)).collect();
    let found = set.predict(&rows).unwrap().answers;
    let alone = Predictor::open(&OpenOptions {
        model: model.to_str(),
        ..OpenOptions::default()
    });
    let alone = alone.unwrap().predict(&texts).unwrap().answers;
    for (a, b) in found.iter().zip(&alone) {
        assert_alike(a, b, "base");
    }
}
