use beft_checkpoint::KeyTable;
use beft_core::TaskType;
use serde_json::{Map, Value};

use super::targets::{Names, Targets, check_pattern, strings};
use super::{Keys, PeftType, Reader};
use crate::AdapterKind;

/// What an `adapter_config.json` says.
#[derive(Debug)]
pub(crate) struct PeftConfig {
    pub(crate) kind: &'static PeftType,
    pub(crate) base_model: String,
    pub(crate) revision: Option<String>,
    pub(crate) task_type: Option<TaskType>,
    pub(crate) targets: Targets,
    /// What the type's own keys say.
    pub(crate) reader: Box<dyn Reader>,
    /// Keys that PEFT does not know either, and drops.
    pub(crate) unknown: Vec<String>,
}

/// Keys of every type (`PeftConfigMixin` in `config.py`).
const COMMON: KeyTable = KeyTable {
    applied: &[
        "base_model_name_or_path",
        "modules_to_save",
        "peft_type",
        "revision",
        "task_type",
    ],
    immaterial: &["auto_mapping", "inference_mode", "peft_version"],
    only: &[],
};

impl PeftType {
    fn named(name: &str) -> Option<&'static Self> {
        let mut types = AdapterKind::TYPES.iter().copied();
        types.find(|kind| kind.name == name)
    }

    /// The tables that an adapter's keys are checked against.
    fn tables(&self) -> [&KeyTable; 2] {
        [&COMMON, &self.keys]
    }
}

