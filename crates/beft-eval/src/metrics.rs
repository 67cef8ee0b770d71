use std::cmp::Ordering;

use beft_core::Metric;

/// Any metric of class predictions, without unit. For the correlations, the class indices are the
/// values.
///
/// `None` where the metric is undefined: without any example, [`Metric::F1`] with a class other
/// than 0 and 1, a correlation of a constant (see [`pearson`]).
///
/// # Panics
///
/// When the two slices differ in length.
pub fn compute(metric: Metric, labels: &[usize], predictions: &[usize]) -> Option<f64> {
    check_lengths(labels.len(), predictions.len());
    if labels.is_empty() {
        return None;
    }
    let values = |classes: &[usize]| classes.iter().map(|c| *c as f64).collect::<Vec<_>>();
    match metric {
        Metric::Accuracy => Some(accuracy(labels, predictions)),
        Metric::F1 => {
            let binary = labels.iter().chain(predictions).all(|class| *class <= 1);
            binary.then(|| f1(labels, predictions))
        }
        Metric::MacroF1 => Some(macro_f1(labels, predictions)),
        Metric::Matthews => Some(matthews(labels, predictions)),
        Metric::Pearson => pearson(&values(labels), &values(predictions)),
        Metric::Spearman => spearman(&values(labels), &values(predictions)),
        // Of several labels, or of texts, scored one by one.
        Metric::MicroF1 | Metric::SubsetAccuracy => None,
        Metric::Precision | Metric::Recall | Metric::EntityF1 | Metric::TokenAccuracy => None,
        Metric::TokenF1 | Metric::ExactMatch => None,
        Metric::LogLikelihood | Metric::ReciprocalRank => None,
    }
}

/// A correlation of predicted with true values; `None` for any other metric, and where it is
/// undefined (see [`pearson`]).
///
/// # Panics
///
/// When the two slices differ in length.
pub fn compute_values(metric: Metric, values: &[f64], predictions: &[f64]) -> Option<f64> {
    check_lengths(values.len(), predictions.len());
    match metric {
        Metric::Pearson => pearson(values, predictions),
        Metric::Spearman => spearman(values, predictions),
        Metric::Accuracy | Metric::F1 | Metric::MacroF1 | Metric::Matthews => None,
        Metric::MicroF1 | Metric::SubsetAccuracy => None,
        Metric::Precision | Metric::Recall | Metric::EntityF1 | Metric::TokenAccuracy => None,
        Metric::TokenF1 | Metric::ExactMatch => None,
        Metric::LogLikelihood | Metric::ReciprocalRank => None,
    }
}

/// Share of predictions that equal the label, 0 to 1; 0 without any example.
///
/// # Panics
///
/// When the two slices differ in length.
pub fn accuracy(labels: &[usize], predictions: &[usize]) -> f64 {
    check_lengths(labels.len(), predictions.len());
    let right = labels.iter().zip(predictions).filter(|(l, p)| l == p);
    ratio(right.count(), labels.len())
}

/// F1 of class 1: `2 TP / (2 TP + FP + FN)`, 0 to 1; 0 when class 1 occurs neither as a label nor
/// as a prediction. All other classes count as not 1.
///
/// # Panics
///
/// When the two slices differ in length.
pub fn f1(labels: &[usize], predictions: &[usize]) -> f64 {
    let counts = Counts::of(labels, predictions);
    counts.classes.get(1).map_or(0.0, class_f1)
}

/// Mean of the F1 (see [`f1`]) of every class that occurs as a label or as a prediction, 0 to 1; 0
/// without any example.
///
/// # Panics
///
/// When the two slices differ in length.
pub fn macro_f1(labels: &[usize], predictions: &[usize]) -> f64 {
    let counts = Counts::of(labels, predictions);
    let occurring: Vec<f64> = counts
        .classes
        .iter()
        .filter(|c| c.label + c.predicted > 0)
        .map(class_f1)
        .collect();
    // Without examples no class occurs.
    occurring.iter().sum::<f64>() / occurring.len().max(1) as f64
}

