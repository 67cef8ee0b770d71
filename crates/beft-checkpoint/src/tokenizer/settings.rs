use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use super::added::AddedTokens;
use crate::{CheckpointError, KeyTable};

const CONFIG: &str = "tokenizer_config.json";

/// Keys of `tokenizer_config.json` (`TokenizersBackend` and `PreTrainedTokenizerBase` in transformers 5).
pub(crate) const TOKENIZER_KEYS: KeyTable = KeyTable {
    applied: &[
        "add_bos_token",
        "add_eos_token",
        "add_prefix_space",
        "added_tokens_decoder",
        "additional_special_tokens",
        "bos_token",
        "cls_token",
        "do_lower_case",
        "eos_token",
        "extra_special_tokens",
        "legacy",
        "mask_token",
        "max_len",
        "model_input_names",
        "model_max_length",
        "model_specific_special_tokens",
        "pad_token",
        "sep_token",
        "split_by_punct",
        "split_special_tokens",
        "strip_accents",
        "tokenize_chinese_chars",
        "tokenizer_class",
        "truncation_side",
        "unk_id",
        "unk_token",
    ],
    immaterial: &[
        "backend",
        // Padding is computed nowhere, so its side does not matter.
        "pad_to_multiple_of",
        "pad_token_type_id",
        "padding_side",
        // transformers ignores it for byte-pair encodings, and only these generate text here.
        "clean_up_tokenization_spaces",
        "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output",
        // Prompts of chats are not made here.
        "chat_control_tokens",
        "chat_template",
        "response_template",
        "use_default_system_prompt",
        // What transformers 5 no longer reads.
        "do_basic_tokenize",
        "from_slow",
        "full_tokenizer_file",
        "never_split",
        "use_fast",
        // Names of files and packages, and what Python does with offsets and bytes.
        "errors",
        "files_loaded",
        "init_inputs",
        "is_local",
        "local_files_only",
        "merges",
        "merges_file",
        "name_or_path",
        "processor_class",
        "response_schema",
        "special_tokens_map_file",
        "tokenizer_file",
        "transformers_version",
        "trim_offsets",
        "verbose",
        "vocab",
        "vocab_file",
        // Lengths are given to every call.
        "max_length",
        "stride",
        "truncation_strategy",
    ],
    only: &[("auto_map", "null"), ("fix_mistral_regex", "false")],
};

/// Lengths above this are transformers' word for "not known".
const LONGEST: f64 = 1e9;

/// What `tokenizer_config.json` says, and the older files beside it.
#[derive(Debug, Default)]
pub(crate) struct TokenizerSettings {
    /// Whether the file is there.
    pub(crate) found: bool,
    /// Class of the tokenizer.
    pub(crate) class: Option<String>,
    /// Longest input in tokens.
    pub(crate) max_length: Option<usize>,
    /// What the tokenizer gives beside token ids (`token_type_ids`: which text of a pair a token is of).
    pub(crate) input_names: Option<Vec<String>>,
    /// Whether long texts lose their beginning instead of their end.
    pub(crate) cut_left: Option<bool>,
    pub(crate) lower_case: Option<bool>,
    pub(crate) strip_accents: Option<bool>,
    pub(crate) chinese_chars: Option<bool>,
    pub(crate) prefix_space: Option<bool>,
    pub(crate) split_by_punct: Option<bool>,
    pub(crate) legacy: Option<bool>,
    /// The piece for what is unknown, where none has the name of that.
    pub(crate) unk_id: Option<usize>,
    pub(crate) add_bos: Option<bool>,
    pub(crate) add_eos: Option<bool>,
    /// Whether special tokens inside texts are split like other words.
    pub(crate) split_special: bool,
    /// Tokens beyond the vocabulary.
    pub(crate) tokens: AddedTokens,
    /// What the user should hear.
    pub(crate) notes: Vec<String>,
}

impl TokenizerSettings {
    /// Reads the files of a folder, of which none needs to be there.
    pub(crate) fn read(dir: &Path) -> Result<Self, CheckpointError> {
        let path = dir.join(CONFIG);
        let Some(keys) = object(&path)? else {
            let mut settings = Self::default();
            settings.tokens.add_legacy(dir)?;
            return Ok(settings);
        };
        let fail = |reason: String| CheckpointError::Tokenizer {
            path: path.clone(),
            reason,
        };
        let unknown = KeyTable::check(&[&TOKENIZER_KEYS], &keys).map_err(&fail)?;
        // Further special tokens of a model are kept under keys of their own.
        let unknown: Vec<String> = unknown
            .into_iter()
            .filter(|key| !key.ends_with("_token") && !key.ends_with("_tokens"))
            .map(str::to_owned)
            .collect();
        let mut settings = Self::from_keys(&keys).map_err(&fail)?;
        settings.notes = unknown
            .iter()
            .map(|key| {
                format!(
                    "{}: the key `{key}` is not known here and is not used",
                    path.display()
                )
            })
            .collect();
        settings.tokens.add_legacy(dir)?;
        Ok(settings)
    }

