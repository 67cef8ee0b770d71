//! Plans of comparisons, and journals.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use beft_compare::{
    CompareSpec, Journal, Plan, Planned, Shard, Trial, add_pictures, csv, report, run_trials,
    summarize,
};
use beft_core::Stop;

use super::{model_and_data, words};
use crate::{Format, Sample, scratch};

const PLAN: &str = r#"models = ["model"]
modes = ["frozen", "v", "all"]
seeds = [0, 1]
scorers = "beft,magnitude"
epochs = 1
batch_size = 4
evaluate = "last"

[[tasks]]
task = "text"
data = "data"
lr = 2e-3

[mode.v]
lr = 5e-4
"#;

/// A model, data and a plan.
fn folder() -> Sample {
    model_and_data().with("plan.toml", PLAN)
}

pub(super) fn plans() -> Vec<Sample> {
    vec![folder().changing("plan.toml", Format::Text)]
}

fn trials(given: &Path) -> Result<Vec<Trial>, String> {
    let spec = CompareSpec::read(&given.join("plan.toml")).map_err(words)?;
    let local = spec.models.iter().all(|model| Path::new(model).is_dir());
    if !local || spec.tasks.iter().any(|task| task.data.is_none()) {
        return Err("it is of the hub, which nobody asks here".to_owned());
    }
    spec.trials("flex", "f32", None).map_err(words)
}

/// Everything that happens before something is trained.
pub(super) fn read_plan(given: &Path, out: &Path) -> Result<(), String> {
    let trials = trials(given)?;
    let mut journal = Journal::open(out).map_err(words)?;
    let planned = trials
        .into_iter()
        .take(200)
        .map(|trial| journal.plan(trial));
    let planned: Vec<Planned> = planned.collect::<Result<_, _>>().map_err(words)?;
    let shard: Shard = "1/2".parse().map_err(words)?;
    let plan = Plan::new(&mut journal, planned, Some(shard), 4);
    plan.map(drop).map_err(words)
}

/// A journal in which everything is finished, made once.
fn finished() -> &'static (tempfile::TempDir, Vec<PathBuf>) {
    static MADE: OnceLock<(tempfile::TempDir, Vec<PathBuf>)> = OnceLock::new();
    MADE.get_or_init(|| {
        let dir = scratch();
        let made = || -> Result<Vec<PathBuf>, String> {
            folder().write(dir.path()).map_err(words)?;
            let cells = dir.path().join("cells");
            let mut journal = Journal::open(&cells).map_err(words)?;
            let planned = trials(dir.path())?
                .into_iter()
                .map(|trial| journal.plan(trial));
            let planned: Vec<Planned> = planned.collect::<Result<_, _>>().map_err(words)?;
            journal.agree(&planned, 4, true).map_err(words)?;
            let of: Vec<Trial> = planned.iter().map(|p| p.trial.clone()).collect();
            for (planned, trial) in planned.iter().zip(of) {
                let state = dir.path().join(&planned.key);
                let results =
                    run_trials(&[trial], &state, &Stop::default(), |_, _| ()).map_err(words)?;
                journal.finish(planned, &results[0]).map_err(words)?;
            }
            let entries = std::fs::read_dir(&cells).map_err(words)?.flatten();
            let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
            files.sort();
            Ok(files)
        };
        let files = made().expect("a comparison");
        (dir, files)
    })
}

pub(super) fn cells() -> Vec<Sample> {
    let (_, files) = finished();
    let mut sample = folder();
    let mut names = Vec::new();
    for file in files {
        let name = format!("cells/{}", file.file_name().unwrap_or_default().display());
        sample = sample.with(&name, std::fs::read(file).unwrap_or_default());
        names.push(name);
    }
    let changing = |name: &String| sample.clone().changing(name, Format::Json);
    names.iter().map(changing).collect()
}

/// What a comparison that goes on does with what it finds.
pub(super) fn read_cell(given: &Path, _: &Path) -> Result<(), String> {
    let mut journal = Journal::open(&given.join("cells")).map_err(words)?;
    let planned = trials(given)?.into_iter().map(|trial| journal.plan(trial));
    let planned: Vec<Planned> = planned.collect::<Result<_, _>>().map_err(words)?;
    journal.set_damaged_aside(&planned).map_err(words)?;
    journal.others(&planned);
    journal.check_agreed(&planned, Some(4)).map_err(words)?;
    let results = planned.iter().filter_map(|planned| journal.find(planned));
    let groups = summarize(results.collect()).map_err(words)?;
    csv(&groups);
    let mut document = report(&groups);
    add_pictures(&mut document, &groups);
    beft::page(&document, &beft::About::default());
    document.to_latex();
    Ok(())
}
