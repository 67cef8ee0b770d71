//! Whether the base of an adapter is the one that it was trained on, its weights apart.

use std::path::Path;

use beft_checkpoint::{CheckpointError, mean_the_same};
use serde_json::{Map, Value, json};

use crate::{Base, Error};

/// What an adapter records of its base's config.json.
const CONFIG: &str = "base_config";

/// What it records of its base's tokenizer.
const TOKENIZER: &str = "base_tokenizer";

/// Keys that are of no adapter's business: the names of a head that it brings itself, and what weights are stored in.
const OTHER: [&str; 6] = [
    "dtype",
    "id2label",
    "label2id",
    "num_labels",
    "problem_type",
    "torch_dtype",
];

/// What an adapter records, so that [`check`] finds what has changed.
pub(crate) fn facts(base: &Base) -> Result<[(&'static str, Value); 2], Error> {
    Ok([
        (CONFIG, Value::Object(config(base)?)),
        (TOKENIZER, json!(base.tokenizer().fingerprint())),
    ])
}

/// The keys of a base's config.json that change what it computes, and say something.
fn config(base: &Base) -> Result<Map<String, Value>, Error> {
    let mut keys: Map<String, Value> = base.dir().config()?;
    let tables = base.config().keys();
    keys.retain(|key, value| {
        let immaterial = tables
            .iter()
            .any(|table| table.immaterial.contains(&key.as_str()));
        !immaterial && !OTHER.contains(&key.as_str()) && !value.is_null()
    });
    keys.sort_keys();
    Ok(keys)
}

/// Refuses a base with another value in config.json than in training. A key that one of the two lacks says nothing, because
/// programs write defaults or leave them out. Returns a note where the tokenizer is another one.
pub(super) fn check(
    adapter: &Path,
    facts: &Map<String, Value>,
    base: &Base,
) -> Result<Option<String>, Error> {
    if let Some(Value::Object(recorded)) = facts.get(CONFIG) {
        let found = config(base)?;
        let other = recorded.iter().find_map(|(key, recorded)| {
            let found = found.get(key)?;
            (!mean_the_same(found, recorded)).then_some((key, recorded, found))
        });
        if let Some((key, recorded, found)) = other {
            let config = base.dir().config_path();
            return Err(CheckpointError::OtherConfig {
                path: adapter.to_owned(),
                difference: format!("`{key}` was {recorded}, {} has {found}", config.display()),
            }
            .into());
        }
    }
    let recorded = facts.get(TOKENIZER).and_then(Value::as_str);
    let other = recorded.is_some_and(|recorded| recorded != base.tokenizer().fingerprint());
    Ok(other.then(|| {
        format!(
            "{}: the tokenizer in {} is not the one of training: copy that one there, or expect other results",
            adapter.display(),
            base.dir().path().display()
        )
    }))
}
