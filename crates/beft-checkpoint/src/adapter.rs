use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use beft_core::TermSet;
use beft_nn::{BiasModel, ParamData, map_params, param_shapes, read_params};
use burn::module::Module;
use burn::tensor::TensorData;
use serde_json::{Map, Value};

use crate::{CheckpointError, HeadTensor, LoraFactors, NameTable, PrefixValues, Stored};

/// Trained biases and head, apart from the frozen backbone, under Hugging Face names.
///
/// [`save`](Self::save) and [`load`](Self::load) use the layout of HF PEFT's BEFT tuner, or of its
/// LoRA tuner where [`lora`](Self::lora) is not empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Adapter {
    /// The base model as the user named it.
    pub base_model: String,
    /// Change of the bias of each tuned linear module, by module name
    /// (`bert.encoder.layer.0.attention.self.value`).
    pub deltas: BTreeMap<String, Vec<f32>>,
    /// Which modules are tuned, as PEFT matches them: name suffixes.
    pub target_modules: Vec<String>,
    /// Biases that PEFT's tuner cannot hold (layer norms), as absolute values by parameter name.
    pub extra: BTreeMap<String, Vec<f32>>,
    /// LoRA updates by module name; an adapter has these or biases.
    pub lora: BTreeMap<String, LoraFactors>,
    /// LoRA updates are scaled by this number over their rank.
    pub lora_alpha: f64,
    /// Keys and values of prefix tuning; an adapter that has them has nothing else.
    pub prefix: Option<PrefixValues>,
    /// Whether it is of a causal language model (PEFT's `CAUSAL_LM`), which has no head.
    pub causal_lm: bool,
    /// The task head, by parameter name (`classifier.weight`).
    pub head: BTreeMap<String, HeadTensor>,
    /// Facts of our own, kept in the sidecar: terms, seed, labels, the base's fingerprint.
    pub facts: Map<String, Value>,
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
        base: &BTreeMap<String, ParamData>,
        trained: &BTreeMap<String, ParamData>,
        head: &[&str],
    ) -> Self {
        let mut adapter = Self::default();
        for (path, data) in trained {
            if path.contains(PREFIX) {
                // The model's own matter: it is in no checkpoint.
                continue;
            }
            if let Some((weight, factor)) = path.split_once(LORA) {
                let name = table.by_path(weight).map(|(_, name)| name);
                let module = name.and_then(|n| Some(n.strip_suffix(".weight")?.to_owned()));
                let factors = adapter.lora.entry(module.unwrap_or_default());
                let factors = factors.or_insert_with(LoraFactors::empty);
                let tensor = HeadTensor::from_param(data, Stored::Transposed);
                match factor {
                    "a" => factors.a = tensor,
                    _ => factors.b = tensor,
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
                let part = |(_, path): &(_, String)| &values[path].values;
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
        adapter.target_modules = target_modules(&linear_modules(module, table), &tuned);
        adapter
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

    /// The modules that are tuned.
    fn modules(&self) -> impl Iterator<Item = &String> {
        self.deltas.keys().chain(self.lora.keys())
    }

    /// Where the list of target modules and the biases do not agree, as PEFT would load them.
    pub(crate) fn target_problem(&self) -> Option<String> {
        let targets = &self.target_modules;
        if let Some(module) = self
            .modules()
            .find(|module| !targets.iter().any(|t| is_target(module, t)))
        {
            return Some(format!(
                "target_modules {targets:?} leaves out `{module}`, which the weights file has values for"
            ));
        }
        let empty = targets
            .iter()
            .find(|t| !self.modules().any(|module| is_target(module, t)))?;
        Some(format!(
            "the weights file has nothing for the target module `{empty}`"
        ))
    }

    /// What should be among the parameters `new` of this adapter, and is not; or should not be.
    fn missing_part<M: BiasModel, T>(
        &self,
        module: &M,
        table: &NameTable,
        new: &BTreeMap<String, T>,
    ) -> Option<String> {
        let hf = |path: &str| {
            let name = table.by_path(path).map(|(_, name)| name);
            name.unwrap_or_else(|| path.to_owned())
        };
        let head = module.bias_layout().head.iter();
        if let Some(path) = head
            .filter(|_| !self.head.is_empty())
            .find(|p| !new.contains_key(**p))
        {
            return Some(format!("tensor `{}` of the head is missing", hf(path)));
        }
        let linear = linear_modules(module, table);
        let untuned = linear.iter().find(|name| {
            let target = self.target_modules.iter().any(|t| is_target(name, t));
            target && !self.deltas.contains_key(*name) && !self.lora.contains_key(*name)
        });
        if let Some(name) = untuned {
            return Some(format!(
                "the part for `{name}` is missing, which target_modules {:?} names",
                self.target_modules
            ));
        }
        let terms = self.facts.get("terms")?.as_str()?;
        if !self.lora.is_empty() {
            return None;
        }
        let paths = match terms.parse::<TermSet>().map(|t| module.trainable_paths(&t)) {
            Ok(Ok(paths)) => paths,
            Ok(Err(error)) | Err(error) => return Some(format!("its terms `{terms}`: {error}")),
        };
        if let Some(path) = paths.iter().find(|path| !new.contains_key(*path)) {
            return Some(format!(
                "it was trained for the terms `{terms}`, but tensor `{}` is missing",
                hf(path)
            ));
        }
        let stray = new.keys().find(|path| !paths.contains(path))?;
        Some(format!(
            "tensor `{}` is not part of its terms `{terms}`",
            hf(stray)
        ))
    }

    /// Puts the adapter onto the base model in `module`; `path` is for messages.
    ///
    /// # Errors
    ///
    /// When a tensor has no place in the model, or another length, or something is missing that the
    /// adapter's own config, term set or head calls for.
    pub fn apply<M: BiasModel>(
        &self,
        module: M,
        table: &NameTable,
        path: &Path,
    ) -> Result<M, CheckpointError> {
        let fail = |reason| CheckpointError::Adapter {
            path: path.to_owned(),
            reason,
        };
        let path_of = |name: &str| {
            table.by_hf(name).map(|(row, path)| (row.stored, path)).ok_or_else(|| {
                fail(format!("tensor `{name}` has no place in this model; is --model the base it was trained on?"))
            })
        };
        let mut new: BTreeMap<String, (bool, Vec<f32>)> = BTreeMap::new();
        for (linear, factors) in &self.lora {
            let change = factors.change(self.lora_alpha).ok_or_else(|| {
                fail(format!(
                    "the LoRA factors of `{linear}` do not fit each other"
                ))
            })?;
            new.insert(path_of(&format!("{linear}.weight"))?.1, (true, change));
        }
        for (linear, delta) in &self.deltas {
            new.insert(path_of(&format!("{linear}.bias"))?.1, (true, delta.clone()));
        }
        let terms = self.facts.get("terms").and_then(Value::as_str);
        let terms = terms.and_then(|terms| terms.parse::<TermSet>().ok());
        let trained = terms.and_then(|terms| module.trainable_paths(&terms).ok());
        for (name, values) in &self.extra {
            path_of(name)?;
            let parts = table.all_by_hf(name);
            if !values.len().is_multiple_of(parts.len()) {
                return Err(fail(format!(
                    "tensor `{name}` has {} values, which are not {} equal parts",
                    values.len(),
                    parts.len()
                )));
            }
            let each = values.len() / parts.len();
            for ((_, path), values) in parts.iter().zip(values.chunks(each.max(1))) {
                let untrained = trained.as_ref().is_some_and(|paths| !paths.contains(path));
                if parts.len() > 1 && untrained {
                    continue;
                }
                new.insert(path.clone(), (false, values.to_vec()));
            }
        }
        for (name, tensor) in &self.head {
            let (stored, param) = path_of(name)?;
            new.insert(param, (false, tensor.module_values(stored)));
        }

        if let Some(problem) = self.missing_part(&module, table, &new) {
            return Err(fail(problem));
        }
        let present = read_params(&module, |p| new.contains_key(p));
        if let Some(absent) = new.keys().find(|p| !present.contains_key(*p)) {
            return Err(fail(format!(
                "the model has no parameter `{absent}`; is --model the base it was trained on?"
            )));
        }
        for (param, (is_delta, values)) in &mut new {
            let base = &present[param];
            if base.values.len() != values.len() {
                let name = table
                    .by_path(param)
                    .map_or_else(|| param.clone(), |(_, name)| name);
                return Err(fail(format!(
                    "`{name}` has {} values, the model's has shape {:?}; is --model the base it was trained on?",
                    values.len(),
                    base.shape
                )));
            }
            if *is_delta {
                values
                    .iter_mut()
                    .zip(&base.values)
                    .for_each(|(delta, b0)| *delta += b0);
            }
        }
        Ok(map_params(module, |param, shape| {
            let (_, values) = new.remove(param)?;
            Some(TensorData::new(values, shape.to_vec()))
        }))
    }
}

/// What the paths of a prefix's parameters have in them.
const PREFIX: &str = ".prefix.";

/// What burn puts between a weight's path and its LoRA factors `a` and `b`.
const LORA: &str = ".lora.";

/// The linear module that a bias belongs to; `None` for a layer norm's.
fn linear_of_bias(table: &NameTable, bias: &str) -> Option<String> {
    let module = bias.strip_suffix(".bias")?;
    let (row, _) = table.by_hf(&format!("{module}.weight"))?;
    (row.stored == Stored::Transposed).then(|| module.to_owned())
}

/// Names of all linear modules of a model, the task head's included.
fn linear_modules<M: Module>(module: &M, table: &NameTable) -> Vec<String> {
    param_shapes(module)
        .iter()
        .filter_map(|(path, _)| table.by_path(path))
        .filter(|(row, _)| row.stored == Stored::Transposed)
        .filter_map(|(_, name)| Some(name.strip_suffix(".weight")?.to_owned()))
        .collect()
}

/// Whether PEFT takes a module for a target: its name is the suffix, or ends in `.suffix`.
fn is_target(module: &str, suffix: &str) -> bool {
    module
        .strip_suffix(suffix)
        .is_some_and(|head| head.is_empty() || head.ends_with('.'))
}

/// For each tuned module the shortest suffix of its name that no untuned linear module shares.
fn target_modules(all: &[String], tuned: &BTreeSet<&String>) -> Vec<String> {
    let mut suffixes = BTreeSet::new();
    for name in tuned {
        let starts = name.rmatch_indices('.').map(|(dot, _)| dot + 1).chain([0]);
        let shortest = starts.map(|start| &name[start..]).find(|suffix| {
            all.iter()
                .all(|n| !is_target(n, suffix) || tuned.contains(n))
        });
        suffixes.insert(shortest.unwrap_or(name.as_str()).to_owned());
    }
    suffixes.into_iter().collect()
}
