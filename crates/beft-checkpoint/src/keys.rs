use serde_json::{Map, Value};

/// How each key of a config file is treated.
///
/// A key that changes a result is applied or refused, never unread: [`check`](Self::check) refuses a value
/// of [`only`](Self::only) that is not implemented, and names the keys that stand in no table.
#[derive(Clone, Copy, Debug)]
pub struct KeyTable {
    /// Keys that are read and applied.
    pub applied: &'static [&'static str],
    /// Keys that cannot change a result here.
    pub immaterial: &'static [&'static str],
    /// Keys of which one value is implemented, as JSON: the default, or one that means the same. A key may
    /// stand here several times.
    pub only: &'static [(&'static str, &'static str)],
}

/// Keys of every architecture's config.json (`PreTrainedConfig` in `configuration_utils.py`).
pub const MODEL_KEYS: KeyTable = KeyTable {
    applied: &[
        "bos_token_id",
        "dtype",
        "eos_token_id",
        "id2label",
        "label2id",
        "model_type",
        "num_labels",
        "pad_token_id",
        "tie_word_embeddings",
        "tokenizer_class",
        "torch_dtype",
        "vocab_size",
    ],
    immaterial: &[
        "_attn_implementation",
        "_attn_implementation_autoset",
        "_commit_hash",
        "_flash_attn_2_enabled",
        "_name_or_path",
        "_num_labels",
        "architectures",
        "attn_implementation",
        // The architecture's own code is in transformers; a copy that comes with the model is never run.
        "auto_map",
        "chunk_size_feed_forward",
        "finetuning_task",
        "gradient_checkpointing",
        "output_attentions",
        "output_hidden_states",
        "output_past",
        "output_scores",
        "return_dict",
        "return_dict_in_generate",
        "task_specific_params",
        "tf_legacy_loss",
        "torchscript",
        "transformers_version",
        "use_bfloat16",
        "use_cache",
        "use_return_dict",
    ],
    only: &[
        ("add_cross_attention", "false"),
        ("compression_config", "null"),
        ("cross_attention_hidden_size", "null"),
        ("is_decoder", "false"),
        ("is_encoder_decoder", "false"),
        ("problem_type", "\"single_label_classification\""),
        ("problem_type", "\"multi_label_classification\""),
        ("problem_type", "\"regression\""),
        ("pruned_heads", "{}"),
        ("quantization_config", "null"),
    ],
};

impl KeyTable {
    /// Checks the keys of a file against several tables, and returns the keys that none of them knows.
    ///
    /// # Errors
    ///
    /// The first key with a value that is not implemented, its value, and the values that are.
    pub fn check<'a>(
        tables: &[&KeyTable],
        keys: &'a Map<String, Value>,
    ) -> Result<Vec<&'a str>, String> {
        let mut unknown = Vec::new();
        for (key, value) in keys {
            let read = |table: &&KeyTable| {
                let known = table.applied.iter().chain(table.immaterial);
                known.into_iter().any(|name| name == key)
            };
            if tables.iter().any(read) {
                continue;
            }
            let values: Vec<&str> = tables
                .iter()
                .flat_map(|table| table.only)
                .filter(|(name, _)| name == key)
                .map(|(_, value)| *value)
                .collect();
            if values.is_empty() {
                unknown.push(key.as_str());
            } else if !(is_empty(value) || values.iter().any(|only| same(value, only))) {
                return Err(format!(
                    "`{key}` is {value}; {} is implemented here",
                    values.join(" or ")
                ));
            }
        }
        Ok(unknown)
    }

    /// Whether a key stands in the table.
    pub fn names(&self, key: &str) -> bool {
        let only = self.only.iter().map(|(name, _)| name);
        let mut all = self.applied.iter().chain(self.immaterial).chain(only);
        all.any(|name| *name == key)
    }
}

/// Whether a value says nothing: transformers and PEFT write defaults so.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(object) => object.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

fn same(value: &Value, json: &str) -> bool {
    serde_json::from_str(json).is_ok_and(|other| mean_the_same(value, &other))
}

/// Whether two values of a key mean the same: a number may be written in several ways.
pub fn mean_the_same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: KeyTable = KeyTable {
        applied: &["r"],
        immaterial: &["dropout"],
        only: &[
            ("bias", "\"none\""),
            ("scale", "1"),
            ("mode", "\"a\""),
            ("mode", "\"b\""),
        ],
    };

    fn check(json: &str) -> Result<Vec<String>, String> {
        let keys = serde_json::from_str(json).unwrap();
        let unknown = KeyTable::check(&[&TABLE], &keys)?;
        Ok(unknown.into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn a_value_that_is_not_implemented_is_named() {
        let fine =
            r#"{"r": 4, "dropout": 0.5, "bias": "none", "scale": 1.0, "mode": "b", "new": 1}"#;
        assert_eq!(check(fine).unwrap(), ["new"]);
        assert_eq!(check(r#"{"bias": null, "scale": {}}"#).unwrap(), [""; 0]);
        let error = check(r#"{"mode": "c"}"#).unwrap_err();
        assert_eq!(error, "`mode` is \"c\"; \"a\" or \"b\" is implemented here");
        assert!(
            check(r#"{"scale": 2}"#)
                .unwrap_err()
                .contains("`scale` is 2")
        );
    }
}
