use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use beft_checkpoint::{ADAPTER_SIDECAR, CheckpointError, HeadTensor, TensorFiles};
use serde_json::Map;

use super::config::PeftConfig;
use super::write::{ADAPTER_CONFIG, ADAPTER_WEIGHTS, EXTRA_BIASES};
use super::{Problem, Reader, WRAPPERS};
use crate::{Adapter, AdapterKind};

/// The weights file of PEFT before safetensors.
const PICKLED_WEIGHTS: &str = "adapter_model.bin";
/// What PEFT puts between the name of a module that it wraps and the module's own parameters.
const BASE_LAYER: &str = ".base_layer.";
/// What it puts before the parameters of a module that is saved whole.
const WRAPPED: &str = ".modules_to_save.";
/// The untrained copy of a module that is saved whole; PEFT does not use it.
const ORIGINAL: &str = ".original_module.";

impl Adapter {
    /// Number of outputs of the stored head. BERT's last layer is the `classifier`, RoBERTa's is in it, that of decoders
    /// is the `score`.
    pub fn num_classes(&self) -> Option<usize> {
        let weights = ["classifier.out_proj", "classifier", "score", "qa_outputs"];
        let mut weights = weights.into_iter().map(|module| format!("{module}.weight"));
        let weight = weights.find_map(|name| self.head.get(&name))?;
        weight.shape.first().copied()
    }

    /// Reads an adapter folder written by [`save`](Self::save) or by PEFT's `save_pretrained`.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged, or the adapter is of a kind or has a setting that is not
    /// implemented.
    pub fn load(dir: &Path) -> Result<Self, CheckpointError> {
        let keys: Map<_, _> = read_json(&dir.join(ADAPTER_CONFIG))?;
        let fail = |file: &str, reason: String| CheckpointError::Adapter {
            path: dir.join(file),
            reason,
        };
        let config = PeftConfig::read(&keys).map_err(|reason| fail(ADAPTER_CONFIG, reason))?;
        let sidecar = dir.join(ADAPTER_SIDECAR);
        let mut adapter = Self {
            base_model: config.base_model.clone(),
            revision: config.revision.clone(),
            task_type: config.task_type,
            targets: config.targets.clone(),
            facts: if sidecar.is_file() {
                read_json(&sidecar)?
            } else {
                Map::new()
            },
            notes: config
                .unknown
                .iter()
                .map(|key| {
                    let path = dir.join(ADAPTER_CONFIG);
                    let path = path.display();
                    format!("{path}: the key `{key}` is not known to PEFT and is not used")
                })
                .collect(),
            ..Self::default()
        };
        let safe = dir.join(ADAPTER_WEIGHTS);
        let pickled = dir.join(PICKLED_WEIGHTS);
        let file = match safe.is_file() || !pickled.is_file() {
            true => ADAPTER_WEIGHTS,
            false => PICKLED_WEIGHTS,
        };
        let mut reader = config.reader;
        let other_type = || {
            let reason = format!(
                "peft_type is `{}`, but {file} holds something else",
                config.kind.name
            );
            fail(ADAPTER_CONFIG, reason)
        };
        let weights = TensorFiles::open(&dir.join(file))?;
        for name in weights.names() {
            let added = adapter.add(name, &weights, reader.as_mut());
            added.map_err(|error| match error {
                Problem::File(error) => error,
                Problem::Tensor(reason) => fail(file, reason),
                Problem::Config(reason) => fail(ADAPTER_CONFIG, reason),
                Problem::OtherType => other_type(),
            })?;
        }
        let found = reader
            .finish()
            .map_err(|reason| fail(ADAPTER_CONFIG, reason))?;
        adapter.kind = found.ok_or_else(other_type)?;
        let extra = dir.join(EXTRA_BIASES);
        if extra.is_file() {
            adapter.extra = read_all(&TensorFiles::open(&extra)?)?;
            let mut all = adapter.extra.iter();
            if let Some((name, _)) = all.find(|(_, values)| values.iter().any(|x| !x.is_finite())) {
                let reason = format!("tensor `{name}` holds NaN or infinity");
                return Err(fail(EXTRA_BIASES, reason));
            }
        }
        Ok(adapter)
    }

