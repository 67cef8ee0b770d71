//! Scores of entities equal seqeval's: `xtask/python/entity_metric_cases.py`.

#![allow(clippy::unwrap_used)]

use beft_core::{Metric, Prediction, TagCounts, Targets};
use beft_eval::{Outcomes, entities, entity_scores, tag_counts};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    scheme: String,
    truth: Vec<Vec<String>>,
    said: Vec<Vec<String>>,
    /// Type, first and last word.
    entities: Vec<Vec<(String, usize, usize)>>,
    precision: f64,
    recall: f64,
    entity_f1: f64,
    token_accuracy: f64,
    types: Vec<Type>,
}

#[derive(Deserialize)]
struct Type {
    #[serde(rename = "type")]
    kind: String,
    precision: f64,
    recall: f64,
    f1: f64,
    support: usize,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("fixtures/entity_metrics.json")).unwrap()
}

fn plain(tags: &[String]) -> Vec<&str> {
    tags.iter().map(String::as_str).collect()
}

#[track_caller]
fn assert_close(what: &str, ours: f64, theirs: f64) {
    assert!((ours - theirs).abs() < 1e-12, "{what}: {ours} for {theirs}");
}

#[test]
fn entities_are_those_of_seqeval() {
    let cases = cases();
    assert_eq!(cases.len(), 12);
    for case in cases {
        for (tags, theirs) in case.truth.iter().zip(&case.entities) {
            let tags = plain(tags);
            let found = entities(&tags);
            let found = found.iter().map(|e| (e.kind.to_owned(), e.first, e.last));
            assert!(found.eq(theirs.iter().cloned()), "{tags:?}");
        }
    }
}

#[test]
fn scores_equal_seqeval() {
    for case in cases() {
        let texts = || case.truth.iter().zip(&case.said);
        let counts: Vec<TagCounts> = texts()
            .map(|(truth, said)| tag_counts(&plain(truth), &plain(said)))
            .collect();
        // Through the numbers that journals keep.
        let said = counts.iter().map(|counts| Prediction::Tags {
            tags: Vec::new(),
            counts: *counts,
        });
        let targets = Targets::Tags(vec![Vec::new(); counts.len()]);
        let outcomes = Outcomes::new(&targets, &said.collect::<Vec<_>>());
        assert_eq!(outcomes, Outcomes::Tags(counts));
        for (metric, theirs) in [
            (Metric::Precision, case.precision),
            (Metric::Recall, case.recall),
            (Metric::EntityF1, case.entity_f1),
            (Metric::TokenAccuracy, case.token_accuracy),
        ] {
            let ours = outcomes.measure(metric).unwrap();
            assert_close(&format!("{}: {metric}", case.scheme), ours, theirs);
        }
        assert_eq!(outcomes.measure(Metric::Accuracy), None);

        let found = entity_scores(texts().map(|(t, s)| (plain(t), plain(s))));
        assert_eq!(found.len(), case.types.len(), "{}", case.scheme);
        for ((kind, scores), theirs) in found.into_iter().zip(&case.types) {
            assert_eq!(
                (kind, scores.support),
                (theirs.kind.as_str(), theirs.support)
            );
            for (ours, theirs) in [
                (scores.precision, theirs.precision),
                (scores.recall, theirs.recall),
                (scores.f1, theirs.f1),
            ] {
                assert_close(&format!("{}: {kind}", case.scheme), ours, theirs);
            }
        }
    }
}

#[test]
fn a_share_of_nothing_is_nothing() {
    let none = Outcomes::Tags(vec![tag_counts(&["O"], &["O"])]);
    assert_eq!(none.measure(Metric::EntityF1), Some(0.0));
    assert_eq!(none.measure(Metric::TokenAccuracy), Some(1.0));
    assert!(entities(&[]).is_empty());
}
