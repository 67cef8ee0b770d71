//! What stands behind the metrics: classes one by one, certainty, and the examples that were wrong.

use std::collections::BTreeMap;

use beft_core::{Metric, Prediction, Targets};
use beft_eval::{
    Bootstrap, Calibration, ClassScores, Outcomes, class_scores, confusion, entities,
    entity_scores, interval, label_scores, predicted_labels, sigmoid, softmax,
};
use beft_train::Metrics;
use serde::{Deserialize, Serialize};

use crate::data::tag_name;
use crate::evaluate::task_metrics;

/// What stands behind the metrics of one dev split.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Details {
    /// Number of examples.
    pub examples: usize,
    /// The metrics.
    pub metrics: Metrics,
    /// The 95 % interval of each metric over 1,000 bootstrap resamples of the examples.
    pub intervals: BTreeMap<String, (f64, f64)>,
    /// What a model that always says the same reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// The classes or labels one by one; of tags the types of entities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassDetails>,
    /// Number of examples by true class (row) and predicted class (column); empty where several labels may hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confusion: Vec<Vec<usize>>,
    /// Whether probabilities mean what they say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

/// What a model reaches that always says the most frequent label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// That label.
    pub label: String,
    /// Its metrics.
    pub metrics: Metrics,
}

/// How well a class or label is predicted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassDetails {
    /// Its name.
    pub label: String,
    /// Precision, recall, F1 and number of examples.
    #[serde(flatten)]
    pub scores: ClassScores,
    /// The probability from which the label holds, where several may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f32>,
}

/// An example with what is right and what the model says.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The labels or the value that are right.
    pub truth: Vec<String>,
    /// Those that the model says.
    pub said: Vec<String>,
    /// The probability of what it says; of several labels that of the most doubtful one.
    pub probability: Option<f32>,
    /// Whether they are the same; values are neither right nor wrong.
    pub right: Option<bool>,
}

/// Resamples behind an interval.
const RESAMPLES: usize = 1000;
/// Steps of probability.
const STEPS: usize = 10;

/// What is right, and what a model says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said<'a> {
    pub(crate) targets: Option<&'a Targets>,
    pub(crate) predictions: &'a [Prediction],
    /// Names of the classes or labels; none where each example has choices of its own.
    pub(crate) names: &'a [String],
    pub(crate) thresholds: &'a [f32],
}

/// What was said beside what is right; of generated answers, which have no targets, how right each is.
pub(crate) fn outcomes(
    targets: Option<&Targets>,
    said: &[Prediction],
    thresholds: &[f32],
) -> Outcomes {
    match targets {
        Some(targets) => Outcomes::with_thresholds(targets, said, thresholds),
        None => Outcomes::of_answers(said),
    }
}