/// Matthews correlation coefficient for any number of classes (Gorodkin's R_K), -1 to 1:
///
/// ```text
/// (s c - sum_k t_k p_k) / sqrt((s^2 - sum_k t_k^2) (s^2 - sum_k p_k^2))
/// ```
///
/// with s examples, c predicted right, t_k labels and p_k predictions of class k. 0 when all labels
/// or all predictions are of one class.
///
/// # Panics
///
/// When the two slices differ in length.
pub fn matthews(labels: &[usize], predictions: &[usize]) -> f64 {
    let counts = Counts::of(labels, predictions);
    let total = labels.len() as f64;
    let right: usize = counts.classes.iter().map(|c| c.right).sum();
    let products = |a: fn(&ClassCount) -> usize, b: fn(&ClassCount) -> usize| {
        let terms = counts.classes.iter().map(|c| a(c) as f64 * b(c) as f64);
        terms.sum::<f64>()
    };
    // Whole numbers, exact in f64 up to 94 million examples.
    let both = total * right as f64 - products(|c| c.label, |c| c.predicted);
    let label_spread = total * total - products(|c| c.label, |c| c.label);
    let predicted_spread = total * total - products(|c| c.predicted, |c| c.predicted);
    if label_spread == 0.0 || predicted_spread == 0.0 {
        return 0.0;
    }
    both / (label_spread.sqrt() * predicted_spread.sqrt())
}

/// Pearson's correlation of two series, -1 to 1.
///
/// `None` where it is undefined: fewer than two values, a constant series, or a value that is not
/// finite.
///
/// # Panics
///
/// When the two slices differ in length.
pub fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    check_lengths(x.len(), y.len());
    let (x, y) = (standardised(x)?, standardised(y)?);
    let product: f64 = x.iter().zip(&y).map(|(a, b)| a * b).sum();
    Some(product.clamp(-1.0, 1.0))
}

/// Spearman's rank correlation of two series, -1 to 1: Pearson's correlation of their ranks, where
/// equal values (0.0 and -0.0 are equal) share the mean of their ranks.
///
/// `None` where it is undefined: fewer than two values, a constant series, or a NaN.
///
/// # Panics
///
/// When the two slices differ in length.
pub fn spearman(x: &[f64], y: &[f64]) -> Option<f64> {
    check_lengths(x.len(), y.len());
    pearson(&ranks(x)?, &ranks(y)?)
}

fn check_lengths(labels: usize, predictions: usize) {
    assert_eq!(
        labels, predictions,
        "a metric needs one prediction for each label"
    );
}

/// `part / whole`, and 0 for 0/0.
pub(crate) fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// What the class metrics need of a confusion matrix.
struct Counts {
    /// By class index.
    classes: Vec<ClassCount>,
}

#[derive(Clone, Default)]
struct ClassCount {
    /// Examples with this label.
    label: usize,
    /// Examples with this prediction.
    predicted: usize,
    /// Examples with both.
    right: usize,
}

impl Counts {
    fn of(labels: &[usize], predictions: &[usize]) -> Self {
        check_lengths(labels.len(), predictions.len());
        let size = labels.iter().chain(predictions).max().map_or(0, |m| m + 1);
        let mut classes = vec![ClassCount::default(); size];
        for (&label, &prediction) in labels.iter().zip(predictions) {
            classes[label].label += 1;
            classes[prediction].predicted += 1;
            classes[label].right += usize::from(label == prediction);
        }
        Self { classes }
    }
}

fn class_f1(class: &ClassCount) -> f64 {
    ratio(2 * class.right, class.label + class.predicted)
}

/// The series less its mean, scaled to length 1.
fn standardised(x: &[f64]) -> Option<Vec<f64>> {
    // Compared value by value: the mean of equal values may differ from them by rounding.
    if x.iter().all(|v| *v == x[0]) {
        return None;
    }
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let mut centred: Vec<f64> = x.iter().map(|v| v - mean).collect();
    // By the largest value first, so that no square overflows or vanishes.
    let largest = centred.iter().fold(0.0, |a: f64, v| a.max(v.abs()));
    centred.iter_mut().for_each(|v| *v /= largest);
    let length = centred.iter().map(|v| v * v).sum::<f64>().sqrt();
    centred.iter_mut().for_each(|v| *v /= length);
    centred.iter().all(|v| v.is_finite()).then_some(centred)
}

