//! What kind of model a folder holds. This is the one place above the model crates that asks.

use beft_checkpoint::{CheckpointError, KeyTable, LoadReport, ModelDir, TensorFiles};
use beft_core::{BiasTerm, Encoding, Head, HeadCounts, OuterTerm, TaskType};
use beft_decoder::{
    DecoderConfig, DecoderForCausalLM, DecoderWithHead, GenerationSettings, Positions,
};
use beft_encoder::{EncoderConfig, EncoderWithHead, InputError, Protocol};
use beft_nn::{BiasModel, Precision};
use beft_tasks::{LabelledTask, PromptTask, ProtocolColumn, Task, TaskError};
use beft_train::Schedule;
use burn::tensor::Device;
use serde_json::{Map, Value};

use crate::error::TaskForm;
use crate::{Error, Model};

/// A model's config.json, and what callers want to know of the model.
#[derive(Clone, Debug)]
pub enum ModelConfig {
    /// An encoder with a classification head.
    Encoder(EncoderConfig),
    /// A causal language model.
    Decoder(DecoderConfig),
}

/// The two kinds of models.
enum Kind {
    Encoder,
    Decoder,
}

impl Kind {
    fn of(dir: &ModelDir) -> Result<Self, CheckpointError> {
        let found = dir.model_type()?;
        let encoders = beft_encoder::architectures::ALL.map(|known| known.model_type);
        let decoders = beft_decoder::architectures::ALL.map(|known| known.model_type);
        match (
            encoders.contains(&found.as_str()),
            decoders.contains(&found.as_str()),
        ) {
            (true, _) => Ok(Self::Encoder),
            (_, true) => Ok(Self::Decoder),
            (false, false) => Err(CheckpointError::UnsupportedArchitecture {
                path: dir.config_path(),
                found,
                supported: [&encoders[..], &decoders[..]].concat().join(", "),
            }),
        }
    }
}

/// Finds the task of this name, or of the task file at this path, in the form that the model in `dir` takes:
/// labelled texts, or prompts.
pub(super) fn find_task(dir: &ModelDir, task: &str, form: Option<TaskForm>) -> Result<Task, Error> {
    let (labelled, prompted) = (LabelledTask::resolve(task), PromptTask::resolve(task));
    let other = |takes| Error::OtherForm {
        task: task.to_owned(),
        model: dir.name().to_owned(),
        takes,
    };
    let config = ModelConfig::read(dir)?;
    let usual = config.usual_task(dir)?;
    let asked =
        matches!(config, ModelConfig::Decoder(_)) && form.is_none() && usual == TaskType::CausalLm;
    let wanted = match (config, form) {
        (ModelConfig::Encoder(_), _) => TaskForm::Texts,
        (ModelConfig::Decoder(_), Some(form)) => form,
        // A task of texts alone is for a decoder with a head.
        (ModelConfig::Decoder(_), None) if asked && PromptTask::is_one(task) => TaskForm::Prompts,
        (ModelConfig::Decoder(_), None) => TaskForm::Texts,
    };
    match (wanted, labelled, prompted) {
        (TaskForm::Texts, Ok(task), _) => Ok(task.into()),
        (TaskForm::Texts, Err(_), Ok(_)) => Err(other(TaskForm::Texts)),
        // It names the tasks that such a model takes.
        (TaskForm::Texts, Err(_), Err(unknown @ TaskError::UnknownPrompt { .. })) if asked => {
            Err(unknown.into())
        }
        (TaskForm::Texts, Err(error), Err(_)) => Err(error.into()),
        (TaskForm::Prompts, _, Ok(task)) => Ok(task.into()),
        (TaskForm::Prompts, Ok(_), Err(_)) if !PromptTask::is_one(task) => {
            Err(other(TaskForm::Prompts))
        }
        (TaskForm::Prompts, _, Err(error)) => Err(error.into()),
    }
}

impl ModelConfig {
    /// Reads config.json.
    ///
    /// # Errors
    ///
    /// When it is missing or damaged, the architecture is not supported, or a value is not implemented.
    pub fn read(dir: &ModelDir) -> Result<Self, CheckpointError> {
        Ok(match Kind::of(dir)? {
            Kind::Encoder => Self::Encoder(EncoderConfig::load(dir)?),
            Kind::Decoder => Self::Decoder(DecoderConfig::load(dir)?),
        })
    }

