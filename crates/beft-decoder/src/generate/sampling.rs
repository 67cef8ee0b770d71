use std::cmp::Ordering;
use std::collections::BTreeSet;

use rand::SeedableRng;
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use rand_chacha::ChaCha8Rng;

use super::GenerateOptions;

/// How the next token is chosen.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Sampling {
    /// The most probable token.
    #[default]
    Greedy,
    /// A token that is drawn by its probability, as transformers draws (`TemperatureLogitsWarper`, `TopKLogitsWarper`,
    /// `TopPLogitsWarper` in `logits_process.py`, in this order).
    Random {
        /// Scores are divided by this, which is above 0.
        temperature: f32,
        /// Only so many of the most probable tokens are drawn from.
        top_k: Option<usize>,
        /// Only the fewest tokens whose probabilities together reach this are drawn from; 1 for all.
        top_p: f32,
        /// A draw depends on this and on how many tokens were drawn before.
        seed: u64,
    },
}

/// A setting that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum SamplingError {
    /// The temperature.
    #[error("the temperature is {0}; it must be 0 (the most probable token) or above")]
    Temperature(f32),
    /// The probability that the tokens must reach.
    #[error("top-p is {0}; it must be above 0 and at most 1")]
    TopP(f32),
    /// The number of tokens.
    #[error("top-k is 0; it must be at least 1")]
    TopK,
}

impl Sampling {
    /// Checks the settings. A temperature of 0 is [`Greedy`](Self::Greedy).
    ///
    /// # Errors
    ///
    /// When one of them makes no sense.
    pub fn new(
        temperature: f32,
        top_k: Option<usize>,
        top_p: f32,
        seed: u64,
    ) -> Result<Self, SamplingError> {
        if !(temperature.is_finite() && temperature >= 0.0) {
            return Err(SamplingError::Temperature(temperature));
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return Err(SamplingError::TopP(top_p));
        }
        if top_k == Some(0) {
            return Err(SamplingError::TopK);
        }
        Ok(match temperature == 0.0 {
            true => Self::Greedy,
            false => Self::Random {
                temperature,
                top_k,
                top_p,
                seed,
            },
        })
    }

    /// The same for continuation number `number` of a prompt: it draws by a seed that is so much larger.
    pub fn of_continuation(mut self, number: usize) -> Self {
        if let Self::Random { seed, .. } = &mut self {
            *seed = seed.wrapping_add(number as u64);
        }
        self
    }
}

/// The log probability of a token, and of those that were most probable in its place: of the model's scores as they
/// are, before any penalty, temperature or choice.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprobs {
    /// Natural logarithm.
    pub logprob: f32,
    /// The most probable tokens, with the best first.
    pub top: Vec<(u32, f32)>,
}

/// Chooses the tokens of one text, one after another.
#[derive(Debug)]
pub(super) struct Chooser {
    pub(super) options: GenerateOptions,
    prompt: usize,
    made: usize,
    /// Tokens of prompt and text, where a penalty asks for them.
    seen: BTreeSet<u32>,
    rng: ChaCha8Rng,
}

impl Chooser {
    pub(super) fn new(prompt: &[u32], options: GenerateOptions) -> Self {
        let seed = match options.sampling {
            Sampling::Greedy => 0,
            Sampling::Random { seed, .. } => seed,
        };
        Self {
            prompt: prompt.len(),
            made: 0,
            seen: match options.repetition_penalty == 1.0 {
                true => BTreeSet::new(),
                false => prompt.iter().copied().collect(),
            },
            rng: ChaCha8Rng::seed_from_u64(seed),
            options,
        }
    }

    /// The tokens that must not come next.
    fn forbidden(&self) -> &[u32] {
        let options = &self.options;
        match self.made < options.min_new_tokens || self.prompt + self.made < options.min_length {
            true => &options.end,
            false => &[],
        }
    }

    /// Whether it takes the token with the highest score, and needs nothing else of the scores.
    pub(super) fn takes_highest(&self) -> bool {
        self.options.sampling == Sampling::Greedy
            && self.options.repetition_penalty == 1.0
            && self.options.logprobs.is_none()
            && self.forbidden().is_empty()
    }

