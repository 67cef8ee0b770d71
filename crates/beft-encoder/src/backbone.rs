use beft_nn::{Batch, Rows};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::EncoderConfig;
use crate::embeddings::EncoderEmbeddings;
use crate::layer::EncoderLayer;

/// The backbone: embeddings and layers, HF `BertModel` and `RobertaModel` without a
/// pooler.
#[derive(Module, Debug)]
pub struct EncoderModel {
    /// Embeddings.
    pub embeddings: EncoderEmbeddings,
    /// Layers, from the input up.
    pub layers: Vec<EncoderLayer>,
}

impl EncoderModel {
    /// A newly initialised backbone; values are drawn when first used.
    pub fn init(config: &EncoderConfig, device: &Device) -> Self {
        Self {
            embeddings: EncoderEmbeddings::init(config, device),
            layers: (0..config.num_hidden_layers)
                .map(|index| EncoderLayer::init(config, index, device))
                .collect(),
        }
    }

    pub(crate) fn set_dropout_off(&mut self) {
        self.embeddings.set_dropout_off();
        for layer in &mut self.layers {
            layer.set_dropout_off();
        }
    }

    /// The last hidden state.
    ///
    /// # Shapes
    ///
    /// - output: `[rows, hidden]`
    pub fn forward(&self, batch: &Batch) -> Tensor<2> {
        self.hidden(batch, self.layers.len())
    }

    /// What the lowest `layers` layers make of the inputs.
    ///
    /// # Shapes
    ///
    /// - output: `[rows, hidden]`
    pub fn hidden(&self, batch: &Batch, layers: usize) -> Tensor<2> {
        let embedded = self.embeddings.forward(batch);
        self.layers[..layers]
            .iter()
            .fold(embedded, |x, layer| layer.forward(x, batch, Rows::All))
    }

    /// The last hidden state at each input's first token, from what the lowest `done` layers made
    /// of the inputs; `done` is less than the number of layers.
    ///
    /// # Shapes
    ///
    /// - hidden: `[rows, hidden]`
    /// - output: `[batch, hidden]`
    pub(crate) fn first_tokens(&self, batch: &Batch, hidden: Tensor<2>, done: usize) -> Tensor<2> {
        let last = self.layers.len() - 1;
        let rows = match batch.savings.first_token {
            true => Rows::First,
            false => Rows::All,
        };
        let hidden = self.layers[done..last]
            .iter()
            .fold(hidden, |x, layer| layer.forward(x, batch, Rows::All));
        let hidden = self.layers[last].forward(hidden, batch, rows);
        match rows {
            Rows::First => hidden,
            Rows::All => batch.layout.first_tokens(hidden),
        }
    }
}
