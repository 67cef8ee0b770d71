use beft_nn::{Batch, gelu};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::module::{layer_norm, linear};
use burn::tensor::{Device, Int, Tensor};

use crate::{EncoderConfig, EncoderModel};

/// BERT with the masked-language-modelling head, HF `BertForMaskedLM`: it predicts the word piece
/// at chosen rows. Output weights are tied to the word embeddings.
#[derive(Module, Debug)]
pub struct EncoderForMaskedLm {
    /// Backbone.
    pub encoder: EncoderModel,
    /// `[hidden, hidden]`.
    pub transform: Param<Tensor<2>>,
    /// `[hidden]`.
    pub transform_bias: Param<Tensor<1>>,
    /// `[hidden]`.
    pub norm_gamma: Param<Tensor<1>>,
    /// `[hidden]`.
    pub norm_bias: Param<Tensor<1>>,
    /// `[vocab]`.
    pub output_bias: Param<Tensor<1>>,
    epsilon: f64,
}

impl EncoderForMaskedLm {
    /// A newly initialised model; values are drawn when first used.
    pub fn init(config: &EncoderConfig, device: &Device) -> Self {
        let hidden = config.hidden_size;
        let zeros = |len| Initializer::Zeros.init([len], device);
        Self {
            encoder: EncoderModel::init(config, device),
            transform: config.weight_init().init([hidden, hidden], device),
            transform_bias: zeros(hidden),
            norm_gamma: Initializer::Ones.init([hidden], device),
            norm_bias: zeros(hidden),
            output_bias: zeros(config.vocab_size),
            epsilon: config.layer_norm_eps,
        }
    }

    /// Word piece scores at the given rows of the batch; no other row reaches the head.
    ///
    /// # Shapes
    ///
    /// - rows: `[n]`
    /// - output: `[n, vocab]`
    pub fn forward(&self, batch: &Batch, rows: Tensor<1, Int>) -> Tensor<2> {
        self.scores(self.encoder.forward(batch).select(0, rows))
    }

    /// The head alone: word piece scores of hidden states that the backbone gave.
    ///
    /// # Shapes
    ///
    /// - hidden: `[n, hidden]`
    /// - output: `[n, vocab]`
    pub fn scores(&self, hidden: Tensor<2>) -> Tensor<2> {
        let bias = Some(self.transform_bias.val());
        let hidden = gelu(linear(hidden, self.transform.val(), bias), true);
        let bias = Some(self.norm_bias.val());
        let hidden = layer_norm(hidden, self.norm_gamma.val(), bias, self.epsilon);
        let scores = hidden.matmul(self.encoder.embeddings.word.val().transpose());
        scores + self.output_bias.val().unsqueeze()
    }
}
