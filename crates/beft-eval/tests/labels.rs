//! Scores of classes and labels equal scikit-learn's.

#![allow(clippy::unwrap_used)]

use beft_core::{Metric, Prediction, Targets};
use beft_eval::{ClassScores, LabelSets, Outcomes, class_scores, confusion, label_scores};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixtures {
    classes: Vec<Classes>,
    labels: Vec<Labels>,
}

#[derive(Deserialize)]
struct Classes {
    truth: Vec<usize>,
    said: Vec<usize>,
    count: usize,
    confusion: Vec<Vec<usize>>,
    #[serde(flatten)]
    scores: Scores,
}

#[derive(Deserialize)]
struct Labels {
    truth: Vec<Vec<bool>>,
    said: Vec<Vec<bool>>,
    micro_f1: f64,
    macro_f1: f64,
    subset_accuracy: f64,
    #[serde(flatten)]
    scores: Scores,
}

#[derive(Deserialize)]
struct Scores {
    precision: Vec<f64>,
    recall: Vec<f64>,
    f1: Vec<f64>,
    support: Vec<usize>,
}

impl Scores {
    #[track_caller]
    fn assert_equal(&self, found: &[ClassScores]) {
        assert_eq!(found.len(), self.f1.len());
        for (i, found) in found.iter().enumerate() {
            for (ours, theirs) in [
                (found.precision, self.precision[i]),
                (found.recall, self.recall[i]),
                (found.f1, self.f1[i]),
            ] {
                assert!((ours - theirs).abs() < 1e-12, "{i}: {found:?}");
            }
            assert_eq!(found.support, self.support[i]);
        }
    }
}

fn fixtures() -> Fixtures {
    serde_json::from_str(include_str!("fixtures/label_metrics.json")).unwrap()
}

#[test]
fn scores_of_classes_equal_scikit_learn() {
    for case in fixtures().classes {
        let counts = confusion(&case.truth, &case.said, case.count);
        assert_eq!(counts, case.confusion);
        case.scores.assert_equal(&class_scores(&counts));
    }
}

#[test]
fn scores_of_labels_equal_scikit_learn() {
    for case in fixtures().labels {
        let sets: Vec<LabelSets> = case.truth.iter().cloned().zip(case.said.clone()).collect();
        case.scores.assert_equal(&label_scores(&sets));
        // The same from targets and logits.
        let holding = |set: &Vec<bool>| (0..set.len()).filter(|i| set[*i]).collect();
        let targets = Targets::Labels(case.truth.iter().map(holding).collect());
        let logit = |said: &bool| if *said { 0.1 } else { -0.1 };
        let said = case.said.iter();
        let said = said.map(|set| Prediction::Labels(set.iter().map(logit).collect()));
        let outcomes = Outcomes::new(&targets, &said.collect::<Vec<_>>());
        assert_eq!(outcomes, Outcomes::Labels(sets));
        for (metric, theirs) in [
            (Metric::MicroF1, case.micro_f1),
            (Metric::MacroF1, case.macro_f1),
            (Metric::SubsetAccuracy, case.subset_accuracy),
        ] {
            let ours = outcomes.measure(metric).unwrap();
            assert!(
                (ours - theirs).abs() < 1e-12,
                "{metric}: {ours} for {theirs}"
            );
        }
        assert_eq!(outcomes.measure(Metric::Accuracy), None);
    }
}
