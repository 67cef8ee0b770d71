//! How close generated answers come to the right ones, as SQuAD's `evaluate-v1.1.py` has it.

use std::collections::HashMap;

/// An answer without what does not matter: in lower case, without ASCII punctuation, without the
/// words `a`, `an` and `the`, its words separated by single spaces.
///
/// As the reference does it in Python, in this order and so with its consequences: `U.S.` is `us`
/// and `the-end` is `theend`, but `the–end` (a dash that is no ASCII) is `–end`. Python knows marks
/// and symbols that go with letters (such as Ⓐ) for no parts of words, and this does not: an article
/// directly before or behind one of them stays.
pub fn normalize_answer(answer: &str) -> String {
    let lower = answer.to_lowercase();
    let plain: String = lower
        .chars()
        .filter(|c| !c.is_ascii_punctuation())
        .collect();
    let without = without_articles(&plain);
    let words: Vec<&str> = without.split(is_space).filter(|w| !w.is_empty()).collect();
    words.join(" ")
}

/// Whether `prediction` equals one of `golds` after [`normalize_answer`].
pub fn exact_match<S: AsRef<str>>(prediction: &str, golds: &[S]) -> bool {
    let prediction = normalize_answer(prediction);
    golds
        .iter()
        .any(|gold| normalize_answer(gold.as_ref()) == prediction)
}

/// F1 of the words that `prediction` has in common with a gold answer, each as often as both have
/// it, after [`normalize_answer`]; the best over `golds`, 0 to 1. Nothing in common is 0, even
/// where nothing is left of both answers.
pub fn token_f1<S: AsRef<str>>(prediction: &str, golds: &[S]) -> f64 {
    let prediction = normalize_answer(prediction);
    golds
        .iter()
        .map(|gold| words_f1(&prediction, &normalize_answer(gold.as_ref())))
        .fold(0.0, f64::max)
}

/// Whether `prediction` is right where questions may have no answer, as `evaluate-v2.0.py` has it: golds of which nothing
/// is left after [`normalize_answer`] are none, and without golds the right answer is the empty one.
pub fn exact_match_or_none<S: AsRef<str>>(prediction: &str, golds: &[S]) -> bool {
    exact_match(prediction, &said_golds(golds))
}

/// F1 of words where questions may have no answer, as `evaluate-v2.0.py` has it: as [`token_f1`], but two answers of which
/// nothing is left are alike.
pub fn token_f1_or_none<S: AsRef<str>>(prediction: &str, golds: &[S]) -> f64 {
    let golds = said_golds(golds);
    let nothing = |text: &str| normalize_answer(text).is_empty();
    match nothing(prediction) && golds.iter().any(|gold| nothing(gold)) {
        true => 1.0,
        false => token_f1(prediction, &golds),
    }
}

fn said_golds<S: AsRef<str>>(golds: &[S]) -> Vec<&str> {
    let golds = golds.iter().map(AsRef::as_ref);
    let golds: Vec<&str> = golds
        .filter(|gold| !normalize_answer(gold).is_empty())
        .collect();
    match golds.is_empty() {
        true => vec![""],
        false => golds,
    }
}

fn words_f1(prediction: &str, gold: &str) -> f64 {
    let words = |text: &str| text.split(' ').filter(|word| !word.is_empty()).count();
    let mut left: HashMap<&str, usize> = HashMap::new();
    for word in gold.split(' ').filter(|word| !word.is_empty()) {
        *left.entry(word).or_default() += 1;
    }
    let mut common = 0;
    for word in prediction.split(' ') {
        if let Some(count) = left.get_mut(word).filter(|count| **count > 0) {
            *count -= 1;
            common += 1;
        }
    }
    if common == 0 {
        return 0.0;
    }
    let precision = common as f64 / words(prediction) as f64;
    let recall = common as f64 / words(gold) as f64;
    2.0 * precision * recall / (precision + recall)
}

/// A space for each article that is a word of its own: Python's `\b(a|an|the)\b`.
fn without_articles(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_word) {
        let end = rest[start..].find(|c| !is_word(c));
        let end = end.map_or(rest.len(), |end| start + end);
        kept.push_str(&rest[..start]);
        match &rest[start..end] {
            "a" | "an" | "the" => kept.push(' '),
            word => kept.push_str(word),
        }
        rest = &rest[end..];
    }
    kept.push_str(rest);
    kept
}

/// Python's `\w`.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What Python's `str.split` splits at: white space, and the information separators.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}
