//! Answer metrics against the reference in Python: `xtask/python/text_metric_cases.py`.

#![allow(clippy::unwrap_used)]

use beft_eval::{TextScores, exact_match, normalize_answer, text_scores, token_f1};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
    exact_match: f64,
    token_f1: f64,
}

#[derive(Deserialize)]
struct Case {
    prediction: String,
    golds: Vec<String>,
    normalized: String,
    exact_match: bool,
    token_f1: f64,
}

#[test]
fn answers_score_as_in_the_reference() {
    let fixture: Fixture =
        serde_json::from_str(include_str!("fixtures/text_metrics.json")).unwrap();
    for case in &fixture.cases {
        let Case {
            prediction, golds, ..
        } = case;
        assert_eq!(
            normalize_answer(prediction),
            case.normalized,
            "{prediction:?}"
        );
        assert_eq!(
            exact_match(prediction, golds),
            case.exact_match,
            "{prediction:?}"
        );
        assert_eq!(token_f1(prediction, golds), case.token_f1, "{prediction:?}");
    }
    let answers = fixture.cases.iter();
    let answers = answers.map(|case| (case.prediction.as_str(), case.golds.as_slice()));
    let scores = text_scores(answers).unwrap();
    assert_eq!(scores.exact_match, fixture.exact_match);
    assert!((scores.token_f1 - fixture.token_f1).abs() < 1e-12);
}

#[test]
fn nothing_to_score() {
    assert_eq!(text_scores::<String>([]), None);
    let none: &[String] = &[];
    let scores = TextScores {
        exact_match: 0.0,
        token_f1: 0.0,
    };
    assert_eq!(text_scores([("x", none)]), Some(scores));
}
