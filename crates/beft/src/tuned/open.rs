//! Opening of tuned models: an adapter on its base, or a model with a head of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use beft_checkpoint::{MULTI_LABEL, ModelDir, PROBLEM, TOKENIZER_FILES};
use beft_core::{Outputs, TaskType};
use beft_modes::Adapter;
use beft_nn::Precision;
use beft_tasks::Task;
use burn::tensor::Device;
use serde_json::{Map, Value};

use crate::error::AdapterProblem;
use crate::{Base, Error, Model, Tuned, find_model, find_task};

/// Three special tokens and one of each text of a pair.
const SHORTEST_MAX_LENGTH: u64 = 5;

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
    /// The number type of the frozen weight matrices.
    pub precision: Precision,
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
    match (options.model, options.adapter) {
        (_, Some(dir)) => open_adapter(dir, device, options),
        (Some(model), None) => open_model(model, device, options),
        (None, None) => Err(Error::NothingToOpen),
    }
}

fn open_adapter(
    adapter_dir: &Path,
    device: &Device,
    options: &OpenOptions<'_>,
) -> Result<Tuned, Error> {
    let adapter = Adapter::load(adapter_dir)?;
    let facts = Sidecar::of_adapter(&adapter, adapter_dir)?;
    let longest = options.max_length.or(facts.max_length);
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
    let base = base.with_precision(options.precision)?;
    let base = match head_kind(&adapter) {
        Some(task_type) => base.with_task_type(task_type)?,
        None => base,
    };
    on_base(adapter, facts, Arc::new(base), adapter_dir)
}

/// Puts an adapter on a base with its kind of head.
pub(crate) fn on_base(
    adapter: Adapter,
    facts: Sidecar,
    base: Arc<Base>,
    adapter_dir: &Path,
) -> Result<Tuned, Error> {
    let whose = sidecar_name(adapter_dir);
    adapter.check_base(adapter_dir, &base.fingerprint())?;
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
    let named = facts.labels.as_ref().map(Vec::len);
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
    facts.tuned(base, model, outputs, &whose, notes)
}

/// What the head of an adapter does, as far as its files say.
pub(crate) fn head_kind(adapter: &Adapter) -> Option<TaskType> {
    // Where nothing is said, `score` is the head of a classifying decoder.
    let scored = adapter.head.contains_key(SCORE);
    let scored = scored.then_some(TaskType::SequenceClassification);
    adapter.task_type.or(scored)
}

