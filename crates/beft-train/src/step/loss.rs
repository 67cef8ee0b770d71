use beft_core::{EncodedSet, Targets};
use beft_nn::{Batch, Savings, TaskModel};
use burn::tensor::activation::{log_sigmoid, log_softmax};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::embedding_loss::{ranking_losses, similarity_losses};

/// The mean loss of a model on the examples `chosen` (indices into `data`): cross entropy over
/// classes or over the tags of tokens, the mean binary cross entropy over labels, the squared error of the one score
/// for values, or the mean of the cross entropies of a span's start and end over the tokens of its input. Classes count
/// by [`EncodedSet::class_weights`], as in PyTorch's `CrossEntropyLoss(weight)` and `BCEWithLogitsLoss(pos_weight)`.
///
/// # Shapes
///
/// - output: `[1]`
pub fn batch_loss<M: TaskModel>(
    model: &M,
    data: &EncodedSet,
    chosen: &[usize],
    savings: impl Into<Savings>,
    device: &Device,
) -> Tensor<1> {
    let part = Part { data, chosen };
    let batch = batch(&[part], savings, device);
    loss_sums(model.forward(&batch), &[part]) / part.weight()
}

/// Examples of one training: numbers of `data`.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) data: &'a EncodedSet,
    pub(crate) chosen: &'a [usize],
}

impl Part<'_> {
    /// Whether the loss of an example depends on the others, so that they are computed together.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.data.targets, Targets::Ranked(_))
    }

    /// What the sum of its losses is divided by for their mean: the number of examples or of tokens, or the sum of
    /// the weights of their classes.
    pub(crate) fn weight(&self) -> f32 {
        let chosen = self.chosen.iter();
        match &self.data.targets {
            Targets::Classes(_) if self.data.class_weights.is_empty() => self.chosen.len() as f32,
            Targets::Classes(of) => chosen.map(|i| self.data.class_weights[of[*i]]).sum(),
            Targets::Labels(_) | Targets::Values(_) | Targets::Spans(_) => self.chosen.len() as f32,
            Targets::Similarities(_) | Targets::Ranked(_) => self.chosen.len() as f32,
            Targets::Tokens(counts) => chosen.map(|i| counts[*i]).sum::<usize>() as f32,
            Targets::Tags(tags) => {
                let weights = &self.data.class_weights;
                let tagged = chosen.flat_map(|i| tags[*i].iter().flatten());
                let sum: f32 = { tagged }.map(|tag| weight_of(weights, *tag)).sum();
                // Texts without a tag have no loss.
                if sum > 0.0 { sum } else { 1.0 }
            }
        }
    }
}

