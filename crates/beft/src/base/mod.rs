//! Pretrained models.

mod config;
mod embedding;
mod find;
mod inputs;
mod loaded;
mod model;
mod windows;
mod words;

use std::sync::Mutex;

use beft_checkpoint::{EmbeddingConfig, LoadReport, ModelDir, TensorFiles, TextTokenizer};
use beft_core::{Head, Outputs, TaskType};
use beft_decoder::GenerationSettings;
use beft_modes::ADAPTER_CONFIG;
use beft_nn::{ForwardPrecision, Precision};
use beft_tasks::Task;
use burn::tensor::Device;

pub use config::ModelConfig;
pub use find::{find_data, find_model};
pub use inputs::{Encoded, InputCounts};
use inputs::{WHOLE, cutting};
use loaded::Loaded;
pub use model::Model;
pub(crate) use windows::OVERLAP;

use crate::error::TaskForm;
use crate::{Error, InferencePrecision, memory};

/// A pretrained model: its files, its tokenizer, and the device to compute on. The weights are
/// read once, when a model is first made from it.
#[derive(Debug)]
pub struct Base {
    dir: ModelDir,
    files: TensorFiles,
    tokenizer: TextTokenizer,
    config: ModelConfig,
    task_type: TaskType,
    embedding: EmbeddingConfig,
    /// The longest input that was asked for.
    asked: Option<usize>,
    max_length: usize,
    notes: Vec<String>,
    device: Device,
    precision: Precision,
    loaded: Mutex<Option<Loaded>>,
    /// A model whose backbone all models of this base share.
    backbone: Option<Model>,
    /// Whether its models are used only, not trained.
    only_used: Option<InferencePrecision>,
}

/// Finds the task of this name, or of the task file at this path, in a form that the model takes: labelled texts for
/// an encoder, prompts or labelled texts for a decoder. Without a `form` a decoder takes prompts where the task has
/// them and the model has no head of its own.
///
/// # Errors
///
/// When there is no such model, or no such task for it.
pub fn find_task(model: &str, task: &str, form: Option<TaskForm>) -> Result<Task, Error> {
    config::find_task(&find_model(model, &mut |_| ())?, task, form)
}

impl Base {
    /// Opens a model by path or name. Inputs will be cut to `max_length` tokens, or without it to what the
    /// tokenizer allows (`model_max_length`), and never be longer than what the model can take: an encoder's
    /// are cut where its tokenizer says, a decoder's at the beginning.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged, the architecture is not supported, or a config has a value that
    /// is not implemented.
    pub fn open(name: &str, max_length: Option<usize>, device: &Device) -> Result<Self, Error> {
        let dir = find_model(name, &mut |_| ())?;
        let config = ModelConfig::read(&dir)?;
        let mut notes = dir.unknown_keys(&config.keys())?;
        let tokenizer = dir.tokenizer(WHOLE)?.with_rows(config.vocab_size());
        notes.extend(tokenizer.notes().iter().cloned());
        let files = dir.tensors()?;
        if let Some((path, other)) = dir.other_dtype(&files)? {
            notes.push(format!(
                "{}: dtype is {other}; the computation here is in f32, as with from_pretrained(..., dtype=\"float32\")",
                path.display()
            ));
        }
        if dir.path().join(ADAPTER_CONFIG).is_file() {
            notes.push(format!(
                "{}: the adapter beside the model is no part of it here, as it is for transformers with peft: open the folder as an \
                 adapter too, or remove {ADAPTER_CONFIG}",
                dir.path().display()
            ));
        }
        let longest = config.longest_input();
        let asked = max_length;
        let usual = asked.or(tokenizer.own_max_length());
        let max_length = usual.map_or(longest, |usual| usual.min(longest));
        let task_type = config.usual_task(&dir)?;
        let tokenizer = cutting(tokenizer, task_type, max_length)?;
        // The head reads the first token's state, which must be [CLS] (RoBERTa: <s>).
        if config.reads_special_tokens() && tokenizer.special_tokens() < 2 {
            return Err(Error::NoSpecialTokens {
                dir: dir.path().to_owned(),
            });
        }
        tracing::debug!(model = %dir.path().display(), max_length, "opened");
        Ok(Self {
            dir,
            files,
            tokenizer,
            config,
            task_type,
            embedding: EmbeddingConfig::default(),
            asked,
            max_length,
            notes,
            device: device.clone(),
            precision: Precision::default(),
            loaded: Mutex::new(None),
            backbone: None,
            only_used: None,
        })
    }

