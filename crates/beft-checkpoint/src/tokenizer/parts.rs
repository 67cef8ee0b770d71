//! Which parts a tokenizer is made of.

use serde_json::Value;
use tokenizers::Tokenizer;

/// Whether texts are cut into bytes (GPT-2), not at sentencepiece's spaces.
pub(super) fn cuts_into_bytes(tokenizer: &Tokenizer) -> bool {
    let part = tokenizer.get_pre_tokenizer();
    part.is_some_and(|part| json(part).to_string().contains("\"ByteLevel\""))
}

/// Whether a tokenizer.json has parts for bytes (LLaMA 3, GPT-2), as transformers asks it
/// (`_tokenizer_json_has_byte_level`).
pub(super) fn is_byte_level(json: &[u8]) -> bool {
    String::from_utf8_lossy(json).contains("\"ByteLevel\"")
}

/// Whether a space is put in front of texts that are cut into bytes.
pub(super) fn prefixes_spaces(tokenizer: &Tokenizer) -> bool {
    let part = tokenizer.get_pre_tokenizer();
    part.is_some_and(|part| json(part).to_string().contains("\"add_prefix_space\":true"))
}

/// The first part in which two tokenizers differ in what they make of texts.
pub(super) fn changed_part(a: &Tokenizer, b: &Tokenizer) -> Option<&'static str> {
    let differs = |a: Value, b: Value| a != b;
    if differs(json(&a.get_normalizer()), json(&b.get_normalizer())) {
        Some("normalizer")
    } else if differs(pieces(a), pieces(b)) {
        Some("splitting of words")
    } else {
        None
    }
}

/// How words are split; `trim_offsets` changes no token.
fn pieces(tokenizer: &Tokenizer) -> Value {
    let mut value = json(&tokenizer.get_pre_tokenizer());
    if let Some(object) = value.as_object_mut() {
        object.remove("trim_offsets");
    }
    value
}

fn json<T: serde::Serialize>(part: &T) -> Value {
    serde_json::to_value(part).unwrap_or_default()
}
