//! One adapter of a set.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use beft_core::{BiasSite, Head};
use beft_eval::Sharing;
use beft_modes::{Adapter, AdapterKind};
use beft_nn::{BiasModel, BiasSet, ParamPath, TaskModel, view_params};
use burn::tensor::{Tensor, TensorData};

use super::bases::Bases;
use crate::tuned::{Sidecar, head_kind, of_adapter, on_base, on_own_head, task_of};
use crate::{Error, InferencePrecision, Model, OpenOptions, Predictor, Tuned};

/// An adapter of a set, or the base itself. It never changes: one that takes its place is another member.
#[derive(Debug)]
pub struct Member {
    name: String,
    generation: u64,
    dir: Option<PathBuf>,
    does: Does,
    sharing: Sharing<Model>,
    notes: Vec<String>,
}

/// What a member can be asked.
#[derive(Debug)]
enum Does {
    /// A task.
    Task(Box<Predictor>),
    /// To write text, and no task that is known.
    Text(Box<Tuned>),
}

impl Member {
    pub(super) fn load(
        bases: &Bases,
        name: &str,
        dir: &Path,
        generation: u64,
    ) -> Result<Self, Error> {
        let adapter = Adapter::load(dir)?;
        let refuse = |what: String| Error::Unshareable {
            adapter: dir.to_owned(),
            what,
        };
        match &adapter.kind {
            AdapterKind::Biases(_) => {}
            AdapterKind::Lora(_) => {
                return Err(refuse(
                    "LoRA changes weights, and only biases can differ between adapters".to_owned(),
                ));
            }
            AdapterKind::Norms(_) => {
                return Err(refuse(
                    "it changes the weights of norms, and only biases can differ between adapters"
                        .to_owned(),
                ));
            }
            AdapterKind::Ia3(_) => {
                return Err(refuse(
                    "IA3 changes weights, and only biases can differ between adapters".to_owned(),
                ));
            }
            AdapterKind::Prefix(_) => {
                return Err(refuse(
                    "it puts keys and values in front of every input".to_owned(),
                ));
            }
        }
        let unknown = (!adapter.knows_base() && adapter.base_model != bases.model()).then(|| {
            format!(
                "adapter {}: it names the base model `{}`, and has no fingerprint that says whether this is the same",
                dir.display(),
                adapter.base_model
            )
        });
        let facts = Sidecar::of_adapter(&adapter, dir)?;
        let base = bases
            .get(head_kind(&adapter), facts.max_length())
            .map_err(|error| of_adapter(error, dir))?;
        let stored: Vec<String> = adapter.head.keys().cloned().collect();
        let tuned = on_base(adapter, facts, base, dir)?;
        let biases = bias_paths(&tuned.model);
        let weight = stored.iter().find(|name| {
            let places = tuned.model.names().all_by_hf(name);
            let frozen = |path: &ParamPath| is_backbone(&tuned.model, path);
            places
                .iter()
                .any(|(_, path)| frozen(path) && !biases.contains(path))
        });
        if let Some(weight) = weight {
            return Err(refuse(format!(
                "it has its own `{weight}`, and only biases can differ between adapters"
            )));
        }
        let mut member = Self::new(
            bases,
            (name, generation),
            Some(dir.to_owned()),
            tuned,
            &biases,
        )?;
        member.notes.extend(unknown);
        Ok(member)
    }

    pub(super) fn of_base(bases: &Bases, name: &str, generation: u64) -> Result<Self, Error> {
        let tuned = on_own_head(bases.own())?;
        Self::new(bases, (name, generation), None, tuned, &BTreeSet::new())
    }

    fn new(
        bases: &Bases,
        (name, generation): (&str, u64),
        dir: Option<PathBuf>,
        tuned: Tuned,
        biases: &BTreeSet<ParamPath>,
    ) -> Result<Self, Error> {
        let outputs = match tuned.model.head() {
            Head::Sequence(outputs) | Head::Tokens(outputs) | Head::CausalLm(outputs) => outputs,
            Head::Spans | Head::Embedding(_) => 1,
        };
        let base = bases.template(&tuned.base, outputs)?;
        let own = own_biases(&base, &tuned.model, biases);
        let sharing = Sharing::new(base, tuned.model.clone(), own);
        let folder = OpenOptions {
            adapter: dir.as_deref(),
            model: Some(tuned.base.name()),
            ..OpenOptions::default()
        };
        let usual = InferencePrecision::default();
        let trained_in = tuned.trained_in.filter(|own| *own != usual);
        let writes = tuned.model.generator().is_some();
        let does = match task_of(&tuned, &folder) {
            Ok(task) => Does::Task(Box::new(Predictor::new(tuned, task)?)),
            Err(_) if writes => Does::Text(Box::new(tuned)),
            Err(error) => return Err(error),
        };
        let mut notes = match &does {
            Does::Task(predictor) => predictor.notes().to_vec(),
            Does::Text(tuned) => tuned.notes.clone(),
        };
        if let Some(own) = trained_in.filter(|own| *own != bases.precision()) {
            notes.push(format!(
                "the adapter `{name}` was trained in {own}, and is computed in {} like all that share this model",
                bases.precision()
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            generation,
            dir,
            does,
            sharing,
            notes,
        })
    }

    /// Its name in the set.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A number that no other member of the set has, now or later.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The folder of the adapter; nothing of the base.
    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// What the user should hear about its files.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The model with its task.
    ///
    /// # Errors
    ///
    /// For a language model whose files name no task.
    pub fn predictor(&self) -> Result<&Predictor, Error> {
        match &self.does {
            Does::Task(predictor) => Ok(predictor),
            Does::Text(tuned) => Err(Error::NoTask {
                model: format!("{} ({})", self.name, tuned.base.name()),
            }),
        }
    }

    /// The model.
    pub fn tuned(&self) -> &Tuned {
        match &self.does {
            Does::Task(predictor) => predictor.tuned(),
            Does::Text(tuned) => tuned,
        }
    }

    /// What it shares with the others.
    pub fn sharing(&self) -> &Sharing<Model> {
        &self.sharing
    }
}

/// Whether a parameter is part of what all members compute together.
fn is_backbone(model: &Model, path: &ParamPath) -> bool {
    match model.head() {
        // The output head of a language model, too.
        Head::CausalLm(_) => true,
        Head::Sequence(_) | Head::Tokens(_) | Head::Spans | Head::Embedding(_) => {
            let path = path.as_str().split('.').next();
            path == Some(model.backbone_path())
        }
    }
}

/// The biases that may differ between members.
fn bias_paths(model: &Model) -> BTreeSet<ParamPath> {
    let layout = model.bias_layout();
    let outside = layout.outside.iter();
    let sites = BiasSite::all(model.num_layers());
    sites
        .map(|site| model.site_path(site))
        .chain(outside.map(|bias| ParamPath::from(bias.path)))
        .collect()
}

/// The biases of a model that are not those of its base.
fn own_biases(base: &Model, model: &Model, biases: &BTreeSet<ParamPath>) -> BiasSet {
    let mut known: BTreeMap<ParamPath, TensorData> = BTreeMap::new();
    view_params(base, |path, param| {
        if biases.contains(path) {
            known.insert(path.clone(), param.flat().into_data());
        }
    });
    let mut own: BTreeMap<ParamPath, Tensor<1>> = BTreeMap::new();
    view_params(model, |path, param| {
        let Some(base) = known.get(path) else { return };
        let values = param.flat();
        if &values.to_data() != base {
            own.insert(path.clone(), values);
        }
    });
    own
}
