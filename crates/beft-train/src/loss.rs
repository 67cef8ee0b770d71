use beft_core::{EncodedSet, Targets};
use beft_nn::{Batch, Padding, SequenceClassifier};
use burn::nn::loss::{CrossEntropyLossConfig, MseLoss, Reduction};
use burn::tensor::{Device, Int, Tensor, TensorData};

/// The mean loss of the examples `chosen` (indices into `data`): cross entropy over classes, or
/// the squared error of the one score for values (HF `*ForSequenceClassification.forward`).
///
/// # Shapes
///
/// - output: `[1]`
pub fn batch_loss<M: SequenceClassifier>(
    model: &M,
    data: &EncodedSet,
    chosen: &[usize],
    padding: Padding,
    device: &Device,
) -> Tensor<1> {
    let encodings = chosen.iter().map(|i| &data.encodings[*i]);
    let logits = model.forward(&Batch::new(encodings, padding, device));
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