impl Said<'_> {
    /// What stands behind these metrics, whose names end in `suffix`.
    pub(crate) fn details(&self, metrics: &[Metric], suffix: &str) -> Details {
        let outcomes = outcomes(self.targets, self.predictions, self.thresholds);
        let mut details = Details {
            examples: outcomes.len(),
            metrics: task_metrics(metrics, &outcomes, suffix),
            ..Details::default()
        };
        if outcomes.is_empty() {
            return details;
        }
        for metric in metrics {
            let name = format!("{metric}{suffix}");
            if details.metrics.contains_key(&name) {
                let bootstrap = Bootstrap::new(outcomes.len(), RESAMPLES, 0);
                let values = bootstrap
                    .distribution(|chosen| outcomes.measure_some(*metric, chosen.iter().copied()));
                details.intervals.insert(name, interval(&values));
            }
        }
        match &outcomes {
            Outcomes::Classes(pairs) => {
                let (truth, said): (Vec<usize>, Vec<usize>) = pairs.iter().copied().unzip();
                let right = pairs.iter().map(|(truth, said)| truth == said);
                let certain = self.predictions.iter().map(certainty);
                details.calibration = Some(Calibration::new(certain.zip(right), STEPS));
                if !self.names.is_empty() {
                    details.confusion = confusion(&truth, &said, self.names.len());
                    details.classes = self.named(class_scores(&details.confusion));
                    let most = most_frequent(&details.classes);
                    details.baseline = most.map(|class| {
                        let same = truth.iter().map(|truth| (*truth, class)).collect();
                        self.baseline(class, &Outcomes::Classes(same), metrics, suffix)
                    });
                }
            }
            Outcomes::Labels(sets) => {
                details.classes = self.named(label_scores(sets));
                let decisions = self.decisions();
                details.calibration = Some(Calibration::new(decisions.into_iter(), STEPS));
                let most = most_frequent(&details.classes);
                details.baseline = most.map(|label| {
                    let only = (0..self.names.len())
                        .map(|l| l == label)
                        .collect::<Vec<_>>();
                    let same = sets.iter().map(|(truth, _)| (truth.clone(), only.clone()));
                    self.baseline(label, &Outcomes::Labels(same.collect()), metrics, suffix)
                });
            }
            Outcomes::Tags(_) => details.classes = self.entity_types(),
            Outcomes::Values(_) | Outcomes::Ranks(_) => {}
            Outcomes::Tokens(_) | Outcomes::Answers(_) => {}
        }
        details
    }

    fn named(&self, scores: Vec<ClassScores>) -> Vec<ClassDetails> {
        let named = self.names.iter().zip(scores).enumerate();
        let details = named.map(|(class, (label, scores))| ClassDetails {
            label: label.clone(),
            scores,
            threshold: self.thresholds.get(class).copied(),
        });
        details.collect()
    }

    /// How well the entities of each type are found.
    fn entity_types(&self) -> Vec<ClassDetails> {
        let Some(Targets::Tags(truths)) = self.targets else {
            return Vec::new();
        };
        let texts = truths.iter().zip(self.predictions);
        let texts = texts.filter_map(|(truth, said)| match said {
            Prediction::Tags { tags, .. } => {
                let right: Vec<usize> = truth.iter().flatten().copied().collect();
                Some((self.tag_names(&right), self.tag_names(tags)))
            }
            _ => None,
        });
        let details = entity_scores(texts)
            .into_iter()
            .map(|(kind, scores)| ClassDetails {
                label: kind.to_owned(),
                scores,
                threshold: None,
            });
        details.collect()
    }

    fn tag_names(&self, tags: &[usize]) -> Vec<&str> {
        tags.iter().map(|tag| tag_name(self.names, *tag)).collect()
    }

    /// The entities in the tags of words, as people read them.
    fn spoken_entities(&self, tags: &[usize], words: &[String]) -> Vec<String> {
        let named = self.tag_names(tags);
        let found = entities(&named).into_iter();
        let text = |first: usize, last: usize| match words.get(first..=last) {
            Some(words) => words.join(" "),
            None => format!("words {} to {}", first + 1, last + 1),
        };
        found
            .map(|e| spoken(&text(e.first, e.last), e.kind))
            .collect()
    }

    fn baseline(
        &self,
        class: usize,
        outcomes: &Outcomes,
        metrics: &[Metric],
        suffix: &str,
    ) -> Baseline {
        Baseline {
            label: self.names[class].clone(),
            metrics: task_metrics(metrics, outcomes, suffix),
        }
    }

    /// The probability of each decision about a label, and whether it is right.
    fn decisions(&self) -> Vec<(f64, bool)> {
        let Some(Targets::Labels(sets)) = self.targets else {
            return Vec::new();
        };
        let examples = self.predictions.iter().zip(sets);
        let decisions = examples.flat_map(|(said, truth)| {
            let scores = said.scores().into_iter().enumerate();
            scores.map(|(label, score)| {
                let holds = sigmoid(score);
                let certain = f64::from(holds.max(1.0 - holds));
                (certain, (holds >= 0.5) == truth.contains(&label))
            })
        });
        decisions.collect()
    }

    /// Each example with what is right and what the model says. `choices` are the texts that an example is a choice
    /// between, where the classes have no names, or the words that have tags.
    pub(crate) fn judge(&self, choices: impl Fn(usize) -> Vec<String>) -> Vec<Judged> {
        let truths = self.targets.map(Targets::truths).unwrap_or_default();
        let examples = self.predictions.iter().enumerate();
        let judged = examples.map(|(index, said)| {
            let own;
            let names = match self.names.is_empty() {
                true => {
                    own = choices(index);
                    &own[..]
                }
                false => self.names,
            };
            let named = |class: &usize| names.get(*class).cloned().unwrap_or_default();
            let truth = match truths.get(index) {
                Some(beft_core::Truth::Labels(labels)) => labels.clone(),
                Some(beft_core::Truth::Number(number)) => vec![*number as usize],
                None => Vec::new(),
            };
            match said {
                Prediction::Classes(scores) => {
                    let class = beft_eval::argmax(scores);
                    Judged {
                        truth: truth.iter().map(named).collect(),
                        said: vec![named(&class)],
                        probability: Some(certainty(said) as f32),
                        right: Some(truth == [class]),
                    }
                }
                Prediction::Labels(scores) => {
                    let holds = predicted_labels(scores, self.thresholds);
                    let said: Vec<usize> = (0..holds.len()).filter(|l| holds[*l]).collect();
                    let doubt = scores.iter().zip(&holds).map(|(score, holds)| match holds {
                        true => sigmoid(*score),
                        false => 1.0 - sigmoid(*score),
                    });
                    Judged {
                        probability: doubt.reduce(f32::min),
                        right: Some(truth == said),
                        truth: truth.iter().map(named).collect(),
                        said: said.iter().map(named).collect(),
                    }
                }
                Prediction::Value(value) => Judged {
                    truth: match truths.get(index) {
                        Some(beft_core::Truth::Number(number)) => vec![number.to_string()],
                        _ => Vec::new(),
                    },
                    said: vec![value.to_string()],
                    probability: None,
                    right: None,
                },
                Prediction::Rank(place) => Judged {
                    truth: vec!["1".to_owned()],
                    said: vec![place.to_string()],
                    probability: None,
                    right: Some(*place == 1),
                },
                Prediction::Tags { tags, .. } => {
                    let words = choices(index);
                    Judged {
                        right: Some(truth == *tags),
                        truth: self.spoken_entities(&truth, &words),
                        said: self.spoken_entities(tags, &words),
                        probability: None,
                    }
                }
                Prediction::Answer { text, exact, .. } => Judged {
                    truth: choices(index),
                    said: vec![text.clone()],
                    probability: None,
                    right: Some(*exact),
                },
                Prediction::Tokens(_) => Judged {
                    truth: Vec::new(),
                    said: Vec::new(),
                    probability: None,
                    right: None,
                },
            }
        });
        judged.collect()
    }
}

