//! Folders that transformers and PEFT wrote (`xtask/python/make_interop_fixtures.py`), and what they compute with
//! them: each is the same here, or is refused with the reason.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use serde::Deserialize;
use serde_json::Value;

/// How far a logit may be from transformers'.
const TOLERANCE: f64 = 1e-4;

/// A command and what must come of it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// `@` in front of an argument stands for the folder of the cases.
    args: Vec<String>,
    stdin: String,
    /// For each input the scores of the classes.
    logits: Option<Vec<Vec<f64>>>,
    /// For each input its embedding.
    embeddings: Option<Vec<Vec<f64>>>,
    /// For each input the class, or the labels that hold.
    labels: Option<Vec<Value>>,
    /// Prompt and generated text.
    text: Option<String>,
    /// A part of the error.
    refuses: Option<String>,
    /// Parts of what is said beside the result.
    #[serde(default)]
    notes: Vec<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop")
}

impl Case {
    /// Runs the command.
    fn run(&self) -> Output {
        let folder = folder().display().to_string();
        let place = |arg: &String| match arg.strip_prefix('@') {
            Some(name) => format!("{folder}/{name}"),
            None => arg.clone(),
        };
        Command::cargo_bin("beft")
            .unwrap()
            .args(self.args.iter().map(place))
            .write_stdin(self.stdin.clone())
            .output()
            .unwrap()
    }

    /// The same case with its adapter merged into the model at `out`; `None` where it has no adapter, and the message
    /// where the two are refused.
    fn merged(&self, out: &Path) -> Option<Result<Self, String>> {
        let place = |flag: &str| {
            let found = self.args.iter().position(|arg| arg == flag);
            found.map(|at| &self.args[at + 1])
        };
        let (adapter, model) = (place("--adapter")?, place("--model")?);
        let path = out.display().to_string();
        let merge = ["merge", "--model", model, "--adapter", adapter, "--out"];
        let merge = merge.into_iter().chain([path.as_str()]);
        let merge = Self {
            args: merge.map(str::to_owned).collect(),
            ..self.clone()
        };
        let output = merge.run();
        let said = String::from_utf8(output.stderr).unwrap();
        if !output.status.success() {
            assert_eq!(output.status.code(), Some(2), "{}: {said}", self.name);
            return Some(Err(said));
        }
        Some(Ok(Self {
            args: vec!["predict".to_owned(), "--model".to_owned(), path],
            notes: Vec::new(),
            ..self.clone()
        }))
    }

    /// What falls short, if anything.
    fn problem(&self) -> Option<String> {
        let output = self.run();
        let out = String::from_utf8(output.stdout).unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        if let Some(part) = &self.refuses {
            let refused = output.status.code() == Some(2) && error.contains(part.as_str());
            return (!refused).then(|| format!("should refuse and name `{part}`: {error}"));
        }
        if !output.status.success() {
            return Some(error);
        }
        if let Some(note) = self
            .notes
            .iter()
            .find(|note| !error.contains(note.as_str()))
        {
            return Some(format!("does not say `{note}`: {error}"));
        }
        let rows: Vec<Value> = out
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        for (key, expected) in [("logits", &self.logits), ("embedding", &self.embeddings)] {
            let Some(expected) = expected else {
                continue;
            };
            let found: Vec<Vec<f64>> = rows
                .iter()
                .map(|row| serde_json::from_value(row[key].clone()).unwrap())
                .collect();
            let pairs = expected.iter().flatten().zip(found.iter().flatten());
            let near = pairs.clone().all(|(a, b)| (a - b).abs() <= TOLERANCE);
            let lengths = |rows: &[Vec<f64>]| rows.iter().map(Vec::len).collect::<Vec<_>>();
            if lengths(expected) != lengths(&found) || !near {
                return Some(format!("{key} {found:?} instead of {expected:?}"));
            }
        }
        if let Some(expected) = &self.labels {
            let said = |row: &Value| row.get("label").or(row.get("labels")).cloned();
            let found: Vec<Value> = rows.iter().filter_map(said).collect();
            if found != *expected {
                return Some(format!("labels {found:?} instead of {expected:?}"));
            }
        }
        let text = self.text.as_ref().filter(|text| out.trim() != text.trim());
        text.map(|text| format!("text {out:?} instead of {text:?}"))
    }
}

fn cases() -> Vec<Case> {
    let cases = std::fs::read(folder().join("cases.json")).unwrap();
    serde_json::from_slice(&cases).unwrap()
}

#[test]
fn adapters_give_the_same_as_one_model_with_their_base() {
    let dir = std::env::temp_dir().join(format!("beft-interop-merged-{}", std::process::id()));
    let (mut merged, mut problems) = (0, Vec::new());
    for case in cases().iter().filter(|case| case.logits.is_some()) {
        match case.merged(&dir.join(&case.name)) {
            Some(Ok(whole)) => {
                merged += 1;
                problems.extend(whole.problem().map(|text| format!("{}: {text}", case.name)));
            }
            Some(Err(said)) => problems.push(format!("{}: {said}", case.name)),
            None => {}
        }
    }
    std::fs::remove_dir_all(dir).unwrap();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(merged > 15, "{merged}");
}

#[test]
fn every_folder_gives_what_transformers_and_peft_give_or_is_refused() {
    let cases = cases();
    let judged = cases.iter().all(|case| {
        let numbers = case.logits.is_some() || case.embeddings.is_some();
        numbers || case.text.is_some() || case.refuses.is_some()
    });
    assert!(judged && cases.len() > 40);
    let problems: Vec<String> = cases
        .iter()
        .filter_map(|case| Some(format!("{}: {}", case.name, case.problem()?)))
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