    /// The same, whose models are used only, in this precision: what is faster then is kept in place of the weights as they
    /// are.
    ///
    /// # Errors
    ///
    /// When the device cannot compute in it.
    pub(crate) fn only_used(mut self, precision: InferencePrecision) -> Result<Self, Error> {
        precision.check(&self.device)?;
        self = self.with_precision(precision.read_in())?;
        self.only_used = Some(precision);
        Ok(self)
    }

    /// The same, whose models share the backbone of `model`, which was made of the same files in the same precision.
    pub(crate) fn sharing_backbone(mut self, model: Model) -> Self {
        self.backbone = Some(model);
        self
    }

    /// The same model with the head that a task needs.
    ///
    /// # Errors
    ///
    /// When transformers has no such model.
    pub fn for_task(self, task: &Task) -> Result<Self, Error> {
        self.with_task_type(task.task_type())
    }

    /// The same model with a head of this kind.
    ///
    /// # Errors
    ///
    /// When transformers has no such model.
    pub fn with_task_type(mut self, task_type: TaskType) -> Result<Self, Error> {
        if !self.config.has_class(task_type) {
            return Err(Error::NoClass {
                model: self.name().to_owned(),
                class: match task_type {
                    TaskType::FeatureExtraction => "an embedding of a decoder".to_owned(),
                    _ => self.config.class(task_type),
                },
            });
        }
        if task_type == TaskType::FeatureExtraction {
            self = self.with_embedding()?;
        }
        self.tokenizer = cutting(self.tokenizer, task_type, self.max_length)?;
        if task_type != self.task_type {
            self.task_type = task_type;
            self.loaded = Mutex::new(None);
        }
        Ok(self)
    }

    /// Finds the task of this name, or of the task file at this path, in the form that the model takes.
    ///
    /// # Errors
    ///
    /// When there is no such task in this form.
    pub fn find_task(&self, task: &str) -> Result<Task, Error> {
        let form = match self.task_type {
            TaskType::CausalLm => TaskForm::Prompts,
            TaskType::SequenceClassification | TaskType::TokenClassification => TaskForm::Texts,
            TaskType::QuestionAnswering | TaskType::FeatureExtraction => TaskForm::Texts,
        };
        config::find_task(&self.dir, task, Some(form))
    }

    /// What its head does.
    pub fn task_type(&self) -> TaskType {
        self.task_type
    }

    /// Whether it has a head that learns beside the biases, and by itself.
    pub fn has_head(&self) -> bool {
        self.task_type.has_weights()
    }

    /// The head with so many outputs.
    fn head(&self, outputs: usize) -> Head {
        match self.task_type {
            TaskType::SequenceClassification => Head::Sequence(outputs),
            TaskType::TokenClassification => Head::Tokens(outputs),
            TaskType::QuestionAnswering => Head::Spans,
            TaskType::FeatureExtraction => Head::Embedding(self.embedding.pooling),
            TaskType::CausalLm => Head::CausalLm(outputs),
        }
    }

    /// Whether the model does what a task asks for.
    pub(crate) fn check_task(&self, task: &Task) -> Result<(), Error> {
        match task.task_type() == self.task_type {
            true => Ok(()),
            false => Err(Error::OtherTaskType {
                task: task.name.clone(),
                wants: task.task_type(),
                model: self.name().to_owned(),
                does: self.task_type,
            }),
        }
    }

    /// What outputs stand for that have these labels.
    pub(crate) fn outputs(&self, labels: Vec<String>) -> Outputs {
        match (self.task_type, labels.is_empty()) {
            (TaskType::QuestionAnswering, _) => Outputs::Span,
            (TaskType::FeatureExtraction, _) => Outputs::Embedding,
            (TaskType::TokenClassification, false) => Outputs::Tags(labels),
            (_, false) => Outputs::Classes(labels),
            (TaskType::CausalLm, true) => Outputs::Text,
            (_, true) => Outputs::Value,
        }
    }

