use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{CheckpointError, TensorFiles, TextTokenizer};

/// A model folder in Hugging Face layout.
#[derive(Clone, Debug)]
pub struct ModelDir {
    path: PathBuf,
    name: String,
}

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
        dir.existing("config.json")?;
        Ok(dir)
    }

    /// The same folder under the name that the user knows the model by.
    pub fn named(self, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..self
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the user called it: a path or a repository name. Written into adapters as
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
        for stem in ["model.safetensors", "pytorch_model.bin"] {
            let index = self.path.join(format!("{stem}.index.json"));
            if index.is_file() {
                return TensorFiles::open_sharded(&index);
            }
            let file = self.path.join(stem);
            if file.is_file() {
                return TensorFiles::open(&file);
            }
        }
        TensorFiles::open(&self.existing("model.safetensors")?)
    }

    /// Opens the tokenizer, cutting inputs to `max_length` tokens.
    ///
    /// # Errors
    ///
    /// When `tokenizer.json` is missing or malformed.
    pub fn tokenizer(&self, max_length: usize) -> Result<TextTokenizer, CheckpointError> {
        TextTokenizer::open(&self.existing("tokenizer.json")?, max_length)
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
