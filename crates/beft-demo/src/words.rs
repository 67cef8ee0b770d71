//! Word lists: sentiment words in two halves, and the neutral words of six domains.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Whether a text likes what it speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sentiment {
    /// Label 0.
    Negative,
    /// Label 1.
    Positive,
}

impl Sentiment {
    /// Both, by label.
    pub const BOTH: [Self; 2] = [Self::Negative, Self::Positive];

    /// The other one.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Negative => Self::Positive,
            Self::Positive => Self::Negative,
        }
    }
}

/// Which sentiment words a text may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// The words of the labelled training split.
    A,
    /// The words of the labelled dev split.
    B,
    /// All words: pretraining.
    Both,
}

/// What part of a sentence a sentiment word fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// "the plot was superb".
    Adjective,
    /// "it was a triumph".
    Noun,
    /// "i adored the plot".
    Opinion,
    /// "the actor charmed us".
    Effect,
    /// "the plot was handled superbly".
    Manner,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 5] = [
        Self::Adjective,
        Self::Noun,
        Self::Opinion,
        Self::Effect,
        Self::Manner,
    ];
}

/// The sentiment words of a role: half A, then half B.
#[rustfmt::skip]
const fn halves(sentiment: Sentiment, role: Role) -> [&'static [&'static str]; 2] {
    match (sentiment, role) {
        (Sentiment::Positive, Role::Adjective) => [
            &["superb", "wonderful", "delightful", "excellent", "charming", "brilliant", "lovely", "perfect"],
            &["marvelous", "fantastic", "gorgeous", "magnificent", "fabulous", "stunning", "pleasant", "refined"],
        ],
        (Sentiment::Negative, Role::Adjective) => [
            &["awful", "terrible", "dreadful", "boring", "clumsy", "dull", "ugly", "stale"],
            &["dismal", "atrocious", "lousy", "miserable", "pathetic", "dreary", "nasty", "flimsy"],
        ],
        (Sentiment::Positive, Role::Noun) => [
            &["triumph", "delight", "gem", "masterpiece", "joy", "treasure"],
            &["marvel", "pleasure", "jewel", "winner", "treat", "success"],
        ],
        (Sentiment::Negative, Role::Noun) => [
            &["disaster", "mess", "failure", "nightmare", "chore", "insult"],
            &["fiasco", "shambles", "flop", "letdown", "bore", "disgrace"],
        ],
        (Sentiment::Positive, Role::Opinion) => [
            &["loved", "enjoyed", "admired", "praised", "cherished", "recommended"],
            &["adored", "liked", "applauded", "savored", "celebrated", "appreciated"],
        ],
        (Sentiment::Negative, Role::Opinion) => [
            &["hated", "disliked", "regretted", "despised", "resented", "criticized"],
            &["loathed", "detested", "dreaded", "deplored", "endured", "condemned"],
        ],
        (Sentiment::Positive, Role::Effect) => [
            &["charmed", "delighted", "impressed", "thrilled", "dazzled"],
            &["enchanted", "pleased", "amazed", "captivated", "moved"],
        ],
        (Sentiment::Negative, Role::Effect) => [
            &["bored", "annoyed", "disappointed", "insulted", "tired"],
            &["irritated", "frustrated", "disgusted", "exhausted", "angered"],
        ],
        (Sentiment::Positive, Role::Manner) => [
            &["superbly", "beautifully", "brilliantly", "gracefully"],
            &["wonderfully", "perfectly", "splendidly", "masterfully"],
        ],
        (Sentiment::Negative, Role::Manner) => [
            &["badly", "poorly", "terribly", "carelessly"],
            &["horribly", "miserably", "clumsily", "dreadfully"],
        ],
    }
}

/// The sentiment words of a role in a half.
pub fn sentiment_words(
    sentiment: Sentiment,
    role: Role,
    half: Half,
) -> impl Iterator<Item = &'static str> {
    let [a, b] = halves(sentiment, role);
    let (a, b): (&[_], &[_]) = match half {
        Half::A => (a, &[]),
        Half::B => (&[], b),
        Half::Both => (a, b),
    };
    a.iter().chain(b).copied()
}

/// All sentiment words of a half, both sentiments and all roles.
pub fn all_sentiment_words(half: Half) -> impl Iterator<Item = &'static str> {
    Sentiment::BOTH.into_iter().flat_map(move |s| {
        Role::ALL
            .into_iter()
            .flat_map(move |r| sentiment_words(s, r, half))
    })
}

/// The neutral words of one kind of thing that is reviewed.
#[derive(Debug)]
pub struct Domain {
    /// The thing itself.
    pub items: &'static [&'static str],
    /// Parts and properties of it.
    pub aspects: &'static [&'static str],
    /// People that belong to it.
    pub people: &'static [&'static str],
    /// Adjectives that praise and blame nothing.
    pub plain: &'static [&'static str],
    /// Places where it is met.
    pub places: &'static [&'static str],
    /// What one does with it, past tense.
    pub actions: &'static [&'static str],
}