    /// What decides whether a mode suits it; `generates` says whether it is to answer in its own words.
    pub(crate) fn mode_traits(&self, generates: bool) -> beft_modes::ModelTraits {
        self.config.mode_traits(self.head(2), generates)
    }

    /// The same model with its frozen weight matrices in another precision.
    ///
    /// # Errors
    ///
    /// When the device cannot compute in it.
    pub fn with_precision(mut self, precision: Precision) -> Result<Self, Error> {
        if !self.device.supports_dtype(precision.dtype()) {
            return Err(Error::Precision(precision));
        }
        self.precision = precision;
        self.loaded = Mutex::new(None);
        Ok(self)
    }

    /// What it is computed on.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// What its frozen weight matrices are kept in.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// What the user called the model.
    pub fn name(&self) -> &str {
        self.dir.name()
    }

    /// The folder.
    pub fn dir(&self) -> &ModelDir {
        &self.dir
    }

    /// Number of values of the weights, as the files hold them.
    pub fn num_values(&self) -> usize {
        let shapes = self.files.names().filter_map(|name| self.files.shape(name));
        shapes.map(|shape| shape.iter().product::<usize>()).sum()
    }

    /// Its config.json, and what kind of model that makes it.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// What the user should hear about its files.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// How it generates text.
    ///
    /// # Errors
    ///
    /// When its generation_config.json is damaged or asks for something that is not implemented, and for an
    /// encoder.
    pub fn generation(&self) -> Result<GenerationSettings, Error> {
        self.config.generation(&self.dir)
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &TextTokenizer {
        &self.tokenizer
    }

    /// Longest input in tokens, special tokens included.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// Identity of the weights, recorded in adapters.
    pub fn fingerprint(&self) -> String {
        self.files.fingerprint().to_owned()
    }

    /// Its weights, as the files hold them; interrupted trainings and comparisons record their digest.
    pub(crate) fn tensors(&self) -> &TensorFiles {
        &self.files
    }

    /// The model for so many outputs of its head, or so many candidates. A head that the checkpoint does not hold is
    /// drawn by `seed`.
    ///
    /// # Errors
    ///
    /// For missing, misshapen or unreadable tensors.
    pub fn model(&self, outputs: usize, seed: u64) -> Result<(Model, LoadReport), Error> {
        self.model_as(outputs, seed, None)
    }

    /// The same for trainings of biases, where layers of its kind are computed from packed matrices; these take the place of
    /// the weights as they were, which are read again when they are asked for.
    pub(crate) fn model_for_biases(
        &self,
        outputs: usize,
        seed: u64,
        forward: ForwardPrecision,
    ) -> Result<(Model, LoadReport), Error> {
        self.model_as(outputs, seed, Some(forward))
    }

    fn model_as(
        &self,
        outputs: usize,
        seed: u64,
        packed: Option<ForwardPrecision>,
    ) -> Result<(Model, LoadReport), Error> {
        // A panic while loading leaves nothing half-made behind the lock.
        let slot = self.loaded.lock();
        let mut slot = slot.unwrap_or_else(std::sync::PoisonError::into_inner);
        let head = self.head(outputs);
        let wanted = (head, seed);
        let loaded = slot.take().and_then(|loaded| loaded.with_packing(packed));
        if let Some(loaded) = loaded {
            let of = (loaded.head, loaded.seed);
            let found = (&loaded.model, &loaded.report);
            if let Some(model) = self.config.reuse(found, of, wanted) {
                let report = loaded.report.clone();
                *slot = Some(loaded);
                return Ok((model, report));
            }
        }
        memory::check_weights(self)?;
        let files = (&self.dir, &self.files);
        let (model, report) = self
            .config
            .load(files, self.precision, wanted, &self.device)?;
        let model = match (&self.backbone, self.only_used) {
            (Some(other), _) => model.with_backbone_of(other),
            (None, Some(precision)) => model.packed_for_use(precision),
            (None, None) => model,
        };
        let loaded = Loaded {
            head,
            seed,
            model,
            packed: None,
            report: report.clone(),
        };
        let loaded = loaded.packed_as(packed);
        let model = loaded.model.clone();
        *slot = Some(loaded);
        Ok((model, report))
    }
}
