//! Prompts of the real files, where they are at hand beside the workspace or in
//! `BEFT_SHARED_DATA`.

#![allow(clippy::unwrap_used)]

use std::env;
use std::path::{Path, PathBuf};

use beft_tasks::{PromptExample, PromptKind, PromptSet, PromptTask, Split};

/// A file or folder of the data; `None`, said on stderr, when it is not there.
fn path(name: &str) -> Option<PathBuf> {
    let shared = env::var_os("BEFT_SHARED_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let path = shared.join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

/// How often each candidate is right.
fn counts(set: &PromptSet) -> Vec<usize> {
    let mut counts = vec![0; set.examples[0].candidates.len()];
    for example in &set.examples {
        for &right in &example.right {
            counts[right] += 1;
        }
    }
    counts
}

#[test]
fn classes_and_choices_have_the_known_counts() {
    for (name, split, expected) in [
        ("SST-2", Split::Train, [29_780, 37_569].as_slice()),
        ("SST-2", Split::Dev, &[428, 444]),
        ("RTE", Split::Train, &[1249, 1241]),
        ("RTE", Split::Dev, &[146, 131]),
        ("CB", Split::Train, &[115, 119, 16]),
        ("CB", Split::Dev, &[23, 28, 5]),
        ("WiC", Split::Train, &[2714, 2714]),
        ("WiC", Split::Dev, &[319, 319]),
        ("BoolQ", Split::Dev, &[1237, 2033]),
        ("COPA", Split::Train, &[195, 205]),
        ("COPA", Split::Dev, &[55, 45]),
    ] {
        let Some(folder) = path(name) else { continue };
        let task = PromptTask::named(name).unwrap();
        let set = task.load(&folder, split).unwrap();
        assert_eq!(counts(&set), expected, "{name} {split}");
        for example in &set.examples {
            let text = example.demonstration();
            assert!(
                text.len() > example.content_free.len(),
                "{name} {}",
                example.line
            );
            let asked = match name {
                "SST-2" => !text.contains("  It was"),
                "BoolQ" => !text.contains("??\n"),
                "COPA" => !text.contains(". so ") && !text.contains(". because "),
                _ => true,
            };
            assert!(asked, "{text}");
        }
    }
}

#[test]
fn both_forms_of_rte_ask_the_same() {
    let Some(folder) = path("RTE") else { return };
    let task = PromptTask::named("rte").unwrap();
    let read = |name: &str| task.load_file(&folder.join(name)).unwrap().examples;
    let (tsv, jsonl) = (read("dev.tsv"), read("val.jsonl"));
    let right = |examples: &[PromptExample]| -> Vec<_> {
        examples.iter().map(|e| e.right.clone()).collect()
    };
    assert_eq!(right(&tsv), right(&jsonl));
}

#[test]
fn few_shot_files() {
    if let Some(folder) = path("FewGLUE/BoolQ") {
        let task = PromptTask::named("boolq").unwrap();
        let set = task.load(&folder, Split::Train).unwrap();
        assert_eq!(set.examples.len(), 32);
        let first = &set.examples[0].demonstration();
        assert!(first.starts_with("Ghost in the Shell -- Animation studio"));
        assert!(
            first.ends_with(". Is ghost in the shell based on the anime?\nNo"),
            "{first}"
        );
    }
    if let Some(folder) = path("FewGLUE/ReCoRD") {
        let task = PromptTask::named("record").unwrap();
        let set = task.load(&folder, Split::Train).unwrap();
        assert_eq!(set.examples.len(), 32);
        for example in &set.examples {
            assert!(!example.prompt.contains("@highlight"), "{}", example.prompt);
            assert!(example.prompt.ends_with("\n-"));
            assert!(example.candidates.len() > 1 && !example.right.is_empty());
            for candidate in &example.candidates {
                assert!(candidate.starts_with(' ') && !candidate.contains("@placeholder"));
            }
        }
        let first = &set.examples[0];
        let answer = &first.candidates[first.right[0]];
        assert!(answer.ends_with("the best thing was that Olimpija Ljubljana made it difficult."));
    }
}

#[test]
fn questions_to_answer() {
    for (name, file, questions, answers) in [
        ("squad", "SQuAD/dev-v1.1.reconstructed.json", 10_570, 34_726),
        ("drop", "DROP/drop.sample.json", 19, 19),
    ] {
        let Some(file) = path(file) else { continue };
        let task = PromptTask::named(name).unwrap();
        assert_eq!(task.kind(), PromptKind::Generation);
        let set = task.load_file(&file).unwrap();
        assert_eq!(set.examples.len(), questions);
        let found: usize = set.examples.iter().map(|e| e.answers.len()).sum();
        assert_eq!(found, answers, "{name}");
        for (number, example) in (1..).zip(&set.examples) {
            assert!(example.prompt.ends_with("\nAnswer:") && example.line == number);
            assert!(!example.prompt.contains(" \nAnswer:"), "{}", example.prompt);
        }
        if name == "squad" {
            assert!(
                set.examples[0]
                    .prompt
                    .starts_with("Title: 1973 oil crisis\nContext: ")
            );
            assert_eq!(set.examples[0].training_target(), " October 1973\n");
        }
    }
}