impl PeftConfig {
    /// What the keys of the file say.
    ///
    /// # Errors
    ///
    /// The first key with a value that cannot be used, and what to do.
    pub(crate) fn read(keys: &Map<String, Value>) -> Result<Self, String> {
        let fields = Keys(keys);
        let name = fields.text("peft_type")?.unwrap_or_default();
        let kind = PeftType::named(name).ok_or_else(|| {
            let known: Vec<&str> = AdapterKind::TYPES.iter().map(|kind| kind.name).collect();
            format!(
                "peft_type is `{name}`; {} adapters can be used: merge another kind into its base with \
                 PEFT (`merge_and_unload().save_pretrained(DIR)`) and use that folder as the model; what cannot \
                 be merged (prompts) is for PEFT alone",
                known.join(", ")
            )
        })?;
        let unknown =
            KeyTable::check(&kind.tables(), keys).map_err(|reason| match kind.mergeable {
                false => format!("{reason}: compute such an adapter with PEFT"),
                true => format!(
                    "{reason}: merge the adapter into its base with PEFT (`merge_and_unload`)"
                ),
            })?;
        let task = fields.text("task_type")?;
        let task_type = task.map(|task| {
            TaskType::of_peft(task).ok_or_else(|| {
                let known = TaskType::ALL.map(TaskType::peft_name).join(", ");
                format!("task_type is `{task}`; adapters for {known} can be used")
            })
        });
        let reader = (kind.read)(&fields)?;
        let names = |key: &str| Names::read(key, keys.get(key));
        let list = |key: &str| keys.get(key).map_or(Ok(Vec::new()), |v| strings(key, v));
        let targets = Targets {
            include: names("target_modules")?,
            exclude: names("exclude_modules")?,
            layers: fields.layers("layers_to_transform")?,
            layer_patterns: list("layers_pattern")?,
            saved: list("modules_to_save")?,
        };
        for pattern in &targets.layer_patterns {
            check_pattern("layers_pattern", pattern)?;
        }
        Ok(Self {
            kind,
            base_model: fields
                .text("base_model_name_or_path")?
                .unwrap_or_default()
                .to_owned(),
            revision: fields.text("revision")?.map(str::to_owned),
            task_type: task_type.transpose()?,
            targets,
            reader,
            unknown: unknown.into_iter().map(str::to_owned).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn read(json: &str) -> Result<PeftConfig, String> {
        PeftConfig::read(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn what_cannot_be_used_is_named_with_a_remedy() {
        for (json, part) in [
            (r#"{"peft_type": "VERA"}"#, "`VERA`"),
            (r#"{"peft_type": "VERA"}"#, "merge_and_unload"),
            (
                r#"{"peft_type": "VERA"}"#,
                "BEFT, LORA, LN_TUNING, IA3, PREFIX_TUNING",
            ),
            (
                r#"{"peft_type": "LORA", "init_lora_weights": "pissa_niter_16"}"#,
                "path_initial_model",
            ),
            (
                r#"{"peft_type": "LORA", "use_qalora": true}"#,
                "`use_qalora` is true",
            ),
            (
                r#"{"peft_type": "LORA", "trainable_token_indices": [1]}"#,
                "trainable_token_indices",
            ),
            (
                r#"{"peft_type": "LORA", "layer_replication": [[0, 1]]}"#,
                "layer_replication",
            ),
            (r#"{"peft_type": "LORA", "bias": "some"}"#, "`some`"),
            (
                r#"{"peft_type": "LORA", "lora_alpha": null}"#,
                "`lora_alpha` is null",
            ),
            (r#"{"peft_type": "LORA", "r": "8"}"#, "whole number"),
            (
                r#"{"peft_type": "LORA", "alpha_pattern": {"(": 1}}"#,
                "alpha_pattern",
            ),
            (
                r#"{"peft_type": "LORA", "rank_pattern": {"a": -1}}"#,
                "`a` is -1",
            ),
            (
                r#"{"peft_type": "LORA", "task_type": "SEQ_2_SEQ_LM"}"#,
                "`SEQ_2_SEQ_LM`",
            ),
            (
                r#"{"peft_type": "LORA", "target_modules": 3}"#,
                "list of names",
            ),
            (
                r#"{"peft_type": "LORA", "use_dora": true, "lora_bias": true}"#,
                "use_dora",
            ),
            (
                r#"{"peft_type": "PREFIX_TUNING", "prefix_projection": true}"#,
                "prefix_projection",
            ),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(part), "{json}: {error}");
        }
    }

    #[test]
    fn keys_that_peft_drops_are_told() {
        let config = read(r#"{"peft_type": "BEFT", "target_modules": ["v"], "r": 8}"#).unwrap();
        assert_eq!(config.unknown, ["r"]);
    }

    #[test]
    fn values_may_be_numbers_or_lists() {
        let json = r#"{"peft_type": "LORA", "layers_to_transform": 1, "layers_pattern": "layer",
            "modules_to_save": "classifier", "init_lora_weights": "gaussian", "layer_replication": null}"#;
        let config = read(json).unwrap();
        assert_eq!(config.targets.layers, Some(vec![1]));
        assert_eq!(config.targets.saved, ["classifier"]);
        let config = read(r#"{"peft_type": "LORA", "layers_to_transform": []}"#).unwrap();
        assert_eq!(config.targets.layers, None);
    }

    /// The keys of a config file by kind, as `xtask/python/config_fields.py` lists them.
    fn reference_keys(file: &str) -> BTreeMap<String, Map<String, Value>> {
        let text = include_str!("../../../beft-checkpoint/tests/reference/keys.json");
        let mut all: BTreeMap<String, Value> = serde_json::from_str(text).unwrap();
        serde_json::from_value(all.remove(file).unwrap()).unwrap()
    }

    #[test]
    fn every_key_that_peft_writes_stands_in_one_table() {
        let kinds = reference_keys("adapter_config.json");
        assert_eq!(kinds.len(), AdapterKind::TYPES.len());
        for (name, keys) in kinds {
            let kind = PeftType::named(&name).unwrap();
            for key in keys.keys() {
                let tables = kind.tables().into_iter();
                let count = tables.filter(|table| table.names(key)).count();
                assert_eq!(count, 1, "{name}: {key}");
            }
        }
    }

    #[test]
    fn peft_s_defaults_are_implemented() {
        for (name, keys) in reference_keys("adapter_config.json") {
            let kind = PeftType::named(&name).unwrap();
            let unknown = KeyTable::check(&kind.tables(), &keys).unwrap();
            assert!(unknown.is_empty(), "{name}: {unknown:?}");
        }
    }
}
