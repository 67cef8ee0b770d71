use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Map;

use super::config::{LoraSettings, PeftConfig, PeftType};
use super::targets::pattern_value;
use super::write::{ADAPTER_CONFIG, ADAPTER_SIDECAR, ADAPTER_WEIGHTS, EXTRA_BIASES};
use super::{DELTA, LORA_A, LORA_B, PROMPT, WRAPPERS};
use crate::{Adapter, CheckpointError, HeadTensor, LoraFactors, PrefixValues, TensorFiles};

/// The weights file of PEFT before safetensors.
const PICKLED_WEIGHTS: &str = "adapter_model.bin";
const LORA_BIAS: &str = ".lora_B.bias";
const DORA_MAGNITUDE: &str = ".lora_magnitude_vector";
const EMBEDDING_A: &str = ".lora_embedding_A";
const EMBEDDING_B: &str = ".lora_embedding_B";
/// What PEFT puts between the name of a module that it wraps and the module's own parameters.
const BASE_LAYER: &str = ".base_layer.";
/// What it puts before the parameters of a module that is saved whole.
const WRAPPED: &str = ".modules_to_save.";
/// The untrained copy of a module that is saved whole; PEFT does not use it.
const ORIGINAL: &str = ".original_module.";

impl Adapter {
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
            causal_lm: config.causal_lm,
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
        let weights = TensorFiles::open(&dir.join(file))?;
        for name in weights.names() {
            adapter
                .add(name, &weights, &config)
                .map_err(|error| match error {
                    Problem::File(error) => error,
                    Problem::Tensor(reason) => fail(file, reason),
                    Problem::Config(reason) => fail(ADAPTER_CONFIG, reason),
                })?;
        }
        adapter
            .check_factors(&config)
            .map_err(|reason| fail(ADAPTER_CONFIG, reason))?;
        if !adapter.fits(config.kind) {
            let reason = format!(
                "peft_type is `{}`, but {file} holds something else",
                config.kind.name()
            );
            return Err(fail(ADAPTER_CONFIG, reason));
        }
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
        config: &PeftConfig,
    ) -> Result<(), Problem> {
        let plain = (full == PROMPT).then_some(full);
        let Some(name) = full.strip_prefix(WRAPPERS).or(plain) else {
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
        let values = weights.read(full).map_err(Problem::File)?;
        let shape = weights.shape(full).unwrap_or_default().to_vec();
        if values.iter().any(|x| !x.is_finite()) {
            return Err(Problem::Tensor(format!(
                "tensor `{full}` holds NaN or infinity"
            )));
        }
        let vector = |what: &str| {
            Problem::Tensor(format!(
                "tensor `{full}` has shape {shape:?}; {what} has shape [1, n] or [n]"
            ))
        };
        let is_vector = matches!(shape[..], [1, _] | [_]);
        let end = |suffix: &str| name.strip_suffix(suffix);
        if name == PROMPT {
            let prefix = &config.prefix;
            let found =
                PrefixValues::read(&shape, values, prefix.tokens, (prefix.layers, prefix.heads));
            self.prefix = Some(found.map_err(Problem::Config)?);
        } else if let Some(module) = end(DELTA) {
            if !is_vector {
                return Err(vector("a trained bias"));
            }
            self.deltas.insert(module.to_owned(), values);
        } else if let Some(module) = end(LORA_A).or_else(|| end(EMBEDDING_A)) {
            self.factors(module, config).a = HeadTensor { shape, values };
        } else if let Some(module) = end(LORA_B).or_else(|| end(EMBEDDING_B)) {
            self.factors(module, config).b = HeadTensor { shape, values };
        } else if let Some(module) = end(LORA_BIAS).filter(|_| config.lora.bias) {
            self.factors(module, config).bias = Some(values);
        } else if let Some(module) = end(DORA_MAGNITUDE).filter(|_| config.lora.dora) {
            if !is_vector {
                return Err(vector("a magnitude"));
            }
            self.factors(module, config).magnitude = Some(values);
        } else if self.is_saved(name) {
            self.head
                .insert(name.to_owned(), HeadTensor { shape, values });
        } else if name.ends_with(".bias") && config.lora.model_biases {
            self.extra.insert(name.replace(BASE_LAYER, "."), values);
        } else if name.contains(BASE_LAYER) && name.ends_with(".weight") {
            // PEFT saves the weight of an embedding that it targets, too.
            let name = name.replace(BASE_LAYER, ".");
            self.head.insert(name, HeadTensor { shape, values });
        } else if name.ends_with("embed_tokens.weight")
            || name.contains("embedding")
            || name.contains(".wte.")
        {
            return Err(Problem::Tensor(format!(
                "tensor `{full}` {shape:?} is a saved embedding, which is not applied here: save the adapter with \
                 `save_embedding_layers=False` if the vocabulary was not changed, else merge it into its base with PEFT"
            )));
        } else {
            return Err(Problem::Tensor(format!(
                "tensor `{full}` is neither a bias (`...{DELTA}`) nor a LoRA factor nor part of a module that \
                 modules_to_save {:?} names",
                self.targets.saved
            )));
        }
        Ok(())
    }

    /// Whether a parameter belongs to a module that is saved whole. Of adapters without that list the head is.
    fn is_saved(&self, name: &str) -> bool {
        let mut saved = self
            .targets
            .saved
            .iter()
            .map(String::as_str)
            .chain(["classifier"]);
        saved.any(|module| format!(".{name}").contains(&format!("{module}.")))
            && !name.contains(BASE_LAYER)
    }

    fn factors(&mut self, module: &str, config: &PeftConfig) -> &mut LoraFactors {
        self.lora
            .entry(module.to_owned())
            .or_insert_with(|| LoraFactors {
                alpha: config.lora.alpha_of(module),
                root: config.lora.root,
                ..LoraFactors::empty()
            })
    }

    /// Whether the ranks of LoRA's factors are those of the config.
    fn check_factors(&self, config: &PeftConfig) -> Result<(), String> {
        for (module, factors) in &self.lora {
            let (rank, wanted) = (factors.a.shape.first(), config.lora.rank_of(module));
            if wanted.is_some() && rank.copied() != wanted {
                return Err(format!(
                    "the rank of `{module}` is {} (r, rank_pattern), but its factor A has shape {:?}",
                    wanted.unwrap_or_default(),
                    factors.a.shape
                ));
            }
            if config.lora.dora && factors.magnitude.is_none() {
                return Err(format!(
                    "`use_dora` is true, but `{module}` has no magnitude"
                ));
            }
            if config.lora.bias && factors.bias.is_none() {
                return Err(format!("`lora_bias` is true, but `{module}` has no bias"));
            }
        }
        Ok(())
    }

    /// Whether it holds what a type of adapter has, and nothing of another.
    fn fits(&self, kind: PeftType) -> bool {
        let (prefix, lora) = (self.prefix.is_some(), !self.lora.is_empty());
        let deltas = !self.deltas.is_empty();
        match kind {
            PeftType::Beft => !prefix && !lora,
            PeftType::Lora => !prefix && lora && !deltas,
            PeftType::PrefixTuning => prefix && !lora && !deltas,
        }
    }
}

impl LoraSettings {
    fn rank_of(&self, module: &str) -> Option<usize> {
        pattern_value(&self.ranks, module).copied().or(self.rank)
    }

    fn alpha_of(&self, module: &str) -> f64 {
        let own = pattern_value(&self.alphas, module);
        own.copied().unwrap_or(self.alpha)
    }
}

/// Why a tensor cannot be used, and which file is to blame.
enum Problem {
    File(CheckpointError),
    Tensor(String),
    Config(String),
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
