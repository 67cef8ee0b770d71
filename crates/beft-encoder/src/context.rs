use beft_nn::{Batch, Group, Rows};
use burn::tensor::Tensor;

/// What the layers of an encoder need to know of a batch, made once for a pass ([`EncoderModel::context`]).
///
/// [`EncoderModel::context`]: crate::EncoderModel::context
#[derive(Debug)]
pub struct ForwardContext<'a> {
    pub(crate) batch: &'a Batch,
    /// For each group what every layer adds to attention scores, `[1 or inputs, 1 or heads, 1 or length, length]`.
    pub(crate) scores: Vec<Option<Tensor<4>>>,
}

impl<'a> ForwardContext<'a> {
    /// Makes the context of a batch: padding is not attended to, and `scores` gives what is added to the scores of a
    /// group otherwise.
    pub(crate) fn new(batch: &'a Batch, scores: impl Fn(&Group) -> Option<Tensor<4>>) -> Self {
        let groups = batch.layout.groups().iter();
        let scores = groups.map(|group| sum(group.attention_bias(), scores(group)));
        Self {
            batch,
            scores: scores.collect(),
        }
    }

    /// The groups, each with what is added to the attention scores of the queries at `rows`.
    pub(crate) fn groups(&self, rows: Rows) -> impl Iterator<Item = (&Group, Option<Tensor<4>>)> {
        let scores = self.scores.iter().map(move |scores| {
            let scores = scores.clone()?;
            Some(match (rows, scores.dims()[2]) {
                (Rows::First, 2..) => scores.narrow(2, 0, 1),
                (Rows::First | Rows::All, _) => scores,
            })
        });
        self.batch.layout.groups().iter().zip(scores)
    }
}

fn sum(a: Option<Tensor<4>>, b: Option<Tensor<4>>) -> Option<Tensor<4>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    }
}
