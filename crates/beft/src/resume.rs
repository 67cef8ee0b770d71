//! What an interrupted training is recognised by, and what a finished one left.

use std::fs;
use std::path::Path;

use beft_core::TermSet;
use beft_modes::Mode;
use beft_train::TrainError;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::differences::check_same;
use crate::run::{modes, names};
use crate::{
    Base, Difference, Error, RunOptions, RunResults, TaskData, TrainingRecord, TuneJob,
    TuneOptions, TuneResults, saved_folder,
};

/// The identity of trainings in their checkpoint.
pub(crate) fn identity(records: &[TrainingRecord]) -> Result<String, Error> {
    serde_json::to_string(records).map_err(|e| Error::Usage(e.to_string()))
}

/// Names the settings in which a checkpoint differs; one that does not say them stays as it is.
pub(crate) fn named_differences(error: Error) -> Error {
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
trait Finished: DeserializeOwned {
    /// What its trainings follow from.
    fn trainings(&self) -> &[TrainingRecord];
}

impl Finished for RunResults {
    fn trainings(&self) -> &[TrainingRecord] {
        &self.trainings
    }
}

impl Finished for TuneResults {
    fn trainings(&self) -> &[TrainingRecord] {
        &self.trainings
    }
}

/// Reads what finished trainings left, if they follow from the same. `None` when there are no results,
/// or they are of a version that did not write what they follow from.
fn find_finished<T: Finished>(path: &Path, records: &[TrainingRecord]) -> Result<Option<T>, Error> {
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
    options: &TuneOptions,
    out: &Path,
) -> Result<Option<TuneResults>, Error> {
    let job = TuneJob {
        data,
        mode: mode.clone(),
        options: options.clone(),
    };
    let record = TrainingRecord::of(base, &job)?;
    let found = find_finished(&out.join("results.json"), &[record])?;
    Ok(found.filter(|_| saved_folder(mode, out).is_dir()))
}

/// What an earlier [`run`](crate::run()) of the same left in the folder `out`: the results of its `results.json`, if the
/// adapter is still there.
///
/// # Errors
///
/// When the run that finished there has other settings; they are named.
pub fn finished_run(
    base: &Base,
    data: &TaskData,
    options: &RunOptions,
    out: &Path,
) -> Result<Option<RunResults>, Error> {
    let records = modes(base, options).into_iter().map(|mode| {
        let options = options.tune.clone();
        let job = TuneJob {
            data,
            mode,
            options,
        };
        TrainingRecord::of(base, &job)
    });
    let records: Vec<TrainingRecord> = records.collect::<Result<_, _>>()?;
    let path = out.join("results.json");
    let Some(found) = find_finished::<RunResults>(&path, &records)? else {
        return Ok(None);
    };
    let scorers = names(&options.scorers);
    if scorers != found.scorers {
        let value = |names: Vec<String>| Value::String(names.join(","));
        return Err(Error::OtherSettings {
            path,
            state: "finished",
            differences: vec![Difference {
                name: "scorer".to_owned(),
                ours: value(scorers),
                theirs: value(found.scorers),
            }],
        });
    }
    let adapter = saved_folder(&Mode::Biases(TermSet::all()), out);
    Ok(Some(found).filter(|_| adapter.is_dir()))
}