/// The domains.
#[rustfmt::skip]
pub const DOMAINS: [Domain; 6] = [
    Domain {
        items: &["film", "movie", "picture", "sequel", "drama"],
        aspects: &["plot", "acting", "score", "dialogue", "ending", "camera", "scenery", "script"],
        people: &["director", "actor", "actress", "cast", "writer"],
        plain: &["foreign", "silent", "animated", "historical", "long"],
        places: &["cinema", "festival", "theater"],
        actions: &["watched", "saw", "rented"],
    },
    Domain {
        items: &["meal", "dinner", "lunch", "breakfast", "menu"],
        aspects: &["soup", "pasta", "bread", "salad", "sauce", "dessert", "coffee", "fish"],
        people: &["waiter", "chef", "cook", "host", "baker"],
        plain: &["warm", "salty", "italian", "roasted", "cold"],
        places: &["restaurant", "cafe", "bistro"],
        actions: &["ordered", "ate", "shared"],
    },
    Domain {
        items: &["hotel", "room", "suite", "stay", "resort"],
        aspects: &["bed", "view", "pool", "lobby", "bathroom", "garden", "balcony", "towel"],
        people: &["manager", "clerk", "porter", "maid", "owner"],
        plain: &["coastal", "central", "small", "modern", "upper"],
        places: &["city", "island", "village"],
        actions: &["booked", "visited", "reserved"],
    },
    Domain {
        items: &["book", "novel", "story", "poem", "memoir"],
        aspects: &["prose", "chapter", "cover", "language", "opening", "hero", "setting", "style"],
        people: &["author", "editor", "poet", "narrator", "publisher"],
        plain: &["short", "printed", "famous", "recent", "translated"],
        places: &["library", "bookshop", "school"],
        actions: &["read", "borrowed", "finished"],
    },
    Domain {
        items: &["phone", "tablet", "laptop", "device", "gadget"],
        aspects: &["screen", "battery", "keyboard", "speaker", "design", "charger", "software", "case"],
        people: &["seller", "engineer", "designer", "maker", "agent"],
        plain: &["black", "wireless", "heavy", "thin", "new"],
        places: &["store", "market", "office"],
        actions: &["bought", "tested", "used"],
    },
    Domain {
        items: &["concert", "album", "show", "song", "record"],
        aspects: &["melody", "rhythm", "sound", "lyrics", "stage", "beat", "chorus", "voice"],
        people: &["singer", "band", "drummer", "pianist", "conductor"],
        plain: &["loud", "acoustic", "live", "electric", "slow"],
        places: &["hall", "club", "arena"],
        actions: &["heard", "attended", "played"],
    },
];

/// Days.
pub const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// Who came along.
pub const COMPANY: [&str; 10] = [
    "brother",
    "sister",
    "friend",
    "cousin",
    "neighbor",
    "mother",
    "father",
    "uncle",
    "aunt",
    "colleague",
];

/// Small numbers.
pub const NUMBERS: [&str; 8] = [
    "two", "three", "four", "five", "six", "seven", "eight", "nine",
];

/// Times of the year.
pub const SEASONS: [&str; 4] = ["spring", "summer", "autumn", "winter"];

/// Makes a remark stronger without saying which way.
pub const DEGREES: [&str; 6] = ["really", "truly", "very", "quite", "simply", "rather"];

/// One of `list`.
pub(crate) fn pick<T: Copy>(rng: &mut ChaCha8Rng, list: &[T]) -> T {
    list[rng.random_range(0..list.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_sentiment_word_occurs_twice_or_is_neutral() {
        let words: Vec<&str> = all_sentiment_words(Half::Both).collect();
        let set: BTreeSet<&str> = words.iter().copied().collect();
        assert_eq!(set.len(), words.len());
        let neutral = DOMAINS.iter().flat_map(|d| {
            [d.items, d.aspects, d.people, d.plain, d.places, d.actions]
                .into_iter()
                .flatten()
        });
        for word in neutral.chain(&DEGREES).chain(&COMPANY) {
            assert!(!set.contains(word), "{word}");
        }
    }

    #[test]
    fn halves_and_sentiments_are_the_same_size() {
        for role in Role::ALL {
            let count = |s, h| sentiment_words(s, role, h).count();
            let first = count(Sentiment::Negative, Half::A);
            for sentiment in Sentiment::BOTH {
                assert_eq!(count(sentiment, Half::A), first);
                assert_eq!(count(sentiment, Half::B), first);
            }
        }
    }
}
