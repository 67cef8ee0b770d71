//! The demo model's WordPiece tokenizer.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::labelled;
use crate::template::{CONTRAST, NEUTRAL, SENTIMENT, literals};
use crate::words::{COMPANY, DAYS, DEGREES, DOMAINS, Half, NUMBERS, SEASONS, all_sentiment_words};

/// Special tokens, by id.
pub const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// Word pieces, by id: special tokens, punctuation, letters (so that any word of Latin letters
/// can be spelled), and the words of the corpus.
pub fn vocabulary() -> Vec<String> {
    let mut words: BTreeSet<&str> = BTreeSet::from(["an"]);
    for templates in [
        SENTIMENT,
        NEUTRAL,
        CONTRAST,
        labelled::TEMPLATES,
        labelled::CONTRASTS,
    ] {
        words.extend(literals(templates));
    }
    for d in &DOMAINS {
        for list in [d.items, d.aspects, d.people, d.plain, d.places, d.actions] {
            words.extend(list);
        }
    }
    words.extend(
        DAYS.iter()
            .chain(&COMPANY)
            .chain(&NUMBERS)
            .chain(&SEASONS)
            .chain(&DEGREES),
    );
    words.extend(all_sentiment_words(Half::Both));

    let mut pieces: Vec<String> = SPECIAL.map(str::to_owned).to_vec();
    pieces.extend("!\"',-.:;?()0123456789".chars().map(String::from));
    pieces.extend(('a'..='z').map(String::from));
    pieces.extend(('0'..='9').chain('a'..='z').map(|c| format!("##{c}")));
    // One-letter words and punctuation are there already.
    pieces.extend(words.into_iter().filter(|w| w.len() > 1).map(str::to_owned));
    pieces
}

/// The words that hold the templates together: they occur in texts of every kind.
pub fn function_words() -> BTreeSet<&'static str> {
    [SENTIMENT, NEUTRAL, CONTRAST]
        .into_iter()
        .flat_map(literals)
        .chain(["an"])
        .collect()
}

/// `tokenizer.json` in the format of HF `tokenizers`.
pub fn tokenizer_json() -> Value {
    let vocab: serde_json::Map<String, Value> = vocabulary()
        .into_iter()
        .enumerate()
        .map(|(id, piece)| (piece, id.into()))
        .collect();
    let added: Vec<Value> = SPECIAL
        .iter()
        .enumerate()
        .map(|(id, content)| {
            json!({
                "id": id, "content": content, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true,
            })
        })
        .collect();
    let special = |token: &str| json!({"SpecialToken": {"id": token, "type_id": 0}});
    let special1 = |token: &str| json!({"SpecialToken": {"id": token, "type_id": 1}});
    let known = |token: &str, id: usize| json!({"id": token, "ids": [id], "tokens": [token]});
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                special("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, special("[SEP]"),
            ],
            "pair": [
                special("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, special("[SEP]"),
                {"Sequence": {"id": "B", "type_id": 1}}, special1("[SEP]"),
            ],
            "special_tokens": {"[CLS]": known("[CLS]", 2), "[SEP]": known("[SEP]", 3)},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocab,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Corpus;

    #[test]
    fn every_word_of_the_corpus_is_one_piece() {
        let pieces = vocabulary();
        assert!(pieces.len() < 1200, "{}", pieces.len());
        let set: BTreeSet<&str> = pieces.iter().map(String::as_str).collect();
        assert_eq!(set.len(), pieces.len());
        let documents: Vec<_> = Corpus::new(0).take(500).collect();
        let labelled: Vec<_> = labelled::train()
            .into_iter()
            .chain(labelled::dev())
            .collect();
        let texts = documents.iter().flat_map(|d| [&d.first, &d.second]);
        for text in texts.chain(labelled.iter().map(|l| &l.sentence)) {
            for word in text.split(' ') {
                assert!(set.contains(word), "{word}");
            }
        }
    }
}
