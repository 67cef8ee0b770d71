//! Answer metrics against the reference in Python: `xtask/python/text_metric_cases.py`.

#![allow(clippy::unwrap_used)]

use beft_eval::{exact_match, normalize_answer, token_f1};
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
    let mean = |score: &dyn Fn(&Case) -> f64| {
        fixture.cases.iter().map(score).sum::<f64>() / fixture.cases.len() as f64
    };
    let exact = mean(&|case| f64::from(u8::from(exact_match(&case.prediction, &case.golds))));
    assert_eq!(exact, fixture.exact_match);
    let f1 = mean(&|case| token_f1(&case.prediction, &case.golds));
    assert!((f1 - fixture.token_f1).abs() < 1e-12);
}

#[test]
fn nothing_to_compare_with() {
    let none: &[String] = &[];
    assert!(!exact_match("x", none));
    assert_eq!(token_f1("x", none), 0.0);
}
