//! The text that the demo model is pretrained on.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::template::{CONTRAST, Fill, NEUTRAL, SENTIMENT};
use crate::words::{DOMAINS, Half, Sentiment, pick};

/// A short review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Index of its domain in [`DOMAINS`].
    pub domain: usize,
    /// What it thinks; `None` when it praises and blames.
    pub sentiment: Option<Sentiment>,
    /// First half of its sentences.
    pub first: String,
    /// Second half of its sentences.
    pub second: String,
}

/// Share of documents that change their mind.
const MIXED: f64 = 0.08;

/// Sentences in half a document.
const SENTENCES: u32 = 3;

/// An endless, reproducible stream of documents.
///
/// Pretraining text has all sentiment words and no label: that two words mean the same can be
/// learnt only from the company that they keep.
#[derive(Clone, Debug)]
pub struct Corpus {
    rng: ChaCha8Rng,
}

impl Corpus {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// The next document.
    pub fn document(&mut self) -> Document {
        let domain = self.rng.random_range(0..DOMAINS.len());
        let mixed = self.rng.random_bool(MIXED);
        let sentiment = (!mixed).then(|| pick(&mut self.rng, &Sentiment::BOTH));
        self.document_of(domain, sentiment)
    }

    /// A document of the given domain and sentiment.
    fn document_of(&mut self, domain: usize, sentiment: Option<Sentiment>) -> Document {
        let first = self.half(domain, sentiment);
        let second = self.half(domain, sentiment);
        Document {
            domain,
            sentiment,
            first,
            second,
        }
    }

    /// Three sentences, at most one of which neither praises nor blames.
    fn half(&mut self, domain: usize, sentiment: Option<Sentiment>) -> String {
        let rng = &mut self.rng;
        // Beyond the last sentence: none is neutral.
        let neutral = rng.random_range(0..2 * SENTENCES);
        let sentences: Vec<String> = (0..SENTENCES)
            .map(|i| {
                let fill = Fill {
                    domain: &DOMAINS[domain],
                    sentiment: sentiment.unwrap_or_else(|| pick(rng, &Sentiment::BOTH)),
                    half: Half::Both,
                };
                let templates = match sentiment {
                    _ if i == neutral => NEUTRAL,
                    Some(_) => SENTIMENT,
                    None => CONTRAST,
                };
                let template = pick(rng, templates);
                fill.sentence(template, rng)
            })
            .collect();
        sentences.join(" ")
    }
}

impl Iterator for Corpus {
    type Item = Document;

    fn next(&mut self) -> Option<Document> {
        Some(self.document())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{Role, sentiment_words};
    use std::collections::BTreeSet;

    #[test]
    fn documents_are_reproducible_and_of_one_mind() {
        let documents: Vec<_> = Corpus::new(3).take(200).collect();
        assert!(Corpus::new(3).take(200).eq(documents.iter().cloned()));
        assert!(!Corpus::new(4).take(200).eq(documents.iter().cloned()));
        for document in &documents {
            let Some(sentiment) = document.sentiment else {
                continue;
            };
            let of = |s: Sentiment| -> BTreeSet<&str> {
                Role::ALL
                    .into_iter()
                    .flat_map(|r| sentiment_words(s, r, Half::Both))
                    .collect()
            };
            let (own, other) = (of(sentiment), of(sentiment.opposite()));
            for half in [&document.first, &document.second] {
                // [CLS] and [SEP] have to fit too.
                assert!(half.split(' ').count() <= 62, "{half}");
                let words: BTreeSet<&str> = half.split(' ').collect();
                assert!(!words.is_disjoint(&own), "{half}");
                assert!(words.is_disjoint(&other), "{half}");
            }
        }
    }
}
