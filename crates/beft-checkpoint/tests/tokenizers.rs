//! Token ids of 2,000 difficult lines equal those of `AutoTokenizer` of transformers 5, for every family of
//! tokenizers and every way in which folders hold them (`xtask/python/make_tokenizer_fixtures.py`).

use std::path::{Path, PathBuf};

use beft_checkpoint::ModelDir;
use serde_json::Value;

const FAMILIES: [&str; 11] = [
    "bert-uncased",
    "bert-cased",
    "roberta",
    "roberta-spaced",
    "opt",
    "gpt2",
    "qwen2",
    "llama",
    "llama-legacy",
    "mistral",
    "llama-bytes",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokenizers")
}

/// FNV-1a over the ids, four bytes each.
fn hashed(ids: &[u32]) -> String {
    let bytes = ids.iter().flat_map(|id| id.to_le_bytes());
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    format!("{hash:08x}")
}

#[test]
fn every_line_has_the_ids_of_transformers() {
    let lines = std::fs::read(folder().join("lines.json")).unwrap();
    let lines: Vec<String> = serde_json::from_slice(&lines).unwrap();
    assert_eq!(lines.len(), 2000);
    for family in FAMILIES {
        let dir = folder().join(family);
        let expected = std::fs::read_to_string(dir.join("expected.txt")).unwrap();
        let tokenizer = ModelDir::open(&dir).unwrap().tokenizer(1 << 20).unwrap();
        let found = tokenizer
            .encode_ids(lines.iter().map(String::as_str))
            .unwrap();
        assert_eq!(found.len(), expected.lines().count());
        let differ: Vec<_> = lines
            .iter()
            .zip(&found)
            .zip(expected.lines())
            .filter(|((_, ids), expected)| hashed(ids) != *expected)
            .map(|((line, ids), _)| (line, ids))
            .collect();
        let some = &differ[..differ.len().min(3)];
        assert!(
            differ.is_empty(),
            "{family}: {} lines, as {some:?}",
            differ.len()
        );
    }
}

#[test]
fn lines_in_words_have_the_ids_and_the_words_of_transformers() {
    let lines = std::fs::read(folder().join("lines.json")).unwrap();
    let lines: Vec<String> = serde_json::from_slice(&lines).unwrap();
    let words: Vec<Vec<&str>> = lines.iter().map(|line| line.split(' ').collect()).collect();
    for family in FAMILIES {
        let dir = folder().join(family);
        let expected = std::fs::read_to_string(dir.join("words.txt")).unwrap();
        let tokenizer = ModelDir::open(&dir).unwrap().tokenizer(1 << 20).unwrap();
        let inputs = words.iter().map(Vec::as_slice);
        // A tokenizer without special tokens gives an empty line no token, and that is an error.
        let mut differ = Vec::new();
        for (words, expected) in { inputs }.zip(expected.lines()) {
            let Ok(found) = tokenizer.encode_words([words]) else {
                assert_eq!(expected, "811c9dc5 811c9dc5", "{family}: {words:?}");
                continue;
            };
            let found = &found[0];
            let mut word_of = vec![u32::MAX; found.encoding.len()];
            for (word, first) in (0..).zip(&found.first) {
                if let Some(first) = first {
                    word_of[*first] = word;
                }
            }
            let (ids, of) = expected.split_once(' ').unwrap();
            if hashed(&found.encoding.ids) != ids || hashed(&word_of) != of {
                differ.push((words, found.encoding.ids.clone()));
            }
        }
        let some = &differ[..differ.len().min(3)];
        assert!(
            differ.is_empty(),
            "{family}: {} lines, as {some:?}",
            differ.len()
        );
    }
}

/// `xtask/python/make_added_token_fixtures.py` makes the cases.
#[test]
fn added_tokens_have_the_ids_of_transformers_whichever_file_names_them() {
    let json = std::fs::read(folder().join("added.json")).unwrap();
    let json: Value = serde_json::from_slice(&json).unwrap();
    let texts: Vec<&str> = { json["texts"].as_array().unwrap().iter() }
        .map(|text| text.as_str().unwrap())
        .collect();
    let cases = json["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 150);
    for (index, case) in cases.iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, content: String| {
            std::fs::write(dir.path().join(name), content).unwrap();
        };
        let mut base = json["bases"][case["base"].as_str().unwrap()].clone();
        let mut files = case["files"].as_object().unwrap().clone();
        if let Some(added) = files.remove("added_tokens") {
            base["added_tokens"] = added;
            write("tokenizer.json", base.to_string());
        } else {
            let pairs = base["model"]["merges"].as_array().unwrap().iter();
            let lines = pairs.map(|pair| {
                format!(
                    "{} {}\n",
                    pair[0].as_str().unwrap(),
                    pair[1].as_str().unwrap()
                )
            });
            write("vocab.json", base["model"]["vocab"].to_string());
            write(
                "merges.txt",
                format!("#version: 0.2\n{}", lines.collect::<String>()),
            );
        }
        for (name, content) in &files {
            write(name, content.to_string());
        }
        let tokenizer = { ModelDir::open(dir.path()).unwrap() }.tokenizer(1 << 20);
        let ids = tokenizer.unwrap().encode_ids(texts.iter().copied());
        let ids = serde_json::to_value(ids.unwrap()).unwrap();
        assert_eq!(ids, case["ids"], "case {index}: {}", case["files"]);
    }
}
