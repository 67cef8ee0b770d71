use beft_core::Encoding;
use beft_nn::{Batch, Padding, SequenceClassifier};

/// Class scores of every input, in the order given.
///
/// Runs without gradients and without dropout. Inputs are batched by length, so that batches hold
/// little padding; the result does not depend on it. `on_done` hears how many inputs each batch
/// finished.
pub fn predict<M: SequenceClassifier>(
    model: &M,
    encodings: &[Encoding],
    batch_size: usize,
    padding: Padding,
    mut on_done: impl FnMut(usize),
) -> Vec<Vec<f32>> {
    let model = model.valid();
    let device = model.devices().first().cloned().unwrap_or_default();
    let mut order: Vec<usize> = (0..encodings.len()).collect();
    order.sort_by_key(|index| encodings[*index].len());

    let mut logits = vec![Vec::new(); encodings.len()];
    for chosen in order.chunks(batch_size.max(1)) {
        let batch = Batch::new(chosen.iter().map(|i| &encodings[*i]), padding, &device);
        let scores: Vec<f32> = model.forward(&batch).into_data().iter::<f32>().collect();
        let classes = scores.len() / chosen.len();
        for (index, row) in chosen.iter().zip(scores.chunks(classes)) {
            logits[*index] = row.to_vec();
        }
        on_done(chosen.len());
    }
    logits
}

/// The class with the highest score, the first of equals; 0 when there is none.
pub fn argmax(scores: &[f32]) -> usize {
    let mut best = 0;
    for (class, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = class;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argmax_takes_the_first_of_equals() {
        assert_eq!(argmax(&[0.1, 0.5, 0.5]), 1);
        assert_eq!(argmax(&[-2.0, -3.0]), 0);
        assert_eq!(argmax(&[f32::NAN, 1.0]), 0);
    }
}
