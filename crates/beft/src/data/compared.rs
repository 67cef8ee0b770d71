//! Texts whose embeddings are compared.

use beft_core::{EncodedSet, Prediction, Targets};
use beft_tasks::{Example, Label, LabelTarget, LabelledTask};
use burn::tensor::{Device, Tensor, TensorData};

use crate::{Base, Error};

/// Tokenises the two or three texts of each example, one behind the other, and says what is to say of them; `file` is
/// theirs.
///
/// # Errors
///
/// When the tokenizer fails.
pub(crate) fn compared_set(
    base: &Base,
    task: &LabelledTask,
    examples: &[Example],
    file: &str,
) -> Result<(EncodedSet, Vec<String>), Error> {
    let texts = examples.iter().flat_map(|example| {
        let negative = match &example.label {
            Some(Label::Negative(text)) => Some(text.as_str()),
            _ => None,
        };
        let pair = [Some(example.text.as_str()), example.text_pair.as_deref()];
        pair.into_iter().chain([negative]).flatten()
    });
    let encoded = base.encode(texts.map(|text| (text, None)))?;
    let targets = match task.target {
        LabelTarget::Similarity((low, high)) => {
            let labels = examples.iter().filter_map(|example| example.label.as_ref());
            let values = labels.filter_map(Label::value);
            let shares = values.map(|value| ((value - low) / (high - low)) as f32);
            Targets::Similarities(shares.collect())
        }
        _ => Targets::Ranked(examples.len()),
    };
    let notes = base.input_notes(file, encoded.counts);
    Ok((EncodedSet::new(encoded.encodings, targets), notes))
}

/// What embeddings of a set's texts say: of pairs their cosine, else the place of each example's second text among the
/// second and third texts of all, by the cosine with its first.
pub(crate) fn compare(set: &EncodedSet, embeddings: &[Vec<f32>]) -> Vec<Prediction> {
    match &set.targets {
        Targets::Ranked(_) => ranks(embeddings, set.views()),
        _ => embeddings
            .chunks_exact(2)
            .map(|pair| Prediction::Value(cosine(&pair[0], &pair[1])))
            .collect(),
    }
}

/// The cosine of the angle between two embeddings; 0 where one of them is zero.
pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let product = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(x, y)| f64::from(*x) * f64::from(*y))
            .sum()
    };
    let norms = (product(a, a) * product(b, b)).sqrt();
    (product(a, b) / norms.max(f64::MIN_POSITIVE)) as f32
}

/// Divides an embedding by its norm.
pub(crate) fn normalize(embedding: &mut [f32]) {
    let norm: f64 = embedding.iter().map(|x| f64::from(*x).powi(2)).sum();
    let norm = norm.sqrt().max(1e-12);
    for x in embedding {
        *x = (f64::from(*x) / norm) as f32;
    }
}

/// First texts that are compared with all others at a time.
const ROWS: usize = 256;

/// Of equal texts the others are nearer.
fn ranks(embeddings: &[Vec<f32>], views: usize) -> Vec<Prediction> {
    let examples = embeddings.len() / views.max(1);
    let width = embeddings.first().map_or(0, Vec::len);
    let device = Device::default();
    let on_device = |rows: Vec<&Vec<f32>>| {
        let count = rows.len();
        let values = rows.into_iter().flat_map(|row| {
            let mut row = row.clone();
            normalize(&mut row);
            row
        });
        let data = TensorData::new(values.collect::<Vec<f32>>(), [count, width]);
        Tensor::<2>::from_data(data, &device)
    };
    let of = |view: usize| embeddings.iter().skip(view).step_by(views);
    let texts = on_device((1..views).flat_map(of).collect());
    let others = texts.transpose();
    let mut places = Vec::with_capacity(examples);
    let anchors: Vec<&Vec<f32>> = of(0).collect();
    for chunk in anchors.chunks(ROWS) {
        let scores = on_device(chunk.to_vec()).matmul(others.clone()).into_data();
        let scores: Vec<f32> = scores.iter().collect();
        for row in scores.chunks(examples * (views - 1)) {
            let own = row[places.len()];
            let nearer = row.iter().filter(|score| **score >= own).count();
            places.push(match own.is_finite() {
                true => nearer,
                false => 0,
            });
        }
    }
    places.into_iter().map(Prediction::Rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(targets: Targets, inputs: usize) -> EncodedSet {
        EncodedSet::new(vec![Default::default(); inputs], targets)
    }

    #[test]
    fn pairs_have_a_cosine_and_texts_a_place() {
        let embeddings =
            |rows: &[[f32; 2]]| rows.iter().map(|row| row.to_vec()).collect::<Vec<_>>();
        let found = compare(
            &set(Targets::Similarities(vec![0.5, 1.0]), 4),
            &embeddings(&[[1.0, 0.0], [3.0, 3.0], [0.0, 2.0], [0.0, -1.0]]),
        );
        let cosines: Vec<f32> = found.iter().map(|p| p.scores()[0]).collect();
        assert!((cosines[0] - 0.5_f32.sqrt()).abs() < 1e-7 && cosines[1] == -1.0);

        // The second text of the second example is nearer to the first one's first than its own.
        let rows = [[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [2.0, 0.1]];
        let found = compare(&set(Targets::Ranked(2), 4), &embeddings(&rows));
        assert_eq!(found, [Prediction::Rank(2), Prediction::Rank(2)]);
        // A third text is among those that are compared.
        let rows = [
            [1.0, 0.0],
            [1.0, 0.1],
            [1.0, 0.0],
            [0.0, 1.0],
            [0.0, 2.0],
            [-1.0, 0.0],
        ];
        let found = compare(&set(Targets::Ranked(2), 6), &embeddings(&rows));
        assert_eq!(found, [Prediction::Rank(2), Prediction::Rank(1)]);
    }
}
