use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// McNemar's exact test for two classifiers on the same examples: the probability, were both
/// equally good, of a split of the examples that exactly one of them got right at least as uneven
/// as `only_a` against `only_b` (two-sided binomial). 1 when they never differ.
pub fn mcnemar(only_a: usize, only_b: usize) -> f64 {
    let (n, least) = (only_a + only_b, only_a.min(only_b));
    // ln of C(n, i) / 2^n, from i = 0 up: sums of logarithms neither overflow nor vanish.
    let mut ln_term = -(n as f64) * 2f64.ln();
    let mut tail = ln_term.exp();
    for i in 0..least {
        ln_term += ((n - i) as f64).ln() - ((i + 1) as f64).ln();
        tail += ln_term.exp();
    }
    (2.0 * tail).min(1.0)
}

/// Resamples of a set of examples for a paired bootstrap. Everything that is compared uses the same
/// resamples.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    examples: usize,
    resamples: usize,
    seed: u64,
}

/// How two values of a metric differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// The first value minus the second.
    pub value: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
    /// Two-sided p value of no difference, at least 2 over the number of resamples plus 1.
    pub p: f64,
}

impl Bootstrap {
    /// `resamples` draws with replacement of as many examples as there are.
    pub fn new(examples: usize, resamples: usize, seed: u64) -> Self {
        Self {
            examples,
            resamples,
            seed,
        }
    }

    /// The metric of every resample; `metric` is given the indices of its examples, sorted by
    /// nothing. A resample on which it is undefined counts as 0, scikit-learn's convention.
    pub fn distribution(&self, mut metric: impl FnMut(&[usize]) -> Option<f64>) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut chosen = vec![0; self.examples];
        (0..self.resamples)
            .map(|_| {
                chosen
                    .iter_mut()
                    .for_each(|index| *index = rng.random_range(0..self.examples));
                metric(&chosen).unwrap_or(0.0)
            })
            .collect()
    }
}

/// The 95 % interval of a distribution: its 2.5th and 97.5th percentile.
///
/// # Panics
///
/// When the distribution is empty.
pub fn interval(distribution: &[f64]) -> (f64, f64) {
    let mut sorted = distribution.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let at = |share: f64| sorted[((share * n as f64) as usize).min(n - 1)];
    (at(0.025), at(0.975))
}

/// Whether two values of a metric are equal: they differ by no more than rounding. One more right
/// example changes a metric by far more.
pub fn same_value(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * a.abs().max(b.abs()).max(1.0)
}

/// The mean of values; equal values have exactly their own value as mean. Not a number for none.
pub fn mean(values: &[f64]) -> f64 {
    let first = values.first().copied().unwrap_or(f64::NAN);
    let rest: f64 = values.iter().map(|x| x - first).sum();
    first + rest / values.len() as f64
}

/// Compares two metrics by their distributions over the same resamples; `value` is the difference
/// on the examples themselves. A difference that is only rounding counts as 0.
///
/// # Panics
///
/// When the distributions differ in length, or are empty.
pub fn difference(value: f64, a: &[f64], b: &[f64]) -> Difference {
    assert!(a.len() == b.len() && !a.is_empty(), "paired resamples");
    let exact = |d: f64| if same_value(d, 0.0) { 0.0 } else { d };
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| exact(a - b)).collect();
    let (low, high) = interval(&differences);
    let not_above = differences.iter().filter(|d| **d <= 0.0).count();
    let not_below = differences.iter().filter(|d| **d >= 0.0).count();
    let tail = (not_above.min(not_below) + 1) as f64 / (a.len() + 1) as f64;
    Difference {
        value: exact(value),
        low,
        high,
        p: (2.0 * tail).min(1.0),
    }
}

/// Standard deviation of a distribution, its standard error when that is a bootstrap's; exactly 0 for
/// fewer than two values, and for values that differ by rounding alone.
pub fn standard_deviation(values: &[f64]) -> f64 {
    let Some(first) = values.first() else {
        return 0.0;
    };
    if values.iter().all(|x| same_value(*x, *first)) {
        return 0.0;
    }
    let mean = mean(values);
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    (squares / (values.len() - 1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mcnemar_equals_the_binomial_test() {
        // scipy.stats.binomtest(k, n).pvalue
        for (a, b, expected) in [
            (0, 0, 1.0),
            (5, 5, 1.0),
            (1, 9, 0.021484375),
            (10, 2, 0.03857421875),
            (30, 50, 0.03299261842647619),
        ] {
            let p = mcnemar(a, b);
            assert!((p - expected).abs() < 1e-12, "{a} {b}: {p}");
            assert_eq!(p, mcnemar(b, a));
        }
        let p = mcnemar(40_000, 41_000);
        assert!(p > 0.0 && p < 1e-3, "{p}");
    }

    #[test]
    fn equal_values_have_no_deviation() {
        for value in [0.1, 0.7, 1.0 / 3.0, -2.796] {
            let (up, down) = (value + 1e-16, value - 1e-16);
            assert_eq!(standard_deviation(&[value; 3]), 0.0);
            assert_eq!(standard_deviation(&[value, up, down]), 0.0);
            assert_eq!(mean(&[value; 3]), value);
        }
        assert_eq!(standard_deviation(&[]), 0.0);
        assert_eq!(standard_deviation(&[0.5]), 0.0);
        assert!((standard_deviation(&[1.0, 2.0, 4.0]) - 1.527_525).abs() < 1e-6);
        assert!(same_value(0.1 + 0.2, 0.3) && !same_value(0.3, 0.3 + 1e-6));
    }

    #[test]
    fn a_difference_of_rounding_is_none() {
        // The same three values, added up in another order.
        let (a, b) = (vec![(0.1 + 0.2) + 0.3; 9], vec![0.1 + (0.2 + 0.3); 9]);
        assert_ne!(a, b);
        let found = difference(a[0] - b[0], &a, &b);
        assert_eq!((found.value, found.low, found.high), (0.0, 0.0, 0.0));
        assert_eq!(found.p, 1.0);
    }

    #[test]
    fn a_bootstrap_is_paired_and_seeded() {
        let bootstrap = Bootstrap::new(200, 500, 1);
        let right = |i: &usize| f64::from(!i.is_multiple_of(4));
        let worse = |i: &usize| f64::from(!i.is_multiple_of(4) && *i % 10 != 1);
        let mean = |f: fn(&usize) -> f64| {
            bootstrap.distribution(|chosen| {
                Some(chosen.iter().map(f).sum::<f64>() / chosen.len() as f64)
            })
        };
        let (a, b) = (mean(right), mean(worse));
        assert_eq!(a, mean(right));
        let found = difference(0.1, &a, &b);
        assert!(
            found.low > 0.0 && found.high < 0.2 && found.p < 0.01,
            "{found:?}"
        );
        let none = difference(0.0, &a, &a);
        assert_eq!((none.low, none.high, none.p), (0.0, 0.0, 1.0));
        // sqrt(.75 * .25 / 200)
        assert!((standard_deviation(&a) - 0.0306).abs() < 0.003);
    }
}
