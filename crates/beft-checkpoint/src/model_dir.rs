use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{ADAPTER_SIDECAR, CheckpointError, KeyTable, TensorFiles, TextTokenizer};

/// A model folder in Hugging Face layout.
#[derive(Clone, Debug)]
pub struct ModelDir {
    path: PathBuf,
    name: String,
}

/// More than any classifier has.
const MOST_CLASSES: u64 = 100_000;

const NEEDED: &str = "config.json, model.safetensors (or pytorch_model.bin, or an index with its shards) and tokenizer.json";

impl ModelDir {
    /// Opens a folder.
    ///
    /// # Errors
    ///
    /// When it has no `config.json`.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        let dir = Self {
            path: path.to_owned(),
            name: path.display().to_string(),
        };
        if let Err(missing) = dir.existing("config.json") {
            // sentence-transformers of old put a model into a folder of its own, and this says so.
            dir.embedding_config()?;
            return Err(missing);
        }
        Ok(dir)
    }

    /// Sets the name by which the user knows the model.
    pub fn named(self, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..self
        }
    }

    /// Facts of our own about a model that was trained whole or merged (`beft.json`); none where there is no such file.
    ///
    /// # Errors
    ///
    /// When it is no JSON object.
    pub fn facts(&self) -> Result<Map<String, Value>, CheckpointError> {
        let path = self.path.join(ADAPTER_SIDECAR);
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|source| CheckpointError::Json { path, source }),
            Err(_) => Ok(Map::new()),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name that the user gave: a path or a repository. Written into adapters as
    /// `base_model_name_or_path`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The `config.json` file.
    pub fn config_path(&self) -> PathBuf {
        self.path.join("config.json")
    }

    /// Reads `config.json` as `T`.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or a field is missing or of the wrong type.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T, CheckpointError> {
        let path = self.config_path();
        let text = fs::read(&path).map_err(CheckpointError::io("read", &path))?;
        serde_json::from_slice(&text).map_err(|source| CheckpointError::Json { path, source })
    }

    /// Reads `config.json` as `T`, keys with the value null left out.
    ///
    /// # Errors
    ///
    /// As [`config`](Self::config).
    pub fn config_without_null<T: DeserializeOwned>(&self) -> Result<T, CheckpointError> {
        let mut keys: Map<String, Value> = self.config()?;
        keys.retain(|_, value| !value.is_null());
        serde_json::from_value(Value::Object(keys)).map_err(|source| CheckpointError::Json {
            path: self.config_path(),
            source,
        })
    }

    /// Reads the model's config with `read`, once `tables` let each of its keys pass.
    ///
    /// # Errors
    ///
    /// As [`config`](Self::config), for a key whose value is not implemented, and what `read` says.
    pub fn read_config<T>(
        &self,
        tables: &[&KeyTable],
        read: impl FnOnce(&Map<String, Value>) -> Result<T, String>,
    ) -> Result<T, CheckpointError> {
        let fail = |reason| CheckpointError::Config {
            path: self.config_path(),
            reason,
        };
        let keys: Map<String, Value> = self.config()?;
        KeyTable::check(tables, &keys)
            .map_err(|reason| fail(format!("{reason}: compute such a model with transformers")))?;
        read(&keys).map_err(fail)
    }

    /// Returns a note for each key of config.json that none of `tables` knows. Keys with a value that is not
    /// implemented are errors of whoever loads the config.
    ///
    /// # Errors
    ///
    /// As [`config`](Self::config).
    pub fn unknown_keys(&self, tables: &[&KeyTable]) -> Result<Vec<String>, CheckpointError> {
        let keys: Map<String, Value> = self.config()?;
        let unknown = KeyTable::check(tables, &keys).unwrap_or_default();
        let told = unknown.into_iter().map(|key| {
            format!(
                "{}: the key `{key}` is not known for this architecture and is not used",
                self.config_path().display()
            )
        });
        Ok(told.collect())
    }

    /// The number type in which transformers would compute, and the file that says so: config.json, else the weights.
    /// `None` for `float32`.
    ///
    /// # Errors
    ///
    /// As [`config`](Self::config).
    pub fn other_dtype(
        &self,
        files: &TensorFiles,
    ) -> Result<Option<(PathBuf, String)>, CheckpointError> {
        let keys: Map<String, Value> = self.config()?;
        let dtype = { ["dtype", "torch_dtype"].into_iter() }
            .find_map(|key| keys.get(key)?.as_str())
            .map(|name| name.strip_prefix("torch.").unwrap_or(name))
            .filter(|name| *name != "auto");
        let (path, name) = match dtype {
            Some(name) => (self.config_path(), name),
            None => (
                files.path().to_owned(),
                files.float_type().unwrap_or("float32"),
            ),
        };
        Ok((name != "float32").then(|| (path, name.to_owned())))
    }

    /// The repository that the user named, and its revision if there is one.
    pub fn repository(&self) -> (&str, Option<&str>) {
        match self.name.split_once('@') {
            Some((id, revision)) if Path::new(&self.name) != self.path => (id, Some(revision)),
            _ => (&self.name, None),
        }
    }

    /// The class names in config.json, as transformers reads them: `id2label`, or `num_labels`, or two classes;
    /// a class without a name is `LABEL_i`.
    ///
    /// # Errors
    ///
    /// When a key of `id2label` is no number, or there are as many classes as a damaged file says.
    pub fn labels(&self) -> Result<Vec<String>, CheckpointError> {
        let keys: Map<String, Value> = self.config()?;
        let fail = |reason: String| CheckpointError::Config {
            path: self.config_path(),
            reason,
        };
        let default = |class: usize| format!("LABEL_{class}");
        let count = match keys.get("num_labels").filter(|v| !v.is_null()) {
            None => None,
            Some(value) => Some(
                value
                    .as_u64()
                    .filter(|n| (1..=MOST_CLASSES).contains(n))
                    .ok_or_else(|| {
                        fail(format!(
                            "`num_labels` is {value}; it must be a number of classes"
                        ))
                    })? as usize,
            ),
        };
        let names = match keys.get("id2label") {
            Some(Value::Object(names)) if !names.is_empty() => names,
            None | Some(Value::Null | Value::Object(_)) => {
                return Ok((0..count.unwrap_or(2)).map(default).collect());
            }
            Some(value) => {
                return Err(fail(format!("`id2label` is {value}; it must be an object")));
            }
        };
        // transformers gives the names up where they are not as many as the classes.
        let count = match count {
            Some(count) if count != names.len() => {
                return Ok((0..count).map(default).collect());
            }
            _ => names.len(),
        };
        if keys.get("problem_type").and_then(Value::as_str) == Some("regression") && count != 1 {
            return Err(fail(format!(
                "`problem_type` is regression, of {count} values; a regression of one value is implemented"
            )));
        }
        let mut labels: Vec<String> = (0..count).map(default).collect();
        for (class, name) in names {
            let class: usize = class
                .parse()
                .map_err(|_| fail(format!("`id2label`: `{class}` is no class number")))?;
            let name = match name {
                Value::String(name) => name.clone(),
                Value::Null => continue,
                other => other.to_string(),
            };
            if let Some(label) = labels.get_mut(class) {
                *label = name;
            }
        }
        Ok(labels)
    }

    /// The `model_type` of `config.json`.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn model_type(&self) -> Result<String, CheckpointError> {
        let config: Value = self.config()?;
        config
            .get("model_type")
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| CheckpointError::Config {
                path: self.config_path(),
                reason:
                    "it has no `model_type`, which says the architecture (for example \"bert\")"
                        .to_owned(),
            })
    }

    /// Opens the weights.
    ///
    /// # Errors
    ///
    /// When there are none, or they are damaged.
    pub fn tensors(&self) -> Result<TensorFiles, CheckpointError> {
        // A whole file wins over an index, which may be left from an earlier save (`modeling_utils.py`).
        for stem in ["model.safetensors", "pytorch_model.bin"] {
            let file = self.path.join(stem);
            if file.is_file() {
                return TensorFiles::open(&file);
            }
            let index = self.path.join(format!("{stem}.index.json"));
            if index.is_file() {
                return TensorFiles::open_sharded(&index);
            }
        }
        TensorFiles::open(&self.existing("model.safetensors")?)
    }

    /// Opens the tokenizer, cutting inputs to `max_length` tokens.
    ///
    /// # Errors
    ///
    /// As [`TextTokenizer::open`].
    pub fn tokenizer(&self, max_length: usize) -> Result<TextTokenizer, CheckpointError> {
        let config: Map<String, Value> = self.config()?;
        let class = config.get("tokenizer_class").and_then(Value::as_str);
        // Without an architecture a tokenizer.json can still be read.
        let model_type = self.model_type().unwrap_or_default();
        TextTokenizer::open(&self.path, &model_type, class, max_length)
    }

    fn existing(&self, file: &str) -> Result<PathBuf, CheckpointError> {
        let path = self.path.join(file);
        if path.is_file() {
            Ok(path)
        } else {
            Err(CheckpointError::MissingFile {
                path,
                needed: NEEDED,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_has_a_revision_and_a_folder_has_none() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a@b");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("config.json"), "{}").unwrap();
        let model = ModelDir::open(&folder).unwrap();
        assert_eq!(model.repository(), (folder.to_str().unwrap(), None));
        let named = model.named("org/name@v2");
        assert_eq!(named.repository(), ("org/name", Some("v2")));
        assert_eq!(named.named("name").repository(), ("name", None));
    }

    #[test]
    fn classes_are_named_as_transformers_names_them() {
        let dir = tempfile::tempdir().unwrap();
        let labels = |config: &str| {
            fs::write(dir.path().join("config.json"), config).unwrap();
            ModelDir::open(dir.path()).unwrap().labels()
        };
        assert_eq!(labels("{}").unwrap(), ["LABEL_0", "LABEL_1"]);
        assert_eq!(labels(r#"{"num_labels": 3}"#).unwrap().len(), 3);
        let names = r#"{"id2label": {"1": "yes", "0": 7}}"#;
        assert_eq!(labels(names).unwrap(), ["7", "yes"]);
        assert_eq!(
            labels(r#"{"id2label": {"0": "a", "2": "c"}}"#).unwrap(),
            ["a", "LABEL_1"]
        );
        assert_eq!(
            labels(r#"{"id2label": {"0": "a"}, "num_labels": 2}"#).unwrap(),
            ["LABEL_0", "LABEL_1"]
        );
        let message = labels(r#"{"id2label": {"a": "b"}}"#)
            .unwrap_err()
            .to_string();
        assert!(message.contains("`a` is no class number"), "{message}");
        assert!(labels(r#"{"num_labels": 0}"#).is_err());
        let values = r#"{"problem_type": "regression", "id2label": {"0": "a", "1": "b"}}"#;
        assert!(
            labels(values)
                .unwrap_err()
                .to_string()
                .contains("problem_type")
        );
    }

    #[test]
    fn errors_name_the_missing_file() {
        let dir = tempfile::tempdir().unwrap();
        let message = ModelDir::open(dir.path()).unwrap_err().to_string();
        assert!(message.contains("config.json is missing"), "{message}");
        fs::write(dir.path().join("config.json"), "{\"hidden\": ").unwrap();
        let model = ModelDir::open(dir.path()).unwrap();
        let message = model.model_type().unwrap_err().to_string();
        assert!(
            message.contains("config.json") && message.contains("line 1"),
            "{message}"
        );
        fs::write(dir.path().join("config.json"), "{}").unwrap();
        assert!(
            model
                .model_type()
                .unwrap_err()
                .to_string()
                .contains("model_type")
        );
        let message = model.tensors().unwrap_err().to_string();
        assert!(
            message.contains("model.safetensors is missing"),
            "{message}"
        );
        let message = model.tokenizer(8).unwrap_err().to_string();
        assert!(message.contains("tokenizer.json is missing"), "{message}");
    }
}
