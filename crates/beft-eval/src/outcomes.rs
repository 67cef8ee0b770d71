use beft_core::{Metric, OutputKind, Prediction, TagCounts, Targets, Truth};

use crate::{
    LabelSets, argmax, compute, compute_values, macro_label_f1, measure_tags, micro_f1, sigmoid,
    subset_accuracy,
};

/// Targets and predictions, example by example.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcomes {
    /// True and predicted class.
    Classes(Vec<(usize, usize)>),
    /// Which labels hold, and which are predicted.
    Labels(Vec<LabelSets>),
    /// True and predicted value.
    Values(Vec<(f64, f64)>),
    /// Place of the right text among all, from 1.
    Ranks(Vec<f64>),
    /// How right the tags of each text are.
    Tags(Vec<TagCounts>),
    /// Mean log probability of the tokens of each text.
    Tokens(Vec<f64>),
    /// Token F1 and exact match of each answer.
    Answers(Vec<[f64; 2]>),
}

impl Outcomes {
    /// Pairs targets with predictions of the same kind, example by example. A label is predicted whose probability is
    /// 0.5 or more.
    pub fn new(targets: &Targets, predictions: &[Prediction]) -> Self {
        Self::with_thresholds(targets, predictions, &[])
    }

    /// The same with a threshold of probability for each label; for labels without one it is 0.5.
    pub fn with_thresholds(
        targets: &Targets,
        predictions: &[Prediction],
        thresholds: &[f32],
    ) -> Self {
        let kind = match targets {
            Targets::Classes(_) => OutputKind::Classes,
            Targets::Labels(_) => OutputKind::Labels,
            Targets::Values(_) | Targets::Similarities(_) => OutputKind::Value,
            Targets::Ranked(_) => OutputKind::Rank,
            Targets::Tokens(_) => OutputKind::Tokens,
            Targets::Spans(_) => OutputKind::Answer,
            Targets::Tags(_) => OutputKind::Tags,
        };
        let scores = predictions.iter().map(Prediction::scores);
        Self::from_scores(kind, targets.truths().into_iter().zip(scores), thresholds)
    }

    /// The outcomes of answers, which are compared with the right ones already.
    pub fn of_answers(predictions: &[Prediction]) -> Self {
        let scores = predictions.iter().map(Prediction::scores);
        let right = scores.map(|scores| (Truth::Number(1.0), scores));
        Self::from_scores(OutputKind::Answer, right, &[])
    }

    /// The same from numbers: for each example what is right, and the [`scores`](Prediction::scores) of its
    /// prediction.
    pub fn from_scores(
        kind: OutputKind,
        examples: impl Iterator<Item = (Truth, Vec<f32>)>,
        thresholds: &[f32],
    ) -> Self {
        let number = |scores: &[f32], at: usize| f64::from(scores.get(at).copied().unwrap_or(0.0));
        let truth = |truth: &Truth| match truth {
            Truth::Number(number) => *number,
            Truth::Labels(_) => f64::NAN,
        };
        match kind {
            OutputKind::Classes => Self::Classes(
                examples
                    .map(|(t, s)| (truth(&t) as usize, argmax(&s)))
                    .collect(),
            ),
            OutputKind::Labels => {
                let sets = examples.map(|(truth, scores)| {
                    let mut holds = vec![false; scores.len()];
                    if let Truth::Labels(labels) = truth {
                        labels.into_iter().for_each(|label| holds[label] = true);
                    }
                    (holds, predicted_labels(&scores, thresholds))
                });
                Self::Labels(sets.collect())
            }
            OutputKind::Value => {
                Self::Values(examples.map(|(t, s)| (truth(&t), number(&s, 0))).collect())
            }
            OutputKind::Tags => {
                let count = |scores: &[f32], at| number(scores, at) as usize;
                let counts = examples.map(|(_, s)| std::array::from_fn(|at| count(&s, at)));
                Self::Tags(counts.map(TagCounts::from_numbers).collect())
            }
            OutputKind::Rank => Self::Ranks(examples.map(|(_, s)| number(&s, 0)).collect()),
            OutputKind::Tokens => Self::Tokens(examples.map(|(_, s)| number(&s, 0)).collect()),
            OutputKind::Answer => Self::Answers(
                examples
                    .map(|(_, s)| [0, 1].map(|at| number(&s, at)))
                    .collect(),
            ),
        }
    }

