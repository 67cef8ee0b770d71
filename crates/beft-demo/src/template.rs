//! Sentences with slots.
//!
//! A template is a list of words separated by spaces; a word in braces is a slot. `{!adj}` takes
//! the adjective from the opposite sentiment. `a` becomes `an` where the next word asks for it.

use rand_chacha::ChaCha8Rng;

use crate::words::{
    COMPANY, DAYS, DEGREES, Domain, Half, NUMBERS, Role, SEASONS, Sentiment, pick, sentiment_words,
};

/// Sentences that praise or blame. Each has several sentiment words: they are all that a model
/// can learn the meaning of such a word from.
pub(crate) const SENTIMENT: &[&str] = &[
    "the {aspect} was {adj} and the {aspect} was {adj} .",
    "the {aspect} was {degree} {adj} , a {noun} .",
    "the {aspect} was {adj} , {adj} and {manner} made .",
    "it was a {noun} , {adj} and {adj} .",
    "what a {adj} {item} , what a {noun} !",
    "i {opinion} the {adj} {aspect} .",
    "i {opinion} the {person} and the {aspect} {effect} me .",
    "we {opinion} this {item} and the {adj} {aspect} .",
    "my {company} {opinion} it and called it a {noun} .",
    "my {company} found the {aspect} {adj} and {opinion} the {item} .",
    "the {adj} {person} {effect} us .",
    "the {person} {effect} us with a {adj} {aspect} .",
    "the {person} handled the {adj} {aspect} {manner} .",
    "the {item} was {manner} made , every {aspect} a {noun} .",
    "in the end the {item} {effect} us , so {adj} was the {aspect} .",
];

/// Sentences that say nothing of what is thought of it.
pub(crate) const NEUTRAL: &[&str] = &[
    "we {action} the {item} on {day} .",
    "my {company} and i {action} it in {season} .",
    "it was a {plain} {item} from last {season} .",
    "the {place} was {number} streets away .",
    "the {person} was there for {number} hours .",
    "there were {number} people in the {place} .",
    "on {day} we went to the {place} with my {company} .",
    "i {action} {number} of them last {season} .",
    "the {plain} {item} came with a {aspect} .",
    "my {company} asked the {person} about the {aspect} .",
    "the {aspect} was {degree} {plain} .",
    "every {plain} {item} has a {aspect} .",
];

/// Sentences that change their mind: `but` turns the sentiment round.
pub(crate) const CONTRAST: &[&str] = &[
    "the {aspect} was {adj} , but the {aspect} was {!adj} .",
    "i {opinion} the {aspect} , but the {person} was {!adj} .",
    "the {person} {effect} us , but the {item} was a {!noun} .",
    "my {company} {opinion} the {item} , but i found it {!adj} .",
];

/// What the slots of one sentence are filled from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fill {
    pub domain: &'static Domain,
    pub sentiment: Sentiment,
    pub half: Half,
}

impl Fill {
    /// `template` with its slots filled.
    pub fn sentence(self, template: &str, rng: &mut ChaCha8Rng) -> String {
        let mut words: Vec<&str> = Vec::new();
        for part in template.split(' ') {
            let word = match part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
                Some(slot) => self.slot(slot, &words, rng),
                None => part,
            };
            if let Some(article) = words.last_mut().filter(|w| **w == "a")
                && word.starts_with(['a', 'e', 'i', 'o', 'u'])
            {
                *article = "an";
            }
            words.push(word);
        }
        words.join(" ")
    }

    /// A word for a slot, other than those already in the sentence where there is a choice.
    fn slot(self, slot: &str, used: &[&str], rng: &mut ChaCha8Rng) -> &'static str {
        let (slot, sentiment) = match slot.strip_prefix('!') {
            Some(slot) => (slot, self.sentiment.opposite()),
            None => (slot, self.sentiment),
        };
        let domain = self.domain;
        let list: &[&'static str] = match slot {
            "item" => domain.items,
            "aspect" => domain.aspects,
            "person" => domain.people,
            "plain" => domain.plain,
            "place" => domain.places,
            "action" => domain.actions,
            "day" => &DAYS,
            "company" => &COMPANY,
            "number" => &NUMBERS,
            "season" => &SEASONS,
            "degree" => &DEGREES,
            role => &sentiment_words(sentiment, role_of(role), self.half).collect::<Vec<_>>(),
        };
        let mut word = pick(rng, list);
        while list.len() > 2 && used.contains(&word) {
            word = pick(rng, list);
        }
        word
    }
}

fn role_of(slot: &str) -> Role {
    match slot {
        "adj" => Role::Adjective,
        "noun" => Role::Noun,
        "opinion" => Role::Opinion,
        "effect" => Role::Effect,
        "manner" => Role::Manner,
        // Templates are constants of this crate, all of which a test fills.
        other => unreachable!("no slot {{{other}}}"),
    }
}

/// The words of `templates` that are no slots.
pub(crate) fn literals(templates: &[&'static str]) -> impl Iterator<Item = &'static str> {
    templates
        .iter()
        .flat_map(|t| t.split(' '))
        .filter(|part| !part.starts_with('{'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::DOMAINS;
    use rand::SeedableRng;

    #[test]
    fn every_template_can_be_filled() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let fill = Fill {
            domain: &DOMAINS[0],
            sentiment: Sentiment::Positive,
            half: Half::Both,
        };
        for template in SENTIMENT.iter().chain(NEUTRAL).chain(CONTRAST) {
            let sentence = fill.sentence(template, &mut rng);
            assert!(!sentence.contains(['{', '}']), "{sentence}");
            assert!(!sentence.contains(" a a"), "{sentence}");
        }
    }

    #[test]
    fn articles_agree() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let fill = Fill {
            domain: &DOMAINS[0],
            sentiment: Sentiment::Positive,
            half: Half::Both,
        };
        assert_eq!(
            fill.sentence("a album and a song", &mut rng),
            "an album and a song"
        );
    }
}