/// Puts the examples of trainings with equally many each on a device; each part has its own of the stacked
/// biases.
pub(crate) fn batch(parts: &[Part<'_>], savings: impl Into<Savings>, device: &Device) -> Batch {
    let encodings = parts
        .iter()
        .flat_map(|part| part.chosen.iter().flat_map(|i| part.data.inputs(*i)));
    Batch::new(encodings, savings, device).with_stacked_biases(parts.len())
}

/// For each part the sum of its examples' losses: cross entropy over classes, the mean binary cross entropy over
/// labels, the squared error of the one score for values (HF `*ForSequenceClassification.forward`), or minus the log
/// likelihood of all predicted tokens, whose mean the one score is. Of tags it is the cross entropy of each token that
/// has one (HF `*ForTokenClassification.forward`). Of a span it is the mean of the cross entropies of its start and its
/// end over the input's own tokens (HF `*ForQuestionAnswering.forward`, which takes padding along). Of embeddings see
/// `embedding_loss.rs`.
///
/// # Shapes
///
/// - logits: `[parts * examples of each, classes]`; of tags `[tokens, classes]`, of spans `[tokens, 2]`, of
///   embeddings `[views * examples, width]`
/// - output: `[parts]`
pub(crate) fn loss_sums(logits: Tensor<2>, parts: &[Part<'_>]) -> Tensor<1> {
    let inputs: usize = parts.iter().map(|part| part.chosen.len()).sum();
    // Parts that are computed together are of one kind.
    let losses = match &parts[0].data.targets {
        Targets::Classes(_) => cross_entropy(logits, parts),
        Targets::Tags(_) => return tag_losses(logits, parts),
        Targets::Labels(_) => binary_cross_entropy(logits, parts),
        Targets::Values(_) => {
            let targets = column(&logits, parts, |targets, i| match targets {
                Targets::Values(values) => values[i],
                // Of one kind are all.
                _ => 0.0,
            });
            (logits - targets).square()
        }
        Targets::Tokens(_) => {
            let counts = column(&logits, parts, |targets, i| match targets {
                Targets::Tokens(counts) => counts[i] as f32,
                _ => 0.0,
            });
            (logits * counts).neg()
        }
        Targets::Spans(_) => span_losses(logits, parts),
        Targets::Similarities(_) => similarity_losses(logits, parts),
        Targets::Ranked(_) => ranking_losses(logits, parts),
    };
    let by_part = losses.reshape([parts.len(), inputs / parts.len()]);
    by_part.sum_dim(1).reshape([parts.len()])
}

/// A number for each example, `[inputs, 1]`.
fn column(
    logits: &Tensor<2>,
    parts: &[Part<'_>],
    number: impl Fn(&Targets, usize) -> f32,
) -> Tensor<2> {
    let numbers = parts.iter().flat_map(|part| {
        let numbers = part.chosen.iter();
        numbers.map(|i| number(&part.data.targets, *i))
    });
    let numbers: Vec<f32> = numbers.collect();
    let count = numbers.len();
    Tensor::from_data(TensorData::new(numbers, [count, 1]), &logits.device())
}

/// The mean of the cross entropies of start and end, `[inputs, 1]`.
fn span_losses(logits: Tensor<2>, parts: &[Part<'_>]) -> Tensor<2> {
    let (mut lengths, mut spans) = (Vec::<usize>::new(), Vec::<i64>::new());
    for part in parts {
        if let Targets::Spans(of) = &part.data.targets {
            for i in part.chosen {
                lengths.push(part.data.encodings[*i].len());
                spans.extend([of[*i].0 as i64, of[*i].1 as i64]);
            }
        }
    }
    let (inputs, longest) = (lengths.len(), lengths.iter().copied().max().unwrap_or(0));
    // The rows of each input, and as many of the first row as it is shorter than the longest.
    let (mut rows, mut padded) = (Vec::<i64>::new(), Vec::<bool>::new());
    let mut first = 0;
    for length in lengths {
        rows.extend((0..longest).map(|at| if at < length { (first + at) as i64 } else { 0 }));
        padded.extend((0..longest).flat_map(|at| [at >= length; 2]));
        first += length;
    }
    let device = logits.device();
    let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [inputs * longest]), &device);
    let padded = TensorData::new(padded, [inputs, longest, 2]);
    let padded = Tensor::<3, Bool>::from_data(padded, &device);
    let spans = Tensor::<3, Int>::from_data(TensorData::new(spans, [inputs, 1, 2]), &device);
    let logits = logits.select(0, rows).reshape([inputs, longest, 2]);
    let logits = logits.mask_fill(padded, NOT_A_TOKEN);
    let losses = log_softmax(logits, 1).gather(1, spans).neg();
    losses.mean_dim(2).reshape([inputs, 1])
}

/// What leaves nothing of a score behind a softmax.
const NOT_A_TOKEN: f32 = -1e9;

fn cross_entropy(logits: Tensor<2>, parts: &[Part<'_>]) -> Tensor<2> {
    let (mut classes, mut weights) = (Vec::<i64>::new(), Vec::<f32>::new());
    for part in parts {
        if let Targets::Classes(of) = &part.data.targets {
            let weighted = &part.data.class_weights;
            for i in part.chosen {
                classes.push(of[*i] as i64);
                weights.push(weight_of(weighted, of[*i]));
            }
        }
    }
    weighted_cross_entropy(logits, classes, weights)
}

/// What a class counts; 1 where all count alike.
fn weight_of(weights: &[f32], class: usize) -> f32 {
    weights.get(class).copied().unwrap_or(1.0)
}

/// For each part the sum of the losses of its tokens that have a tag; the rows are those of all tokens.
fn tag_losses(logits: Tensor<2>, parts: &[Part<'_>]) -> Tensor<1> {
    let device = logits.device();
    let (mut classes, mut weights) = (Vec::<i64>::new(), Vec::<f32>::new());
    let (mut rows, mut ends) = (Vec::<i64>::new(), Vec::new());
    let mut row = 0;
    for part in parts {
        if let Targets::Tags(tags) = &part.data.targets {
            for tag in part.chosen.iter().flat_map(|i| &tags[*i]) {
                if let Some(tag) = tag {
                    rows.push(row);
                    classes.push(*tag as i64);
                    weights.push(weight_of(&part.data.class_weights, *tag));
                }
                row += 1;
            }
        }
        ends.push(rows.len());
    }
    if rows.is_empty() {
        return logits.sum().mul_scalar(0.0).repeat(&[parts.len()]);
    }
    let count = rows.len();
    let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [count]), &device);
    let losses = weighted_cross_entropy(logits.select(0, rows), classes, weights);
    let starts = std::iter::once(0).chain(ends.clone());
    let sums = starts.zip(ends).map(|(start, end)| match start < end {
        true => losses.clone().slice([start..end, 0..1]).sum(),
        false => Tensor::zeros([1], &device),
    });
    Tensor::cat(sums.collect(), 0)
}

/// The cross entropy of each row, by what its class counts, `[rows, 1]`.
fn weighted_cross_entropy(logits: Tensor<2>, classes: Vec<i64>, weights: Vec<f32>) -> Tensor<2> {
    let count = classes.len();
    let equal = weights.iter().all(|weight| *weight == 1.0);
    let targets = TensorData::new(classes, [count, 1]);
    let targets = Tensor::<2, Int>::from_data(targets, &logits.device());
    let weights = Tensor::<2>::from_data(TensorData::new(weights, [count, 1]), &logits.device());
    let losses = log_softmax(logits, 1).gather(1, targets).neg();
    match equal {
        true => losses,
        false => losses * weights,
    }
}

fn binary_cross_entropy(logits: Tensor<2>, parts: &[Part<'_>]) -> Tensor<2> {
    let [inputs, labels] = logits.dims();
    let (mut holds, mut counts) = (Vec::<f32>::new(), Vec::<f32>::new());
    for part in parts {
        if let Targets::Labels(sets) = &part.data.targets {
            let weights = &part.data.class_weights;
            for i in part.chosen {
                let set = &sets[*i];
                holds.extend((0..labels).map(|label| f32::from(u8::from(set.contains(&label)))));
                counts.extend((0..labels).map(|label| weights.get(label).copied().unwrap_or(1.0)));
            }
        }
    }
    let on = |values: Vec<f32>| {
        let data = TensorData::new(values, [inputs, labels]);
        Tensor::<2>::from_data(data, &logits.device())
    };
    let (holds, counts) = (on(holds), on(counts));
    let yes = log_sigmoid(logits.clone()) * holds.clone() * counts;
    let no = log_sigmoid(logits.neg()) * holds.neg().add_scalar(1.0);
    (yes + no).neg().mean_dim(1)
}

#[cfg(test)]
mod tests {
    use beft_core::Encoding;
    use burn::tensor::Device;

    use super::*;

    const LOGITS: [[f32; 3]; 3] = [[0.5, -1.0, 2.0], [0.0, 3.0, -40.0], [1.5, 0.2, -0.3]];

    /// The mean loss and its gradient.
    fn loss(targets: Targets, class_weights: &[f32]) -> (f32, Vec<f32>) {
        let data = EncodedSet {
            encodings: Vec::new(),
            targets,
            class_weights: class_weights.to_vec(),
        };
        let part = Part {
            data: &data,
            chosen: &[0, 1, 2],
        };
        let device = Device::flex().autodiff();
        let logits = Tensor::<2>::from_floats(LOGITS, &device).require_grad();
        let loss = loss_sums(logits.clone(), &[part]) / part.weight();
        let gradients = loss.clone().backward();
        let gradient = logits.grad(&gradients).unwrap().into_data();
        (loss.into_scalar(), gradient.iter().collect())
    }

    #[track_caller]
    fn assert_close((loss, gradient): (f32, Vec<f32>), expected: f32, expected_gradient: [f32; 9]) {
        assert!(
            (loss - expected).abs() < 2e-6 * expected,
            "{loss} for {expected}"
        );
        for (a, b) in gradient.iter().zip(expected_gradient) {
            assert!((a - b).abs() < 1e-6, "{gradient:?}");
        }
    }

    #[test]
    fn the_loss_of_spans_is_transformers() {
        let logits = [
            [0.5, -1.0],
            [2.0, 0.0],
            [3.0, -4.0],
            [1.5, 0.2],
            [-0.3, 0.7],
        ];
        let encoding = |tokens| Encoding {
            ids: vec![1; tokens],
            ..Encoding::default()
        };
        let encodings = vec![encoding(3), encoding(2)];
        let data = EncodedSet::new(encodings, Targets::Spans(vec![(1, 2), (0, 0)]));
        let part = Part {
            data: &data,
            chosen: &[0, 1],
        };
        let device = Device::flex().autodiff();
        let logits = Tensor::<2>::from_floats(logits, &device).require_grad();
        let loss = loss_sums(logits.clone(), &[part]) / part.weight();
        let gradients = loss.clone().backward();
        let gradient = logits.grad(&gradients).unwrap().into_data();
        // (cross_entropy(start, position) + cross_entropy(end, position)) / 2 of each input by itself, their mean.
        let expected = 1.706_289;
        let expected_gradient = [
            [0.014_152_933, 0.066_346_98],
            [-0.186_570_95, 0.180_349_8],
            [0.172_418_02, -0.246_696_78],
            [-0.035_462_77, -0.155_614_83],
            [0.035_462_77, 0.155_614_83],
        ];
        let loss: f32 = loss.into_scalar();
        assert!((loss - expected).abs() < 2e-6 * expected, "{loss}");
        for (a, b) in gradient
            .iter::<f32>()
            .zip(expected_gradient.into_iter().flatten())
        {
            assert!((a - b).abs() < 1e-6, "{gradient:?}");
        }
    }

    #[test]
    fn tokens_without_a_tag_have_no_loss() {
        // cross_entropy(ignore_index=-100) of tags 0, -100, 1; the second with weight.
        let tags = || Targets::Tags(vec![vec![Some(0), None], vec![], vec![Some(1)]]);
        assert_close(
            loss(tags(), &[]),
            1.702_223_4,
            [
                -0.412_354_8,
                0.019_556_286,
                0.392_798_5,
                0.0,
                0.0,
                0.0,
                0.347_746_1,
                -0.405_228_14,
                0.057_482_04,
            ],
        );
        assert_close(
            loss(tags(), &[1.0, 2.0, 5.0]),
            1.689_194_1,
            [
                -0.274_903_2,
                0.013_037_524,
                0.261_865_67,
                0.0,
                0.0,
                0.0,
                0.463_661_43,
                -0.540_304_2,
                0.076_642_72,
            ],
        );
        // Trainings with other numbers of tokens have sums of their own.
        let data = |tags: Vec<Vec<Option<usize>>>| EncodedSet::new(Vec::new(), Targets::Tags(tags));
        let (one, other) = (data(vec![vec![Some(0)]]), data(vec![vec![None, Some(1)]]));
        let part = |data| Part { data, chosen: &[0] };
        let parts = [part(&one), part(&other)];
        let logits = Tensor::<2>::from_floats(LOGITS, &Device::flex());
        let sums: Vec<f32> = loss_sums(logits, &parts).into_data().iter().collect();
        assert!(
            (sums[0] - 1.741_313_8).abs() < 1e-5 && (sums[1] - 1.663_133).abs() < 1e-5,
            "{sums:?}"
        );
        let none = data(vec![vec![None, None, None]]);
        let logits = Tensor::<2>::from_floats(LOGITS, &Device::flex());
        let nothing = loss_sums(logits, &[part(&none)]) / part(&none).weight();
        assert_eq!(nothing.into_scalar::<f32>(), 0.0);
    }

    #[test]
    fn losses_are_pytorchs() {
        let sets = || Targets::Labels(vec![vec![0, 2], vec![1, 2], vec![]]);
        // binary_cross_entropy_with_logits, the second with pos_weight; then cross_entropy with weight.
        assert_close(
            loss(sets(), &[]),
            4.967_767_7,
            [
                -0.041_948_96,
                0.029_882_38,
                -0.013_244_774,
                0.055_555_556,
                -0.005_269_540_5,
                -0.111_111_11,
                0.090_841_606,
                0.061_092_66,
                0.047_284_167,
            ],
        );
        assert_close(
            loss(sets(), &[1.0, 2.0, 5.0]),
            22.807_358,
            [
                -0.041_948_96,
                0.029_882_38,
                -0.066_223_89,
                0.055_555_556,
                -0.010_539_081,
                -0.555_555_6,
                0.090_841_606,
                0.061_092_66,
                0.047_284_167,
            ],
        );
        assert_close(
            loss(Targets::Classes(vec![0, 2, 1]), &[1.0, 2.0, 5.0]),
            27.538_816,
            [
                -0.103_088_7,
                0.004_889_071_5,
                0.098_199_63,
                0.029_641_17,
                0.595_358_85,
                -0.625,
                0.173_873_04,
                -0.202_614_07,
                0.028_741_02,
            ],
        );
    }
}
