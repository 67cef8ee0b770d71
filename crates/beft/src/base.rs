use std::sync::Mutex;

use beft_checkpoint::{LoadReport, ModelDir, TensorFiles, TextTokenizer};
use beft_core::Encoding;
use beft_encoder::{BertConfig, BertForSequenceClassification};
use beft_nn::Precision;
use burn::tensor::Device;

use crate::Error;

/// A pretrained model: its files, its tokenizer, and the device to compute on. The weights are
/// read once, when a classifier is first made from it.
#[derive(Debug)]
pub struct Base {
    dir: ModelDir,
    files: TensorFiles,
    tokenizer: TextTokenizer,
    config: BertConfig,
    max_length: usize,
    device: Device,
    precision: Precision,
    loaded: Mutex<Option<Loaded>>,
}

/// The last classifier made: its tensors are shared by all that are made after it.
#[derive(Debug)]
struct Loaded {
    classes: usize,
    seed: u64,
    model: BertForSequenceClassification,
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
        let dir = ModelDir::find(name)?;
        let config = BertConfig::load(&dir)?;
        let max_length = max_length.min(config.max_position_embeddings);
        let tokenizer = dir.tokenizer(max_length)?;
        if tokenizer.vocab_size() > config.vocab_size {
            return Err(Error::Usage(format!(
                "{}: the tokenizer has {} tokens, but config.json says vocab_size {}; the files are not of one model",
                dir.path().display(),
                tokenizer.vocab_size(),
                config.vocab_size
            )));
        }
        // BERT reads the first token's state, which must be [CLS].
        if tokenizer.special_tokens() < 2 {
            return Err(Error::Usage(format!(
                "{}/tokenizer.json adds no [CLS] and [SEP] to texts (its post_processor); the model needs them",
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
    ) -> Result<(BertForSequenceClassification, LoadReport), Error> {
        // A panic while loading leaves nothing half-made behind the lock.
        let mut slot = self
            .loaded
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(loaded) = slot
            .as_ref()
            .filter(|l| (l.classes, l.seed) == (classes, seed))
        {
            return Ok((loaded.model.clone(), loaded.report.clone()));
        }
        let (model, report) = BertForSequenceClassification::load(
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
