use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::HubError;
use crate::name::check_file;

pub(crate) const ALWAYS: [&str; 1] = ["config.json"];

/// Files that say more about tokenizing, generating and embeddings, where a model has them.
pub(crate) const OPTIONAL: [&str; 6] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "generation_config.json",
    MODULES,
];

/// sentence-transformers' list of what computes an embedding. A model without it has none of its other files.
pub(crate) const MODULES: &str = "modules.json";

/// Settings beside the list: those of the whole, and of the first module under all names that the file has had.
const OF_MODULES: [&str; 8] = [
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];

/// Whether a file has the settings of a module of the list, as `1_Pooling/config.json`, or of all of them.
pub(crate) fn is_of_module(file: &str) -> bool {
    let folder = file.strip_suffix("/config.json").unwrap_or_default();
    let number = folder.split_once('_').map_or("", |(number, _)| number);
    let numbered = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    OF_MODULES.contains(&file) || (numbered && !folder.contains('/'))
}

/// What stands for tokenizer.json where a model has none, each with all it needs.
const VOCABULARIES: [&[&str]; 2] = [&["vocab.txt"], &["vocab.json", "merges.txt"]];

/// Models of sentencepiece, which are not read.
pub(crate) const SENTENCEPIECE: [&str; 4] = [
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "spm.model",
];

/// The files of the vocabulary to read, where there is no tokenizer.json.
pub(crate) fn vocabulary(has: impl Fn(&str) -> bool) -> &'static [&'static str] {
    let found = VOCABULARIES
        .into_iter()
        .find(|files| files.iter().all(|file| has(file)));
    match found {
        Some(files) if !has("tokenizer.json") => files,
        _ => &[],
    }
}

/// A format of weights: one file, or an index and the shards that it names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) single: &'static str,
    pub(crate) index: &'static str,
}

/// In the order they are looked for.
const FORMATS: [Format; 2] = [
    Format {
        single: "model.safetensors",
        index: "model.safetensors.index.json",
    },
    Format {
        single: "pytorch_model.bin",
        index: "pytorch_model.bin.index.json",
    },
];

/// The first file of the weights to read: an index, which then names the others, or all of them
/// in one file, which goes first where there are both, as when a model folder is opened.
pub(crate) fn weights(has: impl Fn(&str) -> bool) -> Option<&'static str> {
    FORMATS
        .iter()
        .flat_map(|format| [format.single, format.index])
        .find(|file| has(file))
}

pub(crate) fn is_index(file: &str) -> bool {
    FORMATS.iter().any(|format| format.index == file)
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The shards that an index names, each once.
pub(crate) fn shards(path: &Path) -> Result<Vec<String>, HubError> {
    let bad = |reason: String| HubError::BadIndex {
        path: path.to_owned(),
        reason,
    };
    let text = fs::read(path).map_err(HubError::io("read", path))?;
    let index: Index = serde_json::from_slice(&text).map_err(|e| bad(e.to_string()))?;
    let shards: BTreeSet<String> = index.weight_map.into_values().collect();
    if shards.is_empty() {
        return Err(bad("it names no shard".to_owned()));
    }
    for shard in &shards {
        check_file(shard).map_err(|e| bad(e.to_string()))?;
        if shard.contains('/') {
            return Err(bad(format!("the shard `{shard}` is in another folder")));
        }
    }
    Ok(shards.into_iter().collect())
}

/// What a snapshot lacks to be a model.
pub(crate) fn missing(snapshot: &Path) -> Vec<String> {
    let has = |file: &str| snapshot.join(file).is_file();
    let mut missing: Vec<String> = ALWAYS
        .iter()
        .filter(|file| !has(file))
        .map(|&file| file.to_owned())
        .collect();
    if !has("tokenizer.json") && vocabulary(has).is_empty() {
        missing.push("tokenizer.json".to_owned());
    }
    match weights(has) {
        None => missing.push(FORMATS[0].single.to_owned()),
        Some(index) if is_index(index) => match shards(&snapshot.join(index)) {
            Ok(shards) => missing.extend(shards.into_iter().filter(|shard| !has(shard))),
            Err(_) => missing.push(index.to_owned()),
        },
        Some(_) => {}
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_in_order() {
        let pick = |files: &[&str]| weights(|file| files.contains(&file));
        assert_eq!(
            pick(&["pytorch_model.bin", "model.safetensors"]),
            Some("model.safetensors")
        );
        assert_eq!(
            pick(&["model.safetensors", "model.safetensors.index.json"]),
            Some("model.safetensors")
        );
        assert_eq!(
            pick(&["pytorch_model.bin", "model.safetensors.index.json"]),
            Some("model.safetensors.index.json")
        );
        assert_eq!(pick(&["pytorch_model.bin"]), Some("pytorch_model.bin"));
        assert_eq!(pick(&["tf_model.h5"]), None);
    }

    #[test]
    fn files_of_modules() {
        for file in [
            "1_Pooling/config.json",
            "12_Normalize/config.json",
            OF_MODULES[2],
        ] {
            assert!(is_of_module(file), "{file}");
        }
        for file in [
            "config.json",
            "onnx/config.json",
            "_x/config.json",
            "1_Pooling/deep/config.json",
            "1_Pooling/model.safetensors",
            MODULES,
        ] {
            assert!(!is_of_module(file), "{file}");
        }
    }

    #[test]
    fn what_a_snapshot_lacks() {
        let dir = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| fs::write(dir.path().join(file), text).unwrap();
        assert_eq!(
            missing(dir.path()),
            ["config.json", "tokenizer.json", "model.safetensors"]
        );
        write("config.json", "");
        write("tokenizer.json", "");
        let index = "model.safetensors.index.json";
        write(index, "{");
        assert_eq!(missing(dir.path()), [index]);
        write(
            index,
            r#"{"weight_map": {"a": "1.st", "b": "2.st", "c": "1.st"}}"#,
        );
        assert_eq!(missing(dir.path()), ["1.st", "2.st"]);
        write("1.st", "");
        write("2.st", "");
        assert!(missing(dir.path()).is_empty());
    }

    #[test]
    fn indices_that_cannot_be_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.safetensors.index.json");
        for (text, part) in [
            ("", "EOF"),
            ("{}", "weight_map"),
            (r#"{"weight_map": {}}"#, "no shard"),
            (r#"{"weight_map": {"a": "../x"}}"#, "`../x`"),
            (r#"{"weight_map": {"a": "/etc/passwd"}}"#, "`/etc/passwd`"),
            (r#"{"weight_map": {"a": "sub/x"}}"#, "`sub/x`"),
            (r#"{"weight_map": {"a": ".."}}"#, "`..`"),
            (r#"{"weight_map": {"a": ""}}"#, "empty"),
        ] {
            fs::write(&path, text).unwrap();
            let error = shards(&path).unwrap_err().to_string();
            assert!(
                error.contains("index.json") && error.contains(part),
                "{error}"
            );
        }
    }
}
