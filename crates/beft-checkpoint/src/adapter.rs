use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use beft_nn::{LoraFactor, ParamData, ParamPath, param_shapes, read_params};
use burn::module::Module;
use serde_json::{Map, Value};

use crate::peft::{EXTRA_BIASES_SCRIPT, is_suffix};
use crate::{CheckpointError, HeadTensor, LoraFactors, NameTable, PrefixValues, Stored, Targets};

/// Trained biases and head, apart from the frozen backbone, under Hugging Face names.
///
/// [`save`](Self::save) and [`load`](Self::load) use the layout of HF PEFT's BEFT tuner, or of its
/// LoRA tuner where [`lora`](Self::lora) is not empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Adapter {
    /// The base model as the user named it.
    pub base_model: String,
    /// Which revision of it, where it is a repository's name.
    pub revision: Option<String>,
    /// Change of the bias of each tuned linear module, by module name
    /// (`bert.encoder.layer.0.attention.self.value`).
    pub deltas: BTreeMap<String, Vec<f32>>,
    /// Which modules are tuned.
    pub targets: Targets,
    /// Biases that are no change of a linear module's, as absolute values by parameter name: what PEFT's tuner
    /// cannot hold (layer norms), and what LoRA's `bias="all"` saved.
    pub extra: BTreeMap<String, Vec<f32>>,
    /// LoRA updates by module name; an adapter has these or biases.
    pub lora: BTreeMap<String, LoraFactors>,
    /// Keys and values of prefix tuning; an adapter that has them has nothing else.
    pub prefix: Option<PrefixValues>,
    /// Whether it is of a causal language model (PEFT's `CAUSAL_LM`), which has no head.
    pub causal_lm: bool,
    /// What is stored whole, by parameter name: the task head (`classifier.weight`), and other modules that were
    /// trained whole.
    pub head: BTreeMap<String, HeadTensor>,
    /// Facts of our own, kept in the sidecar: terms, seed, labels, the base's fingerprint.
    pub facts: Map<String, Value>,
    /// What the user should hear about the files.
    pub notes: Vec<String>,
}

/// Key of [`Adapter::facts`] for the base's [`TensorFiles::fingerprint`](crate::TensorFiles::fingerprint).
pub(crate) const FINGERPRINT: &str = "base_fingerprint";

impl Adapter {
    /// The adapter that turns the parameters `base` into `trained`, both by parameter path.
    /// Paths in `head` are stored whole. `module` holds the trained parameters.
    ///
    /// # Panics
    ///
    /// If a trained path is not in `base` or in the table: both come from the same module.
    pub fn between<M: Module>(
        module: &M,
        table: &NameTable,
        base: &BTreeMap<ParamPath, ParamData>,
        trained: &BTreeMap<ParamPath, ParamData>,
        head: &[&str],
    ) -> Self {
        let mut adapter = Self::default();
        for (path, data) in trained {
            if path.is_prefix() {
                // The model's own matter: it is in no checkpoint.
                continue;
            }
            if let Some((weight, factor)) = path.lora_factor() {
                let name = table.by_path(weight).map(|(_, name)| name);
                let module = name.and_then(|n| Some(n.strip_suffix(".weight")?.to_owned()));
                let factors = adapter.lora.entry(module.unwrap_or_default());
                let factors = factors.or_insert_with(LoraFactors::empty);
                let tensor = HeadTensor::from_param(data, Stored::Transposed);
                match factor {
                    LoraFactor::A => factors.a = tensor,
                    LoraFactor::B => factors.b = tensor,
                }
                continue;
            }
            let (row, name) = table
                .by_path(path)
                .expect("trained parameters are in the table");
            if matches!(row.stored, Stored::Third(_)) {
                // A part of a tensor that checkpoints have as one, which is stored whole.
                let parts = table.all_by_hf(&name);
                let values = read_params(module, |p| parts.iter().any(|(_, path)| p == path));
                let part = |(_, path): &(_, ParamPath)| &values[path].values;
                let whole = parts.iter().flat_map(part).copied();
                adapter.extra.insert(name, whole.collect());
                continue;
            }
            if head.contains(&path.as_str()) {
                adapter
                    .head
                    .insert(name, HeadTensor::from_param(data, row.stored));
            } else if let Some(linear) = linear_of_bias(table, &name) {
                let before = &base[path].values;
                let delta = data
                    .values
                    .iter()
                    .zip(before)
                    .map(|(b1, b0)| b1 - b0)
                    .collect();
                adapter.deltas.insert(linear, delta);
            } else {
                adapter.extra.insert(name, data.values.clone());
            }
        }
        let tuned: BTreeSet<&String> = adapter.deltas.keys().chain(adapter.lora.keys()).collect();
        adapter.targets = Targets {
            saved: SEQ_CLS_HEADS.map(str::to_owned).to_vec(),
            ..Targets::suffixes(target_modules(&linear_modules(module, table), &tuned))
        };
        adapter
    }

