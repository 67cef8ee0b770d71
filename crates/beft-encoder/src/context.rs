use beft_nn::{Batch, Group, Rotary, Rows};
use burn::tensor::Tensor;

use crate::disentangled::DistanceTable;

/// What the layers of an encoder need to know of a batch, made once for a pass ([`EncoderModel::context`]).
///
/// [`EncoderModel::context`]: crate::EncoderModel::context
#[derive(Debug)]
pub struct ForwardContext<'a> {
    pub(crate) batch: &'a Batch,
    /// For layers that see all tokens.
    pub(crate) all: Reach,
    /// For layers that see near tokens alone.
    pub(crate) near: Option<Reach>,
    /// The table of distances that layers make keys and queries of.
    pub(crate) distances: Option<DistanceTable>,
}

/// What a layer sees of an input.
#[derive(Debug)]
pub(crate) struct Reach {
    /// For each group what is added to attention scores, `[1 or inputs, 1 or heads, 1 or length, length]`.
    scores: Vec<Option<Tensor<4>>>,
    /// How the queries and keys of all rows are rotated.
    pub(crate) rotary: Option<Rotary>,
}

impl Reach {
    /// Padding is not attended to, and `scores` gives what is added to the scores of a group otherwise.
    pub(crate) fn new(
        batch: &Batch,
        rotary: Option<Rotary>,
        scores: impl Fn(&Group) -> Option<Tensor<4>>,
    ) -> Self {
        let groups = batch.layout.groups().iter();
        let scores = groups.map(|group| sum(group.attention_bias(), scores(group)));
        Self {
            scores: scores.collect(),
            rotary,
        }
    }

    /// For each group what is added to the attention scores of the queries at `rows`.
    pub(crate) fn scores(&self, rows: Rows) -> impl Iterator<Item = Option<Tensor<4>>> {
        self.scores.iter().map(move |scores| {
            let scores = scores.clone()?;
            Some(match (rows, scores.dims()[2]) {
                (Rows::First, 2..) => scores.narrow(2, 0, 1),
                (Rows::First | Rows::All, _) => scores,
            })
        })
    }
}

fn sum(a: Option<Tensor<4>>, b: Option<Tensor<4>>) -> Option<Tensor<4>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    }
}
