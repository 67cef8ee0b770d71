//! Token ids of 2,000 difficult lines equal those of `AutoTokenizer` of transformers 5, for every family of
//! tokenizers and every way in which folders hold them (`xtask/python/make_tokenizer_fixtures.py`).

use std::path::{Path, PathBuf};

use beft_checkpoint::ModelDir;

const FAMILIES: [&str; 10] = [
    "bert-uncased",
    "bert-cased",
    "roberta",
    "roberta-spaced",
    "opt",
    "gpt2",
    "qwen2",
    "llama",
    "llama-legacy",
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
