use std::fs;
use std::path::Path;

use beft_checkpoint::{ADAPTER_SIDECAR, CheckpointError, tensor_file};
use beft_core::TaskType;
use beft_files::{OwnFiles, check_replaceable, write_dir_atomic};
use serde_json::{Map, Value, json};

use super::{FileTensor, NO_TARGETS, Names, TargetKind, WRAPPERS};
use crate::Adapter;

/// PEFT's config file.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";
/// PEFT's weights file.
pub const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";
/// Biases that PEFT's tuner cannot hold, as absolute values by parameter name.
pub const EXTRA_BIASES: &str = "extra_biases.safetensors";
/// What applies them to a model of PEFT's or of transformers'.
pub(crate) const EXTRA_BIASES_SCRIPT: &str = "apply_extra_biases.py";

/// All files of an adapter folder, PEFT's model card included.
const OWN: OwnFiles<'_> = OwnFiles {
    names: &[
        ADAPTER_CONFIG,
        ADAPTER_WEIGHTS,
        ADAPTER_SIDECAR,
        EXTRA_BIASES,
        EXTRA_BIASES_SCRIPT,
        CARD,
    ],
    mark: ADAPTER_SIDECAR,
};

/// What people read first.
const CARD: &str = "README.md";

/// The version of PEFT whose layout is written.
const PEFT_VERSION: &str = "0.21.2";

impl Adapter {
    /// Writes the adapter folder. An earlier folder of that name is replaced when the new one is complete.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub fn save(&self, dir: &Path) -> Result<(), CheckpointError> {
        // PEFT refuses a list that matches no module.
        let targets = match &self.targets.include {
            Names::Suffixes(names) if !names.is_empty() => json!(names),
            _ => json!(NO_TARGETS),
        };
        let kind = self.kind.peft_type();
        let saved = match self.targets.saved.is_empty() {
            true => json!(null),
            false => json!(self.targets.saved),
        };
        let mut config = Map::new();
        for (key, value) in [
            ("auto_mapping", json!(null)),
            ("base_model_name_or_path", json!(self.base_model)),
            ("inference_mode", json!(true)),
            ("modules_to_save", saved),
            ("peft_type", json!(kind.name)),
            ("peft_version", json!(PEFT_VERSION)),
            ("revision", json!(self.revision)),
        ] {
            config.insert(key.to_owned(), value);
        }
        if kind.targets != TargetKind::None {
            config.insert("target_modules".to_owned(), targets);
        }
        let task = self.task_type.map(TaskType::peft_name);
        config.insert("task_type".to_owned(), json!(task));
        self.kind.layout().write(&mut config);
        let mut tensors = self.kind.layout().tensors();
        for (name, tensor) in &self.head {
            tensors.push((
                format!("{WRAPPERS}{name}"),
                tensor.shape.clone(),
                &tensor.values,
            ));
        }
        let mut files = vec![
            (ADAPTER_CONFIG, pretty(&Value::Object(config))),
            (ADAPTER_WEIGHTS, serialize(&tensors, dir)?),
            (ADAPTER_SIDECAR, pretty(&Value::Object(self.facts.clone()))),
        ];
        if !self.extra.is_empty() {
            let extra: Vec<_> = self
                .extra
                .iter()
                .map(|(n, v)| (n.clone(), vec![v.len()], v.as_slice()))
                .collect();
            files.push((EXTRA_BIASES, serialize(&extra, dir)?));
            let script = include_str!("apply_extra_biases.py");
            files.push((EXTRA_BIASES_SCRIPT, script.as_bytes().to_vec()));
        }
        if !self.card.is_empty() {
            files.push((CARD, self.card.clone().into_bytes()));
        }
        write_dir_atomic(dir, &files, &OWN).map_err(CheckpointError::io("write", dir))
    }

    /// Fails if `dir` exists and is not an adapter folder that [`save`](Self::save) may replace.
    ///
    /// # Errors
    ///
    /// When it is a file, or holds anything else.
    pub fn check_target(dir: &Path) -> Result<(), CheckpointError> {
        check_replaceable(dir, &OWN).map_err(CheckpointError::io("write", dir))
    }

    /// Removes `dir` if it is an adapter folder and holds nothing else.
    pub fn remove(dir: &Path) {
        if dir.join(ADAPTER_CONFIG).is_file() && Self::check_target(dir).is_ok() {
            // What cannot be removed stays, and harms nothing.
            let _ = fs::remove_dir_all(dir);
        }
    }
}

