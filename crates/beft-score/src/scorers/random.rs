use beft_core::BiasSite;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Scores;

/// Random numbers from 0 to 1, as a baseline that a score must beat.
pub fn random(sites: impl IntoIterator<Item = BiasSite>, seed: u64) -> Scores {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = || (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    Scores::from_values("random", sites.into_iter().map(|site| (site, draw())))
}

#[cfg(test)]
mod tests {
    use beft_core::BiasTerm::{K, V};

    use super::*;
    use crate::scorer::tests::SITE;

    #[test]
    fn random_scores_follow_the_seed() {
        let sites = || [SITE, BiasSite::new(0, K), BiasSite::new(3, V)];
        let scores = random(sites(), 1);
        assert_eq!(scores, random(sites(), 1));
        assert_ne!(scores, random(sites(), 2));
        let values: Vec<f64> = sites().map(|s| scores.value(s).unwrap()).into();
        assert!(values.iter().all(|x| (0.0..1.0).contains(x)));
        assert!(values[0] != values[1] && values[1] != values[2]);
    }
}