/// Ranks from 1, equal values sharing the mean of theirs; `None` with a NaN.
pub fn ranks(x: &[f64]) -> Option<Vec<f64>> {
    if x.iter().any(|v| v.is_nan()) {
        return None;
    }
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_by(|&a, &b| x[a].partial_cmp(&x[b]).unwrap_or(Ordering::Equal));
    let mut ranks = vec![0.0; x.len()];
    let mut below = 0;
    for tied in order.chunk_by(|&a, &b| x[a] == x[b]) {
        let mean = below as f64 + (tied.len() + 1) as f64 / 2.0;
        tied.iter().for_each(|&index| ranks[index] = mean);
        below += tied.len();
    }
    Some(ranks)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// Written by scikit-learn and scipy.
    #[derive(Deserialize)]
    struct Fixtures {
        classification: Vec<ClassCase>,
        correlation: Vec<CorrelationCase>,
    }

    #[derive(Debug, Deserialize)]
    struct ClassCase {
        labels: Vec<usize>,
        predictions: Vec<usize>,
        accuracy: f64,
        f1_binary: Option<f64>,
        f1_macro: f64,
        mcc: f64,
    }

    #[derive(Debug, Deserialize)]
    struct CorrelationCase {
        x: Vec<f64>,
        y: Vec<f64>,
        pearson: Option<f64>,
        spearman: Option<f64>,
    }

    fn fixtures() -> Fixtures {
        serde_json::from_str(include_str!("../tests/fixtures/metrics.json")).unwrap()
    }

    #[track_caller]
    fn assert_close(what: &str, ours: Option<f64>, theirs: Option<f64>) {
        match (ours, theirs) {
            (Some(a), Some(b)) => assert!((a - b).abs() < 1e-12, "{what}: {a} for {b}"),
            _ => assert_eq!(ours, theirs, "{what}"),
        }
    }

    #[test]
    fn class_metrics_equal_scikit_learn() {
        let cases = fixtures().classification;
        assert!(!cases.is_empty());
        for case in cases {
            for (metric, theirs) in [
                (Metric::Accuracy, Some(case.accuracy)),
                (Metric::F1, case.f1_binary),
                (Metric::MacroF1, Some(case.f1_macro)),
                (Metric::Matthews, Some(case.mcc)),
            ] {
                let ours = compute(metric, &case.labels, &case.predictions);
                assert_close(&format!("{metric} of {case:?}"), ours, theirs);
            }
        }
    }

    #[test]
    fn correlations_equal_scipy() {
        let cases = fixtures().correlation;
        assert!(!cases.is_empty());
        for case in cases {
            let what = format!("{case:?}");
            assert_close(&what, pearson(&case.x, &case.y), case.pearson);
            assert_close(&what, spearman(&case.x, &case.y), case.spearman);
            assert_close(&what, spearman(&case.y, &case.x), case.spearman);
        }
    }

    #[test]
    fn correlations_of_classes_take_the_indices_as_values() {
        let (labels, predictions) = ([0, 1, 2, 2], [0, 2, 2, 4]);
        let expected = pearson(&[0.0, 1.0, 2.0, 2.0], &[0.0, 2.0, 2.0, 4.0]);
        assert!(expected.is_some());
        assert_eq!(compute(Metric::Pearson, &labels, &predictions), expected);
        // Ranks 1, 2, 3.5, 3.5 and 1, 2.5, 2.5, 4: 3.75 / 4.5.
        let ranked = compute(Metric::Spearman, &labels, &predictions);
        assert_close("spearman", ranked, Some(3.75 / 4.5));
        assert_eq!(compute(Metric::Pearson, &[1, 1], &[0, 1]), None);
    }

    #[test]
    fn undefined_without_examples() {
        for metric in [
            Metric::Accuracy,
            Metric::F1,
            Metric::MacroF1,
            Metric::Matthews,
            Metric::Pearson,
            Metric::Spearman,
        ] {
            assert_eq!(compute(metric, &[], &[]), None);
        }
        for metric in [accuracy, f1, macro_f1, matthews] {
            assert_eq!(metric(&[], &[]), 0.0);
        }
        assert_eq!(pearson(&[1.0], &[2.0]), None);
        assert_eq!(spearman(&[1.0], &[2.0]), None);
    }

    #[test]
    fn correlations_survive_extreme_values() {
        let x = [1e-300, 2e-300, 4e-300];
        let y = [1e300, 2e300, 4e300];
        assert_close("pearson", pearson(&x, &y), Some(1.0));
        for bad in [f64::NAN, f64::INFINITY] {
            assert_eq!(pearson(&[1.0, 2.0, bad], &y), None);
        }
        assert_eq!(spearman(&[1.0, 2.0, f64::NAN], &y), None);
        let ranked = spearman(&[1.0, 2.0, f64::INFINITY], &y);
        assert_close("spearman", ranked, Some(1.0));
        // 0.1 three times does not add up to 0.3.
        assert_eq!(pearson(&[0.1; 3], &x), None);
        assert_eq!(pearson(&[-0.0, 0.0], &[1.0, 2.0]), None);
    }

    #[test]
    #[should_panic(expected = "one prediction for each label")]
    fn different_lengths_panic() {
        compute(Metric::Accuracy, &[0, 1], &[0]);
    }
}
