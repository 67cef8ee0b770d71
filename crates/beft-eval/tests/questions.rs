//! Answers are chosen as transformers chooses them, and measured as SQuAD's scripts measure them.

#![allow(clippy::unwrap_used)]

use beft_core::Answerable;
use beft_eval::{
    WindowScores, best_no_answer_threshold, best_span, exact_match_or_none, token_f1_or_none,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixtures {
    spans: Vec<Span>,
    texts: Vec<Text>,
    thresholds: Vec<Threshold>,
}

#[derive(Deserialize)]
struct Span {
    windows: Vec<Window>,
    no_answer: bool,
    span: Option<(usize, usize)>,
    probability: Option<f32>,
    difference: Option<f32>,
}

#[derive(Deserialize)]
struct Window {
    offsets: Vec<Option<(usize, usize)>>,
    starts: Vec<f32>,
    ends: Vec<f32>,
}

#[derive(Deserialize)]
struct Text {
    golds: Vec<String>,
    said: String,
    exact: usize,
    f1: f64,
}

#[derive(Deserialize)]
struct Threshold {
    scores: Vec<f64>,
    differences: Vec<f32>,
    answerable: Vec<bool>,
    said: Vec<bool>,
    threshold: f32,
}

fn fixtures() -> Fixtures {
    serde_json::from_str(include_str!("fixtures/questions.json")).unwrap()
}

#[test]
fn the_best_span_is_that_of_transformers() {
    let (mut found, mut none) = (0, 0);
    for case in fixtures().spans {
        let scores = case.windows.iter().map(|window| {
            let scores = window.starts.iter().zip(&window.ends);
            scores.map(|(start, end)| [*start, *end]).collect()
        });
        let scores: Vec<Vec<[f32; 2]>> = scores.collect();
        let windows = case.windows.iter().zip(&scores);
        let windows = windows.map(|(window, scores)| WindowScores {
            offsets: &window.offsets,
            scores,
        });
        let answerable = match case.no_answer {
            true => Answerable::Sometimes,
            false => Answerable::Always,
        };
        let choice = best_span(&windows.collect::<Vec<_>>(), answerable);
        match (choice.no_answer, case.difference) {
            (Some(a), Some(b)) => assert!((a - b).abs() < 1e-5, "{a} {b}"),
            (a, b) => assert_eq!(a, b),
        }
        // transformers says here whether it answers at all.
        if choice.no_answer.is_some_and(|difference| difference > 0.0) || case.span.is_none() {
            assert_eq!(case.span, None);
            none += 1;
            continue;
        }
        assert_eq!(choice.span, case.span);
        let expected = case.probability.unwrap();
        assert!(
            (choice.probability - expected).abs() < 1e-6,
            "{choice:?} {expected}"
        );
        found += 1;
    }
    assert!(found > 15 && none >= 3, "{found} {none}");
}

#[test]
fn answers_are_measured_as_squad_2_does() {
    for case in fixtures().texts {
        let exact = exact_match_or_none(&case.said, &case.golds);
        assert_eq!(
            usize::from(exact),
            case.exact,
            "{} {:?}",
            case.said,
            case.golds
        );
        let f1 = token_f1_or_none(&case.said, &case.golds);
        assert!(
            (f1 - case.f1).abs() < 1e-9,
            "{} {:?}: {f1}",
            case.said,
            case.golds
        );
    }
}

#[test]
fn the_threshold_is_that_of_squad_2() {
    for case in fixtures().thresholds {
        let gain = |index: usize| match (case.answerable[index], case.said[index]) {
            (true, _) => case.scores[index],
            (false, true) => -1.0,
            (false, false) => 0.0,
        };
        let gains: Vec<f64> = (0..case.scores.len()).map(gain).collect();
        let found = best_no_answer_threshold(&case.differences, &gains);
        // The script's 0 stands for never to answer too; here that is below every difference.
        let least = case.differences.iter().copied().fold(f32::MAX, f32::min);
        match case.threshold == 0.0 {
            true => assert!(found < least),
            false => assert_eq!(found, case.threshold),
        }
    }
}

#[test]
fn no_question_is_answered_where_that_is_best() {
    let differences = [-3.0, -1.0, 2.0];
    let found = best_no_answer_threshold(&differences, &[-1.0, 1.0, -1.0]);
    assert!(found < -3.0);
    // What is equally sure is answered together.
    let found = best_no_answer_threshold(&[1.0, 1.0, 4.0], &[1.0, -1.0, -1.0]);
    assert!(found < 1.0);
}