    /// The next token, by the scores of all tokens.
    pub(super) fn choose(&mut self, scores: &[f32]) -> (u32, Option<TokenLogprobs>) {
        let mut changed = scores.to_vec();
        for id in &self.seen {
            if let Some(score) = changed.get_mut(*id as usize) {
                *score = match *score < 0.0 {
                    true => *score * self.options.repetition_penalty,
                    false => *score / self.options.repetition_penalty,
                };
            }
        }
        for id in self.forbidden() {
            if let Some(score) = changed.get_mut(*id as usize) {
                *score = f32::NEG_INFINITY;
            }
        }
        let token = match self.options.sampling {
            Sampling::Greedy => highest(&changed),
            Sampling::Random {
                temperature,
                top_k,
                top_p,
                ..
            } => {
                let weights = weights(&changed, temperature, top_k, top_p);
                let draw = WeightedIndex::new(weights.iter().map(|(_, weight)| *weight));
                match draw {
                    Ok(draw) => weights[draw.sample(&mut self.rng)].0,
                    // A model that gives no numbers: there is nothing to draw from.
                    Err(_) => highest(&changed),
                }
            }
        };
        let logprobs = self.options.logprobs;
        (
            token,
            logprobs.map(|count| logprobs_of(scores, token, count)),
        )
    }

    /// Takes a token as the text's next; whether there is room for another.
    pub(super) fn add(&mut self, token: u32) -> bool {
        self.made += 1;
        if self.options.repetition_penalty != 1.0 {
            self.seen.insert(token);
        }
        self.made < self.options.max_new_tokens
    }
}

/// The token with the highest score; of equals the first.
fn highest(scores: &[f32]) -> u32 {
    let first_best = |best: usize, index: usize| match scores[index] > scores[best] {
        true => index,
        false => best,
    };
    (0..scores.len()).fold(0, first_best) as u32
}

/// The `count` largest scores, at least; those that equal the last of them are among them.
fn at_least(scores: &[f32], count: usize) -> f32 {
    let mut sorted = scores.to_vec();
    let place = count.min(sorted.len()).saturating_sub(1);
    let (_, least, _) = sorted.select_nth_unstable_by(place, |a, b| b.total_cmp(a));
    *least
}

/// The tokens to draw from, with what each of them weighs.
fn weights(scores: &[f32], temperature: f32, top_k: Option<usize>, top_p: f32) -> Vec<(u32, f64)> {
    let largest = f64::from(scores[highest(scores) as usize]);
    let least = match top_k {
        Some(count) if count < scores.len() => at_least(scores, count),
        _ => f32::NEG_INFINITY,
    };
    let (temperature, top_p) = (f64::from(temperature), f64::from(top_p));
    let weight = |score: f32| ((f64::from(score) - largest) / temperature).exp();
    let all = scores.iter().enumerate();
    let kept = all.filter(|(_, score)| **score >= least);
    let mut kept: Vec<(u32, f64)> = kept
        .map(|(id, score)| (id as u32, weight(*score)))
        .collect();
    if top_p >= 1.0 {
        return kept;
    }
    let total: f64 = kept.iter().map(|(_, weight)| weight).sum();
    // All tokens below this together weigh less than what is left out: few remain to be sorted.
    let floor = (1.0 - top_p) * total / kept.len() as f64;
    kept.retain(|(_, weight)| *weight >= floor);
    let by_weight = |a: &(u32, f64), b: &(u32, f64)| match b.1.total_cmp(&a.1) {
        Ordering::Equal => a.0.cmp(&b.0),
        order => order,
    };
    kept.sort_unstable_by(by_weight);
    let mut before = 0.0;
    let reached = kept.iter().position(|(_, weight)| {
        let reached = before >= top_p * total;
        before += weight;
        reached
    });
    kept.truncate(reached.unwrap_or(kept.len()).max(1));
    kept
}

