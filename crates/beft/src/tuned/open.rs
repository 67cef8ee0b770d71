//! Opening of tuned models: an adapter on its base, or a model with a head of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use beft_checkpoint::{ModelDir, TOKENIZER_FILES};
use beft_core::TaskType;
use beft_modes::Adapter;
use beft_nn::Packing;
use beft_tasks::Task;
use burn::tensor::Device;

use super::{InferencePrecision, Sidecar, same_base};
use crate::error::AdapterProblem;
use crate::{Base, Error, Model, Tuned, find_model, find_task};

/// What to open, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenOptions<'a> {
    /// The base model of the adapter, by default the one that it names; without an adapter the folder of a tuned model.
    pub model: Option<&'a str>,
    /// The folder of an adapter.
    pub adapter: Option<&'a Path>,
    /// The name of a task or the path of its file, for [`Predictor`](crate::Predictor); by default the task that the
    /// model was trained on.
    pub task: Option<&'a str>,
    /// What to compute on, see [`parse_device`](crate::parse_device).
    pub device: Option<&'a Device>,
    /// What the frozen weight matrices are kept and multiplied in; by default as in training.
    pub precision: Option<InferencePrecision>,
    /// What the model is to do, where it has no adapter; by default what its files say. Embeddings are made by any
    /// encoder.
    pub task_type: Option<TaskType>,
    /// Longest input in tokens; by default the one of training, or what model and tokenizer allow.
    pub max_length: Option<usize>,
}

impl OpenOptions<'_> {
    /// The folder of the adapter or of the tuned model, for messages.
    pub(super) fn folder(&self) -> PathBuf {
        let folder = self.adapter.or(self.model.map(Path::new));
        folder.unwrap_or(Path::new("")).to_owned()
    }
}

/// Opens a tuned model: an adapter folder on its base model, or without an adapter a model folder with a head of
/// its own.
///
/// # Errors
///
/// When either cannot be read, they do not fit, or there is no classification head.
pub fn open_tuned(options: &OpenOptions<'_>) -> Result<Tuned, Error> {
    let default = Device::default();
    let device = options.device.unwrap_or(&default);
    let tuned = match (options.model, options.adapter) {
        (_, Some(dir)) => open_adapter(dir, device, options),
        (Some(model), None) => open_model(model, device, options),
        (None, None) => Err(Error::NothingToOpen),
    }?;
    let precision = options.precision.or(tuned.trained_in).unwrap_or_default();
    precision.check(device)?;
    match precision {
        InferencePrecision::Float(_) => Ok(tuned),
        // Once everything that an adapter changes is in the matrices.
        InferencePrecision::Q8 => Ok(tuned.packed_by(|model| model.packed(Packing::Int8))),
    }
}

fn open_adapter(
    adapter_dir: &Path,
    device: &Device,
    options: &OpenOptions<'_>,
) -> Result<Tuned, Error> {
    let adapter = Adapter::load(adapter_dir)?;
    let facts = Sidecar::of_adapter(&adapter, adapter_dir)?;
    let longest = options.max_length.or(facts.max_length());
    let base = match options.model {
        Some(model) => Base::open(model, longest, device)?,
        None if adapter.base_model.is_empty() => {
            return Err(Error::NoBaseName {
                adapter: adapter_dir.to_owned(),
            });
        }
        None => {
            let name = adapter.base_name();
            Base::open(&name, longest, device).map_err(|source| Error::NamedBase {
                adapter: adapter_dir.to_owned(),
                name,
                source: Box::new(source),
            })?
        }
    };
    let base = in_precision(base, options, &facts)?;
    let base = match head_kind(&adapter) {
        Some(task_type) => base
            .with_task_type(task_type)
            .map_err(|error| of_adapter(error, adapter_dir))?,
        None => base,
    };
    on_base(adapter, facts, Arc::new(base), adapter_dir)
}

/// A base whose weights are kept in the precision that is asked for, or that it was tuned in.
fn in_precision(base: Base, options: &OpenOptions<'_>, facts: &Sidecar) -> Result<Base, Error> {
    let precision = options.precision.or(facts.precision());
    base.with_precision(precision.unwrap_or_default().read_in())
}

/// Puts an adapter on a base with its kind of head.
pub(crate) fn on_base(
    adapter: Adapter,
    facts: Sidecar,
    base: Arc<Base>,
    adapter_dir: &Path,
) -> Result<Tuned, Error> {
    let whose = sidecar_name(adapter_dir);
    adapter.check_base(adapter_dir, base.tensors())?;
    let fail = |problem| Error::Adapter {
        adapter: adapter_dir.to_owned(),
        problem,
    };
    let has_head = base.has_head();
    let head = adapter.head.keys().find(|name| is_head(name));
    if let Some(head) = head.filter(|_| !has_head) {
        return Err(fail(AdapterProblem::HeadOnLanguageModel {
            tensor: head.clone(),
        }));
    }
    // An adapter without a head leaves the base's as it is.
    let named = facts.num_labels();
    let outputs = match (adapter.num_classes(), has_head) {
        (Some(classes), _) => classes,
        (None, true) => base.dir().labels()?.len(),
        (None, false) => named.unwrap_or(1).max(1),
    };
    let (model, report) = base.model(outputs, 0)?;
    if has_head && adapter.num_classes().is_none() && !report.initialized.is_empty() {
        return Err(fail(AdapterProblem::NoHead {
            missing: report.initialized,
        }));
    }
    let model = match (adapter.prefix(), model) {
        (Some(prefix), Model::Decoder(model)) => {
            let with_prefix = model.with_prefix_values(prefix);
            Model::Decoder(with_prefix.map_err(|e| fail(e.into()))?)
        }
        (Some(_), Model::Encoder(_) | Model::DecoderWithHead(_)) => {
            return Err(fail(AdapterProblem::OtherPrefix));
        }
        (None, model) => {
            let names = model.names();
            adapter.apply(model, names, adapter_dir)?
        }
    };
    let mut notes = adapter.notes;
    notes.extend(other_tokenizer(adapter_dir, &base));
    notes.extend(same_base::check(adapter_dir, &adapter.facts, &base)?);
    facts.tuned(base, model, outputs, &whose, notes)
}

