//! Tokens beyond a vocabulary: where the files of a folder name them, and how transformers adds them
//! (`PreTrainedTokenizerBase._from_pretrained`, `TokenizersBackend.__init__`).

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::path::Path;

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use super::checks::check_token;
use super::class::Class;
use super::settings::object;
use crate::CheckpointError;

/// Special tokens as transformers 4 and older saved them.
const SPECIAL_TOKENS: &str = "special_tokens_map.json";
/// Tokens beyond the vocabulary as transformers 4 and older saved them.
const ADDED_TOKENS: &str = "added_tokens.json";

/// The special tokens that have names of their own in transformers, in the order in which they are added.
pub(super) const NAMED: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];

const EXTRA: &str = "extra_special_tokens";
/// Its name in transformers 4.
const ADDITIONAL: &str = "additional_special_tokens";
const OF_MODEL: &str = "model_specific_special_tokens";
const DECODER: &str = "added_tokens_decoder";

/// Tokens that the files of a folder name beside the vocabulary.
#[derive(Debug, Default)]
pub(crate) struct AddedTokens {
    /// Special tokens by their seven names (`cls_token`).
    named: BTreeMap<String, Token>,
    /// Special tokens under names of the model's own (`image_token`).
    of_model: Vec<(String, AddedToken)>,
    /// Further special tokens; `None` where no file has the key.
    extra: Option<Vec<Token>>,
    /// Tokens by id.
    listed: BTreeMap<u32, Token>,
    /// Whether tokenizer_config.json lists them, so that the older files and the list in tokenizer.json do not matter.
    in_config: bool,
}

/// A token as a file gives it.
#[derive(Clone, Debug)]
struct Token {
    token: AddedToken,
    /// Whether it is searched in the normalised text; where a file does not say, special tokens are not.
    normalized: Option<bool>,
    /// Whether it is an object in tokenizer_config.json, not a string.
    object: bool,
}

impl Token {
    fn special(&self) -> AddedToken {
        let token = self.token.clone().special(true);
        token.normalized(self.normalized.unwrap_or(false))
    }
}

impl From<AddedToken> for Token {
    fn from(token: AddedToken) -> Self {
        Self {
            normalized: Some(token.normalized),
            token,
            object: false,
        }
    }
}

impl AddedTokens {
    /// Reads the keys of tokenizer_config.json.
    pub(super) fn from_config(keys: &Map<String, Value>) -> Result<Self, String> {
        let mut found = Self::default();
        for name in NAMED {
            if let Some(token) = keys.get(name).filter(|v| !v.is_null()) {
                let token = token_of(name, token)?;
                found.named.insert(name.to_owned(), token);
            }
        }
        // Strings stand behind tokens with properties, and before what an object says.
        for strings in [false, true] {
            found.add_of_model(own_names(keys).filter(|(_, v)| v.is_string() == strings))?;
        }
        let given = |key: &str| keys.get(key).filter(|value| !is_empty(value));
        let extra = match given(EXTRA) {
            None if given(ADDITIONAL).is_some() => keys.get(ADDITIONAL),
            _ => keys.get(EXTRA).filter(|value| !value.is_null()),
        };
        match extra {
            Some(Value::Object(tokens)) => found.add_of_model(tokens)?,
            Some(list) => found.extra = Some(tokens_of(EXTRA, list)?),
            None => {}
        }
        if let (true, Some(Value::Object(tokens))) = (found.of_model.is_empty(), keys.get(OF_MODEL))
        {
            found.add_of_model(tokens)?;
        }
        match keys.get(DECODER).filter(|v| !v.is_null()) {
            None => {}
            Some(Value::Object(tokens)) => {
                found.in_config = true;
                for (id, token) in tokens {
                    let number: u32 = id
                        .parse()
                        .map_err(|_| format!("`{DECODER}`: `{id}` is no token id"))?;
                    let token = token_of(DECODER, token)?;
                    found.listed.insert(number, token);
                }
            }
            Some(value) => return Err(format!("`{DECODER}` is {value}; it must be an object")),
        }
        Ok(found)
    }

