use std::ops::Range;

use beft_nn::{Batch, Rows};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::distances::bucket_scores;
use crate::embeddings::EncoderEmbeddings;
use crate::layer::EncoderLayer;
use crate::{EncoderConfig, ForwardContext};

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

    /// What the layers need to know of a batch.
    pub fn context<'a>(&self, batch: &'a Batch) -> ForwardContext<'a> {
        ForwardContext::new(batch, |group| {
            let table = self.embeddings.distances.as_ref()?;
            Some(bucket_scores(table.val(), group.length()))
        })
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
        if layers == 0 {
            return embedded;
        }
        self.advance(&self.context(batch), embedded, 0..layers)
    }

    /// What some layers make of what those below gave.
    ///
    /// # Shapes
    ///
    /// - hidden, output: `[rows, hidden]`
    pub(crate) fn advance(
        &self,
        context: &ForwardContext<'_>,
        hidden: Tensor<2>,
        layers: Range<usize>,
    ) -> Tensor<2> {
        self.layers[layers]
            .iter()
            .fold(hidden, |x, layer| layer.forward(x, context, Rows::All))
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
        let context = self.context(batch);
        let hidden = self.advance(&context, hidden, done..last);
        let hidden = self.layers[last].forward(hidden, &context, rows);
        match rows {
            Rows::First => hidden,
            Rows::All => batch.layout.first_tokens(hidden),
        }
    }
}
