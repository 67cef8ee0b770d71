use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use beft_checkpoint::{
    CheckpointError, HeadTensor, NameTable, PrefixValues, TensorFiles, TensorName,
};
use beft_core::TaskType;
use beft_nn::{BiasModel, ParamData, ParamPath, TaskModel, param_shapes, read_params};
use serde_json::{Map, Value};

use crate::peft::{EXTRA_BIASES_SCRIPT, is_suffix};
use crate::{AdapterKind, BiasDeltas, Makes, Mode, ModeSettings, Targets};

/// The trained biases and the head, without the frozen backbone, under Hugging Face names.
///
/// [`save`](Self::save) and [`load`](Self::load) use the layout of HF PEFT's tuner for its
/// [`kind`](Self::kind).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Adapter {
    /// The base model as the user named it.
    pub base_model: String,
    /// The revision of the base model, if it is a repository on the hub.
    pub revision: Option<String>,
    /// What was trained, by PEFT's type.
    pub kind: AdapterKind,
    /// Which modules are tuned.
    pub targets: Targets,
    /// Biases that PEFT's tuner cannot hold (layer norms), and those that LoRA's `bias="all"` saved, as
    /// absolute values by parameter name.
    pub extra: BTreeMap<String, Vec<f32>>,
    /// The kind of head (PEFT's `task_type`); `None` where the file does not say.
    pub task_type: Option<TaskType>,
    /// Parameters that are stored whole, by name: the task head (`classifier.weight`) and other modules that
    /// were trained whole.
    pub head: BTreeMap<String, HeadTensor>,
    /// Facts of our own, kept in the sidecar: terms, seed, labels, the base's fingerprint.
    pub facts: Map<String, Value>,
    /// What people should know of it, as a model card (`README.md` of the folder); empty for no card.
    pub card: String,
    /// Notes for the user about the files.
    pub notes: Vec<String>,
}

/// A tensor that an adapter folder holds.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterTensor {
    /// Its name in the files.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The Euclidean norm of its values: of a bias that of its change.
    pub norm: f64,
    /// Whether it is part of the head, or else a change of the base.
    pub head: bool,
}

/// Where a trained parameter stands in checkpoints.
fn place<'a>(table: &'a NameTable, path: &ParamPath) -> (&'a TensorName, String) {
    let place = table.by_path(path);
    place.expect("trained parameters are in the table")
}

impl<'a> TrainedParams<'a> {
    /// Where one of them stands in checkpoints.
    pub(crate) fn place(&self, path: &ParamPath) -> (&'a TensorName, String) {
        place(self.table, path)
    }
}

impl Default for AdapterKind {
    fn default() -> Self {
        Self::Biases(BiasDeltas::default())
    }
}

/// The trained parameters outside the head. A mode makes an adapter of them.
pub struct TrainedParams<'a> {
    /// The names of parameters in checkpoints.
    pub table: &'a NameTable,
    /// The mode's settings.
    pub settings: &'a ModeSettings,
    /// The parameters before training.
    pub base: &'a BTreeMap<ParamPath, ParamData>,
    /// The parameters after training.
    pub values: &'a [(&'a ParamPath, &'a ParamData)],
    /// Number of key and value heads of a layer.
    pub key_value_heads: usize,
    /// Returns all values of a tensor that is one tensor in checkpoints and several parameters in the model.
    pub whole: &'a dyn Fn(&str) -> Vec<f32>,
}

/// Key of [`Adapter::facts`] for the base's
/// [`TensorFiles::fingerprint`](beft_checkpoint::TensorFiles::fingerprint).
pub(crate) const FINGERPRINT: &str = "base_fingerprint";