    /// Adds what older versions kept in files of their own.
    pub(super) fn add_legacy(&mut self, dir: &Path) -> Result<(), CheckpointError> {
        if self.in_config {
            return Ok(());
        }
        let fail = |path: &Path, reason: String| CheckpointError::Tokenizer {
            path: path.to_owned(),
            reason,
        };
        let path = dir.join(SPECIAL_TOKENS);
        let keys = object(&path)?.unwrap_or_default();
        self.add_map(&keys).map_err(|reason| fail(&path, reason))?;
        // It compares with the content of strings only.
        let extra = self.extra.iter().flatten();
        let special: HashSet<String> = { self.named.values().chain(extra) }
            .filter(|one| !one.object)
            .map(|one| one.token.content.clone())
            .collect();
        // transformers asks which tokens are special before it looks here.
        if let (None, Some(list)) = (&self.extra, keys.get(ADDITIONAL)) {
            let extra = tokens_of(ADDITIONAL, list).map_err(|reason| fail(&path, reason))?;
            self.extra = Some(extra.iter().map(|one| one.special().into()).collect());
        }
        let path = dir.join(ADDED_TOKENS);
        for (content, id) in object(&path)?.into_iter().flatten() {
            let number = id.as_u64().and_then(|id| u32::try_from(id).ok());
            let number = number.ok_or_else(|| {
                fail(&path, format!("`{content}` is {id}; it must be a token id"))
            })?;
            check_token(ADDED_TOKENS, &content).map_err(|reason| fail(&path, reason))?;
            let special = special.contains(&content);
            let token = AddedToken::from(content, special);
            self.listed.insert(number, token.into());
        }
        Ok(())
    }

    /// Adds the content of special_tokens_map.json.
    fn add_map(&mut self, keys: &Map<String, Value>) -> Result<(), String> {
        for name in NAMED {
            if let Some(token) = keys.get(name).filter(|v| !v.is_null()) {
                let token = token_of(name, token)?.special().into();
                self.named.insert(name.to_owned(), token);
            }
        }
        self.add_of_model(own_names(keys))?;
        match keys.get(EXTRA).filter(|v| !v.is_null()) {
            None => {}
            Some(Value::Object(tokens)) => self.add_of_model(tokens)?,
            Some(list) => {
                let more = tokens_of(EXTRA, list)?;
                let extra = self.extra.get_or_insert_default();
                extra.extend(more.iter().map(|one| Token::from(one.special())));
            }
        }
        Ok(())
    }

    /// Adds special tokens under names of the model's own.
    fn add_of_model<'a>(
        &mut self,
        tokens: impl IntoIterator<Item = (&'a String, &'a Value)>,
    ) -> Result<(), String> {
        for (name, value) in tokens {
            let token = token_of(name, value)?.special();
            self.of_model.push((name.clone(), token));
        }
        Ok(())
    }

    /// The special tokens by their seven names, and whether a string gives them.
    pub(super) fn named(&self) -> impl Iterator<Item = (&String, AddedToken, bool)> {
        let named = self.named.iter();
        named.map(|(name, one)| (name, one.special(), !one.object))
    }

    /// The added tokens of a tokenizer that has `known` ones, by id. `named` are the seven with the usual ones of its
    /// class, `of_file` are the tokens in the list of tokenizer.json.
    pub(super) fn all(
        &self,
        class: Class,
        known: &BTreeMap<u32, AddedToken>,
        named: &BTreeMap<String, AddedToken>,
        of_file: &BTreeMap<u32, AddedToken>,
    ) -> Vec<AddedToken> {
        let mut listed = self.listed.clone();
        if !self.in_config {
            listed.extend(
                of_file
                    .iter()
                    .map(|(id, token)| (*id, token.clone().into())),
            );
        }
        let old: HashSet<&str> = { known.values().chain(listed.values().map(|one| &one.token)) }
            .map(|token| token.content.as_str())
            .collect();
        let special = self.special(named);
        let is_new = |token: &AddedToken| !old.contains(token.content.as_str());
        let contents: HashSet<&str> = special.iter().map(|token| token.content.as_str()).collect();
        let given = |one: &Token| match contents.contains(one.token.content.as_str()) {
            true => one.special(),
            false => one.token.clone(),
        };
        let names = special.iter().copied().filter(|token| is_new(token));
        let usual = class.default_extra().iter();
        let usual: Vec<Token> =
            { usual.map(|content| AddedToken::from(*content, true).into()) }.collect();
        let extra = || self.extra.as_ref().unwrap_or(&usual).iter();
        let given = { known.values().cloned() }
            .chain(listed.values().map(given))
            .chain(names.cloned())
            .chain(extra().filter(|one| is_new(&one.token)).map(given));
        // `Qwen2Tokenizer` takes the properties of all special tokens away at its end.
        let plain = { special.iter().copied().chain(extra().map(|one| &one.token)) }
            .filter(|_| class == Class::Qwen2)
            .map(|token| AddedToken::from(token.content.clone(), true));
        // The library never forgets that a token was special.
        let again = |old: &AddedToken, new: AddedToken| {
            let special = old.special || new.special;
            new.special(special)
        };
        last_of_each(
            given
                .chain(plain)
                .map(|token| (token.content.clone(), token)),
            again,
        )
    }

    /// All special tokens with names, in transformers' order.
    fn special<'a>(&'a self, named: &'a BTreeMap<String, AddedToken>) -> Vec<&'a AddedToken> {
        let named = NAMED.into_iter().filter_map(|name| named.get(name));
        let of_model = self.of_model.iter().map(|(name, token)| (name, token));
        let of_model = last_of_each(of_model, |_, new| new);
        named.chain(of_model).collect()
    }
}

