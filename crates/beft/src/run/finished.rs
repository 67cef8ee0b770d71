//! Runs that have finished.

use std::path::Path;

use beft_core::TermSet;
use beft_modes::Mode;
use serde_json::Value;

use super::names;
use super::whole::modes;
use crate::tune::{Finished, find_finished};
use crate::{
    Base, Difference, Error, RunOptions, RunResults, TaskData, TrainingRecord, TuneJob,
    model_digest, saved_folder,
};

impl Finished for RunResults {
    fn trainings(&self) -> &[TrainingRecord] {
        &self.trainings
    }
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
    let digest = model_digest(base)?;
    let records = modes(base, options).into_iter().map(|mode| {
        let settings = options.tune.clone();
        let job = TuneJob {
            data,
            mode,
            settings,
        };
        job.record(base, digest.clone())
    });
    let records: Vec<TrainingRecord> = records.collect();
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
