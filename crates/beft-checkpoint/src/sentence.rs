//! Folders of sentence-transformers: how one embedding is made of the states of a text's tokens.

use std::path::{Component, Path};

use beft_core::Pooling;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{CheckpointError, Fields, KeyTable, ModelDir};

/// How a model makes an embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbeddingConfig {
    /// How the states of all tokens become one.
    pub pooling: Pooling,
    /// Whether it is divided by its norm.
    pub normalized: bool,
    /// Longest input in tokens; `None` for what tokenizer and model allow.
    pub max_tokens: Option<usize>,
    /// Whether texts are read in lower case, whatever the tokenizer does.
    pub lower_case: bool,
}

/// What sentence-transformers makes of a model without files of its own.
impl Default for EmbeddingConfig {
    fn default() -> Self {
        Self {
            pooling: Pooling::Mean,
            normalized: false,
            max_tokens: None,
            lower_case: false,
        }
    }
}

/// A line of modules.json.
#[derive(Deserialize)]
struct ModuleLine {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    path: String,
}

const MODULES: &str = "modules.json";
const POOLING: &str = "1_Pooling/config.json";
const SETTINGS: &str = "config_sentence_transformers.json";
/// The settings of the first module, under the name of today and those of old releases, in the order of the search.
const TRANSFORMER: [&str; 7] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];
/// Where its modules come from.
const PACKAGE: &str = "sentence_transformers.";