impl Adapter {
    /// The name of PEFT's type of adapter, such as `BEFT`.
    pub fn peft_type(&self) -> &'static str {
        self.kind.peft_type().name
    }

    /// Returns all tensors that it holds: what changes the base, then the head.
    pub fn tensors(&self) -> Vec<AdapterTensor> {
        let norm = |values: &[f32]| {
            values
                .iter()
                .map(|v| f64::from(*v).powi(2))
                .sum::<f64>()
                .sqrt()
        };
        let held = self.kind.layout().tensors().into_iter();
        let held = held.map(|(name, shape, values)| (name, shape, values, false));
        let extra = self.extra.iter();
        let extra = extra.map(|(name, v)| (name.clone(), vec![v.len()], v.as_slice(), false));
        let head = self.head.iter();
        let head = head.map(|(name, t)| (name.clone(), t.shape.clone(), t.values.as_slice(), true));
        let all = held.chain(extra).chain(head);
        let tensors = all.map(|(name, shape, values, head)| AdapterTensor {
            name,
            shape,
            norm: norm(values),
            head,
        });
        tensors.collect()
    }

    /// Makes the adapter that turns the model `base` into `trained`. The models differ in the parameters
    /// `paths`. Returns `None` if the mode makes no adapter. The head is stored whole.
    ///
    /// # Panics
    ///
    /// If a path is not in the models or in their table.
    pub fn between<M: TaskModel>(
        mode: &Mode,
        settings: &ModeSettings,
        table: &NameTable,
        base: &M,
        trained: &M,
        paths: &[ParamPath],
    ) -> Option<Self> {
        let collect = match mode.makes() {
            Makes::Adapter(collect) => collect,
            Makes::Model | Makes::Nothing => return None,
        };
        let settings = &mode.recorded(settings);
        let layout = trained.bias_layout();
        let wanted = |path: &ParamPath| paths.contains(path);
        let (base, after) = (read_params(base, wanted), read_params(trained, wanted));
        let (head, values): (Vec<_>, Vec<_>) =
            after.iter().partition(|(path, _)| layout.in_head(path));
        let whole = |name: &str| {
            let parts = table.all_by_hf(name);
            let values = read_params(trained, |p| parts.iter().any(|(_, path)| p == path));
            let part = |(_, path): &(_, ParamPath)| &values[path].values;
            parts.iter().flat_map(part).copied().collect()
        };
        let mut adapter = collect(&TrainedParams {
            table,
            settings,
            base: &base,
            values: &values,
            key_value_heads: trained.key_value_heads(),
            whole: &whole,
        });
        for (path, data) in head {
            let (row, name) = place(table, path);
            let tensor = HeadTensor::from_param(data, row.stored);
            adapter.head.insert(name, tensor);
        }
        let mut modules = linear_modules(trained, table);
        modules.extend(norms(trained, table));
        let groups = adapter.kind.layout().target_groups().into_iter();
        let suffixes =
            groups.flat_map(|group| target_modules(&modules, &group.into_iter().collect()));
        let suffixes = suffixes.collect();
        let task_type = trained.head().task_type();
        adapter.task_type = Some(task_type);
        adapter.targets = Targets {
            saved: saved_modules(task_type, adapter.head.keys()),
            ..Targets::suffixes(suffixes)
        };
        Some(adapter)
    }

    /// Keys and values before every input, if the adapter has them.
    pub fn prefix(&self) -> Option<&PrefixValues> {
        self.kind.layout().prefix()
    }

    /// Says which part of this adapter PEFT does not apply, and what applies it. `None` if PEFT applies
    /// everything.
    pub fn beyond_peft(&self) -> Option<String> {
        (!self.extra.is_empty()).then(|| {
            let count = self.extra.len();
            let are = if count == 1 { "bias is" } else { "biases are" };
            format!(
                "{count} {are} not part of PEFT's format (layer norms, fused projections): in Python call \
                 apply_extra_biases(model) of {EXTRA_BIASES_SCRIPT} in the adapter's folder"
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

    /// Refuses a base model on which the adapter was not trained. Adapters of PEFT do not say which weights
    /// they were trained on; they pass.
    ///
    /// # Errors
    ///
    /// When the fingerprints differ.
    pub fn check_base(&self, path: &Path, base: &TensorFiles) -> Result<(), CheckpointError> {
        let Some(recorded) = self.facts.get(FINGERPRINT).and_then(Value::as_str) else {
            return Ok(());
        };
        let found = base.fingerprint_like(recorded);
        if recorded != found {
            return Err(CheckpointError::OtherBase {
                path: path.to_owned(),
                trained_on: self.base_model.clone(),
                recorded: recorded.to_owned(),
                found,
            });
        }
        Ok(())
    }

    /// Whether it has a fingerprint of the base that it was trained on.
    pub fn knows_base(&self) -> bool {
        self.facts.contains_key(FINGERPRINT)
    }

    /// Records the base's [`fingerprint`](TensorFiles::fingerprint) for [`check_base`](Self::check_base).
    pub fn set_fingerprint(&mut self, fingerprint: String) {
        self.facts
            .insert(FINGERPRINT.to_owned(), Value::String(fingerprint));
    }
}

/// The modules that an adapter saves whole: those that PEFT takes for heads, and others that parameters of the head
/// are in (DistilBERT's `pre_classifier`, DeBERTa's `pooler`).
fn saved_modules<'a>(task_type: TaskType, head: impl Iterator<Item = &'a String>) -> Vec<String> {
    let known = task_type.head_modules().iter();
    let mut saved: Vec<String> = known.map(|module| (*module).to_owned()).collect();
    for name in head {
        let module = name.split('.').next().unwrap_or(name);
        if !saved.iter().any(|known| known == module) {
            saved.push(module.to_owned());
        }
    }
    saved
}

/// Lists the linear modules of a model and of its task head.
pub(crate) fn linear_modules<M: BiasModel>(module: &M, table: &NameTable) -> Vec<String> {
    modules(module, table, |_, row| row.stored.is_linear())
}

/// Lists the norms of a model.
pub(crate) fn norms<M: BiasModel>(module: &M, table: &NameTable) -> Vec<String> {
    modules(module, table, |path, _| path.is_norm())
}

/// Lists the modules of whose weights this is so.
fn modules<M: BiasModel>(
    module: &M,
    table: &NameTable,
    wanted: impl Fn(&ParamPath, &TensorName) -> bool,
) -> Vec<String> {
    let params = param_shapes(module).into_iter().map(|(path, _)| path);
    params
        .chain(module.packed_paths())
        .filter_map(|path| {
            let (row, name) = table.by_path(&path)?;
            let module = name.strip_suffix(".weight")?;
            wanted(&path, row).then(|| module.to_owned())
        })
        .collect()
}

/// For each tuned module the shortest suffix of its name that no untuned module shares.
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
