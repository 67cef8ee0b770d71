use beft_nn::{Batch, DropoutSite, Rows, bias_of_rows, outer_norm, zeros_if};
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, Initializer};
use burn::tensor::module::linear;
use burn::tensor::{Device, Tensor};

use crate::EncoderConfig;
use crate::disentangled::stack_rows;
use crate::facts::{Distances, Positions, Segments};

/// `dropout(norm(word[id] + token_type[segment] + position[i]))`, HF `BertEmbeddings`, and a linear layer behind it
/// where the residual stream is wider. Which tables there are, [`Positions`] and [`Segments`] say.
#[derive(Module, Debug)]
pub struct EncoderEmbeddings {
    /// `[vocab, embedding]`.
    pub word: Param<Tensor<2>>,
    /// `[max_position, embedding]`.
    pub position: Option<Param<Tensor<2>>>,
    /// `[type_vocab, embedding]`.
    pub token_type: Option<Param<Tensor<2>>>,
    /// The table of distances: `[buckets, heads]` (MPNet), `[rows, hidden]` (DeBERTa).
    pub distances: Option<Param<Tensor<2>>>,
    /// Weight of the norm of the table of distances, `[hidden]` (DeBERTa).
    pub distances_gamma: Option<Param<Tensor<1>>>,
    /// Its bias, `[hidden]`.
    pub distances_bias: Option<Param<Tensor<1>>>,
    /// Weight of the norm, `[embedding]`.
    pub norm_gamma: Param<Tensor<1>>,
    /// Bias of the norm, `[embedding]`.
    pub norm_bias: Option<Param<Tensor<1>>>,
    /// From the width of the embeddings to that of the residual stream, `[embedding, hidden]` (ELECTRA).
    pub project: Option<Param<Tensor<2>>>,
    /// Its bias, `[hidden]`.
    pub project_bias: Option<Param<Tensor<1>>>,
    dropout: Dropout,
    epsilon: f64,
    first_position: usize,
    #[module(skip)]
    segments: Segments,
}

impl EncoderEmbeddings {
    /// Newly initialised embeddings; values are drawn when first used.
    pub fn init(config: &EncoderConfig, device: &Device) -> Self {
        let (init, width) = (config.weight_init(), config.embedding_size);
        let table = |rows: usize| init.init([rows, width], device);
        let hidden = config.hidden_size;
        let projected = width != hidden;
        let normed = match config.distances {
            Distances::Disentangled(table) => table.norm,
            Distances::None | Distances::Buckets(_) | Distances::Rotary(_) => false,
        };
        Self {
            word: table(config.vocab_size),
            position: match config.positions {
                Positions::None => None,
                Positions::FromZero | Positions::BehindPadding(_) => {
                    Some(table(config.max_position_embeddings))
                }
            },
            token_type: match config.segments {
                Segments::None => None,
                Segments::First(rows) | Segments::Told(rows) => Some(table(rows)),
            },
            distances: match config.distances {
                Distances::None | Distances::Rotary(_) => None,
                Distances::Buckets(rows) => {
                    Some(init.init([rows, config.num_attention_heads], device))
                }
                Distances::Disentangled(table) => {
                    Some(init.init([2 * table.span(), hidden], device))
                }
            },
            distances_gamma: normed.then(|| Initializer::Ones.init([hidden], device)),
            distances_bias: zeros_if(normed, hidden, device),
            norm_gamma: Initializer::Ones.init([width], device),
            norm_bias: zeros_if(config.native.norms, width, device),
            project: projected.then(|| init.init([width, hidden], device)),
            project_bias: projected.then(|| Initializer::Zeros.init([hidden], device)),
            dropout: DropoutConfig::new(config.dropouts.embeddings).init(),
            epsilon: config.layer_norm_eps,
            first_position: config.first_position(),
            segments: config.segments,
        }
    }

    pub(crate) fn drops(&self) -> bool {
        self.dropout.prob > 0.0
    }

    pub(crate) fn set_dropout_off(&mut self) {
        self.dropout.prob = 0.0;
    }

    /// The table of distances for each of the stacked biases, after its norm.
    ///
    /// # Shapes
    ///
    /// - output: `[stacked * rows, hidden]`
    pub(crate) fn distance_table(&self, batch: &Batch) -> Option<Tensor<2>> {
        let table = self.distances.as_ref()?.val();
        let (stacked, [rows, _]) = (batch.stack.count(), table.dims());
        let index = stack_rows(stacked, rows, &table.device());
        let table = match stacked {
            1 => table,
            _ => Tensor::cat(vec![table; stacked], 0),
        };
        Some(match &self.distances_gamma {
            Some(gamma) => {
                let bias = self.distances_bias.as_ref();
                outer_norm(table, gamma, bias, self.epsilon, index.as_ref())
            }
            None => table,
        })
    }

    /// # Shapes
    ///
    /// - output: `[rows, hidden]`
    pub fn forward(&self, batch: &Batch) -> Tensor<2> {
        let mut sum = self.word.val().select(0, batch.layout.ids());
        if let Some(table) = &self.token_type {
            sum = sum
                + match self.segments {
                    Segments::Told(_) => table.val().select(0, batch.layout.type_ids()),
                    Segments::None | Segments::First(_) => table.val().narrow(0, 0, 1),
                };
        }
        if let Some(table) = &self.position {
            let position = match self.first_position {
                0 => batch.layout.positions(),
                first => batch.layout.positions() + first as i64,
            };
            sum = sum + table.val().select(0, position);
        }
        let stack_index = batch.stack.index(Rows::All);
        let bias = self.norm_bias.as_ref();
        let normed = outer_norm(sum, &self.norm_gamma, bias, self.epsilon, stack_index);
        let dropped = batch.drop_rows(&self.dropout, DropoutSite::Embeddings, normed, Rows::All);
        match (&self.project, &self.project_bias) {
            (Some(project), Some(bias)) => {
                let bias = bias.val();
                let width = project.shape()[1];
                let biases = bias_of_rows(&bias, width, stack_index);
                linear(dropped, project.val(), None) + biases.unwrap_or_else(|| bias.unsqueeze())
            }
            (None, _) | (_, None) => dropped,
        }
    }
}
