//! The files and tables of a comparison and of a sweep, against what was recorded.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use beft_compare::{Group, TrialResult, csv, report, summarize, summarize_sweep, sweep_report};

fn recorded(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded");
    fs::read_to_string(folder.join(name)).unwrap()
}

fn results(name: &str) -> Vec<TrialResult> {
    serde_json::from_str(&recorded(name)).unwrap()
}

#[test]
fn a_comparison() {
    let mut groups = summarize(results("compare.json")).unwrap();
    // A name that has to be quoted.
    groups[0].model = "tiny, \"random\"".to_owned();
    check("compare.md", report(&groups).to_markdown());
    check("compare.csv", csv(&groups));
}

#[test]
fn a_sweep() {
    let sweeps = summarize_sweep(results("sweep.json")).unwrap();
    check("sweep.md", sweep_report(&sweeps).to_markdown());
    let rates = sweeps.iter().flat_map(|sweep| &sweep.rates);
    let groups: Vec<Group> = rates.map(|(_, group)| group.clone()).collect();
    check("sweep.csv", csv(&groups));
}

fn check(name: &str, text: String) {
    assert_eq!(text, recorded(name), "{name}");
}
