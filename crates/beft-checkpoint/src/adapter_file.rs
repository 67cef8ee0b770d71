//! Adapters on disk: `adapter_config.json` and `adapter_model.safetensors` as PEFT's
//! `src/peft/tuners/{beft,lora}` read and write them, `beft.json` beside them for facts of our own
//! (PEFT drops keys it does not know), and `extra_biases.safetensors` for what its tuner cannot
//! hold.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use beft_core::{check_replaceable, write_dir_atomic};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{Adapter, CheckpointError, HeadTensor, LoraFactors, PrefixValues, TensorFiles};

/// PEFT's config file.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";
/// PEFT's weights file.
pub const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";
/// Our own facts.
pub const ADAPTER_SIDECAR: &str = "beft.json";
/// Layer norm biases, as absolute values for `load_state_dict(strict=False)`.
pub const EXTRA_BIASES: &str = "extra_biases.safetensors";

/// All files of an adapter folder, PEFT's model card included.
const OWNED: &[&str] = &[
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    ADAPTER_SIDECAR,
    EXTRA_BIASES,
    "README.md",
];

/// The version of PEFT whose layout is written.
const PEFT_VERSION: &str = "0.21.2";
/// PEFT wraps the model twice; the backbone's own names follow.
const WRAPPERS: &str = "base_model.model.";
const DELTA: &str = ".beft_bias";
const SEQ_CLS: &str = "SEQ_CLS";
const CAUSAL_LM: &str = "CAUSAL_LM";
/// PEFT's name for the keys and values of prefix tuning.
const PROMPT: &str = "prompt_embeddings";
const LORA_A: &str = ".lora_A.weight";
const LORA_B: &str = ".lora_B.weight";

#[derive(Deserialize)]
struct PeftConfig {
    peft_type: String,
    #[serde(default)]
    base_model_name_or_path: Option<String>,
    #[serde(default)]
    task_type: Option<String>,
    #[serde(default)]
    target_modules: Option<Value>,
    #[serde(default)]
    r: Option<usize>,
    #[serde(default)]
    num_virtual_tokens: Option<usize>,
    #[serde(default)]
    num_layers: Option<usize>,
    #[serde(default)]
    num_attention_heads: Option<usize>,
    #[serde(default)]
    prefix_projection: bool,
    #[serde(default)]
    lora_alpha: Option<f64>,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
}

