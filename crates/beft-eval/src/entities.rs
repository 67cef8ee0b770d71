//! Entities in tags of words, as seqeval finds them (`seqeval/metrics/sequence_labeling.py`, its default mode).

use std::collections::{BTreeMap, HashSet};

use beft_core::{Metric, TagCounts};

use crate::ClassScores;
use crate::metrics::ratio;

/// An entity: some words of a text that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entity<'t> {
    /// Its type: the tag without its prefix.
    pub kind: &'t str,
    /// Its first word.
    pub first: usize,
    /// Its last word.
    pub last: usize,
}

/// The prefix of a tag, its first character, and the type behind the first hyphen.
fn parts(tag: &str) -> (char, &str) {
    let mut characters = tag.chars();
    let prefix = characters.next().unwrap_or('O');
    let rest = characters.as_str();
    let kind = rest.split_once('-').map_or(rest, |(_, kind)| kind);
    (prefix, if kind.is_empty() { "_" } else { kind })
}

/// The entities in the tags of one text (seqeval's `get_entities`).
///
/// The first character of a tag is its prefix: `B`, `I`, `E`, `S` or `O`. What contradicts the scheme is not an
/// error: an `I-` without a beginning begins an entity, and so does a change of type. Of tags without a prefix those
/// that are equal and neighbours are one entity, whose type lacks the first character.
///
/// # Examples
///
/// ```
/// let found = beft_eval::entities(&["B-PER", "I-PER", "O", "I-LOC"]);
/// let found: Vec<_> = found.iter().map(|e| (e.kind, e.first, e.last)).collect();
/// assert_eq!(found, [("PER", 0, 1), ("LOC", 3, 3)]);
/// ```
pub fn entities<'t>(tags: &[&'t str]) -> Vec<Entity<'t>> {
    let (mut before, mut before_kind) = ('O', "_");
    let mut first = 0;
    let mut found = Vec::new();
    for (at, tag) in tags.iter().copied().chain(["O"]).enumerate() {
        let (prefix, kind) = parts(tag);
        if ends(before, prefix, before_kind != kind) {
            found.push(Entity {
                kind: before_kind,
                first,
                last: at - 1,
            });
        }
        if starts(before, prefix, before_kind != kind) {
            first = at;
        }
        (before, before_kind) = (prefix, kind);
    }
    found
}

/// Whether an entity ends between two words with these prefixes (`end_of_chunk`).
fn ends(before: char, prefix: char, other_kind: bool) -> bool {
    let closed = match before {
        'E' | 'S' => true,
        'B' | 'I' => matches!(prefix, 'B' | 'S' | 'O'),
        _ => false,
    };
    closed || (other_kind && !matches!(before, 'O' | '.'))
}

/// Whether an entity starts between two words with these prefixes (`start_of_chunk`).
fn starts(before: char, prefix: char, other_kind: bool) -> bool {
    let opened = match prefix {
        'B' | 'S' => true,
        'E' | 'I' => matches!(before, 'E' | 'S' | 'O'),
        _ => false,
    };
    opened || (other_kind && !matches!(prefix, 'O' | '.'))
}

/// Compares the tags of the words of one text.
///
/// # Panics
///
/// When the two slices differ in length.
pub fn tag_counts(truth: &[&str], said: &[&str]) -> TagCounts {
    check_lengths(truth, said);
    let (right, found) = (entities(truth), entities(said));
    let known: HashSet<&Entity<'_>> = right.iter().collect();
    TagCounts {
        correct: found.iter().filter(|entity| known.contains(entity)).count(),
        found: found.len(),
        right: right.len(),
        same: truth.iter().zip(said).filter(|(t, s)| t == s).count(),
        words: truth.len(),
    }
}

/// How well the entities of each type are found, by the name of the type; `texts` are the right and the predicted
/// tags of each.
///
/// # Panics
///
/// When the two slices of a text differ in length.
pub fn entity_scores<'t>(
    texts: impl Iterator<Item = (Vec<&'t str>, Vec<&'t str>)>,
) -> Vec<(&'t str, ClassScores)> {
    // Right, support, predicted.
    let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for (truth, said) in texts {
        check_lengths(&truth, &said);
        let (right, found) = (entities(&truth), entities(&said));
        let known: HashSet<&Entity<'_>> = right.iter().collect();
        for entity in &right {
            counts.entry(entity.kind).or_default()[1] += 1;
        }
        for entity in &found {
            let count = counts.entry(entity.kind).or_default();
            count[0] += usize::from(known.contains(entity));
            count[2] += 1;
        }
    }
    let scores = counts
        .into_iter()
        .map(|(kind, [right, support, predicted])| {
            (kind, ClassScores::of(right, support, predicted))
        });
    scores.collect()
}

/// A metric of tags from the counts of all texts together; `None` for a metric of something else. A share of nothing
/// is 0.
pub fn measure_tags(metric: Metric, counts: TagCounts) -> Option<f64> {
    let TagCounts {
        correct,
        found,
        right,
        same,
        words,
    } = counts;
    match metric {
        Metric::Precision => Some(ratio(correct, found)),
        Metric::Recall => Some(ratio(correct, right)),
        Metric::EntityF1 => Some(ratio(2 * correct, found + right)),
        Metric::TokenAccuracy => Some(ratio(same, words)),
        Metric::Accuracy | Metric::F1 | Metric::MacroF1 | Metric::Matthews => None,
        Metric::MicroF1 | Metric::SubsetAccuracy => None,
        Metric::Pearson | Metric::Spearman => None,
        Metric::TokenF1 | Metric::ExactMatch => None,
        Metric::LogLikelihood | Metric::ReciprocalRank => None,
    }
}

fn check_lengths(truth: &[&str], said: &[&str]) {
    assert_eq!(truth.len(), said.len(), "one tag for each word");
}
