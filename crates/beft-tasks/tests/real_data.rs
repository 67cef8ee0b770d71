//! The real files, where they are at hand beside the workspace or in `BEFT_SHARED_DATA`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};

use beft_tasks::{Dataset, HeldOut, Label, LabelTarget, LabelledTask, Split};

/// The folder of a data set; `None`, said on stderr, when it is not there.
fn folder(name: &str) -> Option<PathBuf> {
    let shared = env::var_os("BEFT_SHARED_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let folder = shared.join(name);
    if !folder.exists() {
        eprintln!("skipped: {} is not there", folder.display());
        return None;
    }
    Some(folder)
}

fn counts(data: &Dataset) -> Vec<usize> {
    assert!(data.skipped.is_empty());
    let mut counts = vec![0; data.labels.len()];
    for example in &data.examples {
        match &example.label {
            Some(Label::Class(class)) => counts[*class] += 1,
            other => panic!("line {}: {other:?}", example.line),
        }
    }
    counts
}

#[test]
fn squad_answers_are_in_their_contexts() {
    let Some(folder) = folder("SQuAD") else {
        return;
    };
    let mut task = LabelledTask::named("squad").unwrap();
    let file = "dev-v1.1.reconstructed.json";
    let data = task.load_file(&folder.join(file), None).unwrap();
    let answers = data
        .examples
        .iter()
        .filter_map(|e| e.label.as_ref()?.answers());
    let (mut questions, mut found) = (0, 0);
    for (answers, example) in answers.zip(&data.examples) {
        questions += 1;
        let context = example.text_pair.as_deref().unwrap();
        for answer in answers {
            let text = context.chars().skip(answer.start.unwrap());
            assert!(
                text.take(answer.text.chars().count())
                    .eq(answer.text.chars())
            );
            found += 1;
        }
    }
    // As the set's authors count them; places were made by the first occurrence.
    assert_eq!((questions, found), (10_570, 34_726));
    assert!(data.notes.is_empty(), "{:?}", data.notes);
    // One file in two parts: all questions of a context are in one.
    task.held_out = Some(HeldOut {
        share: 0.2,
        seed: 0,
    });
    let part = |split| task.load(&folder.join(file), split, None).unwrap();
    let (train, dev) = (part(Split::Train), part(Split::Dev));
    assert_eq!(train.examples.len() + dev.examples.len(), 10_570);
    assert!(
        (2114..2180).contains(&dev.examples.len()),
        "{}",
        dev.examples.len()
    );
    let contexts: BTreeSet<_> = dev.examples.iter().map(|e| &e.text_pair).collect();
    assert!(
        train
            .examples
            .iter()
            .all(|e| !contexts.contains(&e.text_pair))
    );
}

#[test]
fn labels_have_the_known_counts() {
    // Counted with other tools; MRPC, RTE, CB and WiC as their papers and the hub have them.
    for (name, split, expected) in [
        ("SST-2", Split::Train, [29_780, 37_569].as_slice()),
        ("SST-2", Split::Dev, &[428, 444]),
        ("MRPC", Split::Train, &[1194, 2474]),
        ("MRPC", Split::Dev, &[129, 279]),
        ("RTE", Split::Train, &[1249, 1241]),
        ("RTE", Split::Dev, &[146, 131]),
        ("CB", Split::Train, &[115, 119, 16]),
        ("CB", Split::Dev, &[23, 28, 5]),
        ("WiC", Split::Train, &[2714, 2714]),
        ("WiC", Split::Dev, &[319, 319]),
        ("BoolQ", Split::Dev, &[1237, 2033]),
    ] {
        let Some(folder) = folder(name) else { return };
        let task = LabelledTask::named(name).unwrap();
        let data = task.load(&folder, split, None).unwrap();
        assert_eq!(counts(&data), expected, "{name} {split}");
        let pairs = !task.pair_columns.is_empty();
        let all = |test: fn(&str) -> bool| {
            data.examples.iter().all(|e| {
                test(&e.text)
                    && e.text_pair
                        .as_deref()
                        .map_or(!pairs, |pair| pairs && test(pair))
            })
        };
        assert!(all(|text| !text.trim().is_empty()), "{name} {split}");
        if name == "SST-2" {
            // The official files keep a space before the tab.
            assert!(all(|text| text.ends_with(' ')), "{split}");
            let last = &data.examples[data.examples.len() - 1];
            assert_eq!(last.line, data.examples.len() + 1);
        }
    }
}

#[test]
fn similarities_are_within_their_range() {
    let Some(folder) = folder("STS-B") else {
        return;
    };
    let task = LabelledTask::named("stsb").unwrap();
    for (split, examples) in [(Split::Train, 5749), (Split::Dev, 1500)] {
        let data = task.load(&folder, split, None).unwrap();
        assert!(data.labels.is_empty());
        let values = data
            .examples
            .iter()
            .map(|e| e.label.as_ref().and_then(Label::value));
        let values: Vec<f64> = values.map(Option::unwrap).collect();
        assert_eq!(values.len(), examples);
        let LabelTarget::Value(Some((low, high))) = task.target else {
            panic!("STS-B is a regression with a range");
        };
        assert!(values.iter().all(|value| (low..=high).contains(value)));
        assert!(values.contains(&low) && values.contains(&high));
    }
}

#[test]
fn both_forms_of_rte_agree() {
    let Some(folder) = folder("RTE") else { return };
    let task = LabelledTask::named("rte").unwrap();
    for (tsv, jsonl) in [("train.tsv", "train.jsonl"), ("dev.tsv", "val.jsonl")] {
        let read = |name: &str| task.load_file(&folder.join(name), None).unwrap();
        let (tsv, jsonl) = (read(tsv), read(jsonl));
        assert_eq!(tsv.labels, jsonl.labels);
        let labels = |data: &Dataset| {
            data.examples
                .iter()
                .map(|e| e.label.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(labels(&tsv), labels(&jsonl));
        // SuperGLUE took some quotes away, and nothing else.
        let plain = |text: &str| text.replace(['"', ' '], "");
        let same = tsv.examples.iter().zip(&jsonl.examples);
        let other = same
            .filter(|(a, b)| plain(&a.text) != plain(&b.text))
            .count();
        assert!(other * 50 < tsv.examples.len(), "{other}");
    }
}
