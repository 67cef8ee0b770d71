//! A tokenizer.json that is used as it is, where no class of transformers builds its parts anew.

use std::path::Path;

use beft_core::guarded;
use tokenizers::{AddedToken, Tokenizer};

use super::build::{TOKENIZER, added_tokens, special_tokens};
use super::class::Class;
use super::parts::changed_part;
use super::settings::TokenizerSettings;
use crate::CheckpointError;

/// The tokenizer in a tokenizer.json as it is, with the tokens that the other files add.
pub(super) fn kept(
    class: Class,
    found: Tokenizer,
    settings: &TokenizerSettings,
    path: &Path,
) -> Result<Tokenizer, CheckpointError> {
    let mut special = special_tokens(class, settings);
    if let Some(padding) = found.get_padding() {
        let token = || AddedToken::from(padding.pad_token.clone(), true);
        special.entry("pad_token".to_owned()).or_insert_with(token);
    }
    let known = added_tokens(&found);
    let tokens = settings
        .tokens
        .all(Class::Generic, &known, &special, &known);
    let mut tokenizer = match tokens.iter().eq(known.values()) {
        true => found,
        // The library panics where its search for them cannot be made.
        false => {
            guarded(|| with_tokens(&found, &tokens)).ok_or_else(|| CheckpointError::Tokenizer {
                path: path.to_owned(),
                reason: "its normalizer fails on an added token: set `normalized` to false there"
                    .to_owned(),
            })?
        }
    };
    tokenizer.set_encode_special_tokens(settings.split_special);
    Ok(tokenizer)
}

/// Says where a tokenizer.json that is used as it is differs from what transformers makes of it.
pub(super) fn other_part(
    used: &Tokenizer,
    class: Class,
    other: &Tokenizer,
    dir: &Path,
) -> Option<String> {
    let around = |tokenizer: &Tokenizer| {
        let found = guarded(|| tokenizer.encode(("a", "b"), true))?.ok()?;
        Some(found.get_ids().to_vec())
    };
    let part = match changed_part(used, other) {
        Some(part) => part,
        None if around(used) != around(other) => "way of putting special tokens around texts",
        None if added_tokens(used) != added_tokens(other) => "list of added tokens",
        None => return None,
    };
    Some(format!(
        "{}: {TOKENIZER} is used as it is, since there is no tokenizer_config.json; transformers has another {part}: \
         write {{\"tokenizer_class\": \"{}\"}} to tokenizer_config.json for that",
        dir.display(),
        class.name()
    ))
}

/// The same tokenizer with other added tokens. The library cannot change how it searches a special token that it has.
fn with_tokens(found: &Tokenizer, tokens: &[AddedToken]) -> Tokenizer {
    let mut made = Tokenizer::new(found.get_model().clone());
    made.with_normalizer(found.get_normalizer().cloned())
        .with_pre_tokenizer(found.get_pre_tokenizer().cloned())
        .with_post_processor(found.get_post_processor().cloned())
        .with_decoder(found.get_decoder().cloned())
        .add_tokens(tokens);
    made
}
