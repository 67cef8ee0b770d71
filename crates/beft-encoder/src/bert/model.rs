use beft_nn::Batch;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::BertConfig;
use super::embeddings::BertEmbeddings;
use super::layer::BertLayer;

/// The backbone: embeddings and layers, HF `BertModel` without its pooler.
#[derive(Module, Debug)]
pub struct BertModel {
    /// Embeddings.
    pub embeddings: BertEmbeddings,
    /// Layers, from the input up.
    pub layers: Vec<BertLayer>,
}

impl BertModel {
    /// A newly initialised backbone; values are drawn when first used.
    pub fn init(config: &BertConfig, device: &Device) -> Self {
        Self {
            embeddings: BertEmbeddings::init(config, device),
            layers: (0..config.num_hidden_layers)
                .map(|_| BertLayer::init(config, device))
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