fn logprobs_of(scores: &[f32], token: u32, count: usize) -> TokenLogprobs {
    let largest = f64::from(scores[highest(scores) as usize]);
    let sum: f64 = scores
        .iter()
        .map(|score| (f64::from(*score) - largest).exp())
        .sum();
    let logprob = |score: f32| (f64::from(score) - largest - sum.ln()) as f32;
    let mut top = Vec::new();
    if count > 0 {
        let least = at_least(scores, count);
        let all = scores.iter().enumerate();
        top.extend(all.filter(|(_, score)| **score >= least));
        top.sort_by(|a, b| b.1.total_cmp(a.1));
        top.truncate(count);
    }
    let top = top
        .into_iter()
        .map(|(id, score)| (id as u32, logprob(*score)));
    TokenLogprobs {
        logprob: scores
            .get(token as usize)
            .map_or(f32::NAN, |score| logprob(*score)),
        top: top.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCORES: [f32; 6] = [2.0, 1.0, 0.5, 0.0, -1.0, 1.0];

    fn shares(temperature: f32, top_k: Option<usize>, top_p: f32) -> Vec<f64> {
        let kept = weights(&SCORES, temperature, top_k, top_p);
        let total: f64 = kept.iter().map(|(_, weight)| weight).sum();
        let mut shares = vec![0.0; SCORES.len()];
        for (id, weight) in kept {
            shares[id as usize] = weight / total;
        }
        shares
    }

    /// What the warpers of transformers 5.24 give, softmaxed by PyTorch.
    #[test]
    fn tokens_are_drawn_from_the_distributions_of_transformers() {
        let expected = [
            (
                1.0,
                None,
                1.0,
                [0.466415, 0.171585, 0.104071, 0.063122, 0.023221, 0.171585],
            ),
            (
                0.7,
                None,
                1.0,
                [0.599586, 0.143691, 0.070343, 0.034436, 0.008253, 0.143691],
            ),
            (
                2.0,
                None,
                1.0,
                [0.30521, 0.185119, 0.144171, 0.11228, 0.068101, 0.185119],
            ),
            // Of equals all are kept by top-k.
            (
                1.0,
                Some(2),
                1.0,
                [0.576117, 0.211942, 0.0, 0.0, 0.0, 0.211942],
            ),
            (
                1.0,
                Some(4),
                0.8,
                [0.576117, 0.211942, 0.0, 0.0, 0.0, 0.211942],
            ),
            (
                0.7,
                None,
                0.85,
                [0.675995, 0.162003, 0.0, 0.0, 0.0, 0.162003],
            ),
            (1.0, None, 0.46, [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
            (
                2.0,
                Some(5),
                0.6,
                [0.451863, 0.274069, 0.0, 0.0, 0.0, 0.274069],
            ),
            (1.0, None, 1e-6, [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
        ];
        for (temperature, top_k, top_p, expected) in expected {
            let found = shares(temperature, top_k, top_p);
            let near = found
                .iter()
                .zip(&expected)
                .all(|(a, b)| (a - b).abs() < 1e-6);
            assert!(near, "{temperature} {top_k:?} {top_p}: {found:?}");
        }
    }

    #[test]
    fn draws_have_the_frequencies_and_repeat() {
        let draws = |seed| {
            let options = GenerateOptions {
                max_new_tokens: 1,
                sampling: Sampling::new(0.7, None, 0.85, seed).unwrap(),
                ..GenerateOptions::default()
            };
            let mut chooser = Chooser::new(&[1], options);
            (0..4000)
                .map(|_| chooser.choose(&SCORES).0)
                .collect::<Vec<u32>>()
        };
        let first = draws(1);
        assert_eq!(first, draws(1));
        assert_ne!(first, draws(2));
        for (id, share) in shares(0.7, None, 0.85).into_iter().enumerate() {
            let drawn = first.iter().filter(|drawn| **drawn == id as u32).count();
            assert!(
                (drawn as f64 / 4000.0 - share).abs() < 0.03,
                "{id}: {drawn}"
            );
        }
    }

    #[test]
    fn log_probabilities_are_those_of_the_scores_as_they_are() {
        let options = GenerateOptions {
            sampling: Sampling::new(0.1, None, 0.1, 0).unwrap(),
            repetition_penalty: 5.0,
            logprobs: Some(2),
            ..GenerateOptions::default()
        };
        let (token, logprobs) = Chooser::new(&[0], options).choose(&SCORES);
        let TokenLogprobs { logprob, top } = logprobs.unwrap();
        assert_eq!(token, 1);
        assert!((logprob + 1.7627).abs() < 1e-4, "{logprob}");
        assert_eq!((top[0].0, top[1]), (0, (1, logprob)));
        assert!((top[0].1 + 0.7627).abs() < 1e-4, "{top:?}");
        assert!(logprobs_of(&SCORES, 0, 0).top.is_empty());
        assert_eq!(logprobs_of(&SCORES, 0, 100).top.len(), 6);
    }

    #[test]
    fn scores_that_are_no_numbers_give_a_token() {
        let options = GenerateOptions {
            sampling: Sampling::new(1.0, Some(3), 0.9, 0).unwrap(),
            logprobs: Some(1),
            ..GenerateOptions::default()
        };
        let mut chooser = Chooser::new(&[0], options);
        for scores in [[f32::NAN; 3], [f32::INFINITY; 3], [f32::NEG_INFINITY; 3]] {
            assert!(chooser.choose(&scores).0 < 3);
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        assert_eq!(Sampling::new(0.0, None, 1.0, 3), Ok(Sampling::Greedy));
        for (temperature, top_k, top_p, part) in [
            (-1.0, None, 1.0, "-1"),
            (f32::NAN, None, 1.0, "temperature"),
            (1.0, Some(0), 1.0, "top-k"),
            (1.0, None, 0.0, "top-p"),
            (1.0, None, 1.5, "1.5"),
        ] {
            let error = Sampling::new(temperature, top_k, top_p, 0).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
