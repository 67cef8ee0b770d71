//! What an interrupted training is recognised by, and what a finished one left.

use std::fs;
use std::path::Path;

use beft_modes::Mode;
use beft_train::{TrainError, TrainSettings};
use serde::de::DeserializeOwned;

use super::{Difference, check_same, differences, model_digest};
use crate::{Base, Error, TaskData, TrainingRecord, TuneJob, TuneResults, saved_folder};

/// The identity of trainings in their checkpoint.
pub(crate) fn identity(records: &[TrainingRecord]) -> String {
    // There is nothing in it that JSON cannot hold.
    serde_json::to_string(records).unwrap_or_default()
}

/// Names the settings in which a checkpoint differs; one that does not say them stays as it is.
pub(crate) fn named_differences(error: Error) -> Error {
    if let Error::Train(TrainError::OtherPeer { rank, ours, theirs }) = &error {
        let read =
            |text: &str| serde_json::from_str::<Vec<TrainingRecord>>(text).unwrap_or_default();
        let found = differences(&read(ours), &read(theirs));
        let words = found.iter().map(Difference::there_and_here);
        return Error::Train(TrainError::Peers(format!(
            "process {rank} trains something else ({}): give all of them the same model, data and options",
            words.collect::<Vec<_>>().join("; ")
        )));
    }
    let Error::Train(TrainError::OtherTraining { path, ours, theirs }) = &error else {
        return error;
    };
    let read = |text: &str| serde_json::from_str::<Vec<TrainingRecord>>(text);
    match (read(ours), read(theirs)) {
        (Ok(ours), Ok(theirs)) => match check_same(path, "interrupted", &ours, &theirs) {
            Err(named) => named,
            Ok(()) => error,
        },
        _ => Error::Train(TrainError::Checkpoint {
            path: path.clone(),
            reason: "another version of this program wrote it; delete it to begin anew".to_owned(),
        }),
    }
}

/// The results that an earlier run left in a `results.json`, if it has finished.
pub(crate) trait Finished: DeserializeOwned {
    /// What its trainings follow from.
    fn trainings(&self) -> &[TrainingRecord];
}

impl Finished for TuneResults {
    fn trainings(&self) -> &[TrainingRecord] {
        &self.trainings
    }
}

/// Reads what finished trainings left, if they follow from the same. `None` when there are no results,
/// or they are of a version that did not write what they follow from.
pub(crate) fn find_finished<T: Finished>(
    path: &Path,
    records: &[TrainingRecord],
) -> Result<Option<T>, Error> {
    let Ok(text) = fs::read(path) else {
        return Ok(None);
    };
    match serde_json::from_slice::<T>(&text) {
        Ok(found) if !found.trainings().is_empty() => {
            check_same(path, "finished", records, found.trainings())?;
            Ok(Some(found))
        }
        _ => Ok(None),
    }
}

/// What an earlier [`tune`](crate::tune()) of the same left in the folder `out`: the results of its `results.json`, if
/// what it saved is still there.
///
/// # Errors
///
/// When the training that finished there has other settings; they are named.
pub fn finished_tune(
    base: &Base,
    data: &TaskData,
    mode: &Mode,
    settings: &TrainSettings,
    out: &Path,
) -> Result<Option<TuneResults>, Error> {
    let job = TuneJob {
        data,
        mode: mode.clone(),
        settings: settings.clone(),
    };
    let record = job.record(base, model_digest(base)?);
    let found = find_finished(&out.join("results.json"), &[record])?;
    Ok(found.filter(|_| saved_folder(mode, out).is_dir()))
}
