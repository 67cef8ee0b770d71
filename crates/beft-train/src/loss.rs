use beft_core::{EncodedSet, Targets};
use beft_nn::{Batch, Savings, SequenceClassifier};
use burn::nn::loss::{CrossEntropyLossConfig, MseLoss, Reduction};
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
    let batch = batch(data, chosen, savings, device);
    loss(model.forward(&batch), data, chosen)
}

/// The examples `chosen` of `data` on a device.
pub(crate) fn batch(
    data: &EncodedSet,
    chosen: &[usize],
    savings: impl Into<Savings>,
    device: &Device,
) -> Batch {
    let encodings = chosen.iter().map(|i| &data.encodings[*i]);
    Batch::new(encodings, savings, device)
}

/// The mean loss of class scores of the examples `chosen`: cross entropy over classes, or the
/// squared error of the one score for values (HF `*ForSequenceClassification.forward`).
///
/// # Shapes
///
/// - logits: `[chosen, classes]`
/// - output: `[1]`
pub(crate) fn loss(logits: Tensor<2>, data: &EncodedSet, chosen: &[usize]) -> Tensor<1> {
    let device = &logits.device();
    let shape = [chosen.len()];
    match &data.targets {
        Targets::Classes(classes) => {
            let classes: Vec<i64> = chosen.iter().map(|i| classes[*i] as i64).collect();
            let targets = Tensor::<1, Int>::from_data(TensorData::new(classes, shape), device);
            CrossEntropyLossConfig::new()
                .init(device)
                .forward(logits, targets)
        }
        Targets::Values(values) => {
            let values: Vec<f32> = chosen.iter().map(|i| values[*i]).collect();
            let targets = Tensor::<1>::from_data(TensorData::new(values, shape), device);
            MseLoss::new().forward(logits.reshape(shape), targets, Reduction::Mean)
        }
    }
}
