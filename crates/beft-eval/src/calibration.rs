//! Whether probabilities mean what they say.

use serde::{Deserialize, Serialize};

/// Predictions by how sure the model was: equal steps of the probability of what it predicted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The steps, from 0 to 1.
    pub bins: Vec<CalibrationBin>,
    /// Expected calibration error: the mean difference of probability and share of right predictions, each step by the
    /// number of its predictions (Guo et al. 2017).
    pub ece: f64,
}

/// One step of probability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Number of predictions.
    pub count: usize,
    /// Their mean probability; 0 for none.
    pub probability: f64,
    /// The share of them that is right; 0 for none.
    pub right: f64,
}

impl Calibration {
    /// Sorts predictions, each with its probability and whether it is right, into so many `steps`. A step holds
    /// its upper end.
    pub fn new(predictions: impl Iterator<Item = (f64, bool)>, steps: usize) -> Self {
        let mut bins = vec![CalibrationBin::default(); steps.max(1)];
        let last = bins.len() - 1;
        for (probability, right) in predictions {
            let step = (probability * bins.len() as f64).ceil() as usize;
            let bin = &mut bins[step.saturating_sub(1).min(last)];
            bin.count += 1;
            bin.probability += probability;
            bin.right += f64::from(u8::from(right));
        }
        let all: usize = bins.iter().map(|bin| bin.count).sum();
        let mut ece = 0.0;
        for bin in bins.iter_mut().filter(|bin| bin.count > 0) {
            ece += (bin.probability - bin.right).abs() / all as f64;
            bin.probability /= bin.count as f64;
            bin.right /= bin.count as f64;
        }
        Self { bins, ece }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_the_mean_difference() {
        let predictions = [
            (0.95, true),
            (0.85, false),
            (0.55, true),
            (0.6, false),
            (1.0, true),
        ];
        let found = Calibration::new(predictions.into_iter(), 10);
        // .9-1: mean .975, all right; .8-.9: .85, none; .5-.6: .575, one of two.
        let expected = (2.0 * 0.025 + 0.85 + 2.0 * 0.075) / 5.0;
        assert!((found.ece - expected).abs() < 1e-12, "{found:?}");
        let counts: Vec<usize> = found.bins.iter().map(|bin| bin.count).collect();
        assert_eq!(counts, [0, 0, 0, 0, 0, 2, 0, 0, 1, 2]);
        assert!((found.bins[9].probability - 0.975).abs() < 1e-12);
        assert_eq!(Calibration::new([].into_iter(), 10).ece, 0.0);
    }
}