fn pretty(value: &Value) -> Vec<u8> {
    // The alternate form of `Display` is serde_json's pretty printer.
    format!("{value:#}\n").into_bytes()
}

fn serialize(tensors: &[FileTensor<'_>], dir: &Path) -> Result<Vec<u8>, CheckpointError> {
    let tensors = tensors.iter();
    let tensors = tensors.map(|(name, shape, values)| (name.as_str(), shape.as_slice(), *values));
    tensor_file(tensors).map_err(CheckpointError::io("write", dir))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{AdapterKind, BiasDeltas, Targets};
    use beft_checkpoint::HeadTensor;

    fn adapter() -> Adapter {
        Adapter {
            base_model: "base".into(),
            kind: AdapterKind::Biases(BiasDeltas(
                [("bert.layer.0.value".to_owned(), vec![0.5, -0.25])].into(),
            )),
            targets: Targets {
                saved: vec!["classifier".into(), "score".into()],
                ..Targets::suffixes(vec!["value".into()])
            },
            extra: [("bert.LayerNorm.bias".to_owned(), vec![1.0])].into(),
            head: [(
                "classifier.weight".to_owned(),
                HeadTensor {
                    shape: vec![2, 1],
                    values: vec![1.0, 2.0],
                },
            )]
            .into(),
            facts: [("terms".to_owned(), json!("v"))].into_iter().collect(),
            ..Adapter::default()
        }
    }

    #[test]
    fn a_saved_adapter_loads_equal_and_replaces_an_older_one_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("adapter");
        adapter().save(&path).unwrap();
        assert_eq!(Adapter::load(&path).unwrap(), adapter());
        let smaller = Adapter {
            extra: BTreeMap::new(),
            ..adapter()
        };
        smaller.save(&path).unwrap();
        assert_eq!(Adapter::load(&path).unwrap(), smaller);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_peft_cannot_hold_is_told_and_can_be_applied_in_python() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("adapter");
        let norms = Adapter {
            kind: AdapterKind::default(),
            targets: Targets::default(),
            ..adapter()
        };
        norms.save(&path).unwrap();
        let config = fs::read_to_string(path.join(ADAPTER_CONFIG)).unwrap();
        // PEFT refuses an empty list.
        assert!(
            config.contains(r#""target_modules": "dummy-target-modules""#),
            "{config}"
        );
        assert!(path.join(EXTRA_BIASES_SCRIPT).is_file());
        assert!(norms.beyond_peft().unwrap().contains(EXTRA_BIASES_SCRIPT));
        assert_eq!(Adapter::load(&path).unwrap().extra, norms.extra);

        let all = Adapter {
            extra: BTreeMap::new(),
            ..adapter()
        };
        all.save(&path).unwrap();
        assert!(!path.join(EXTRA_BIASES_SCRIPT).exists());
        assert_eq!(all.beyond_peft(), None);
    }

    #[test]
    fn name_and_revision_of_the_base_are_two_fields() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("adapter");
        let of_the_hub = Adapter {
            base_model: "org/name".to_owned(),
            revision: Some("v2".to_owned()),
            ..adapter()
        };
        of_the_hub.save(&path).unwrap();
        let config = fs::read(path.join(ADAPTER_CONFIG)).unwrap();
        let config: Value = serde_json::from_slice(&config).unwrap();
        assert_eq!(config["base_model_name_or_path"], "org/name");
        assert_eq!(config["revision"], "v2");
        assert_eq!(Adapter::load(&path).unwrap().base_name(), "org/name@v2");
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("adapter");
        let message = Adapter::load(&path).unwrap_err().to_string();
        assert!(
            message.contains("adapter_config.json: no such file"),
            "{message}"
        );
        adapter().save(&path).unwrap();
        fs::write(path.join(ADAPTER_CONFIG), r#"{"peft_type": "VERA"}"#).unwrap();
        let message = Adapter::load(&path).unwrap_err().to_string();
        assert!(message.contains("`VERA`"), "{message}");
        // A file stands where the folder should go.
        let blocked = dir.path().join("file");
        fs::write(&blocked, "x").unwrap();
        let message = adapter()
            .save(&blocked.join("adapter"))
            .unwrap_err()
            .to_string();
        assert!(message.contains("cannot write"), "{message}");
    }
}