    /// Records what LoRA's updates are scaled by, over their rank.
    pub fn set_lora_alpha(&mut self, alpha: f64) {
        self.lora
            .values_mut()
            .for_each(|factors| factors.alpha = alpha);
    }

    /// What PEFT alone does not apply of this adapter, and what does; `None` where PEFT applies all of it.
    pub fn beyond_peft(&self) -> Option<String> {
        (!self.extra.is_empty()).then(|| {
            format!(
                "{} biases are not part of PEFT's format (layer norms, fused projections): in Python call \
                 apply_extra_biases(model) of {EXTRA_BIASES_SCRIPT} in the adapter's folder",
                self.extra.len()
            )
        })
    }

    /// The base model with its revision, as commands take it (`org/name@revision`).
    pub fn base_name(&self) -> String {
        match &self.revision {
            Some(revision) if !Path::new(&self.base_model).exists() => {
                format!("{}@{revision}", self.base_model)
            }
            _ => self.base_model.clone(),
        }
    }

    /// Number of classes of the stored head (BERT's has one layer, RoBERTa's two).
    pub fn num_classes(&self) -> Option<usize> {
        let bias = ["classifier.out_proj.bias", "classifier.bias"];
        let bias = bias.into_iter().find_map(|name| self.head.get(name))?;
        Some(bias.values.len())
    }

    /// Refuses a base model other than the one the adapter was trained on, as far as the adapter
    /// knows it (PEFT's own adapters do not).
    ///
    /// # Errors
    ///
    /// When the fingerprints differ.
    pub fn check_base(&self, path: &Path, fingerprint: &str) -> Result<(), CheckpointError> {
        match self.facts.get(FINGERPRINT).and_then(Value::as_str) {
            Some(recorded) if recorded != fingerprint => Err(CheckpointError::Adapter {
                path: path.to_owned(),
                reason: format!(
                    "it was trained on another base model (`{}`, weights {recorded}; these are {fingerprint}); give that model with --model",
                    self.base_model
                ),
            }),
            _ => Ok(()),
        }
    }

    /// Records the base's fingerprint for [`check_base`](Self::check_base).
    pub fn set_fingerprint(&mut self, fingerprint: String) {
        self.facts
            .insert(FINGERPRINT.to_owned(), Value::String(fingerprint));
    }
}

/// Modules that PEFT takes for heads of a classifier (`SEQ_CLS`), and saves whole.
const SEQ_CLS_HEADS: [&str; 2] = ["classifier", "score"];

/// The linear module that a bias belongs to; `None` for a layer norm's.
fn linear_of_bias(table: &NameTable, bias: &str) -> Option<String> {
    let module = bias.strip_suffix(".bias")?;
    let (row, _) = table.by_hf(&format!("{module}.weight"))?;
    (row.stored == Stored::Transposed).then(|| module.to_owned())
}

/// Names of all linear modules of a model, the task head's included.
pub(crate) fn linear_modules<M: Module>(module: &M, table: &NameTable) -> Vec<String> {
    param_shapes(module)
        .iter()
        .filter_map(|(path, _)| table.by_path(path))
        .filter(|(row, _)| row.stored == Stored::Transposed)
        .filter_map(|(_, name)| Some(name.strip_suffix(".weight")?.to_owned()))
        .collect()
}

/// For each tuned module the shortest suffix of its name that no untuned linear module shares.
fn target_modules(all: &[String], tuned: &BTreeSet<&String>) -> Vec<String> {
    let mut suffixes = BTreeSet::new();
    for name in tuned {
        let starts = name.rmatch_indices('.').map(|(dot, _)| dot + 1).chain([0]);
        let shortest = starts.map(|start| &name[start..]).find(|suffix| {
            all.iter()
                .all(|n| !is_suffix(n, suffix) || tuned.contains(n))
        });
        suffixes.insert(shortest.unwrap_or(name.as_str()).to_owned());
    }
    suffixes.into_iter().collect()
}
