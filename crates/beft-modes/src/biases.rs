use std::collections::{BTreeMap, HashSet};

use beft_checkpoint::{HeadTensor, KeyTable, NameTable};
use beft_core::{BiasTerm, TaskType, TermSet, TermSetError};
use beft_nn::{BiasModel, ParamPath, Savings, count_values, param_shapes};
use serde_json::{Map, Value, json};

use crate::new_values::NewValues;
use crate::peft::{
    FileTensor, Keys, Layout, PeftLayout, PeftType, Problem, Reader, TargetKind, WRAPPERS,
    check_vector,
};
use crate::{
    Adapter, AdapterKind, Entries, Makes, Misfit, ModeError, ModeSettings, ModelTraits, Touched,
    Touching, TrainedParams, TrainingMode, Written,
};

/// Why a language model does not train its head alone.
pub const NO_HEAD: &str =
    "a causal language model has no head to train: train biases, or give it a head";

/// The mode that trains biases is a [`TermSet`].
impl Written for TermSet {
    fn read(text: &str, _plain: &str) -> Option<Result<Self, ModeError>> {
        Some(text.parse().map_err(ModeError::Terms))
    }

    fn written(&self) -> String {
        self.to_string()
    }
}

impl TrainingMode for TermSet {
    fn makes(&self) -> Makes {
        Makes::Adapter(collect)
    }

    fn fits(&self, model: &ModelTraits) -> Result<(), Misfit> {
        if self.is_frozen() && !model.task_type.has_weights() {
            return Err(Misfit::Refused(match model.task_type {
                TaskType::CausalLm => NO_HEAD,
                _ => {
                    "embeddings have no head to train: train biases, or evaluate the model untrained"
                }
            }));
        }
        self.check_outer(&model.outer)?;
        let sites = self.sites(model.layers)?;
        for site in &sites {
            self.heads(*site, model.heads.of(site.term))?;
        }
        match sites.iter().find(|site| !model.terms.contains(&site.term)) {
            Some(site) if !self.is_all() => Err(TermSetError::NoSuchTerm(site.term).into()),
            _ => Ok(()),
        }
    }

    fn touch<M: BiasModel>(&self, model: M, _settings: &ModeSettings, _seed: u64) -> Touching<M> {
        let paths = model.trainable_paths(self)?;
        let (entries, unused) = head_entries(&model, self)?;
        let whole = Touched::whole(model, paths);
        Ok(Touched {
            trainable: whole.trainable - unused,
            entries,
            ..whole
        })
    }

    fn terms(&self) -> Option<&TermSet> {
        Some(self)
    }
}

/// Of each bias of which heads learn alone the entries of these heads; and how many other entries these biases have.
fn head_entries<M: BiasModel>(
    model: &M,
    terms: &TermSet,
) -> Result<(Entries, usize), TermSetError> {
    let counts = model.head_counts();
    let mut named = BTreeMap::new();
    for site in model.sites(terms)? {
        let count = counts.of(site.term);
        if let Some(heads) = terms.heads(site, count)? {
            named.insert(model.site_path(site), (heads, count));
        }
    }
    let (mut entries, mut unused) = (Entries::new(), 0);
    if named.is_empty() {
        return Ok((entries, unused));
    }
    for (path, shape) in param_shapes(model) {
        if let Some((heads, count)) = named.remove(&path) {
            let values: usize = shape.iter().product();
            let width = values / count;
            let of_head = |head: &usize| head * width..(head + 1) * width;
            let learning: Vec<usize> = heads.iter().flat_map(of_head).collect();
            unused += values - learning.len();
            entries.insert(path, learning);
        }
    }
    Ok((entries, unused))
}

/// Returns how many values are trained for `terms`, the head's included.
///
/// # Errors
///
/// If the set names a layer, a term or a head that the model does not have.
pub fn trainable_values<M: BiasModel>(model: &M, terms: &TermSet) -> Result<usize, TermSetError> {
    let (_, unused) = head_entries(model, terms)?;
    Ok(count_values(model, &model.trainable_paths(terms)?) - unused)
}

