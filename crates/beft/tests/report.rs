//! The report of a run, against what was recorded.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use beft::{RunResults, report};

fn recorded(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded");
    fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn a_run() {
    let results: RunResults = serde_json::from_str(&recorded("results.json")).unwrap();
    let text = report(&results, &results.to_ranking()).to_markdown();
    assert_eq!(text, recorded("report.md"));
}
