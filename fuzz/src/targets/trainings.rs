//! What an interrupted training left.

use std::path::Path;
use std::sync::OnceLock;

use beft::{Base, DataOptions, TaskData, protocol, tune};
use beft_tasks::{LabelledTask, Task};
use beft_train::{Checkpoint, Event};

use super::{table, words, written};
use crate::{Format, Sample, scratch};

const STATE: &str = "state.safetensors";

fn folder() -> Sample {
    Sample::default()
        .nested("model", &written("bert"))
        .with("data/train.tsv", table('\t', 4))
        .with("data/dev.tsv", table('\t', 2))
}

/// Trains for two epochs; what is left after the first is the state's content.
fn train(given: &Path, mut after_first: impl FnMut(&Path)) -> Result<(), String> {
    let device = beft_device::parse_device("flex").map_err(words)?;
    let task = Task::from(LabelledTask::named("text").map_err(words)?);
    let model = given.join("model").display().to_string();
    let base = Base::open(&model, None, &device);
    let base = base.and_then(|base| base.for_task(&task)).map_err(words)?;
    let data = given.join("data");
    let data = TaskData::load(&task, &data, &base, &DataOptions::default()).map_err(words)?;
    let mode = "v".parse().map_err(words)?;
    let mut settings = protocol(&task, &mode, &base, 0);
    settings.epochs = 2;
    let path = given.join(STATE);
    settings.checkpoint = Some(Checkpoint {
        path: path.clone(),
        resume: true,
    });
    let on_event = |event: Event<'_>| {
        if let Event::Step { epoch: 2, .. } = event {
            after_first(&path);
        }
    };
    tune(&base, &data, &mode, &settings, on_event)
        .map(drop)
        .map_err(words)
}

pub(super) fn states() -> Vec<Sample> {
    static MADE: OnceLock<Vec<u8>> = OnceLock::new();
    let state = MADE.get_or_init(|| {
        let dir = scratch();
        let mut found = Vec::new();
        folder().write(dir.path()).expect("files");
        let keep = |path: &Path| found = std::fs::read(path).unwrap_or_default();
        train(dir.path(), keep).expect("a training");
        found
    });
    let sample = folder().with(STATE, state.clone());
    vec![sample.changing(STATE, Format::Safetensors)]
}

pub(super) fn resume(given: &Path, _: &Path) -> Result<(), String> {
    train(given, |_| ())
}