    fn from_keys(keys: &Map<String, Value>) -> Result<Self, String> {
        let flag = |key: &str| match keys.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(value) => Err(format!("`{key}` is {value}; it must be true or false")),
        };
        let text = |key: &str| match keys.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(value) => Err(format!("`{key}` is {value}; it must be a string")),
        };
        // The name that it had before.
        let longest = { ["model_max_length", "max_len"].into_iter() }
            .find_map(|key| Some((key, keys.get(key)?)));
        let max_length = match longest.filter(|(_, value)| !value.is_null()) {
            None => None,
            Some((key, value)) => match value.as_f64() {
                Some(length) if length > LONGEST => None,
                Some(length) if length >= 1.0 && length.fract() == 0.0 => Some(length as usize),
                _ => {
                    return Err(format!("`{key}` is {value}; it must be a length in tokens"));
                }
            },
        };
        let cut_left = match text("truncation_side")?.as_deref() {
            None => None,
            Some("right") => Some(false),
            Some("left") => Some(true),
            Some(side) => {
                return Err(format!(
                    "`truncation_side` is `{side}`; left and right are known"
                ));
            }
        };
        Ok(Self {
            found: true,
            class: text("tokenizer_class")?,
            max_length,
            input_names: match keys.get("model_input_names") {
                Some(Value::Array(names)) => Some(
                    names
                        .iter()
                        .filter_map(|name| name.as_str().map(str::to_owned))
                        .collect(),
                ),
                _ => None,
            },
            cut_left,
            lower_case: flag("do_lower_case")?,
            strip_accents: flag("strip_accents")?,
            chinese_chars: flag("tokenize_chinese_chars")?,
            prefix_space: flag("add_prefix_space")?,
            split_by_punct: flag("split_by_punct")?,
            legacy: flag("legacy")?,
            unk_id: match keys.get("unk_id").filter(|v| !v.is_null()) {
                None => None,
                Some(value) => match value.as_u64().and_then(|id| usize::try_from(id).ok()) {
                    Some(id) => Some(id),
                    None => return Err(format!("`unk_id` is {value}; it must be a token id")),
                },
            },
            add_bos: flag("add_bos_token")?,
            add_eos: flag("add_eos_token")?,
            split_special: flag("split_special_tokens")?.unwrap_or(false),
            tokens: AddedTokens::from_config(keys)?,
            notes: Vec::new(),
        })
    }
}

/// The object in a JSON file, if the file is there.
pub(super) fn object(path: &Path) -> Result<Option<Map<String, Value>>, CheckpointError> {
    if !path.is_file() {
        return Ok(None);
    }
    let bytes = fs::read(path).map_err(CheckpointError::io("read", path))?;
    let object = serde_json::from_slice(&bytes).map_err(|source| CheckpointError::Json {
        path: path.to_owned(),
        source,
    })?;
    Ok(Some(object))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_files::reference_keys;

    #[test]
    fn every_key_of_transformers_stands_in_the_table() {
        for (class, keys) in reference_keys("tokenizer_config.json") {
            for key in keys.keys() {
                assert!(TOKENIZER_KEYS.names(key), "{class}: {key}");
            }
        }
    }

    fn read(json: &str) -> Result<TokenizerSettings, String> {
        TokenizerSettings::from_keys(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn lengths_and_sides_are_read() {
        let settings = read(r#"{"max_len": 7}"#).unwrap();
        assert_eq!((settings.max_length, settings.cut_left), (Some(7), None));
        let settings = read(r#"{"model_max_length": 1000000000000000019884624838656}"#).unwrap();
        assert_eq!(settings.max_length, None);
        let json = r#"{"model_max_length": 77, "truncation_side": "left"}"#;
        let settings = read(json).unwrap();
        assert_eq!(
            (settings.max_length, settings.cut_left),
            (Some(77), Some(true))
        );
        for (json, part) in [
            (r#"{"model_max_length": 0}"#, "model_max_length"),
            (r#"{"truncation_side": "middle"}"#, "truncation_side"),
            (r#"{"do_lower_case": "yes"}"#, "do_lower_case"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