/// Keys of the first module (`base/modules/transformer.py` of sentence-transformers 6).
const TRANSFORMER_KEYS: KeyTable = KeyTable {
    applied: &["do_lower_case", "max_seq_length"],
    // How it is computed, not what.
    immaterial: &["unpad_inputs"],
    only: &[
        ("config_args", "{}"),
        ("config_kwargs", "{}"),
        ("document_length", "null"),
        (
            "modality_config",
            r#"{"text": {"method": "forward", "method_output_name": "last_hidden_state"}}"#,
        ),
        ("model_args", "{}"),
        ("model_kwargs", "{}"),
        ("module_output_name", r#""token_embeddings""#),
        ("processing_kwargs", "{}"),
        ("processor_kwargs", "{}"),
        ("query_expansion", "null"),
        ("query_length", "null"),
        ("tokenizer_args", "{}"),
        ("tokenizer_name_or_path", "null"),
        ("transformer_task", r#""feature-extraction""#),
    ],
};

/// Keys of a pooling (`sentence_transformer/modules/pooling.py`).
const POOLING_KEYS: KeyTable = KeyTable {
    applied: &[
        "pooling_mode",
        "pooling_mode_cls_token",
        "pooling_mode_lasttoken",
        "pooling_mode_max_tokens",
        "pooling_mode_mean_sqrt_len_tokens",
        "pooling_mode_mean_tokens",
        "pooling_mode_weightedmean_tokens",
    ],
    // The width is the model's. There is no prompt.
    immaterial: &[
        "embedding_dimension",
        "include_prompt",
        "word_embedding_dimension",
    ],
    only: &[],
};

/// Keys of a division by the norm (`base/modules/normalize.py`).
const NORMALIZE_KEYS: KeyTable = KeyTable {
    applied: &[],
    immaterial: &[],
    only: &[
        ("module_input_name", r#""sentence_embedding""#),
        ("module_output_name", r#""sentence_embedding""#),
    ],
};

/// Keys of the whole (`sentence_transformer/model.py`). What it does not know changes nothing.
const SETTINGS_KEYS: KeyTable = KeyTable {
    applied: &[],
    immaterial: &[],
    only: &[
        ("model_type", r#""SentenceTransformer""#),
        ("truncate_dim", "null"),
    ],
};
/// What [`ModelDir::sentence_files`] may give.
pub(crate) const SENTENCE_FILES: [&str; 4] = [MODULES, POOLING, SETTINGS, TRANSFORMER[0]];
const REMEDY: &str = "compute such a model with sentence-transformers";

impl ModelDir {
    /// Reads how the model makes an embedding: modules.json and the files that it names, or the mean over the tokens
    /// where there is none. The second value is whether there is a modules.json.
    ///
    /// # Errors
    ///
    /// When a file is damaged, or names something that is not implemented.
    pub fn embedding_config(&self) -> Result<(EmbeddingConfig, bool), CheckpointError> {
        let path = self.path().join(MODULES);
        if !path.is_file() {
            return Ok((EmbeddingConfig::default(), false));
        }
        let modules: Vec<ModuleLine> = self.json(MODULES)?.unwrap_or_default();
        let mut config = EmbeddingConfig::default();
        let mut pooled = false;
        let wrong = |file: &str, reason: String| CheckpointError::Config {
            path: self.path().join(file),
            reason,
        };
        let first = modules.first().map_or("", |module| class(&module.kind));
        if first != "Transformer" {
            let reason = "its first module must be a Transformer: put it there".to_owned();
            return Err(wrong(MODULES, reason));
        }
        for module in &modules {
            if !is_inside(&module.path) {
                let path = &module.path;
                let reason =
                    format!("the path `{path}` leaves the folder: copy what is there into it");
                return Err(wrong(MODULES, reason));
            }
            let file = |name: &str| match module.path.is_empty() {
                true => name.to_owned(),
                false => format!("{}/{name}", module.path),
            };
            match class(&module.kind) {
                "Transformer" if !module.path.is_empty() => {
                    return Err(wrong(
                        MODULES,
                        format!(
                            "the weights are in `{}`: move its files beside {MODULES} and set `path` to \"\"",
                            module.path
                        ),
                    ));
                }
                "Transformer" => {
                    let (name, keys) = self.transformer_settings()?;
                    let bad = |reason| wrong(name, reason);
                    check(&TRANSFORMER_KEYS, &keys).map_err(bad)?;
                    let keys = Fields(&keys);
                    config.lower_case = keys.flag_or("do_lower_case", false).map_err(bad)?;
                    let longest = keys.size_or("max_seq_length", 0).map_err(bad)?;
                    config.max_tokens = (longest > 0).then_some(longest);
                }
                "Pooling" => {
                    let name = file("config.json");
                    let Some(keys) = self.json(&name)? else {
                        let reason = format!("{MODULES} names it, and it is missing: copy it too");
                        return Err(wrong(&name, reason));
                    };
                    check(&POOLING_KEYS, &keys).map_err(|reason| wrong(&name, reason))?;
                    pooled = true;
                    // It replaces what was divided.
                    config.normalized = false;
                    config.pooling = pooling(&keys).map_err(|reason| wrong(&name, reason))?;
                }
                "Normalize" => {
                    let name = file("config.json");
                    let keys: Map<String, Value> = match module.path.is_empty() {
                        true => Map::new(),
                        false => self.json(&name)?.unwrap_or_default(),
                    };
                    KeyTable::check(&[&NORMALIZE_KEYS], &keys)
                        .map_err(|reason| wrong(&name, format!("{reason}: {REMEDY}")))?;
                    // Before there is an embedding, it divides nothing.
                    config.normalized = pooled;
                }
                _ => {
                    let reason =
                        format!("the module `{}` is not implemented: {REMEDY}", module.kind);
                    return Err(wrong(MODULES, reason));
                }
            }
        }
        if !pooled {
            let reason = format!("no module of it is a pooling: add one, or remove {MODULES}");
            return Err(wrong(MODULES, reason));
        }
        let name = SETTINGS;
        let keys: Map<String, Value> = self.json(name)?.unwrap_or_default();
        KeyTable::check(&[&SETTINGS_KEYS], &keys)
            .map_err(|reason| wrong(name, format!("{reason}: {REMEDY}")))?;
        match default_prompt(&keys) {
            Ok(()) => Ok((config, true)),
            Err(reason) => Err(wrong(name, reason)),
        }
    }

    /// The files of sentence-transformers that a copy of the model keeps, under their usual names: modules.json, the
    /// pooling, and the settings beside. None where there is no modules.json.
    pub(crate) fn sentence_files(&self) -> Result<Vec<(&'static str, Vec<u8>)>, CheckpointError> {
        let modules: Option<Vec<Map<String, Value>>> = self.json(MODULES)?;
        let Some(mut modules) = modules else {
            return Ok(Vec::new());
        };
        let mut files = Vec::new();
        let mut keep = |from: String, to: &'static str| {
            if is_inside(&from)
                && let Ok(bytes) = std::fs::read(self.path().join(from))
            {
                files.push((to, bytes));
            }
        };
        for module in &mut modules {
            let text = |key: &str| module.get(key).and_then(Value::as_str).unwrap_or_default();
            let (kind, path) = (text("type").to_owned(), text("path").to_owned());
            let own = match class(&kind) {
                "Pooling" => {
                    keep(format!("{path}/config.json"), POOLING);
                    "1_Pooling"
                }
                "Normalize" => "2_Normalize",
                _ => {
                    keep(self.transformer_settings()?.0.to_owned(), TRANSFORMER[0]);
                    ""
                }
            };
            module.insert("path".to_owned(), own.into());
        }
        keep(SETTINGS.to_owned(), SETTINGS);
        let text = serde_json::to_vec_pretty(&modules).unwrap_or_default();
        files.push((MODULES, text));
        Ok(files)
    }

    /// The settings of the first module, and their file: the first one that has some.
    fn transformer_settings(&self) -> Result<(&'static str, Map<String, Value>), CheckpointError> {
        for name in TRANSFORMER {
            let keys: Map<String, Value> = self.json(name)?.unwrap_or_default();
            if !keys.is_empty() {
                return Ok((name, keys));
            }
        }
        Ok((TRANSFORMER[0], Map::new()))
    }

    /// A JSON file of the folder, if there is one.
    fn json<T: serde::de::DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<T>, CheckpointError> {
        let path = self.path().join(name);
        if !path.is_file() {
            return Ok(None);
        }
        let text = std::fs::read(&path).map_err(CheckpointError::io("read", &path))?;
        let parsed = serde_json::from_slice(&text);
        parsed
            .map(Some)
            .map_err(|source| CheckpointError::Json { path, source })
    }
}

/// Whether a path in a file stays in the folder.
fn is_inside(path: &str) -> bool {
    let stays = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    Path::new(path).components().all(stays)
}

/// The class of a module of the package.
fn class(kind: &str) -> &str {
    let class = kind
        .strip_prefix(PACKAGE)
        .and_then(|path| path.rsplit('.').next());
    class.unwrap_or_default()
}

/// Refuses what the class would: keys that it does not have, and values that are not implemented here.
fn check(table: &KeyTable, keys: &Map<String, Value>) -> Result<(), String> {
    let unknown =
        KeyTable::check(&[table], keys).map_err(|reason| format!("{reason}: {REMEDY}"))?;
    match unknown.first() {
        None => Ok(()),
        Some(key) => Err(format!("`{key}` is not known here: {REMEDY}, or remove it")),
    }
}

/// Refuses a text that is put before every input.
fn default_prompt(keys: &Map<String, Value>) -> Result<(), String> {
    let name = keys
        .get("default_prompt_name")
        .filter(|name| !name.is_null());
    let Some(name) = name else {
        return Ok(());
    };
    let prompts = keys.get("prompts").and_then(Value::as_object);
    let prompt = prompts
        .zip(name.as_str())
        .and_then(|(prompts, name)| prompts.get(name));
    match prompt.and_then(Value::as_str) {
        Some("") => Ok(()),
        Some(prompt) => Err(format!(
            "`default_prompt_name` is {name}: \"{prompt}\" is put before every input; write it into the texts and set the key to \
             null, or, where a pooling has `include_prompt` false, {REMEDY}"
        )),
        None => Err(format!(
            "`default_prompt_name` is {name}, and `prompts` has no text of this name: set the key to null"
        )),
    }
}

/// What Python takes for true.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(on) => *on,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(object) => !object.is_empty(),
    }
}

/// The one kind of pooling that a config asks for, under `pooling_mode` or as the flags of older releases.
fn pooling(keys: &Map<String, Value>) -> Result<Pooling, String> {
    let mode = match keys.get("pooling_mode") {
        Some(Value::Array(modes)) if modes.len() == 1 => modes[0].as_str().map(str::to_owned),
        Some(mode) => mode.as_str().map(str::to_owned),
        None => {
            let flags = keys.iter().filter_map(|(key, on)| {
                let mode = key.strip_prefix("pooling_mode_")?;
                is_true(on).then_some(mode)
            });
            match flags.collect::<Vec<_>>().as_slice() {
                [] | ["mean_tokens"] => Some("mean".to_owned()),
                ["cls_token"] => Some("cls".to_owned()),
                others => Some(others.join(" and ")),
            }
        }
    };
    match mode.as_deref() {
        Some("mean") => Ok(Pooling::Mean),
        Some("cls") => Ok(Pooling::FirstToken),
        other => Err(format!(
            "the pooling is `{}`; mean alone and cls alone are implemented: {REMEDY}",
            other.map_or_else(|| keys["pooling_mode"].to_string(), str::to_owned)
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Pooling, String> {
        pooling(value.as_object().unwrap_or(&Map::new()))
    }

    #[test]
    fn paths_stay_in_the_folder() {
        for path in ["", "1_Pooling", "./1_Pooling", "a/b"] {
            assert!(is_inside(path), "{path}");
        }
        for path in ["..", "../x", "a/../../x", "/etc"] {
            assert!(!is_inside(path), "{path}");
        }
    }

    #[test]
    fn older_and_newer_files_say_the_same() {
        let older = json!({"word_embedding_dimension": 8, "pooling_mode_cls_token": true,
            "pooling_mode_mean_tokens": false});
        assert_eq!(read(older), Ok(Pooling::FirstToken));
        assert_eq!(read(json!({"pooling_mode": "mean"})), Ok(Pooling::Mean));
        assert_eq!(
            read(json!({"pooling_mode": ["cls"]})),
            Ok(Pooling::FirstToken)
        );
        assert_eq!(read(json!({})), Ok(Pooling::Mean));
        for other in [
            json!({"pooling_mode": "max"}),
            json!({"pooling_mode": ["mean", "cls"]}),
            json!({"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true}),
            json!({"pooling_mode_max_tokens": true}),
        ] {
            assert!(read(other.clone()).is_err(), "{other}");
        }
    }
}
