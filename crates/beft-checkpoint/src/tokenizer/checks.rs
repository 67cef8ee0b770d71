//! What is checked in a tokenizer's files before the library reads them.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Bytes of a token above which a tokenizer is refused. The library searches for added tokens in a time that grows with the square of
/// their length, and keeps a piece of a Unigram model as nested values, which end the process when they are deep and are dropped.
const LONGEST: usize = 1000;

/// Checks the content of a `tokenizer.json`.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    let checked: Checked<'_> = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    for Added { content } in &checked.added_tokens {
        check_token("added_tokens", content)?;
    }
    match checked.model.vocab.0 {
        Some(piece) => check_token("model.vocab", &piece),
        None => Ok(()),
    }
}

/// Refuses a token that is too long.
pub(super) fn check_token(key: &str, content: &str) -> Result<(), String> {
    match content.len() <= LONGEST {
        true => Ok(()),
        false => Err(format!(
            "`{key}`: the token `{}...` has {} bytes, and may have {LONGEST}: put a shorter one in its place",
            content.chars().take(20).collect::<String>(),
            content.len()
        )),
    }
}

#[derive(Deserialize)]
struct Checked<'a> {
    #[serde(default)]
    added_tokens: Vec<Added>,
    #[serde(borrow, default)]
    model: Model<'a>,
}

#[derive(Deserialize)]
struct Added {
    content: String,
}

#[derive(Default, Deserialize)]
struct Model<'a> {
    #[serde(borrow, default)]
    vocab: Longest<'a>,
}

/// The longest piece of a Unigram model. Other models have no list of pieces.
#[derive(Default)]
struct Longest<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Longest<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Pieces)
    }
}

struct Pieces;

impl<'de> Visitor<'de> for Pieces {
    type Value = Longest<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a vocabulary")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Longest(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pieces: A) -> Result<Self::Value, A::Error> {
        let mut longest = Cow::Borrowed("");
        while let Some(Piece(piece, _)) = pieces.next_element()? {
            if piece.len() > longest.len() {
                longest = piece;
            }
        }
        Ok(Longest(Some(longest)))
    }
}

/// A piece with its score.
#[derive(Deserialize)]
struct Piece<'a>(#[serde(borrow)] Cow<'a, str>, IgnoredAny);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_tokens_are_named() {
        let long = "x".repeat(LONGEST + 1);
        let pieces = |piece: &str| {
            format!(
                r#"{{"model": {{"type": "Unigram", "vocab": [["a", -1.5], ["{piece}", -2.0]]}}}}"#
            )
        };
        assert_eq!(check(pieces("b\\u00e9").as_bytes()), Ok(()));
        assert_eq!(check(pieces(&long[1..]).as_bytes()), Ok(()));
        let refused = check(pieces(&long).as_bytes()).unwrap_err();
        assert!(
            refused
                .starts_with("`model.vocab`: the token `xxxxxxxxxxxxxxxxxxxx...` has 1001 bytes"),
            "{refused}"
        );
        let added = format!(r#"{{"added_tokens": [{{"id": 1, "content": "{long}"}}]}}"#);
        let refused = check(added.as_bytes()).unwrap_err();
        assert!(refused.starts_with("`added_tokens`: "), "{refused}");
        // No list, and no search.
        let words = format!(r#"{{"model": {{"vocab": {{"{long}": 1}}}}}}"#);
        assert_eq!(check(words.as_bytes()), Ok(()));
    }
}
