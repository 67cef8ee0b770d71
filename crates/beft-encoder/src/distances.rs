//! What attention knows of the distance between two tokens.

use beft_nn::MASKED;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// Number of buckets of MPNet's distances, half of them for tokens behind (`compute_position_bias`).
pub(crate) const BUCKETS: usize = 32;
/// Distances from this on share the last bucket of their direction.
const FARTHEST: f32 = 128.0;

/// What MPNet adds to attention scores, from a table with a row for each bucket.
///
/// # Shapes
///
/// - table: `[buckets, heads]`
/// - output: `[1, heads, length, length]`
pub(crate) fn bucket_scores(table: Tensor<2>, length: usize) -> Tensor<4> {
    let [_, heads] = table.dims();
    let pairs = (0..length).flat_map(|query| (0..length).map(move |key| bucket(query, key)));
    let rows = ints(pairs.map(|bucket| bucket as i64).collect(), &table.device());
    let scores = table.select(0, rows).reshape([length, length, heads]);
    scores.permute([2, 0, 1]).unsqueeze()
}

/// The bucket of the distance of two tokens (`MPNetEncoder.relative_position_bucket`): one for each small distance, and
/// ever wider ones behind those.
fn bucket(query: usize, key: usize) -> usize {
    let half = BUCKETS / 2;
    let exact = half / 2;
    let distance = query.abs_diff(key);
    let behind = if key > query { half } else { 0 };
    if distance < exact {
        return behind + distance;
    }
    let (near, far) = (exact as f32, FARTHEST / exact as f32);
    let steps = (distance as f32 / near).ln() / far.ln() * (half - exact) as f32;
    behind + (exact + steps as usize).min(half - 1)
}

/// What is added to attention scores so that no token sees one that is farther away than `window`; `None` where none is.
///
/// # Shapes
///
/// - output: `[1, 1, length, length]`
pub(crate) fn window_scores(window: usize, length: usize, device: &Device) -> Option<Tensor<4>> {
    let far = |query: usize, key: usize| query.abs_diff(key) > window;
    let pairs = (0..length).flat_map(|query| (0..length).map(move |key| (query, key)));
    let scores = pairs.map(|(query, key)| if far(query, key) { MASKED } else { 0.0 });
    (length > window + 1).then(|| {
        let scores = TensorData::new(scores.collect::<Vec<f32>>(), [1, 1, length, length]);
        Tensor::from_data(scores, device)
    })
}

/// Puts numbers on a device.
pub(crate) fn ints(values: Vec<i64>, device: &Device) -> Tensor<1, Int> {
    let len = values.len();
    Tensor::from_data(TensorData::new(values, [len]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first distance of each bucket, as transformers gives them.
    #[test]
    fn buckets_begin_where_those_of_transformers_do() {
        let firsts = |behind: bool| -> Vec<(usize, usize)> {
            let of = |distance| match behind {
                true => bucket(0, distance),
                false => bucket(distance, 0),
            };
            let mut found = vec![(of(1), 1)];
            for distance in 2..=600 {
                if of(distance) != found[found.len() - 1].0 {
                    found.push((of(distance), distance));
                }
            }
            found
        };
        let starts = [1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91];
        let expected = |from: usize| (from..).zip(starts).collect::<Vec<_>>();
        assert_eq!(firsts(true), expected(17));
        assert_eq!(firsts(false), expected(1));
        assert_eq!(bucket(3, 3), 0);
    }
}