/// What the head of an adapter does, as far as its files say.
pub(crate) fn head_kind(adapter: &Adapter) -> Option<TaskType> {
    // Where nothing is said, `score` is the head of a classifying decoder.
    let scored = adapter.head.contains_key(SCORE);
    let scored = scored.then_some(TaskType::SequenceClassification);
    adapter.task_type.or(scored)
}

/// Says whose head it is that the base's architecture does not have.
pub(crate) fn of_adapter(error: Error, adapter: &Path) -> Error {
    match error {
        Error::NoClass { class, .. } => Error::Adapter {
            adapter: adapter.to_owned(),
            problem: AdapterProblem::NoClass { class },
        },
        other => other,
    }
}

pub(super) fn sidecar_name(adapter: &Path) -> String {
    format!("adapter {}: beft.json", adapter.display())
}

/// The head of a classifying decoder.
const SCORE: &str = "score.weight";

/// Whether a parameter belongs to what PEFT takes for a head.
fn is_head(name: &str) -> bool {
    let mut modules = TaskType::ALL.iter().flat_map(|kind| kind.head_modules());
    modules.any(|module| name.split('.').next() == Some(module))
}

/// What to say of an adapter folder whose tokenizer is not the base's.
fn other_tokenizer(adapter: &Path, base: &Base) -> Option<String> {
    let read = |dir: &Path, name: &str| std::fs::read(dir.join(name)).ok();
    let differs = TOKENIZER_FILES.into_iter().find(|name| {
        let own = read(adapter, name);
        own.is_some() && own != read(base.dir().path(), name)
    })?;
    Some(format!(
        "{}: this file differs from the base model's, which is used, as in PeftModel.from_pretrained; copy it over the \
         base's if the adapter was trained with it",
        adapter.join(differs).display()
    ))
}

fn open_model(name: &str, device: &Device, options: &OpenOptions<'_>) -> Result<Tuned, Error> {
    let dir = find_model(name, &mut |_| ())?;
    let facts = Sidecar::of_model(&dir)?;
    let base = Base::open(name, options.max_length.or(facts.max_length()), device)?;
    let base = in_precision(base, options, &facts)?;
    let base = match options.task_type.or(said_by_task(name, options, &facts)) {
        Some(task_type) => base.with_task_type(task_type)?,
        None => base,
    };
    with_own_head(Arc::new(base), facts)
}

/// A base as a tuned model: with the head that its files hold, or as a language model.
///
/// # Errors
///
/// When its files cannot be read, or it has no head.
pub(crate) fn on_own_head(base: Arc<Base>) -> Result<Tuned, Error> {
    let facts = Sidecar::of_model(base.dir())?;
    with_own_head(base, facts)
}

fn with_own_head(base: Arc<Base>, facts: Sidecar) -> Result<Tuned, Error> {
    let dir = base.dir().clone();
    let whose = model_sidecar(&dir);
    if !base.has_head() {
        let (model, _) = base.model(1, 0)?;
        return facts.tuned(base, model, 1, &whose, Vec::new());
    }
    let outputs = dir.labels()?.len();
    let (model, report) = base.model(outputs, 0)?;
    if let Some(problem) = report.misshapen.first() {
        return Err(Error::OtherClasses {
            dir: dir.path().to_owned(),
            problem: problem.to_string(),
            classes: outputs,
        });
    }
    if !report.initialized.is_empty() {
        return Err(Error::NoHead {
            dir: dir.path().to_owned(),
            missing: report.initialized,
        });
    }
    facts.tuned(base, model, outputs, &whose, Vec::new())
}

pub(super) fn model_sidecar(dir: &ModelDir) -> String {
    format!("{}: beft.json", dir.path().display())
}

/// What the head does, by the task of the options, or else by that which the model was trained on.
fn said_by_task(name: &str, options: &OpenOptions<'_>, facts: &Sidecar) -> Option<TaskType> {
    let task = match (options.task, facts.task_definition()) {
        (Some(task), _) => find_task(name, task, None).ok(),
        (None, Some(definition)) => Task::from_definition(definition).ok(),
        (None, None) => None,
    };
    let task_type = task.map(|task| task.task_type());
    // Of classes and texts the model's own class in config.json decides.
    task_type.filter(|task_type| match task_type {
        TaskType::FeatureExtraction | TaskType::QuestionAnswering => true,
        TaskType::TokenClassification => true,
        TaskType::SequenceClassification | TaskType::CausalLm => false,
    })
}