    /// Adds one tensor of the weights file.
    fn add(
        &mut self,
        full: &str,
        weights: &TensorFiles,
        reader: &mut dyn Reader,
    ) -> Result<(), Problem> {
        let mut types = AdapterKind::TYPES.iter();
        let unwrapped = types.any(|kind| kind.unwrapped.contains(&full));
        let unwrapped = unwrapped.then_some(full);
        let Some(name) = full.strip_prefix(WRAPPERS).or(unwrapped) else {
            return Err(Problem::Tensor(format!(
                "tensor `{full}` does not begin with `{WRAPPERS}`, and PEFT passes such tensors over: rename it"
            )));
        };
        // With `bias="all"` PEFT saves the biases of a module that is saved whole three times: trained under its
        // own name and under that of its wrapper, and untrained.
        if name.contains(ORIGINAL) {
            return Ok(());
        }
        if let Some((module, rest)) = full.split_once(WRAPPED) {
            // The name of the adapter may stand between.
            let own = rest.split_once('.').map_or(rest, |(_, own)| own);
            let plain = |rest: &str| weights.contains(&format!("{module}.{rest}"));
            if plain(rest) || plain(own) {
                return Ok(());
            }
        }
        let tensor = HeadTensor {
            values: weights.read(full).map_err(Problem::File)?,
            shape: weights.shape(full).unwrap_or_default().to_vec(),
        };
        if tensor.values.iter().any(|x| !x.is_finite()) {
            return Err(Problem::Tensor(format!(
                "tensor `{full}` holds NaN or infinity"
            )));
        }
        let Some(tensor) = reader.take(name, tensor)? else {
            return Ok(());
        };
        let mut types = AdapterKind::TYPES.iter();
        if types.any(|kind| (kind.owns)(name)) {
            Err(Problem::OtherType)
        } else if self.is_saved(name) {
            self.head.insert(name.to_owned(), tensor);
            Ok(())
        } else if name.ends_with(".bias") && reader.has_model_biases() {
            let name = name.replace(BASE_LAYER, ".");
            self.extra.insert(name, tensor.values);
            Ok(())
        } else if name.contains(BASE_LAYER) && name.ends_with(".weight") {
            // PEFT saves the weight of an embedding that it targets, too.
            self.head.insert(name.replace(BASE_LAYER, "."), tensor);
            Ok(())
        } else {
            Err(Problem::Tensor(self.stray(full, name, &tensor.shape)))
        }
    }

    /// What is wrong with a tensor that has no place in an adapter.
    fn stray(&self, full: &str, name: &str, shape: &[usize]) -> String {
        let embedding = name.ends_with("embed_tokens.weight")
            || name.contains("embedding")
            || name.contains(".wte.");
        if embedding {
            return format!(
                "tensor `{full}` {shape:?} is a saved embedding, which is not applied here: save the adapter with \
                 `save_embedding_layers=False` if the vocabulary was not changed, else merge it into its base with PEFT"
            );
        }
        format!(
            "tensor `{full}` is neither a bias (`....beft_bias`) nor a LoRA factor nor a vector of IA3 nor part of a module that \
             modules_to_save {:?} names",
            self.targets.saved
        )
    }

    /// Whether a parameter belongs to a module that is saved whole, by PEFT's rule: the module's name ends in a listed
    /// one (`_set_trainable` in `other.py`). Of adapters without that list the head is.
    pub(crate) fn is_saved(&self, name: &str) -> bool {
        let mut saved = self
            .targets
            .saved
            .iter()
            .map(String::as_str)
            .chain(["classifier"]);
        saved.any(|module| format!(".{name}").contains(&format!("{module}.")))
            && !name.contains(BASE_LAYER)
    }
}

fn read_all(files: &TensorFiles) -> Result<BTreeMap<String, Vec<f32>>, CheckpointError> {
    files
        .names()
        .map(|name| Ok((name.to_owned(), files.read(name)?)))
        .collect()
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, CheckpointError> {
    if !path.is_file() {
        let below = subfolders(path);
        let hint = match below.is_empty() {
            true => String::new(),
            false => format!(
                "; there are adapters in {}: give one of them",
                below.join(", ")
            ),
        };
        return Err(CheckpointError::Adapter {
            path: path.to_owned(),
            reason: format!(
                "no such file; an adapter folder holds {ADAPTER_CONFIG} and {ADAPTER_WEIGHTS}{hint}"
            ),
        });
    }
    let text = fs::read(path).map_err(CheckpointError::io("read", path))?;
    serde_json::from_slice(&text).map_err(|source| CheckpointError::Json {
        path: path.to_owned(),
        source,
    })
}

/// Adapter folders next to where a config is missing, such as the checkpoints of a training.
fn subfolders(path: &Path) -> Vec<String> {
    let entries = path.parent().and_then(|dir| fs::read_dir(dir).ok());
    let folders = entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let mut found: Vec<String> = folders
        .filter(|folder| folder.join(ADAPTER_CONFIG).is_file())
        .map(|folder| folder.display().to_string())
        .collect();
    found.sort();
    found
}
