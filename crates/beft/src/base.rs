use std::sync::Mutex;

use beft_checkpoint::{LoadReport, ModelDir, TensorFiles, TextTokenizer};
use beft_core::Encoding;
use beft_encoder::{Architecture, EncoderConfig, EncoderForSequenceClassification};
use beft_nn::Precision;
use beft_tasks::ModelKind;
use burn::tensor::Device;

use crate::{Error, find_model};

/// A pretrained model: its files, its tokenizer, and the device to compute on. The weights are
/// read once, when a classifier is first made from it.
#[derive(Debug)]
pub struct Base {
    dir: ModelDir,
    files: TensorFiles,
    tokenizer: TextTokenizer,
    config: EncoderConfig,
    max_length: usize,
    device: Device,
    precision: Precision,
    loaded: Mutex<Option<Loaded>>,
}

/// The first classifier made of so many classes: its tensors are shared by all that are made after it.
#[derive(Debug)]
struct Loaded {
    classes: usize,
    seed: u64,
    model: EncoderForSequenceClassification,
    report: LoadReport,
}

impl Base {
    /// Opens a model by path or name. Inputs will be cut to `max_length` tokens, or to what the
    /// model can take if that is less.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged, the architecture is not supported, or the tokenizer has
    /// more tokens than the model.
    pub fn open(name: &str, max_length: usize, device: &Device) -> Result<Self, Error> {
        let dir = find_model(name, &mut |_| ())?;
        let config = EncoderConfig::load(&dir)?;
        let max_length = max_length.min(config.max_tokens());
        let tokenizer = dir.tokenizer(max_length)?;
        if tokenizer.vocab_size() > config.vocab_size {
            return Err(Error::Usage(format!(
                "{}: the tokenizer has {} tokens, but config.json says vocab_size {}; the files are not of one model",
                dir.path().display(),
                tokenizer.vocab_size(),
                config.vocab_size
            )));
        }
        // The head reads the first token's state, which must be [CLS] (RoBERTa: <s>).
        if tokenizer.special_tokens() < 2 {
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

    /// BERT or RoBERTa.
    pub fn architecture(&self) -> Architecture {
        self.config.model_type
    }

    /// Which of the protocol's columns it belongs to.
    pub fn kind(&self) -> ModelKind {
        match self.config.model_type {
            Architecture::Roberta => ModelKind::Roberta,
            Architecture::Bert if self.config.hidden_size >= 1024 => ModelKind::Large,
            Architecture::Bert => ModelKind::Base,
        }
    }

    /// Size of the paper's random mask (protocol, section 3), for the shapes it has one for.
    pub(crate) fn random_entries(&self) -> Option<usize> {
        match (self.config.model_type, self.config.hidden_size) {
            (Architecture::Bert, 768) => Some(100_000),
            (Architecture::Bert, 1024) => Some(280_000),
            (Architecture::Roberta, 768) => Some(105_000),
            _ => None,
        }
    }

    /// Number of layers.
    pub fn num_layers(&self) -> usize {
        self.config.num_hidden_layers
    }

    /// Longest input in tokens, special tokens included.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// Identity of the weights, recorded in adapters.
    pub fn fingerprint(&self) -> String {
        self.files.fingerprint()
    }

    /// The model with a head of `classes` classes; a head the checkpoint does not hold is drawn
    /// by `seed`.
    ///
    /// # Errors
    ///
    /// For missing, misshapen or unreadable tensors.
    pub fn classifier(
        &self,
        classes: usize,
        seed: u64,
    ) -> Result<(EncoderForSequenceClassification, LoadReport), Error> {
        // A panic while loading leaves nothing half-made behind the lock.
        let mut slot = self
            .loaded
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(loaded) = slot.as_ref().filter(|l| l.classes == classes) {
            let range = self.config.initializer_range;
            let model = match loaded.seed == seed {
                true => loaded.model.clone(),
                false => loaded.model.clone().with_drawn(&loaded.report, range, seed),
            };
            return Ok((model, loaded.report.clone()));
        }
        let (model, report) = EncoderForSequenceClassification::load(
            &self.dir,
            &self.files,
            classes,
            seed,
            &self.device,
        )?;
        let model = self.precision.apply(model);
        *slot = Some(Loaded {
            classes,
            seed,
            model: model.clone(),
            report: report.clone(),
        });
        Ok((model, report))
    }

    /// Tokenises texts, each with an optional second text.
    ///
    /// # Errors
    ///
    /// When the tokenizer fails.
    pub fn encode<'a>(
        &self,
        inputs: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<Vec<Encoding>, Error> {
        Ok(self.tokenizer.encode(inputs)?)
    }
}
