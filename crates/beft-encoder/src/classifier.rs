use std::ops::Range;
use std::sync::Arc;

use beft_checkpoint::{CheckpointError, LoadReport, ModelDir, NameTable, TensorFiles, load_module};
use beft_core::BiasSite;
use beft_nn::{
    Batch, BiasLayout, BiasModel, DropoutSite, ParamPath, Rows, SequenceClassifier, gelu,
    map_params,
};
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, Initializer};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use crate::dense::{Dense, outer_norm, zeros_if};
use crate::facts::Activation;
use crate::{Architecture, DenseLayer, EncoderConfig, EncoderModel};

/// An encoder with a classification head: `classifier(dropout(act(dropout(pooled) W + b)))`.
///
/// * BERT, HF `BertForSequenceClassification`: `pooler` is part of the pretrained model.
/// * RoBERTa, HF `RobertaForSequenceClassification`: `pooler` is the head's own dense layer.
///
/// [`HeadConfig`](crate::HeadConfig) says which activation it has, [`Dropouts`](crate::Dropouts) where it drops values.
#[derive(Module, Debug)]
pub struct EncoderForSequenceClassification {
    /// Backbone.
    pub encoder: EncoderModel,
    /// The dense layer in front of the class scores, `[hidden, hidden]`.
    pub pooler: Dense,
    /// Weight of the norm behind it, `[hidden]` (ModernBERT).
    pub pooler_gamma: Option<Param<Tensor<1>>>,
    /// Its bias, `[hidden]`.
    pub pooler_norm_bias: Option<Param<Tensor<1>>>,
    /// Class scores, `[hidden, classes]`.
    pub classifier: Dense,
    input_dropout: Dropout,
    dropout: Dropout,
    classes: usize,
    #[module(skip)]
    config: Arc<EncoderConfig>,
}

impl EncoderForSequenceClassification {
    /// A newly initialised model; values are drawn when first used.
    pub fn init(config: &EncoderConfig, classes: usize, device: &Device) -> Self {
        let (hidden, norm) = (config.hidden_size, config.head.norm);
        Self {
            encoder: EncoderModel::init(config, device),
            pooler: Dense::init([hidden, hidden], config.native.dense, config, device),
            pooler_gamma: norm.then(|| Initializer::Ones.init([hidden], device)),
            pooler_norm_bias: zeros_if(norm && config.native.norms, hidden, device),
            classifier: Dense::init([hidden, classes], true, config, device),
            input_dropout: DropoutConfig::new(config.dropouts.head_input).init(),
            dropout: DropoutConfig::new(config.dropouts.head).init(),
            classes,
            config: Arc::new(config.clone()),
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
        self.config.architecture
    }

    /// Where its parameters are in a checkpoint.
    pub fn names(&self) -> &'static NameTable {
        self.config.architecture.names
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
        check_biases(&config, files, &report)?;
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

/// Fails where the checkpoint has a bias that config.json does not give the layers, or lacks one that it does:
/// transformers leaves out the first and draws the second at random.
fn check_biases(
    config: &EncoderConfig,
    files: &TensorFiles,
    report: &LoadReport,
) -> Result<(), CheckpointError> {
    let names = config.architecture.names;
    let sites = BiasSite::all(config.num_hidden_layers);
    let wrong = sites.into_iter().find_map(|site| {
        let path = ParamPath::of_site("encoder", site);
        let (row, name) = names.by_path(&path)?;
        let native = config.has_bias(site);
        let absent = report.added.contains(&name);
        (row.optional && native == absent).then_some((native, name))
    });
    let Some((native, name)) = wrong else {
        return Ok(());
    };
    let says = match native {
        true => "config.json says that there is such a bias, but the file has no",
        false => "config.json says that there is no such bias, but the file has",
    };
    Err(CheckpointError::Config {
        path: files.path().to_owned(),
        reason: format!("{says} `{name}`: check attention_bias, mlp_bias and norm_bias"),
    })
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
        let embeddings = &self.encoder.embeddings;
        let has = |bias: &Option<Param<Tensor<1>>>| bias.is_some();
        let with_all: &[&str] = match (
            has(&embeddings.norm_bias),
            has(&embeddings.project_bias),
            has(&embeddings.distances_bias),
            has(&self.encoder.final_bias),
        ) {
            (false, _, _, _) => &[],
            (true, true, _, _) => &[
                "encoder.embeddings.norm_bias",
                "encoder.embeddings.project_bias",
            ],
            (true, false, true, _) => &[
                "encoder.embeddings.norm_bias",
                "encoder.embeddings.distances_bias",
            ],
            (true, false, false, true) => &[
                "encoder.embeddings.norm_bias",
                "encoder.final_bias",
                "pooler_norm_bias",
            ],
            (true, false, false, false) => &["encoder.embeddings.norm_bias"],
        };
        match self.config.architecture.dense {
            DenseLayer::Pretrained => BiasLayout {
                with_any: match &self.pooler.bias {
                    Some(_) => &["pooler.bias"],
                    None => &[],
                },
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

    fn ignores_key_bias(&self) -> bool {
        self.config.ignores_key_bias()
    }

    fn is_added(&self, path: &ParamPath) -> bool {
        let site = path.layer().zip(path.term());
        site.is_some_and(|(layer, term)| !self.config.has_bias(BiasSite::new(layer, term)))
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
        self.encoder.pooled(batch, embedded, 0)
    }

    fn advance(&self, batch: &Batch, hidden: Tensor<2>, layers: Range<usize>) -> Tensor<2> {
        let context = self.encoder.context(batch);
        self.encoder.advance(&context, hidden, layers)
    }

    fn forward_from(&self, batch: &Batch, hidden: Tensor<2>, layers: usize) -> Tensor<2> {
        let pooled = if layers < self.num_layers() {
            self.encoder.pooled(batch, hidden, layers)
        } else {
            hidden
        };
        let drop = |dropout, site, x| batch.drop_rows(dropout, site, x, Rows::First);
        let pooled = drop(&self.input_dropout, DropoutSite::HeadInput, pooled);
        let dense = self.pooler.forward(pooled, batch);
        let dense = match self.config.head.activation {
            Activation::Tanh => dense.tanh(),
            Activation::Relu => relu(dense),
            Activation::Gelu => gelu(dense, batch.savings.host_functions),
        };
        let dense = match &self.pooler_gamma {
            Some(gamma) => {
                let (bias, index) = (
                    self.pooler_norm_bias.as_ref(),
                    batch.stack.index(Rows::First),
                );
                outer_norm(dense, gamma, bias, self.config.layer_norm_eps, index)
            }
            None => dense,
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
