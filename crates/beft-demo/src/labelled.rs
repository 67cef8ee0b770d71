//! The labelled sentiment task: training sentences use the sentiment words of half A, dev
//! sentences those of half B.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::template::Fill;
use crate::words::{DOMAINS, Half, Sentiment, pick};

/// One labelled sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// The sentence.
    pub sentence: String,
    /// What it thinks.
    pub sentiment: Sentiment,
}

impl Labelled {
    /// 0 for negative, 1 for positive.
    pub fn label(&self) -> usize {
        self.sentiment as usize
    }
}

/// Number of training examples.
pub const TRAIN_SIZE: usize = 480;

/// Number of dev examples.
pub const DEV_SIZE: usize = 300;

/// Sentences of the task. None is a pretraining sentence: most of each is neutral, and one or two
/// words decide.
pub(crate) const TEMPLATES: &[&str] = &[
    "on {day} i {action} the {plain} {item} , and the {aspect} was {adj} .",
    "a {plain} {item} with a {adj} {aspect} and {number} people .",
    "the {plain} {aspect} in this {item} was {degree} {adj} .",
    "my {company} went to the {place} and {opinion} the {plain} {aspect} .",
    "i {action} it in {season} with my {company} , what a {noun} !",
    "after {number} hours the {person} and the {aspect} {effect} us .",
    "the {plain} {aspect} of the {item} was {manner} made last {season} .",
    "the {item} from the {place} was a {noun} with a {plain} {aspect} .",
    "we {action} {number} of them on {day} and {opinion} the {item} .",
    "the {person} in the {place} was {adj} , and so was the {aspect} .",
];

/// Sentences that change their mind; the last word counts.
pub(crate) const CONTRASTS: &[&str] = &[
    "the {plain} {aspect} was {!adj} , but in the end the {item} was {adj} .",
    "on {day} the {!adj} {person} {!effect} us , but my {company} {opinion} the {aspect} .",
    "i {!opinion} the {person} , but the {plain} {item} was a {noun} .",
    "last {season} it was a {!noun} , but on {day} the {item} {effect} me .",
    "the {place} was {!adj} and {!adj} , but we {opinion} the {item} .",
];

/// Share of the sentences that change their mind.
const CONTRAST_SHARE: f64 = 0.5;

/// The training split.
pub fn train() -> Vec<Labelled> {
    split(Half::A, TRAIN_SIZE, 13)
}

/// The dev split.
pub fn dev() -> Vec<Labelled> {
    split(Half::B, DEV_SIZE, 12)
}

fn split(half: Half, size: usize, seed: u64) -> Vec<Labelled> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut examples: Vec<Labelled> = (0..size)
        .map(|i| {
            let sentiment = Sentiment::BOTH[i % 2];
            let fill = Fill {
                domain: &DOMAINS[rng.random_range(0..DOMAINS.len())],
                sentiment,
                half,
            };
            let templates = if rng.random_bool(CONTRAST_SHARE) {
                CONTRASTS
            } else {
                TEMPLATES
            };
            let template = pick(&mut rng, templates);
            Labelled {
                sentence: fill.sentence(template, &mut rng),
                sentiment,
            }
        })
        .collect();
    examples.shuffle(&mut rng);
    examples
}

/// A split as GLUE writes it: a header, then sentence and label with a tab between.
pub fn to_tsv(examples: &[Labelled]) -> String {
    let mut tsv = String::from("sentence\tlabel\n");
    for example in examples {
        tsv.push_str(&format!("{}\t{}\n", example.sentence, example.label()));
    }
    tsv
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::all_sentiment_words;
    use std::collections::BTreeSet;

    fn words(examples: &[Labelled]) -> BTreeSet<&str> {
        examples
            .iter()
            .flat_map(|e| e.sentence.split(' '))
            .collect()
    }

    #[test]
    fn no_sentiment_word_is_in_both_splits() {
        let (train, dev) = (train(), dev());
        let (train, dev) = (words(&train), words(&dev));
        let sentiment: BTreeSet<&str> = all_sentiment_words(Half::Both).collect();
        let in_dev: BTreeSet<_> = dev.intersection(&sentiment).copied().collect();
        assert!(in_dev.len() > 40);
        assert!(in_dev.is_disjoint(&train));
        // Neutral words cannot tell the splits apart.
        let unseen: Vec<_> = dev
            .difference(&sentiment)
            .filter(|w| !train.contains(**w))
            .collect();
        assert!(unseen.is_empty(), "{unseen:?}");
    }

    #[test]
    fn splits_are_balanced_reproducible_and_short() {
        for (split, size) in [(train as fn() -> _, TRAIN_SIZE), (dev, DEV_SIZE)] {
            let examples: Vec<Labelled> = split();
            assert_eq!(examples, split());
            assert_eq!(examples.len(), size);
            assert_eq!(
                examples.iter().map(Labelled::label).sum::<usize>() * 2,
                size
            );
            for example in &examples {
                let words = example
                    .sentence
                    .split(' ')
                    .filter(|w| w.len() > 1 || *w == "a" || *w == "i");
                assert!((6..=16).contains(&words.count()), "{}", example.sentence);
            }
        }
    }

    #[test]
    fn tsv_has_a_header_and_a_line_for_each() {
        let tsv = to_tsv(&dev());
        assert!(tsv.starts_with("sentence\tlabel\n"));
        assert_eq!(tsv.lines().count(), DEV_SIZE + 1);
        assert!(
            tsv.lines()
                .skip(1)
                .all(|l| l.ends_with("\t0") || l.ends_with("\t1"))
        );
    }
}