/// Of values with the same key the last, at the place of the first.
fn last_of_each<K: Eq + Hash, V>(
    all: impl Iterator<Item = (K, V)>,
    again: impl Fn(&V, V) -> V,
) -> Vec<V> {
    let mut found: Vec<V> = Vec::new();
    let mut places: HashMap<K, usize> = HashMap::new();
    for (key, value) in all {
        match places.entry(key) {
            Entry::Occupied(place) => {
                let known = &mut found[*place.get()];
                *known = again(known, value);
            }
            Entry::Vacant(place) => {
                place.insert(found.len());
                found.push(value);
            }
        }
    }
    found
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.is_empty(),
        _ => false,
    }
}

/// Keys of special tokens that are a model's own.
fn own_names(keys: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    keys.iter().filter(|(key, value)| {
        key.ends_with("_token")
            && !NAMED.contains(&key.as_str())
            && (value.is_string() || value.get("content").is_some())
    })
}

fn tokens_of(key: &str, list: &Value) -> Result<Vec<Token>, String> {
    match list {
        Value::Null => Ok(Vec::new()),
        Value::Array(list) => list.iter().map(|token| token_of(key, token)).collect(),
        other => Err(format!("`{key}` is {other}; it must be a list of tokens")),
    }
}

/// A token as a string, which is special, or as an object with its properties.
fn token_of(key: &str, value: &Value) -> Result<Token, String> {
    let wrong = || format!("`{key}` is {value}; it must be a token");
    let content = match value {
        Value::Object(object) => object.get("content"),
        other => Some(other),
    };
    let content = content.and_then(Value::as_str).ok_or_else(wrong)?;
    check_token(key, content)?;
    let Value::Object(object) = value else {
        return Ok(AddedToken::from(content, true).into());
    };
    let given = |name: &str| match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(other) => Err(format!(
            "`{key}`: `{name}` of the token `{content}` is {other}; it must be true or false"
        )),
    };
    let flag = |name: &str| Ok::<bool, String>(given(name)?.unwrap_or(false));
    let special = flag("special")?;
    let normalized = given("normalized")?;
    let token = AddedToken::from(content, special)
        .single_word(flag("single_word")?)
        .lstrip(flag("lstrip")?)
        .rstrip(flag("rstrip")?)
        .normalized(normalized.unwrap_or(!special));
    Ok(Token {
        token,
        normalized,
        object: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<AddedTokens, String> {
        AddedTokens::from_config(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn tokens_are_read() {
        let json = r#"{"cls_token": "<c>", "image_token": "<i>",
            "mask_token": {"content": "<m>", "lstrip": true, "special": false},
            "additional_special_tokens": ["<a>", {"content": "<b>", "rstrip": true}],
            "added_tokens_decoder": {"5": {"content": "x"}}}"#;
        let tokens = read(json).unwrap();
        assert_eq!(tokens.named["cls_token"].token.content, "<c>");
        let mask = &tokens.named["mask_token"].special();
        assert!(mask.lstrip && mask.special && !mask.normalized);
        let listed = &tokens.listed[&5].token;
        assert!(listed.normalized && !listed.special);
        assert_eq!(
            tokens.of_model[0],
            ("image_token".into(), AddedToken::from("<i>", true))
        );
        let extra = tokens.extra.unwrap();
        let (a, b) = (&extra[0].token, &extra[1].token);
        assert!(a.special && !b.special && b.rstrip);
        for (json, part) in [
            (r#"{"unk_token": 3}"#, "`unk_token` is 3"),
            (
                r#"{"added_tokens_decoder": {"x": "y"}}"#,
                "`x` is no token id",
            ),
            (
                r#"{"added_tokens_decoder": {"1": {"content": "y", "lstrip": 1}}}"#,
                "`lstrip` of the token `y` is 1",
            ),
            (r#"{"extra_special_tokens": "y"}"#, "a list of tokens"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
