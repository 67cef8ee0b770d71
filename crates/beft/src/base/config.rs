//! What kind of model a folder holds. This is the one place above the model crates that asks.

use beft_checkpoint::{CheckpointError, KeyTable, LoadReport, ModelDir, TensorFiles};
use beft_core::{BiasTerm, Encoding, Outputs};
use beft_decoder::{DecoderConfig, DecoderForCausalLM, GenerationSettings, Positions};
use beft_encoder::{EncoderConfig, EncoderForSequenceClassification, InputError, Protocol};
use beft_nn::Precision;
use beft_tasks::{LabelledTask, PromptTask, ProtocolColumn, Task, TaskError};
use beft_train::Schedule;
use burn::tensor::Device;

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
pub(super) fn find_task(dir: &ModelDir, task: &str) -> Result<Task, Error> {
    let (labelled, prompted) = (LabelledTask::resolve(task), PromptTask::resolve(task));
    let other = |takes| Error::OtherForm {
        task: task.to_owned(),
        model: dir.name().to_owned(),
        takes,
    };
    match (Kind::of(dir)?, labelled, prompted) {
        (Kind::Encoder, Ok(task), _) => Ok(task.into()),
        (Kind::Encoder, Err(_), Ok(_)) => Err(other(TaskForm::Texts)),
        (Kind::Encoder, Err(error), Err(_)) => Err(error.into()),
        (Kind::Decoder, _, Ok(task)) => Ok(task.into()),
        (Kind::Decoder, Ok(_), Err(TaskError::UnknownPrompt { .. })) => {
            Err(other(TaskForm::Prompts))
        }
        (Kind::Decoder, _, Err(error)) => Err(error.into()),
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

    /// Whether it has a head that learns beside the biases, and by itself.
    pub fn has_head(&self) -> bool {
        match self {
            Self::Encoder(_) => true,
            Self::Decoder(_) => false,
        }
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

    /// What decides whether a mode suits it; `generates` says whether it is to answer in its own words.
    pub(crate) fn mode_traits(&self, generates: bool) -> beft_modes::ModelTraits {
        let (decoder, fused) = match self {
            Self::Encoder(config) => (false, config.architecture.fuses_projections()),
            Self::Decoder(config) => (true, config.architecture.fuses_projections()),
        };
        beft_modes::ModelTraits {
            decoder,
            fused,
            generates,
            layers: self.num_layers(),
            terms: self.terms(),
        }
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

    /// What outputs stand for that have these labels: without labels an encoder's is a value, and a
    /// decoder gives texts.
    pub(crate) fn outputs(&self, labels: Vec<String>) -> Outputs {
        match (self, labels.is_empty()) {
            (_, false) => Outputs::Classes(labels),
            (Self::Encoder(_), true) => Outputs::Value,
            (Self::Decoder(_), true) => Outputs::Text,
        }
    }

    /// Whether it takes a task in this form.
    pub(crate) fn check_task(&self, task: &Task, model: &str) -> Result<(), Error> {
        let takes = match (self, task) {
            (Self::Encoder(_), Task::Labelled(_)) | (Self::Decoder(_), Task::Prompted(_)) => {
                return Ok(());
            }
            (Self::Encoder(_), Task::Prompted(_)) => TaskForm::Texts,
            (Self::Decoder(_), Task::Labelled(_)) => TaskForm::Prompts,
        };
        Err(Error::OtherForm {
            task: task.name.clone(),
            model: model.to_owned(),
            takes,
        })
    }

    /// Whether its tokenizer cuts long texts, and adds the special tokens that the head reads. What a decoder is
    /// asked stands at the end, so that it is cut elsewhere.
    pub(crate) fn cuts_texts(&self) -> bool {
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
    pub(crate) fn prepare(&self, encoding: &mut Encoding) -> Result<(), InputError> {
        match self {
            Self::Encoder(config) => config.prepare(encoding),
            Self::Decoder(_) => Ok(()),
        }
    }

    /// The token that begins a text.
    pub(crate) fn start(&self) -> Option<u32> {
        match self {
            Self::Encoder(_) => None,
            Self::Decoder(config) => config.start(),
        }
    }

    /// The shape from which the memory of a training can be planned, where that is known.
    pub(crate) fn plannable(&self) -> Option<&DecoderConfig> {
        match self {
            Self::Encoder(_) => None,
            Self::Decoder(config) => Some(config),
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

    /// Loads the model for so many classes or candidates.
    pub(super) fn load(
        &self,
        (dir, files): (&ModelDir, &TensorFiles),
        precision: Precision,
        (classes, seed): (usize, u64),
        device: &Device,
    ) -> Result<(Model, LoadReport), CheckpointError> {
        match self {
            Self::Encoder(_) => {
                let (model, report) =
                    EncoderForSequenceClassification::load(dir, files, classes, seed, device)?;
                Ok((Model::Encoder(precision.apply(model)), report))
            }
            Self::Decoder(_) => {
                let (model, report) = DecoderForCausalLM::load(dir, files, precision, device)?;
                Ok((Model::Decoder(model.with_candidates(classes)), report))
            }
        }
    }

    /// A model for so many classes that shares the tensors of a loaded one, which was made for `loaded` classes;
    /// `None` where it must be loaded anew. What the checkpoint does not hold is drawn by `seed`.
    pub(super) fn reuse(
        &self,
        (model, report): (&Model, &LoadReport),
        loaded: (usize, u64),
        (classes, seed): (usize, u64),
    ) -> Option<Model> {
        match (self, model.clone()) {
            (Self::Encoder(config), Model::Encoder(model)) => {
                let range = config.initializer_range;
                (loaded.0 == classes).then(|| match loaded.1 == seed {
                    true => Model::Encoder(model),
                    false => Model::Encoder(model.with_drawn(report, range, seed)),
                })
            }
            (Self::Decoder(_), Model::Decoder(model)) => {
                Some(Model::Decoder(model.with_candidates(classes)))
            }
            (Self::Encoder(_), Model::Decoder(_)) | (Self::Decoder(_), Model::Encoder(_)) => None,
        }
    }
}
