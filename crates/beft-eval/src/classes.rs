//! How well each class or label is predicted.

use serde::{Deserialize, Serialize};

use crate::metrics::ratio;

/// How well one class is predicted, as scikit-learn's `precision_recall_fscore_support` has it: a share of nothing
/// is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// Share of the predictions of the class that are right.
    pub precision: f64,
    /// Share of the examples of the class that are found.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
    /// Number of examples of the class.
    pub support: usize,
    /// Number of predictions of the class.
    pub predicted: usize,
}

impl ClassScores {
    pub(crate) fn of(right: usize, support: usize, predicted: usize) -> Self {
        Self {
            precision: ratio(right, predicted),
            recall: ratio(right, support),
            f1: ratio(2 * right, support + predicted),
            support,
            predicted,
        }
    }
}

/// Counts examples by true class (row) and predicted class (column).
///
/// # Panics
///
/// When a class is not below `classes`, or the two slices differ in length.
pub fn confusion(labels: &[usize], predictions: &[usize], classes: usize) -> Vec<Vec<usize>> {
    assert_eq!(
        labels.len(),
        predictions.len(),
        "one prediction for each label"
    );
    let mut counts = vec![vec![0; classes]; classes];
    for (label, prediction) in labels.iter().zip(predictions) {
        counts[*label][*prediction] += 1;
    }
    counts
}

/// The scores of each class of a [`confusion`] matrix.
pub fn class_scores(confusion: &[Vec<usize>]) -> Vec<ClassScores> {
    let classes = confusion.iter().enumerate();
    let scores = classes.map(|(class, row)| {
        let predicted = confusion.iter().map(|row| row[class]).sum();
        ClassScores::of(row[class], row.iter().sum(), predicted)
    });
    scores.collect()
}

/// The labels that hold for an example and those that are predicted: whether each does.
pub type LabelSets = (Vec<bool>, Vec<bool>);

/// The scores of each label where several may hold.
pub fn label_scores(examples: &[LabelSets]) -> Vec<ClassScores> {
    let labels = examples.first().map_or(0, |(truth, _)| truth.len());
    let scores = (0..labels).map(|label| {
        let count = |holds: fn(bool, bool) -> bool| {
            let pairs = examples.iter();
            pairs
                .filter(|(truth, said)| holds(truth[label], said[label]))
                .count()
        };
        ClassScores::of(count(|t, s| t && s), count(|t, _| t), count(|_, s| s))
    });
    scores.collect()
}

/// F1 over the decisions about all labels together; 0 where no label holds or is predicted.
pub fn micro_f1<'a>(examples: impl Iterator<Item = &'a LabelSets>) -> f64 {
    let (mut right, mut all) = (0, 0);
    for (truth, said) in examples {
        for (truth, said) in truth.iter().zip(said) {
            right += usize::from(*truth && *said);
            all += usize::from(*truth) + usize::from(*said);
        }
    }
    ratio(2 * right, all)
}

/// Mean of the F1 of all labels; 0 for a label that neither holds nor is predicted anywhere.
pub fn macro_label_f1<'a>(examples: impl Iterator<Item = &'a LabelSets>) -> f64 {
    let mut counts: Vec<[usize; 2]> = Vec::new();
    for (truth, said) in examples {
        counts.resize(truth.len(), [0, 0]);
        for (count, (truth, said)) in counts.iter_mut().zip(truth.iter().zip(said)) {
            count[0] += usize::from(*truth && *said);
            count[1] += usize::from(*truth) + usize::from(*said);
        }
    }
    let f1 = counts.iter().map(|[right, all]| ratio(2 * right, *all));
    let sum: f64 = f1.sum();
    sum / counts.len().max(1) as f64
}

/// Share of examples of which every label is right; 0 without any.
pub fn subset_accuracy<'a>(examples: impl Iterator<Item = &'a LabelSets>) -> f64 {
    let (mut right, mut all) = (0, 0);
    for (truth, said) in examples {
        right += usize::from(truth == said);
        all += 1;
    }
    ratio(right, all)
}

/// The threshold above which a label's probability should count as yes, for the highest F1 on these examples; of
/// equals the one nearest to 0.5, which it is too where the label never holds.
///
/// # Panics
///
/// When the two slices differ in length.
pub fn best_threshold(holds: &[bool], probabilities: &[f32]) -> f32 {
    assert_eq!(
        holds.len(),
        probabilities.len(),
        "one probability for each example"
    );
    let support = holds.iter().filter(|holds| **holds).count();
    let mut order: Vec<usize> = (0..holds.len()).collect();
    order.sort_by(|a, b| probabilities[*b].total_cmp(&probabilities[*a]));
    let from_half = |threshold: f32| (threshold - 0.5).abs();
    let at_half = |index: &&usize| probabilities[**index] >= 0.5;
    let above = order.iter().take_while(at_half);
    let right = above.clone().filter(|index| holds[**index]).count();
    let mut best = (ClassScores::of(right, support, above.count()).f1, 0.5);
    let mut right = 0;
    for (count, index) in (1..).zip(&order) {
        right += usize::from(holds[*index]);
        let (own, next) = (
            probabilities[*index],
            order.get(count).map(|i| probabilities[*i]),
        );
        // Equal probabilities cannot be told apart.
        if next == Some(own) {
            continue;
        }
        let threshold = (own + next.unwrap_or(0.0)) / 2.0;
        let f1 = ClassScores::of(right, support, count).f1;
        if f1 > best.0 || (f1 == best.0 && from_half(threshold) < from_half(best.1)) {
            best = (f1, threshold);
        }
    }
    match support {
        0 => 0.5,
        _ => best.1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_the_best_for_f1() {
        let holds = [true, true, false, true, false];
        // Above .3: three of three right, one too many.
        let chosen = best_threshold(&holds, &[0.9, 0.4, 0.35, 0.3, 0.1]);
        assert!((chosen - 0.2).abs() < 1e-6, "{chosen}");
        // Every threshold between .6 and .2 is as good: the middle is taken.
        let chosen = best_threshold(&[true, false], &[0.6, 0.2]);
        assert_eq!(chosen, 0.5);
        assert_eq!(best_threshold(&[false, false], &[0.9, 0.1]), 0.5);
        // Equal probabilities stay together.
        let chosen = best_threshold(&[true, false, true], &[0.3, 0.3, 0.3]);
        assert!((chosen - 0.15).abs() < 1e-6);
    }
}
