//! Scores from the gradients of the model before training.

use beft_core::GradientMoments;

/// The empirical Fisher information: the mean square of the gradient, averaged over the values (protocol, section 2).
pub fn fisher(gradients: &GradientMoments) -> f64 {
    let sum: f64 = gradients.values().map(|(_, square)| square).sum();
    sum / gradients.mean.len() as f64
}

/// The Euclidean norm of the mean gradient.
pub fn gradient_norm(gradients: &GradientMoments) -> f64 {
    let sum: f64 = gradients.values().map(|(mean, _)| mean * mean).sum();
    sum.sqrt()
}

/// How sure the gradient's direction is: the square of its mean over the variance of that mean, averaged over the values.
///
/// It is about 1 where the mini-batches agree on nothing, and 0 where there is no gradient. One mini-batch says nothing of its
/// variance: the score is NaN then.
pub fn signal_to_noise(gradients: &GradientMoments) -> f64 {
    if gradients.batches < 2 {
        return f64::NAN;
    }
    let each = gradients.values().map(|(mean, square)| {
        let variance = (square - mean * mean).max(0.0) / (gradients.batches - 1) as f64;
        match mean == 0.0 {
            true => 0.0,
            // A value that is the same in each mini-batch would count without bound.
            false => mean * mean / variance.max(f64::MIN_POSITIVE).max(1e-6 * mean * mean),
        }
    });
    let sum: f64 = each.sum();
    sum / gradients.mean.len() as f64
}

/// How fast the loss falls when every value moves by the same small step against its mean gradient, as in the first steps of
/// Adam: the sum of the absolute mean gradients.
///
/// A long bias has more values to move, so that it can have a higher score than a short one.
pub fn slope(gradients: &GradientMoments) -> f64 {
    gradients.values().map(|(mean, _)| mean.abs()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(batches: &[&[f32]]) -> GradientMoments {
        let count = batches.len() as f32;
        let mean = |of: fn(f32) -> f32| -> Vec<f32> {
            let values = 0..batches[0].len();
            values
                .map(|i| batches.iter().map(|batch| of(batch[i])).sum::<f32>() / count)
                .collect()
        };
        GradientMoments {
            mean: mean(|x| x),
            square: mean(|x| x * x),
            batches: batches.len(),
        }
    }

    #[test]
    fn scores_by_hand() {
        let gradients = moments(&[&[1.0, -3.0], &[3.0, -3.0]]);
        assert_eq!(fisher(&gradients), (5.0 + 9.0) / 2.0);
        assert_eq!(gradient_norm(&gradients), (4.0_f64 + 9.0).sqrt());
        assert_eq!(slope(&gradients), 5.0);
        let gradients = moments(&[&[1.0, -1.0, 0.0], &[3.0, 1.0, 0.0]]);
        // Mean 2, variance 2, of the mean 1; no mean; no gradient.
        assert!((signal_to_noise(&gradients) - 4.0 / 3.0).abs() < 1e-9);
        assert_eq!(slope(&gradients.part(1..3)), 0.0);
    }

    #[test]
    fn signal_to_noise_is_finite_or_says_that_it_cannot_be_had() {
        assert!(signal_to_noise(&moments(&[&[1.0, 2.0]])).is_nan());
        let same = signal_to_noise(&moments(&[&[0.1], &[0.1], &[0.1]]));
        assert!(same.is_finite() && same > 1e3, "{same}");
        assert_eq!(signal_to_noise(&moments(&[&[0.0], &[0.0]])), 0.0);
        // Its unit does not matter.
        let small = signal_to_noise(&moments(&[&[1e-9, -1e-9], &[3e-9, 1e-9]]));
        assert!((small - 2.0).abs() < 1e-4, "{small}");
    }
}