    /// The keys of config.json that are known.
    pub(crate) fn keys(&self) -> Vec<&'static KeyTable> {
        match self {
            Self::Encoder(config) => config.architecture.keys.to_vec(),
            Self::Decoder(config) => config.architecture.keys.to_vec(),
        }
    }

    /// Longest input in tokens.
    pub fn longest_input(&self) -> usize {
        match self {
            Self::Encoder(config) => config.max_tokens(),
            Self::Decoder(config) => config.max_tokens,
        }
    }

    /// Number of rows of the token embeddings.
    pub fn vocab_size(&self) -> usize {
        match self {
            Self::Encoder(config) => config.vocab_size,
            Self::Decoder(config) => config.vocab_size,
        }
    }

    /// Number of layers.
    pub fn num_layers(&self) -> usize {
        match self {
            Self::Encoder(config) => config.num_hidden_layers,
            Self::Decoder(config) => config.layers,
        }
    }

    /// The bias terms that its layers have.
    pub fn terms(&self) -> &'static [BiasTerm] {
        match self {
            Self::Encoder(_) => &BiasTerm::ALL,
            Self::Decoder(config) => config.terms(),
        }
    }

    /// What it does where no task says: what its class in config.json does, or else classifies inputs (an encoder) or
    /// predicts tokens (a decoder).
    pub(super) fn usual_task(&self, dir: &ModelDir) -> Result<TaskType, CheckpointError> {
        let config: Map<String, Value> = dir.config()?;
        let classes = config.get("architectures").and_then(Value::as_array);
        let class = classes.and_then(|classes| classes.first()?.as_str());
        let said = class.and_then(TaskType::of_class);
        Ok(match (self, said) {
            (_, Some(task @ (TaskType::TokenClassification | TaskType::QuestionAnswering))) => task,
            (_, Some(TaskType::SequenceClassification)) | (Self::Encoder(_), _) => {
                TaskType::SequenceClassification
            }
            (Self::Decoder(_), _) => TaskType::CausalLm,
        })
    }

    /// Whether there is such a model, as a class of transformers.
    pub(super) fn has_class(&self, task: TaskType) -> bool {
        match (self, task) {
            (Self::Encoder(config), task) => config.architecture.heads.of(task).is_some(),
            (Self::Decoder(_), TaskType::CausalLm) => true,
            (Self::Decoder(config), task) => config.architecture.heads.of(task).is_some(),
        }
    }

    /// HF's name of the class of such a model.
    pub(super) fn class(&self, task: TaskType) -> String {
        let prefix = match self {
            Self::Encoder(config) => config.architecture.class_prefix,
            Self::Decoder(config) => config.architecture.class_prefix,
        };
        format!("{prefix}{}", task.class_suffix())
    }

    /// Whether its query, key and value biases are added ones, zero before training: BEFT's score says nothing of
    /// them then.
    pub fn adds_biases(&self) -> bool {
        match self {
            Self::Encoder(config) => !config.native.attention,
            Self::Decoder(config) => !config.native_qkv_biases,
        }
    }

    /// Whether its key biases change nothing ([`BiasModel`](beft_nn::BiasModel::ignores_key_bias)).
    pub fn ignores_key_bias(&self) -> bool {
        match self {
            Self::Encoder(config) => config.ignores_key_bias(),
            Self::Decoder(config) => matches!(config.positions, Positions::Learned { .. }),
        }
    }

    /// Numbers of attention heads of a layer.
    pub fn head_counts(&self) -> HeadCounts {
        match self {
            Self::Encoder(config) => config.head_counts(),
            Self::Decoder(config) => config.head_counts(),
        }
    }

    /// What decides whether a mode suits it; `generates` says whether it is to answer in its own words.
    pub(super) fn mode_traits(&self, head: Head, generates: bool) -> beft_modes::ModelTraits {
        beft_modes::ModelTraits {
            task_type: head.task_type(),
            fused: match self {
                Self::Encoder(config) => config.architecture.fuses_projections(),
                Self::Decoder(config) => config.architecture.fuses_projections(),
            },
            generates,
            layers: self.num_layers(),
            heads: self.head_counts(),
            terms: self.terms(),
            outer: self.outer_terms(head),
        }
    }

    /// The biases that a model with such a head has outside its layers.
    fn outer_terms(&self, head: Head) -> Vec<OuterTerm> {
        // Names alone: values are drawn when they are first used.
        let device = Device::default();
        let layout = match (self, head) {
            (Self::Encoder(config), head) => {
                Some(EncoderWithHead::init(config, head, &device).bias_layout())
            }
            (Self::Decoder(config), Head::CausalLm(_)) => {
                Some(DecoderForCausalLM::init(config, &device).bias_layout())
            }
            (Self::Decoder(config), head) => {
                DecoderWithHead::init(config, head, &device).map(|model| model.bias_layout())
            }
        };
        layout.map_or_else(Vec::new, |layout| layout.outer_terms())
    }

    /// How the protocol changes the learning rate during training.
    pub fn schedule(&self) -> Schedule {
        match self {
            Self::Encoder(_) => Schedule::Constant,
            Self::Decoder(_) => Schedule::Linear,
        }
    }

    /// Which of the protocol's columns of default settings it belongs to.
    pub fn protocol_column(&self) -> ProtocolColumn {
        match self {
            Self::Encoder(config) => match config.architecture.protocol {
                Protocol::Roberta => ProtocolColumn::Roberta,
                Protocol::Bert | Protocol::Other => match config.hidden_size {
                    0..1024 => ProtocolColumn::Base,
                    1024.. => ProtocolColumn::Large,
                },
            },
            Self::Decoder(_) => ProtocolColumn::Base,
        }
    }

    /// Size of the paper's random mask (protocol, section 3), for the shapes it has one for.
    pub fn random_entries(&self) -> Option<usize> {
        match self {
            Self::Encoder(config) => match (config.architecture.protocol, config.hidden_size) {
                (Protocol::Bert, 768) => Some(100_000),
                (Protocol::Bert, 1024) => Some(280_000),
                (Protocol::Roberta, 768) => Some(105_000),
                (Protocol::Bert | Protocol::Roberta | Protocol::Other, _) => None,
            },
            Self::Decoder(_) => None,
        }
    }

    /// Whether its head reads special tokens that its tokenizer must add.
    pub(super) fn reads_special_tokens(&self) -> bool {
        match self {
            Self::Encoder(_) => true,
            Self::Decoder(_) => false,
        }
    }

    /// Whether it tells the two texts of a pair apart.
    pub(crate) fn has_segments(&self) -> bool {
        match self {
            Self::Encoder(config) => config.has_segments(),
            Self::Decoder(_) => false,
        }
    }

    /// Checks and completes an input.
    pub(super) fn prepare(
        &self,
        task_type: TaskType,
        encoding: &mut Encoding,
    ) -> Result<(), InputError> {
        match self {
            Self::Encoder(config) => config.prepare(encoding),
            Self::Decoder(config) => {
                config.prepare(encoding, task_type);
                Ok(())
            }
        }
    }

    /// The token that begins a text.
    pub(crate) fn start(&self) -> Option<u32> {
        match self {
            Self::Encoder(_) => None,
            Self::Decoder(config) => config.start(),
        }
    }

    /// How it generates text.
    pub(crate) fn generation(&self, dir: &ModelDir) -> Result<GenerationSettings, Error> {
        match self {
            Self::Decoder(config) => Ok(GenerationSettings::load(dir, config)?),
            Self::Encoder(_) => Err(Error::NoGeneration {
                model: dir.name().to_owned(),
            }),
        }
    }

    /// Loads the model with a head.
    pub(super) fn load(
        &self,
        (dir, files): (&ModelDir, &TensorFiles),
        precision: Precision,
        (head, seed): (Head, u64),
        device: &Device,
    ) -> Result<(Model, LoadReport), CheckpointError> {
        tracing::debug!(file = %files.path().display(), %precision, ?head, "reading the weights");
        Ok(match (self, head) {
            (Self::Encoder(_), head) => {
                let (model, report) = EncoderWithHead::load(dir, files, head, seed, device)?;
                (Model::Encoder(precision.apply(model)), report)
            }
            (Self::Decoder(_), Head::CausalLm(candidates)) => {
                let (model, report) = DecoderForCausalLM::load(dir, files, precision, device)?;
                (Model::Decoder(model.with_candidates(candidates)), report)
            }
            (Self::Decoder(_), head) => {
                let how = (precision, seed);
                let (model, report) = DecoderWithHead::load(dir, files, head, how, device)?;
                (Model::DecoderWithHead(model), report)
            }
        })
    }

    /// A model with a head that shares the tensors of a loaded one, which was made for `loaded`; `None` where it must
    /// be loaded anew. What the checkpoint does not hold is drawn by `seed`.
    pub(super) fn reuse(
        &self,
        (model, report): (&Model, &LoadReport),
        loaded: (Head, u64),
        (head, seed): (Head, u64),
    ) -> Option<Model> {
        let range = match self {
            Self::Encoder(config) => config.initializer_range,
            Self::Decoder(config) => config.initializer_range,
        };
        match (model.clone(), head) {
            (Model::Decoder(model), Head::CausalLm(candidates)) => {
                Some(Model::Decoder(model.with_candidates(candidates)))
            }
            (model, _) if loaded.0 != head => {
                // A head that the files do not hold has any size.
                let drawn = report.misshapen.is_empty() && model.draws_head(report);
                let resized = drawn.then(|| model.with_head(head)).flatten()?;
                Some(resized.with_drawn(report, range, seed))
            }
            (model, _) if loaded.1 == seed => Some(model),
            (model, _) => Some(model.with_drawn(report, range, seed)),
        }
    }
}
