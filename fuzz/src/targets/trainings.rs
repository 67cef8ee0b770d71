//! What an interrupted training left.

use std::path::Path;
use std::sync::OnceLock;

use beft_train::{Checkpoint, Event, TrainSettings};

use super::{model_and_data, tuned};
use crate::{Format, Sample, scratch};

const STATE: &str = "state.safetensors";

/// Trains for two epochs; what is left after the first is the state's content.
fn train(given: &Path, mut after_first: impl FnMut(&Path)) -> Result<(), String> {
    let path = given.join(STATE);
    let settings = |settings: &mut TrainSettings| {
        settings.epochs = 2;
        settings.checkpoint = Some(Checkpoint {
            path: path.clone(),
            resume: true,
        });
    };
    let on_event = |event: Event<'_>| {
        if let Event::Step { epoch: 2, .. } = event {
            after_first(&path);
        }
    };
    tuned(
        &given.join("model"),
        &given.join("data"),
        "v",
        settings,
        on_event,
    )
}

pub(super) fn states() -> Vec<Sample> {
    static MADE: OnceLock<Vec<u8>> = OnceLock::new();
    let state = MADE.get_or_init(|| {
        let dir = scratch();
        let mut found = Vec::new();
        model_and_data().write(dir.path()).expect("files");
        let keep = |path: &Path| found = std::fs::read(path).unwrap_or_default();
        train(dir.path(), keep).expect("a training");
        found
    });
    let sample = model_and_data().with(STATE, state.clone());
    vec![sample.changing(STATE, Format::Safetensors)]
}

pub(super) fn resume(given: &Path, _: &Path) -> Result<(), String> {
    train(given, |_| ())
}
