//! Results to summarise in tests.

use std::collections::BTreeMap;

use super::{Trial, TrialResult};

/// A trial of a mode and seed over a model that is not there.
pub(crate) fn trial(mode: &str, seed: u32) -> Trial {
    Trial {
        model: "model".to_owned(),
        task: "sst2".to_owned(),
        data: "data".into(),
        regime: "low".to_owned(),
        train_size: None,
        mode: mode.to_owned(),
        seed,
        epochs: 3,
        learning_rate: 1e-3,
        batch_size: 16,
        scorers: Vec::new(),
        device: "flex".to_owned(),
        precision: "f32".to_owned(),
        limit: None,
        objective: Default::default(),
        head: false,
        evaluate: Default::default(),
    }
}

/// What such a trial gave: this accuracy, and nothing else.
pub(crate) fn result(mode: &str, seed: u32, accuracy: f64) -> TrialResult {
    TrialResult {
        trial: trial(mode, seed),
        task_name: "sst2".to_owned(),
        train_size: 10,
        labels: vec!["0".to_owned(), "1".to_owned()],
        trainable: 1,
        parameters: 2,
        metrics: [("accuracy".to_owned(), accuracy)].into(),
        epochs: Vec::new(),
        failure: None,
        ranking: BTreeMap::new(),
        notes: Vec::new(),
        samples: BTreeMap::new(),
    }
}
