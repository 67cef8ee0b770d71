use std::sync::Mutex;

use beft_checkpoint::{CheckpointError, LoadReport, ModelDir, TensorFiles, TextTokenizer};
use beft_core::{BiasTerm, Encoding};
use beft_decoder::{DecoderConfig, DecoderForCausalLM, GenerationSettings, Positions};
use beft_encoder::{EncoderConfig, EncoderForSequenceClassification, Family};
use beft_nn::Precision;
use beft_tasks::{ModelKind, PromptTask, Task, TaskError};
use burn::tensor::Device;

use crate::model::Model;
use crate::{Error, find_model};

/// A pretrained model: its files, its tokenizer, and the device to compute on. The weights are
/// read once, when a model is first made from it.
#[derive(Debug)]
pub struct Base {
    dir: ModelDir,
    files: TensorFiles,
    tokenizer: TextTokenizer,
    config: ModelConfig,
    max_length: usize,
    notes: Vec<String>,
    device: Device,
    precision: Precision,
    loaded: Mutex<Option<Loaded>>,
}

/// Tokenised inputs, and what became of them on the way.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The inputs.
    pub encodings: Vec<Encoding>,
    /// How many of them are longer than the model's, or the asked for, longest input.
    pub cut: usize,
    /// Whether there are pairs, which the tokenizer does not tell the model.
    pub joined: bool,
}

/// What config.json says.
#[derive(Debug)]
enum ModelConfig {
    Encoder(EncoderConfig),
    Decoder(DecoderConfig),
}

/// The first model made for so many classes: its tensors are shared by all that are made after it.
#[derive(Debug)]
struct Loaded {
    classes: usize,
    seed: u64,
    model: Model,
    report: LoadReport,
}

/// The task of this name, or of the task file at this path, in the form that the model can be given:
/// texts for an encoder, prompts for a decoder.
///
/// # Errors
///
/// When there is no such model, or no such task for it.
pub fn find_task(model: &str, task: &str) -> Result<Task, Error> {
    let dir = find_model(model, &mut |_| ())?;
    let (encoders, decoders) = (Task::resolve(task), PromptTask::resolve(task));
    let other = |kind: &str, is: &str| {
        let name = dir.name();
        Error::Usage(format!("{task} is a task of {kind}, and {name} is {is}"))
    };
    match (is_decoder(&dir)?, encoders, decoders) {
        (true, _, Ok(prompt)) => Ok(prompt.into_task()),
        (false, Ok(task), _) => Ok(task),
        (true, Ok(_), Err(TaskError::UnknownPrompt { .. })) => Err(other("encoders", "a decoder")),
        (true, _, Err(error)) => Err(error.into()),
        (false, Err(_), Ok(_)) => Err(other("decoders", "an encoder")),
        (false, Err(error), _) => Err(error.into()),
    }
}