    /// Number of examples.
    pub fn len(&self) -> usize {
        match self {
            Self::Classes(pairs) => pairs.len(),
            Self::Labels(pairs) => pairs.len(),
            Self::Values(pairs) => pairs.len(),
            Self::Ranks(places) => places.len(),
            Self::Tags(counts) => counts.len(),
            Self::Tokens(values) => values.len(),
            Self::Answers(scores) => scores.len(),
        }
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A metric over all examples; `None` if it is undefined or does not suit the kind of output.
    pub fn measure(&self, metric: Metric) -> Option<f64> {
        self.measure_some(metric, 0..self.len())
    }

    /// A metric over the examples `chosen`, which may repeat.
    pub fn measure_some(
        &self,
        metric: Metric,
        chosen: impl ExactSizeIterator<Item = usize>,
    ) -> Option<f64> {
        let count = chosen.len().max(1) as f64;
        match self {
            Self::Classes(pairs) => {
                let (t, p): (Vec<usize>, Vec<usize>) = chosen.map(|i| pairs[i]).unzip();
                compute(metric, &t, &p)
            }
            Self::Labels(pairs) => {
                let chosen = chosen.map(|i| &pairs[i]);
                match metric {
                    Metric::MicroF1 => Some(micro_f1(chosen)),
                    Metric::MacroF1 => Some(macro_label_f1(chosen)),
                    Metric::SubsetAccuracy => Some(subset_accuracy(chosen)),
                    Metric::Accuracy | Metric::F1 | Metric::Matthews => None,
                    Metric::Pearson | Metric::Spearman | Metric::ReciprocalRank => None,
                    Metric::Precision | Metric::Recall => None,
                    Metric::EntityF1 | Metric::TokenAccuracy => None,
                    Metric::TokenF1 | Metric::ExactMatch | Metric::LogLikelihood => None,
                }
            }
            Self::Values(pairs) => {
                let (t, p): (Vec<f64>, Vec<f64>) = chosen.map(|i| pairs[i]).unzip();
                compute_values(metric, &t, &p)
            }
            Self::Ranks(places) => {
                let worth = |place: f64| match metric {
                    Metric::Accuracy => f64::from(u8::from(place == 1.0)),
                    _ => 1.0 / place,
                };
                let known = metric.measures(OutputKind::Rank);
                let sum: f64 = chosen.map(|i| worth(places[i])).sum();
                known.then_some(sum / count)
            }
            Self::Tags(counts) => measure_tags(metric, chosen.map(|i| counts[i]).sum()),
            Self::Tokens(values) => {
                let sum: f64 = chosen.map(|i| values[i]).sum();
                (metric == Metric::LogLikelihood).then_some(sum / count)
            }
            Self::Answers(scores) => {
                let column = usize::from(metric == Metric::ExactMatch);
                let known = metric.measures(OutputKind::Answer);
                let sum: f64 = chosen.map(|i| scores[i][column]).sum();
                known.then_some(sum / count)
            }
        }
    }
}

/// Whether each label is predicted that has these scores.
pub fn predicted_labels(scores: &[f32], thresholds: &[f32]) -> Vec<bool> {
    let thresholds = thresholds.iter().copied().chain(std::iter::repeat(0.5));
    let scores = scores.iter().zip(thresholds);
    scores
        .map(|(score, threshold)| sigmoid(*score) >= threshold)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_measured_by_its_metrics() {
        let classes = Outcomes::new(
            &Targets::Classes(vec![0, 1]),
            &[[1.0, 0.0], [0.5, 0.1]].map(|scores| Prediction::Classes(scores.to_vec())),
        );
        assert_eq!(classes.measure(Metric::Accuracy), Some(0.5));
        assert_eq!(
            classes.measure_some(Metric::Accuracy, [0, 0].into_iter()),
            Some(1.0)
        );
        assert_eq!(classes.measure(Metric::TokenF1), None);
        let values = [1.0, 3.0].map(Prediction::Value);
        let values = Outcomes::new(&Targets::Values(vec![1.0, 2.0]), &values);
        let spearman = values.measure(Metric::Spearman).unwrap();
        assert!((spearman - 1.0).abs() < 1e-9);
        let tokens = Outcomes::new(&Targets::Tokens(vec![3]), &[Prediction::Tokens(-2.0)]);
        assert_eq!(tokens.measure(Metric::LogLikelihood), Some(-2.0));
        let answer = |token_f1, exact| Prediction::Answer {
            text: String::new(),
            token_f1,
            exact,
        };
        let answers = Outcomes::of_answers(&[answer(0.5, false), answer(1.0, true)]);
        assert_eq!(answers.measure(Metric::TokenF1), Some(0.75));
        assert_eq!(answers.measure(Metric::ExactMatch), Some(0.5));
        assert_eq!(answers.measure(Metric::Accuracy), None);
    }
}
