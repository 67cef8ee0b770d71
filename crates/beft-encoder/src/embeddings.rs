use beft_nn::{Batch, DropoutSite, Norm, Rows};
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, Initializer};
use burn::tensor::{Device, Tensor};

use crate::{EncoderConfig, Family};

/// `dropout(norm(word[id] + token_type[segment] + position[i]))`, HF `BertEmbeddings`. RoBERTa
/// (`RobertaEmbeddings`) counts positions from behind the padding token's, and has one segment.
#[derive(Module, Debug)]
pub struct EncoderEmbeddings {
    /// `[vocab, hidden]`.
    pub word: Param<Tensor<2>>,
    /// `[max_position, hidden]`.
    pub position: Param<Tensor<2>>,
    /// `[type_vocab, hidden]`.
    pub token_type: Param<Tensor<2>>,
    /// Weight of the norm, `[hidden]`.
    pub norm_gamma: Param<Tensor<1>>,
    /// Bias of the norm, `[hidden]`.
    pub norm_bias: Param<Tensor<1>>,
    dropout: Dropout,
    epsilon: f64,
    first_position: usize,
    segments: bool,
}

impl EncoderEmbeddings {
    /// Newly initialised embeddings; values are drawn when first used.
    pub fn init(config: &EncoderConfig, device: &Device) -> Self {
        let (init, hidden) = (config.weight_init(), config.hidden_size);
        Self {
            word: init.init([config.vocab_size, hidden], device),
            position: init.init([config.max_position_embeddings, hidden], device),
            token_type: init.init([config.type_vocab_size, hidden], device),
            norm_gamma: Initializer::Ones.init([hidden], device),
            norm_bias: Initializer::Zeros.init([hidden], device),
            dropout: DropoutConfig::new(config.hidden_dropout_prob).init(),
            epsilon: config.layer_norm_eps,
            first_position: config.first_position(),
            segments: config.architecture.family == Family::Bert,
        }
    }

    pub(crate) fn drops(&self) -> bool {
        self.dropout.prob > 0.0
    }

    pub(crate) fn set_dropout_off(&mut self) {
        self.dropout.prob = 0.0;
    }

    /// # Shapes
    ///
    /// - output: `[rows, hidden]`
    pub fn forward(&self, batch: &Batch) -> Tensor<2> {
        let word = self.word.val().select(0, batch.layout.ids());
        let token_type = if self.segments {
            self.token_type.val().select(0, batch.layout.type_ids())
        } else {
            self.token_type.val().narrow(0, 0, 1)
        };
        let position = match self.first_position {
            0 => batch.layout.positions(),
            first => batch.layout.positions() + first as i64,
        };
        let position = self.position.val().select(0, position);
        let sum = word + token_type + position;
        let (gamma, bias) = (self.norm_gamma.val(), self.norm_bias.val());
        let stack_index = batch.stack.index(Rows::All);
        let normed = Norm::Layer.apply(sum, gamma, bias, self.epsilon, stack_index);
        batch.drop_rows(&self.dropout, DropoutSite::Embeddings, normed, Rows::All)
    }
}