/// Returns the parameters of `terms` whose gradient is not zero. If only key biases are trained, there are
/// none.
///
/// # Errors
///
/// If the set names a layer or a term that the model does not have.
pub fn moving_paths<M: BiasModel>(
    model: &M,
    terms: &TermSet,
    savings: Savings,
) -> Result<Vec<ParamPath>, TermSetError> {
    let mut paths = model.trainable_paths(terms)?;
    let sites = model.sites(terms)?;
    let still = savings.zero_gradients && model.ignores_key_bias();
    if still && sites.iter().all(|site| site.term == BiasTerm::K) {
        let still: HashSet<ParamPath> = sites.iter().map(|site| model.site_path(*site)).collect();
        paths.retain(|path| !still.contains(path));
    }
    Ok(paths)
}

/// Change of the bias of each tuned linear module, by module name
/// (`bert.encoder.layer.0.attention.self.value`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BiasDeltas(pub BTreeMap<String, Vec<f32>>);

/// The adapter with the biases that were trained.
fn collect(trained: &TrainedParams<'_>) -> Adapter {
    let mut deltas: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    let mut extra = BTreeMap::new();
    for (path, data) in trained.values {
        let (row, name) = trained.place(path);
        let linear = linear_of_bias(trained.table, &name);
        let pairs = data.values.iter().zip(&trained.base[*path].values);
        let delta: Vec<f32> = pairs.map(|(b1, b0)| b1 - b0).collect();
        if let (Some(part), Some(linear)) = (row.stored.part(), &linear) {
            // The other parts of the bias stay as they are.
            let parts = trained.table.all_by_hf(&name).len();
            let whole: &mut Vec<f32> = deltas.entry(linear.clone()).or_default();
            whole.resize(parts * delta.len(), 0.0);
            whole[part * delta.len()..][..delta.len()].copy_from_slice(&delta);
        } else if row.stored.part().is_some() {
            // A part of a tensor that checkpoints have as one, which is stored whole.
            let whole = (trained.whole)(&name);
            extra.insert(name, whole);
        } else if let Some(linear) = linear {
            deltas.insert(linear, delta);
        } else {
            extra.insert(name, data.values.clone());
        }
    }
    Adapter {
        kind: AdapterKind::Biases(BiasDeltas(deltas)),
        extra,
        ..Adapter::default()
    }
}

/// The linear module that a bias belongs to; `None` for a layer norm's.
fn linear_of_bias(table: &NameTable, bias: &str) -> Option<String> {
    let module = bias.strip_suffix(".bias")?;
    let (row, _) = table.by_hf(&format!("{module}.weight"))?;
    row.stored.is_linear().then(|| module.to_owned())
}

const DELTA: &str = ".beft_bias";

/// `BeftConfig`. What `init_weights` draws is replaced by the file's values: every target must have them.
impl PeftLayout for BiasDeltas {
    const TYPE: PeftType = PeftType {
        name: "BEFT",
        keys: KeyTable {
            applied: &["target_modules"],
            immaterial: &["init_weights"],
            only: &[],
        },
        mergeable: true,
        targets: TargetKind::Linear,
        has_terms: true,
        unwrapped: &[],
        owns: |name| name.ends_with(DELTA),
        read: |_: &Keys<'_>| Ok(Box::new(BiasDeltas::default())),
    };
}

impl Reader for BiasDeltas {
    fn take(&mut self, name: &str, tensor: HeadTensor) -> Result<Option<HeadTensor>, Problem> {
        let Some(module) = name.strip_suffix(DELTA) else {
            return Ok(Some(tensor));
        };
        check_vector(name, &tensor, "a trained bias")?;
        self.0.insert(module.to_owned(), tensor.values);
        Ok(None)
    }

    fn finish(self: Box<Self>) -> Result<Option<AdapterKind>, String> {
        Ok(Some(AdapterKind::Biases(*self)))
    }
}

impl Layout for BiasDeltas {
    fn write(&self, config: &mut Map<String, Value>) {
        config.insert("init_weights".to_owned(), json!(true));
    }

    fn tensors(&self) -> Vec<FileTensor<'_>> {
        let mut tensors = Vec::new();
        for (module, delta) in &self.0 {
            let name = format!("{WRAPPERS}{module}{DELTA}");
            tensors.push((name, vec![1, delta.len()], delta.as_slice()));
        }
        tensors
    }

    fn modules(&self) -> Vec<&String> {
        self.0.keys().collect()
    }

    fn biases(&self) -> Vec<String> {
        self.0.keys().map(|name| format!("{name}.bias")).collect()
    }

    fn put(&self, new: &mut NewValues<'_>) -> Result<(), String> {
        let mut all = self.0.iter();
        all.try_for_each(|(name, delta)| new.add(&format!("{name}.bias"), delta))
    }
}
