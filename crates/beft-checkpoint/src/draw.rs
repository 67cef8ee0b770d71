use beft_nn::map_params;
use burn::module::Module;
use burn::tensor::TensorData;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use crate::{LoadReport, NameTable};

/// Draws the weights that a checkpoint did not hold from `N(0, range)` by `seed`, the same on every backend.
pub fn draw_missing<M: Module>(
    module: M,
    names: &NameTable,
    report: &LoadReport,
    range: f64,
    seed: u64,
) -> M {
    map_params(module, |path, shape| {
        let (_, name) = names
            .by_path(path)
            .filter(|_| path.as_str().ends_with(".weight"))?;
        let new = report.initialized.contains(&name);
        new.then(|| normal(shape, range, path.as_str(), seed))
    })
}

/// Normal values by seed and parameter path, drawn on the host.
fn normal(shape: &[usize], std: f64, path: &str, seed: u64) -> TensorData {
    // A stream per parameter: a missing pooler does not change the head's values.
    let stream = path.bytes().fold(0, |hash: u64, b| {
        hash.wrapping_mul(31).wrapping_add(b.into())
    });
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    let distribution = Normal::new(0.0, std as f32).unwrap_or_else(|_| unreachable!("std > 0"));
    let values: Vec<f32> = distribution
        .sample_iter(rng)
        .take(shape.iter().product())
        .collect();
    TensorData::new(values, shape.to_vec())
}
