//! The permutation against fixtures made by numpy 2.4 (`np.random.seed`, `np.random.permutation`).

use std::fs;
use std::path::Path;

use beft_tasks::{numpy_permutation, training_subset};

#[derive(serde::Deserialize)]
struct Fixture {
    seed: u32,
    n: usize,
    first: Vec<usize>,
}

#[test]
fn permutations_are_those_of_numpy() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/permutation.json");
    let fixtures: Vec<Fixture> = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert!(!fixtures.is_empty());
    for Fixture { seed, n, first } in fixtures {
        let mut all = numpy_permutation(seed, n);
        assert_eq!(all[..first.len()], first, "seed {seed}, n {n}");
        assert_eq!(training_subset(seed, n, first.len()), first);
        all.sort_unstable();
        assert!(all.into_iter().eq(0..n), "seed {seed}, n {n}");
    }
}
