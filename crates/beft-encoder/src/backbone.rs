use beft_nn::Batch;
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
                .map(|_| EncoderLayer::init(config, device))
                .collect(),
        }
    }

    /// The last hidden state.
    ///
    /// # Shapes
    ///
    /// - output: `[rows, hidden]`
    pub fn forward(&self, batch: &Batch) -> Tensor<2> {
        let embedded = self.embeddings.forward(batch);
        self.layers
            .iter()
            .fold(embedded, |x, layer| layer.forward(x, batch))
    }
}