/// An entity as a person writes it.
pub(crate) fn spoken(text: &str, kind: &str) -> String {
    format!("{text} ({kind})")
}

/// The probability of the predicted class.
fn certainty(said: &Prediction) -> f64 {
    let probabilities = softmax(&said.scores()).into_iter();
    f64::from(probabilities.fold(0.0, f32::max))
}

/// The class with the most examples, the first of equals.
fn most_frequent(classes: &[ClassDetails]) -> Option<usize> {
    let counted = classes.iter().enumerate();
    let (most, _) =
        counted.max_by_key(|(index, c)| (c.scores.support, std::cmp::Reverse(*index)))?;
    Some(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn classes_are_judged_one_by_one() {
        let targets = Targets::Classes(vec![0, 0, 0, 1]);
        let said = [[2.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 3.0]];
        let predictions = said.map(|scores: [f32; 2]| Prediction::Classes(scores.to_vec()));
        let names = names(&["no", "yes"]);
        let said = Said {
            targets: Some(&targets),
            predictions: &predictions,
            names: &names,
            thresholds: &[],
        };
        let details = said.details(&[Metric::Accuracy], "");
        assert_eq!(details.metrics["accuracy"], 0.75);
        let (low, high) = details.intervals["accuracy"];
        assert!(low <= 0.5 && high == 1.0, "{low} {high}");
        assert_eq!(details.confusion, [[2, 1], [0, 1]]);
        assert_eq!(details.classes[1].scores.precision, 0.5);
        let baseline = details.baseline.unwrap();
        assert_eq!(
            (baseline.label.as_str(), baseline.metrics["accuracy"]),
            ("no", 0.75)
        );
        let wrong: Vec<Judged> = said.judge(|_| Vec::new());
        assert_eq!(wrong[2].right, Some(false));
        assert_eq!(
            (&wrong[2].truth, &wrong[2].said),
            (&vec!["no".to_owned()], &vec!["yes".to_owned()])
        );
        assert!((wrong[2].probability.unwrap() - 0.731_058_6).abs() < 1e-6);
    }

    #[test]
    fn labels_are_judged_at_their_thresholds() {
        let targets = Targets::Labels(vec![vec![0], vec![], vec![0, 1]]);
        let said = [[1.0, -2.0], [-1.0, -3.0], [1.0, -1.0]];
        let predictions = said.map(|scores: [f32; 2]| Prediction::Labels(scores.to_vec()));
        let names = names(&["a", "b"]);
        let said = |thresholds| Said {
            targets: Some(&targets),
            predictions: &predictions,
            names: &names,
            thresholds,
        };
        let metric = |thresholds| {
            said(thresholds)
                .details(&[Metric::SubsetAccuracy], "")
                .metrics
        };
        assert_eq!(metric(&[])["subset_accuracy"], 2.0 / 3.0);
        // The sigmoid of -1 is .27.
        assert_eq!(metric(&[0.5, 0.2])["subset_accuracy"], 1.0);
        let details = said(&[]).details(&[Metric::MicroF1], "_mm");
        assert_eq!(details.metrics["micro_f1_mm"], 0.8);
        assert_eq!(details.baseline.unwrap().label, "a");
        assert_eq!(
            details
                .calibration
                .unwrap()
                .bins
                .iter()
                .map(|b| b.count)
                .sum::<usize>(),
            6
        );
        let judged = said(&[]).judge(|_| Vec::new());
        assert_eq!((judged[1].right, judged[1].said.len()), (Some(true), 0));
        assert_eq!(judged[2].right, Some(false));
    }
}