/// Whether a model folder holds a causal language model.
fn is_decoder(dir: &ModelDir) -> Result<bool, CheckpointError> {
    let found = dir.model_type()?;
    let decoders = beft_decoder::architectures::ALL.map(|known| known.model_type);
    let encoders = beft_encoder::architectures::ALL.map(|known| known.model_type);
    match (
        decoders.contains(&found.as_str()),
        encoders.contains(&found.as_str()),
    ) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(CheckpointError::UnsupportedArchitecture {
            path: dir.config_path(),
            found,
            supported: [&encoders[..], &decoders[..]].concat().join(", "),
        }),
    }
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
        let config = match is_decoder(&dir)? {
            true => ModelConfig::Decoder(DecoderConfig::load(&dir)?),
            false => ModelConfig::Encoder(EncoderConfig::load(&dir)?),
        };
        let (longest, vocabulary) = match &config {
            ModelConfig::Encoder(config) => (config.max_tokens(), config.vocab_size),
            ModelConfig::Decoder(config) => (config.max_tokens, config.vocab_size),
        };
        let mut notes = match &config {
            ModelConfig::Encoder(_) => dir.unknown_keys(&EncoderConfig::keys())?,
            ModelConfig::Decoder(config) => dir.unknown_keys(config.architecture.keys)?,
        };
        let tokenizer = dir.tokenizer(WHOLE)?.with_rows(vocabulary);
        notes.extend(tokenizer.notes().iter().cloned());
        if let Some(other) = dir.other_dtype()? {
            notes.push(format!(
                "{}: dtype is {other}; what is computed here is f32, as with from_pretrained(..., dtype=\"float32\")",
                dir.config_path().display()
            ));
        }
        let asked = max_length.or(tokenizer.own_max_length());
        let max_length = asked.map_or(longest, |asked| asked.min(longest));
        let tokenizer = match &config {
            ModelConfig::Encoder(_) => tokenizer.with_max_length(max_length)?,
            // What a decoder is asked stands at the end.
            ModelConfig::Decoder(_) => tokenizer,
        };
        // An encoder's head reads the first token's state, which must be [CLS] (RoBERTa: <s>).
        if matches!(config, ModelConfig::Encoder(_)) && tokenizer.special_tokens() < 2 {
            return Err(Error::Usage(format!(
                "{}/tokenizer.json adds no [CLS] and [SEP] (RoBERTa: <s> and </s>) to texts (its post_processor); the model needs them",
                dir.path().display()
            )));
        }
        let files = dir.tensors()?;
        Ok(Self {
            dir,
            files,
            tokenizer,
            config,
            max_length,
            notes,
            device: device.clone(),
            precision: Precision::default(),
            loaded: Mutex::new(None),
        })
    }

    /// The same model with its frozen weight matrices in another precision.
    ///
    /// # Errors
    ///
    /// When the device cannot compute in it.
    pub fn with_precision(mut self, precision: Precision) -> Result<Self, Error> {
        if !self.device.supports_dtype(precision.dtype()) {
            return Err(Error::Usage(format!(
                "--precision {precision}: the device does not support it (`beft devices` lists what each supports)"
            )));
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
    pub(crate) fn num_values(&self) -> usize {
        let shapes = self.files.names().filter_map(|name| self.files.shape(name));
        shapes.map(|shape| shape.iter().product::<usize>()).sum()
    }

    /// The config of a causal language model; `None` for an encoder.
    pub fn decoder_config(&self) -> Option<&DecoderConfig> {
        match &self.config {
            ModelConfig::Decoder(config) => Some(config),
            ModelConfig::Encoder(_) => None,
        }
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
        match &self.config {
            ModelConfig::Decoder(config) => Ok(GenerationSettings::load(&self.dir, config)?),
            ModelConfig::Encoder(_) => Err(Error::Usage(format!(
                "{} is an encoder, which generates no text",
                self.name()
            ))),
        }
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &TextTokenizer {
        &self.tokenizer
    }

    /// Which of the protocol's columns it belongs to.
    pub fn kind(&self) -> ModelKind {
        match &self.config {
            ModelConfig::Decoder(_) => ModelKind::Base,
            ModelConfig::Encoder(config) => match config.architecture.family {
                Family::Roberta => ModelKind::Roberta,
                Family::Bert if config.hidden_size >= 1024 => ModelKind::Large,
                Family::Bert => ModelKind::Base,
            },
        }
    }

    /// Size of the paper's random mask (protocol, section 3), for the shapes it has one for.
    pub(crate) fn random_entries(&self) -> Option<usize> {
        let ModelConfig::Encoder(config) = &self.config else {
            return None;
        };
        match (config.architecture.family, config.hidden_size) {
            (Family::Bert, 768) => Some(100_000),
            (Family::Bert, 1024) => Some(280_000),
            (Family::Roberta, 768) => Some(105_000),
            _ => None,
        }
    }

    /// Whether its query, key and value biases are added ones, zero before training: BEFT's score says nothing of
    /// them then.
    pub fn adds_biases(&self) -> bool {
        self.decoder_config()
            .is_some_and(|config| !config.native_qkv_biases)
    }

    /// The bias terms that its layers have.
    pub(crate) fn terms(&self) -> &'static [BiasTerm] {
        self.decoder_config()
            .map_or(&BiasTerm::ALL, |config| config.terms())
    }

    /// Number of layers.
    pub fn num_layers(&self) -> usize {
        match &self.config {
            ModelConfig::Encoder(config) => config.num_hidden_layers,
            ModelConfig::Decoder(config) => config.layers,
        }
    }

    /// Whether its key biases change nothing ([`BiasModel::ignores_key_bias`](beft_nn::BiasModel)).
    pub(crate) fn ignores_key_bias(&self) -> bool {
        let config = self.decoder_config();
        config.is_none_or(|c| matches!(c.positions, Positions::Learned { .. }))
    }

    /// Longest input in tokens, special tokens included.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// Identity of the weights, recorded in adapters.
    pub fn fingerprint(&self) -> String {
        self.files.fingerprint()
    }

    /// The model for `classes` classes: an encoder with a head of so many, which is drawn by `seed` where the
    /// checkpoint does not hold it; or a decoder.
    ///
    /// # Errors
    ///
    /// For missing, misshapen or unreadable tensors.
    pub fn model(&self, classes: usize, seed: u64) -> Result<(Model, LoadReport), Error> {
        // A panic while loading leaves nothing half-made behind the lock.
        let mut slot = self
            .loaded
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let loaded = slot
            .as_ref()
            .map(|loaded| match (&loaded.model, &self.config) {
                (Model::Encoder(model), ModelConfig::Encoder(config))
                    if loaded.classes == classes =>
                {
                    let range = config.initializer_range;
                    let model = match loaded.seed == seed {
                        true => model.clone(),
                        false => model.clone().with_drawn(&loaded.report, range, seed),
                    };
                    Some((Model::Encoder(model), loaded.report.clone()))
                }
                (Model::Decoder(model), _) => {
                    let model = model.clone().with_candidates(classes);
                    Some((Model::Decoder(model), loaded.report.clone()))
                }
                _ => None,
            });
        if let Some(found) = loaded.flatten() {
            return Ok(found);
        }
        crate::memory::check_weights(self)?;
        let (dir, files, device) = (&self.dir, &self.files, &self.device);
        let (model, report) = match &self.config {
            ModelConfig::Encoder(_) => {
                let (model, report) =
                    EncoderForSequenceClassification::load(dir, files, classes, seed, device)?;
                (Model::Encoder(self.precision.apply(model)), report)
            }
            ModelConfig::Decoder(_) => {
                let (model, report) = DecoderForCausalLM::load(dir, files, self.precision, device)?;
                (Model::Decoder(model.with_candidates(classes)), report)
            }
        };
        *slot = Some(Loaded {
            classes,
            seed,
            model: model.clone(),
            report: report.clone(),
        });
        Ok((model, report))
    }

    /// Tokenises texts, each with an optional second text; for a decoder without cutting them.
    ///
    /// # Errors
    ///
    /// When the tokenizer fails.
    pub fn encode<'a>(
        &self,
        inputs: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<Encoded, Error> {
        let inputs: Vec<_> = inputs.into_iter().collect();
        let pairs = inputs.iter().any(|(_, pair)| pair.is_some());
        let (mut encodings, cut) = self.tokenizer.encode_and_count(inputs)?;
        if let ModelConfig::Encoder(config) = &self.config {
            for (index, encoding) in encodings.iter_mut().enumerate() {
                config.prepare(encoding).map_err(|reason| {
                    Error::Usage(format!("{}: input {index}: {reason}", self.name()))
                })?;
            }
        }
        let segments = match &self.config {
            ModelConfig::Encoder(config) => config.architecture.family == Family::Bert,
            ModelConfig::Decoder(_) => false,
        };
        Ok(Encoded {
            encodings,
            cut,
            joined: pairs && segments && !self.tokenizer.has_segments(),
        })
    }

    /// What to say of inputs; `of` is their file.
    pub fn input_notes(&self, of: &str, encoded: &Encoded) -> Vec<String> {
        let (cut, all) = (encoded.cut, encoded.encodings.len());
        let cut = (cut > 0).then(|| {
            format!(
                "{of}: {cut} of {all} inputs are longer than {} tokens and were cut (--max-length)",
                self.max_length
            )
        });
        let joined = encoded.joined.then(|| {
            format!(
                "{of}: the tokenizer gives no token_type_ids (model_input_names in tokenizer_config.json), so both texts \
                 of a pair are the model's first segment, as in transformers"
            )
        });
        cut.into_iter().chain(joined).collect()
    }
}

/// Longer than any text.
const WHOLE: usize = 1 << 40;