impl Adapter {
    /// Writes the adapter folder as a whole: an earlier one of that name is replaced only when
    /// the new one is complete.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub fn save(&self, dir: &Path) -> Result<(), CheckpointError> {
        let mut config = json!({
            "auto_mapping": null,
            "base_model_name_or_path": self.base_model,
            "inference_mode": true,
            "modules_to_save": ["classifier", "score"],
            "peft_type": "BEFT",
            "peft_version": PEFT_VERSION,
            "revision": null,
            "target_modules": self.target_modules,
            "task_type": SEQ_CLS,
        });
        if self.causal_lm {
            config["task_type"] = json!(CAUSAL_LM);
            config["modules_to_save"] = json!(null);
        }
        match (&self.prefix, self.lora.values().next()) {
            (Some(prefix), _) => {
                config["peft_type"] = json!("PREFIX_TUNING");
                config["num_virtual_tokens"] = json!(prefix.tokens);
                config["token_dim"] = json!(prefix.width);
                config["num_layers"] = json!(prefix.layers);
                config["num_attention_heads"] = json!(prefix.heads);
                config["num_transformer_submodules"] = json!(1);
                config["encoder_hidden_size"] = json!(prefix.width);
                config["prefix_projection"] = json!(false);
            }
            (None, None) => config["init_weights"] = json!(true),
            (None, Some(factors)) => {
                config["peft_type"] = json!("LORA");
                config["r"] = json!(factors.a.shape[0]);
                config["lora_alpha"] = json!(self.lora_alpha);
                config["lora_dropout"] = json!(0.0);
                config["bias"] = json!("none");
            }
        }
        let mut tensors: Vec<(String, Vec<usize>, &[f32])> = Vec::new();
        for (module, delta) in &self.deltas {
            tensors.push((
                format!("{WRAPPERS}{module}{DELTA}"),
                vec![1, delta.len()],
                delta,
            ));
        }
        for (module, factors) in &self.lora {
            for (suffix, tensor) in [(LORA_A, &factors.a), (LORA_B, &factors.b)] {
                let name = format!("{WRAPPERS}{module}{suffix}");
                tensors.push((name, tensor.shape.clone(), &tensor.values));
            }
        }
        if let Some(prefix) = &self.prefix {
            let shape = vec![prefix.tokens, 2 * prefix.layers * prefix.width];
            tensors.push((PROMPT.to_owned(), shape, &prefix.values));
        }
        for (name, tensor) in &self.head {
            tensors.push((
                format!("{WRAPPERS}{name}"),
                tensor.shape.clone(),
                &tensor.values,
            ));
        }
        let mut files = vec![
            (ADAPTER_CONFIG, pretty(&config)),
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
        }
        write_dir_atomic(dir, &files, OWNED).map_err(CheckpointError::io("write", dir))
    }

    /// Fails if `dir` exists and is not an adapter folder that [`save`](Self::save) may replace.
    ///
    /// # Errors
    ///
    /// When it is a file, or holds anything else.
    pub fn check_target(dir: &Path) -> Result<(), CheckpointError> {
        check_replaceable(dir, OWNED).map_err(CheckpointError::io("write", dir))
    }

    /// Removes the adapter folder `dir` if it is one and holds nothing else.
    pub fn remove(dir: &Path) {
        if dir.join(ADAPTER_CONFIG).is_file() && Self::check_target(dir).is_ok() {
            // What cannot be removed stays, and harms nothing.
            let _ = fs::remove_dir_all(dir);
        }
    }

    /// Reads an adapter folder written by [`save`](Self::save) or by PEFT's `save_pretrained`.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged, or the adapter is of another PEFT type.
    pub fn load(dir: &Path) -> Result<Self, CheckpointError> {
        let config: PeftConfig = read_json(&dir.join(ADAPTER_CONFIG))?;
        let fail = |file: &str, reason: String| CheckpointError::Adapter {
            path: dir.join(file),
            reason,
        };
        let known = ["BEFT", "LORA", "PREFIX_TUNING"];
        if !known.contains(&config.peft_type.as_str()) {
            return Err(fail(
                ADAPTER_CONFIG,
                format!(
                    "peft_type is `{}`; BEFT adapters (trained biases), LORA and PREFIX_TUNING adapters can be used",
                    config.peft_type
                ),
            ));
        }
        if config.use_rslora || config.use_dora || config.prefix_projection {
            let reason =
                "use_rslora, use_dora and prefix_projection are not implemented".to_owned();
            return Err(fail(ADAPTER_CONFIG, reason));
        }
        let kind = config.task_type.as_deref();
        if let Some(kind) = kind.filter(|kind| ![SEQ_CLS, CAUSAL_LM].contains(kind)) {
            return Err(fail(
                ADAPTER_CONFIG,
                format!(
                    "task_type is `{kind}`; adapters for {SEQ_CLS} and {CAUSAL_LM} can be used"
                ),
            ));
        }
        if let Some(targets) = &config.target_modules
            && !(targets.is_null() || targets.is_array() || targets.is_string())
        {
            let reason = format!("target_modules is {targets}; it must be a list of names");
            return Err(fail(ADAPTER_CONFIG, reason));
        }
        // One string instead of a list is a regular expression, which is PEFT's to check.
        let listed = matches!(config.target_modules, Some(Value::Array(_)));
        let sidecar = dir.join(ADAPTER_SIDECAR);
        let mut adapter = Self {
            base_model: config.base_model_name_or_path.unwrap_or_default(),
            causal_lm: kind == Some(CAUSAL_LM),
            target_modules: suffixes(config.target_modules),
            lora_alpha: match config.peft_type.as_str() {
                // PEFT's default.
                "LORA" => config.lora_alpha.unwrap_or(8.0),
                _ => 0.0,
            },
            facts: if sidecar.is_file() {
                read_json(&sidecar)?
            } else {
                Map::new()
            },
            ..Self::default()
        };
        let weights = TensorFiles::open(&dir.join(ADAPTER_WEIGHTS))?;
        for full in weights.names() {
            let name = full.strip_prefix(WRAPPERS).unwrap_or(full);
            let values = weights.read(full)?;
            let shape = weights.shape(full).unwrap_or_default().to_vec();
            if values.iter().any(|x| !x.is_finite()) {
                return Err(fail(
                    ADAPTER_WEIGHTS,
                    format!("tensor `{full}` holds NaN or infinity"),
                ));
            }
            if name == PROMPT {
                adapter.prefix = Some(
                    PrefixValues::read(
                        &shape,
                        values,
                        config.num_virtual_tokens,
                        (config.num_layers, config.num_attention_heads),
                    )
                    .map_err(|reason| fail(ADAPTER_CONFIG, reason))?,
                );
            } else if let Some(module) = name.strip_suffix(DELTA) {
                if !matches!(shape[..], [1, _] | [_]) {
                    return Err(fail(
                        ADAPTER_WEIGHTS,
                        format!("tensor `{full}` has shape {shape:?}, expected [1, n]"),
                    ));
                }
                adapter.deltas.insert(module.to_owned(), values);
            } else if let Some(module) = name.strip_suffix(LORA_A) {
                let factors = adapter.lora.entry(module.to_owned());
                factors.or_insert_with(LoraFactors::empty).a = HeadTensor { shape, values };
            } else if let Some(module) = name.strip_suffix(LORA_B) {
                let factors = adapter.lora.entry(module.to_owned());
                factors.or_insert_with(LoraFactors::empty).b = HeadTensor { shape, values };
            } else if name.starts_with("classifier.") {
                adapter
                    .head
                    .insert(name.to_owned(), HeadTensor { shape, values });
            } else {
                return Err(fail(
                    ADAPTER_WEIGHTS,
                    format!(
                        "tensor `{full}` is neither a bias (`...{DELTA}`) nor a LoRA factor nor part of the classifier"
                    ),
                ));
            }
        }
        let lora = config.peft_type == "LORA";
        let other = adapter.lora.iter().find(|(_, factors)| {
            let rank = factors.a.shape.first().copied();
            config.r.is_some_and(|r| rank != Some(r))
        });
        if let Some((module, factors)) = other {
            let reason = format!(
                "r is {}, but the factor A of `{module}` has shape {:?}",
                config.r.unwrap_or_default(),
                factors.a.shape
            );
            return Err(fail(ADAPTER_CONFIG, reason));
        }
        let prefix = config.peft_type == "PREFIX_TUNING";
        let (wanted, other) = match lora {
            _ if prefix || adapter.prefix.is_some() => (
                prefix && adapter.prefix.is_some(),
                adapter.deltas.is_empty() && adapter.lora.is_empty(),
            ),
            true => (!adapter.lora.is_empty(), adapter.deltas.is_empty()),
            false => (true, adapter.lora.is_empty()),
        };
        if !(wanted && other) {
            let reason = format!(
                "peft_type is `{}`, but {ADAPTER_WEIGHTS} holds something else",
                config.peft_type
            );
            return Err(fail(ADAPTER_CONFIG, reason));
        }
        if listed && let Some(problem) = adapter.target_problem() {
            return Err(fail(ADAPTER_CONFIG, problem));
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
}

fn read_all(files: &TensorFiles) -> Result<BTreeMap<String, Vec<f32>>, CheckpointError> {
    files
        .names()
        .map(|name| Ok((name.to_owned(), files.read(name)?)))
        .collect()
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, CheckpointError> {
    if !path.is_file() {
        return Err(CheckpointError::Adapter {
            path: path.to_owned(),
            reason: format!(
                "no such file; an adapter folder holds {ADAPTER_CONFIG} and {ADAPTER_WEIGHTS}"
            ),
        });
    }
    let text = fs::read(path).map_err(CheckpointError::io("read", path))?;
    serde_json::from_slice(&text).map_err(|source| CheckpointError::Json {
        path: path.to_owned(),
        source,
    })
}

/// PEFT allows a list, or one string (a regular expression).
fn suffixes(value: Option<Value>) -> Vec<String> {
    match value {
        Some(Value::Array(list)) => list
            .into_iter()
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect(),
        Some(Value::String(pattern)) => vec![pattern],
        _ => Vec::new(),
    }
}

fn pretty(value: &Value) -> Vec<u8> {
    // The alternate form of `Display` is serde_json's pretty printer.
    format!("{value:#}\n").into_bytes()
}

fn serialize(
    tensors: &[(String, Vec<usize>, &[f32])],
    dir: &Path,
) -> Result<Vec<u8>, CheckpointError> {
    let fail = |e: safetensors::SafeTensorError| CheckpointError::Adapter {
        path: dir.to_owned(),
        reason: e.to_string(),
    };
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, v)| v.iter().flat_map(|x| x.to_le_bytes()).collect())
        .collect();
    let mut views = Vec::with_capacity(tensors.len());
    for ((name, shape, _), bytes) in tensors.iter().zip(&bytes) {
        views.push((
            name,
            TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(fail)?,
        ));
    }
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    safetensors::serialize(views, Some(metadata)).map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter() -> Adapter {
        Adapter {
            base_model: "base".into(),
            deltas: [("bert.layer.0.value".to_owned(), vec![0.5, -0.25])].into(),
            target_modules: vec!["value".into()],
            extra: [("bert.LayerNorm.bias".to_owned(), vec![1.0])].into(),
            head: [(
                "classifier.weight".to_owned(),
                HeadTensor {
                    shape: vec![2, 1],
                    values: vec![1.0, 2.0],
                },
            )]
            .into(),
            lora: BTreeMap::new(),
            prefix: None,
            causal_lm: false,
            lora_alpha: 0.0,
            facts: [("terms".to_owned(), json!("v"))].into_iter().collect(),
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
    fn errors_say_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("adapter");
        let message = Adapter::load(&path).unwrap_err().to_string();
        assert!(
            message.contains("adapter_config.json: no such file"),
            "{message}"
        );
        adapter().save(&path).unwrap();
        fs::write(path.join(ADAPTER_CONFIG), r#"{"peft_type": "IA3"}"#).unwrap();
        let message = Adapter::load(&path).unwrap_err().to_string();
        assert!(message.contains("`IA3`"), "{message}");
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
