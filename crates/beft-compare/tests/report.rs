//! The files and tables of a comparison and of a sweep, against what was recorded.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use beft_compare::{Group, TrialResult, csv, report, summarize, summarize_sweep, sweep_report};
use beft_core::BiasTerm;

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
fn ties_are_counted_and_shown() {
    let mut group = summarize(results("compare.json")).unwrap().remove(0);
    group.tied = [(1, vec![BiasTerm::Q, BiasTerm::V])].into();
    let picks = group.picks.iter_mut().find(|p| p.scorer == "beft").unwrap();
    (picks.right, picks.decided) = (1, 1);
    let text = report(std::slice::from_ref(&group)).to_markdown();
    for part in [
        "| beft | v q | 1 of 1 |",
        "there is 1 tie (sst2 low seed 1: q = v)",
        "q 0.500 = v 0.500",
        "| `q` - `v` | = | 0 to 0 |",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let rows = csv(&[group]);
    let tied = rows.lines().filter(|row| row.ends_with(",true"));
    let tied: Vec<&str> = tied.collect();
    assert_eq!(tied.len(), 2);
    assert!(tied.iter().all(|row| row.contains(",0.1,1,194,accuracy,")));
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
