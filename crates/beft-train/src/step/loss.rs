use beft_core::{EncodedSet, Targets};
use beft_nn::{Batch, Savings, SequenceClassifier};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// The mean loss of a model on the examples `chosen` (indices into `data`): cross entropy over
/// classes, or the squared error of the one score for values.
///
/// # Shapes
///
/// - output: `[1]`
pub fn batch_loss<M: SequenceClassifier>(
    model: &M,
    data: &EncodedSet,
    chosen: &[usize],
    savings: impl Into<Savings>,
    device: &Device,
) -> Tensor<1> {
    let part = Part { data, chosen };
    let batch = batch(&[part], savings, device);
    loss_sums(model.forward(&batch), &[part]) / part.weight() as f32
}

/// Examples of one training: numbers of `data`.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) data: &'a EncodedSet,
    pub(crate) chosen: &'a [usize],
}

impl Part<'_> {
    /// What the sum of its losses is divided by for their mean: the number of examples, or of tokens.
    pub(crate) fn weight(&self) -> usize {
        match &self.data.targets {
            Targets::Classes(_) | Targets::Values(_) => self.chosen.len(),
            Targets::Tokens(counts) => self.chosen.iter().map(|i| counts[*i]).sum(),
        }
    }
}

/// Puts the examples of trainings with equally many each on a device; each part has its own of the stacked
/// biases.
pub(crate) fn batch(parts: &[Part<'_>], savings: impl Into<Savings>, device: &Device) -> Batch {
    let encodings = parts
        .iter()
        .flat_map(|part| part.chosen.iter().map(|i| &part.data.encodings[*i]));
    Batch::new(encodings, savings, device).with_stacked_biases(parts.len())
}

/// For each part the sum of its examples' losses: cross entropy over classes, the squared error of
/// the one score for values (HF `*ForSequenceClassification.forward`), or minus the log likelihood of all
/// predicted tokens, whose mean the one score is.
///
/// # Shapes
///
/// - logits: `[parts * examples of each, classes]`
/// - output: `[parts]`
pub(crate) fn loss_sums(logits: Tensor<2>, parts: &[Part<'_>]) -> Tensor<1> {
    let device = &logits.device();
    let [inputs, _] = logits.dims();
    let (mut classes, mut values) = (Vec::<i64>::new(), Vec::<f32>::new());
    let mut counts = Vec::<f32>::new();
    for part in parts {
        match &part.data.targets {
            Targets::Classes(of) => classes.extend(part.chosen.iter().map(|i| of[*i] as i64)),
            Targets::Values(of) => values.extend(part.chosen.iter().map(|i| of[*i])),
            Targets::Tokens(of) => counts.extend(part.chosen.iter().map(|i| of[*i] as f32)),
        }
    }
    let losses = if !counts.is_empty() {
        let counts = Tensor::<2>::from_data(TensorData::new(counts, [inputs, 1]), device);
        (logits * counts).neg()
    } else if values.is_empty() {
        let targets = TensorData::new(classes, [inputs, 1]);
        let targets = Tensor::<2, Int>::from_data(targets, device);
        log_softmax(logits, 1).gather(1, targets).neg()
    } else {
        let targets = Tensor::<2>::from_data(TensorData::new(values, [inputs, 1]), device);
        (logits - targets).square()
    };
    let by_part = losses.reshape([parts.len(), inputs / parts.len()]);
    by_part.sum_dim(1).reshape([parts.len()])
}