fn sidecar_name(adapter: &Path) -> String {
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
    let base = Base::open(name, options.max_length.or(facts.max_length), device)?;
    let base = base.with_precision(options.precision)?;
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

fn model_sidecar(dir: &ModelDir) -> String {
    format!("{}: beft.json", dir.path().display())
}

/// What the head does, by the task of the options, or else by that which the model was trained on.
fn said_by_task(name: &str, options: &OpenOptions<'_>, facts: &Sidecar) -> Option<TaskType> {
    let task = match (options.task, &facts.task_definition) {
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

/// What beft.json beside an adapter or a tuned model says.
pub(crate) struct Sidecar {
    /// Class names; an empty list for a regression and for texts.
    labels: Option<Vec<String>>,
    /// Whether several labels may hold; not said by what HF wrote.
    several: bool,
    thresholds: Vec<f32>,
    no_answer_threshold: f32,
    max_length: Option<usize>,
    task: Option<String>,
    task_definition: Option<Value>,
    split_file: Option<String>,
    text_pairs: Option<bool>,
    terms: Option<String>,
    prompt: Option<String>,
    facts: Map<String, Value>,
}

impl Sidecar {
    /// What is beside an adapter.
    pub(crate) fn of_adapter(adapter: &Adapter, dir: &Path) -> Result<Self, Error> {
        Self::read(&adapter.facts, &sidecar_name(dir))
    }

    /// What is beside a whole model.
    fn of_model(dir: &ModelDir) -> Result<Self, Error> {
        Self::read(&dir.facts()?, &model_sidecar(dir))
    }

    /// The longest input in tokens.
    pub(crate) fn max_length(&self) -> Option<usize> {
        self.max_length
    }

    /// `whose` begins messages.
    fn read(facts: &Map<String, Value>, whose: &str) -> Result<Self, Error> {
        let wrong = |reason| Error::Sidecar {
            whose: whose.to_owned(),
            reason,
        };
        let text = |name: &str| facts.get(name).and_then(Value::as_str).map(str::to_owned);
        let max_length = facts.get("max_length").map(|value| {
            value
                .as_u64()
                .filter(|n| *n >= SHORTEST_MAX_LENGTH)
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(|| {
                    wrong(format!(
                        "max_length is {value}; it must be a whole number, {SHORTEST_MAX_LENGTH} or more"
                    ))
                })
        });
        let labels: Option<Vec<String>> = match facts.get("labels") {
            None | Some(Value::Null) => None,
            Some(value) => Some(
                serde_json::from_value(value.clone())
                    .map_err(|_| wrong(format!("labels is {value}; it must be a list of names")))?,
            ),
        };
        if labels.iter().flatten().any(|label| label.trim().is_empty()) {
            return Err(wrong("it names an empty label".to_owned()));
        }
        let twice = labels.iter().flat_map(|labels| {
            let numbered = labels.iter().enumerate();
            numbered.filter(|(i, label)| labels[..*i].contains(label))
        });
        if let Some((_, twice)) = twice.into_iter().next() {
            return Err(wrong(format!("it names the label `{twice}` twice")));
        }
        let thresholds: Vec<f32> = match facts.get("thresholds") {
            None => Vec::new(),
            Some(value) => serde_json::from_value(value.clone()).map_err(|_| {
                wrong(format!(
                    "thresholds is {value}; it must be a list of numbers"
                ))
            })?,
        };
        if thresholds
            .iter()
            .any(|threshold| !(0.0..=1.0).contains(threshold))
        {
            return Err(wrong(
                "thresholds has a number that is no probability".to_owned(),
            ));
        }
        if labels
            .as_ref()
            .is_some_and(|labels| !thresholds.is_empty() && labels.len() != thresholds.len())
        {
            return Err(wrong("it has not as many thresholds as labels".to_owned()));
        }
        let no_answer_threshold = match facts.get("no_answer_threshold") {
            None => 0.0,
            Some(value) => value.as_f64().ok_or_else(|| {
                wrong(format!(
                    "no_answer_threshold is {value}; it must be a number"
                ))
            })? as f32,
        };
        Ok(Self {
            labels,
            several: facts.get(PROBLEM).and_then(Value::as_str) == Some(MULTI_LABEL),
            thresholds,
            no_answer_threshold,
            max_length: max_length.transpose()?,
            task: text("task"),
            task_definition: facts.get("task_definition").cloned(),
            split_file: text("split_file"),
            text_pairs: facts.get("text_pairs").and_then(Value::as_bool),
            terms: text("terms"),
            prompt: text("prompt"),
            facts: facts.clone(),
        })
    }

    /// The tuned model. Where nothing was recorded, classes are named as config.json names as many, and one
    /// output is a regression's or a text's.
    fn tuned(
        self,
        base: Arc<Base>,
        model: Model,
        outputs: usize,
        whose: &str,
        notes: Vec<String>,
    ) -> Result<Tuned, Error> {
        let labels = match self.labels {
            // Each token has two scores, which are no classes.
            _ if base.task_type() == TaskType::QuestionAnswering => Vec::new(),
            Some(labels) => labels,
            None if outputs == 1 => Vec::new(),
            None => {
                let named = base.dir().labels()?;
                match named.len() == outputs {
                    true => named,
                    false => (0..outputs).map(|class| format!("LABEL_{class}")).collect(),
                }
            }
        };
        // A language model is asked its candidates.
        let classified = match base.task_type() {
            TaskType::SequenceClassification | TaskType::TokenClassification => true,
            TaskType::QuestionAnswering | TaskType::FeatureExtraction | TaskType::CausalLm => false,
        };
        if classified && labels.len().max(1) != outputs {
            return Err(Error::Sidecar {
                whose: whose.to_owned(),
                reason: format!(
                    "it names {} labels, the head has {outputs} classes",
                    labels.len()
                ),
            });
        }
        let notes = base.notes().iter().cloned().chain(notes).collect();
        // HF writes it into the base's config.json.
        let config: Map<String, Value> = base.dir().config()?;
        let several = self.several || config.get(PROBLEM) == Some(&MULTI_LABEL.into());
        let outputs = match (base.outputs(labels), several) {
            (Outputs::Classes(labels), true) => Outputs::Labels(labels),
            (outputs, _) => outputs,
        };
        Ok(Tuned {
            outputs,
            thresholds: self.thresholds,
            no_answer_threshold: self.no_answer_threshold,
            base,
            model,
            task: self.task,
            task_definition: self.task_definition,
            split_file: self.split_file,
            text_pairs: self.text_pairs,
            terms: self.terms,
            prompt: self.prompt,
            facts: self.facts,
            notes,
        })
    }
}
