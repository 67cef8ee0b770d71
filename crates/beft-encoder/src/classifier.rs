use std::ops::Range;

use beft_checkpoint::{CheckpointError, LoadReport, ModelDir, NameTable, TensorFiles, load_module};
use beft_nn::{
    Batch, BiasLayout, BiasModel, DropoutSite, Rows, SequenceClassifier, gelu, map_params,
};
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use crate::config::{Activation, HeadConfig};
use crate::dense::Dense;
use crate::{Architecture, DenseLayer, EncoderConfig, EncoderModel};

/// An encoder with a classification head: `classifier(dropout(act(dropout(pooled) W + b)))`.
///
/// * BERT, HF `BertForSequenceClassification`: `pooler` is part of the pretrained model.
/// * RoBERTa, HF `RobertaForSequenceClassification`: `pooler` is the head's own dense layer.
///
/// [`HeadConfig`] says which activation it has, [`Dropouts`](crate::Dropouts) where it drops values.
#[derive(Module, Debug)]
pub struct EncoderForSequenceClassification {
    /// Backbone.
    pub encoder: EncoderModel,
    /// The dense layer in front of the class scores, `[hidden, hidden]`.
    pub pooler: Dense,
    /// Class scores, `[hidden, classes]`.
    pub classifier: Dense,
    input_dropout: Dropout,
    dropout: Dropout,
    classes: usize,
    #[module(skip)]
    head: HeadConfig,
    #[module(skip)]
    architecture: &'static Architecture,
}

impl EncoderForSequenceClassification {
    /// A newly initialised model; values are drawn when first used.
    pub fn init(config: &EncoderConfig, classes: usize, device: &Device) -> Self {
        let hidden = config.hidden_size;
        Self {
            encoder: EncoderModel::init(config, device),
            pooler: Dense::init(hidden, hidden, config, device),
            classifier: Dense::init(hidden, classes, config, device),
            input_dropout: DropoutConfig::new(config.dropouts.head_input).init(),
            dropout: DropoutConfig::new(config.dropouts.head).init(),
            classes,
            head: config.head,
            architecture: config.architecture,
        }
    }

    /// The same model without any dropout, in training as well.
    pub fn without_dropout(mut self) -> Self {
        self.input_dropout.prob = 0.0;
        self.dropout.prob = 0.0;
        self.encoder.set_dropout_off();
        self
    }

    /// Which architecture it is of.
    pub fn architecture(&self) -> &'static Architecture {
        self.architecture
    }

    /// Where its parameters are in a checkpoint.
    pub fn names(&self) -> &'static NameTable {
        self.architecture.names
    }

    /// Loads a checkpoint. A head (or pooler) the checkpoint does not hold is drawn from
    /// `N(0, initializer_range)` by `seed`, the same on every backend; the report names it.
    ///
    /// # Errors
    ///
    /// For another architecture, and for missing, misshapen or unreadable tensors.
    pub fn load(
        dir: &ModelDir,
        files: &TensorFiles,
        classes: usize,
        seed: u64,
        device: &Device,
    ) -> Result<(Self, LoadReport), CheckpointError> {
        let config = EncoderConfig::load(dir)?;
        let model = Self::init(&config, classes, device);
        let names = model.names();
        let (model, report) = load_module(model, names, files)?;
        let model = model.with_drawn(&report, config.initializer_range, seed);
        Ok((model, report))
    }

    /// The same model with what its checkpoint did not hold drawn by another seed, from
    /// `N(0, initializer_range)`.
    pub fn with_drawn(self, report: &LoadReport, initializer_range: f64, seed: u64) -> Self {
        let names = self.names();
        map_params(self, |path, shape| {
            let (_, name) = names
                .by_path(path)
                .filter(|_| path.as_str().ends_with(".weight"))?;
            let new = report.initialized.contains(&name);
            new.then(|| normal(shape, initializer_range, path.as_str(), seed))
        })
    }
}

/// Normal values by seed and parameter path, drawn on the host.
fn normal(shape: &[usize], std: f64, path: &str, seed: u64) -> TensorData {
    // A stream per parameter: a missing pooler does not change the head's values.
    let stream = path.bytes().fold(0, |hash: u64, b| {
        hash.wrapping_mul(31).wrapping_add(b.into())
    });
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    let distribution = Normal::new(0.0, std as f32).unwrap_or_else(|_| unreachable!("std > 0"));
    let values: Vec<f32> = distribution
        .sample_iter(rng)
        .take(shape.iter().product())
        .collect();
    TensorData::new(values, shape.to_vec())
}

impl BiasModel for EncoderForSequenceClassification {
    fn num_layers(&self) -> usize {
        self.encoder.layers.len()
    }

    fn bias_layout(&self) -> BiasLayout {
        let with_all: &[&str] = match &self.encoder.embeddings.project {
            None => &["encoder.embeddings.norm_bias"],
            Some(_) => &[
                "encoder.embeddings.norm_bias",
                "encoder.embeddings.project_bias",
            ],
        };
        match self.architecture.dense {
            DenseLayer::Pretrained => BiasLayout {
                with_any: &["pooler.bias"],
                with_all,
                head: &["classifier.weight", "classifier.bias"],
            },
            DenseLayer::Head => BiasLayout {
                with_any: &[],
                with_all,
                head: &[
                    "pooler.weight",
                    "pooler.bias",
                    "classifier.weight",
                    "classifier.bias",
                ],
            },
        }
    }

    fn backbone_path(&self) -> &'static str {
        "encoder"
    }
}

impl SequenceClassifier for EncoderForSequenceClassification {
    fn hidden(&self, batch: &Batch, layers: usize) -> Tensor<2> {
        if layers < self.num_layers() {
            return self.encoder.hidden(batch, layers);
        }
        let embedded = self.encoder.hidden(batch, 0);
        self.encoder.first_tokens(batch, embedded, 0)
    }

    fn advance(&self, batch: &Batch, hidden: Tensor<2>, layers: Range<usize>) -> Tensor<2> {
        let context = self.encoder.context(batch);
        self.encoder.advance(&context, hidden, layers)
    }

    fn forward_from(&self, batch: &Batch, hidden: Tensor<2>, layers: usize) -> Tensor<2> {
        let first = if layers < self.num_layers() {
            self.encoder.first_tokens(batch, hidden, layers)
        } else {
            hidden
        };
        let drop = |dropout, site, x| batch.drop_rows(dropout, site, x, Rows::First);
        let pooled = drop(&self.input_dropout, DropoutSite::HeadInput, first);
        let dense = self.pooler.forward(pooled, batch);
        let dense = match self.head.activation {
            Activation::Tanh => dense.tanh(),
            Activation::Relu => relu(dense),
            Activation::Gelu => gelu(dense, batch.savings.host_functions),
        };
        let dense = drop(&self.dropout, DropoutSite::Head, dense);
        let scores = self.classifier.forward(dense, batch);
        batch.layout.to_input_order(scores)
    }

    fn drops_below(&self, layers: usize) -> bool {
        self.encoder.embeddings.drops() || self.encoder.layers[..layers].iter().any(|l| l.drops())
    }

    fn num_classes(&self) -> usize {
        self.classes
    }
}
