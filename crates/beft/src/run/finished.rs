//! Runs that have finished.

use std::path::Path;

use beft_core::TermSet;
use beft_modes::Mode;
use serde_json::{Value, json};

use super::names;
use super::whole::modes;
use crate::tune::{Finished, find_finished};
use crate::{
    Base, Difference, Error, RunOptions, RunResults, TaskData, TrainingRecord, TuneJob,
    model_digest, saved_folder,
};

impl Finished for RunResults {
    fn trainings(&self) -> &[TrainingRecord] {
        // What a budget is spent on follows from the others.
        let chosen = self
            .budget
            .as_ref()
            .is_some_and(|budget| budget.trained_alone);
        let chosen = usize::from(chosen);
        &self.trainings[..self.trainings.len().saturating_sub(chosen)]
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
    let list = |names: &[String]| Value::String(names.join(","));
    let (ours, theirs) = (options.budget, found.budget.as_ref());
    let settings = [
        (
            "scorer",
            list(&names(&options.scorers)),
            list(&found.scorers),
        ),
        (
            "budget",
            json!(ours.map(|(values, _)| values)),
            json!(theirs.map(|budget| budget.budget)),
        ),
        (
            "parts",
            json!(ours.map(|(_, parts)| parts.name())),
            json!(theirs.map(|budget| &budget.parts)),
        ),
    ];
    let differences = settings
        .into_iter()
        .filter(|(_, ours, theirs)| ours != theirs);
    let differences: Vec<Difference> = differences
        .map(|(name, ours, theirs)| Difference {
            name: name.to_owned(),
            ours,
            theirs,
        })
        .collect();
    if !differences.is_empty() {
        return Err(Error::OtherSettings {
            path,
            state: "finished",
            differences,
        });
    }
    let adapter = saved_folder(&Mode::Biases(TermSet::all()), out);
    Ok(Some(found).filter(|_| adapter.is_dir()))
}
