//! The whole job, the ranking in it, and what results hold.

mod budget;
#[cfg(feature = "report")]
mod finished;
mod parts;
mod rank;
mod ranker;
mod results;
#[cfg(feature = "report")]
mod whole;

use std::path::Path;

use beft_files::write_atomic;
#[cfg(feature = "report")]
use beft_score::ScorerKind;

pub use budget::{BudgetPart, BudgetResult};
#[cfg(feature = "report")]
pub use finished::finished_run;
pub use parts::{check_budget, check_scored};
pub use rank::{Ranking, pick, rank, train_for};
pub use ranker::{HeadScores, Ranker};
pub use results::{ModeResult, RunResults, Settings, TuneResults, ranked_scores};
#[cfg(feature = "report")]
pub use whole::{RunEvent, RunOptions, RunOutcome, run, save_run_report};

use beft_train::TrainSettings;

use crate::{Base, Error, TaskData};

#[cfg(feature = "report")]
fn names(scorers: &[ScorerKind]) -> Vec<String> {
    let names = scorers.iter().map(|kind| kind.name().to_owned());
    names.collect()
}

/// The settings of a run or a single tuning, for the record.
pub fn settings(
    base: &Base,
    data: &TaskData,
    tune: &TrainSettings,
    folder: &str,
    device: &str,
) -> Settings {
    Settings {
        model: base.name().to_owned(),
        task: data.task.name.clone(),
        data: folder.to_owned(),
        train_size: data.train_examples.len(),
        dev_size: data.dev_len(),
        labels: data.outputs.names().to_vec(),
        learning_rate: tune.learning_rate,
        epochs: tune.epochs,
        batch_size: tune.batch_size,
        seed: tune.seed,
        max_length: base.max_length(),
        device: device.to_owned(),
        precision: base.precision().to_string(),
        forward: (!tune.forward.is_f32()).then(|| tune.forward.to_string()),
        held_out: data.task.held_out.filter(|_| data.split_file.is_some()),
        balanced: data.task.balanced,
    }
}

/// Writes a value as pretty JSON, whole or not at all.
///
/// # Errors
///
/// When the file cannot be written.
pub fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), Error> {
    let json = serde_json::to_string_pretty(value).map_err(|e| Error::Write {
        path: path.to_owned(),
        source: e.into(),
    })?;
    write(path, json + "\n")
}

fn write(path: &Path, text: String) -> Result<(), Error> {
    write_atomic(path, text.as_bytes()).map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}
