//! One file per subcommand.

pub(crate) mod demo;
pub(crate) mod devices;
pub(crate) mod eval;
pub(crate) mod predict;
pub(crate) mod rank;
pub(crate) mod run;
pub(crate) mod tune;

use std::path::Path;

use anyhow::Result;
use beft::checkpoint::Adapter;
use beft::core::TermSet;
use beft::tasks::Task;
use beft::{Base, Settings, TaskData, TuneOptions, TuneOutcome, parse_device, settings};

use crate::args::{RecipeArgs, TrainArgs};
use crate::output::{MadeFolders, prepare_folder};
use crate::progress::Progress;

/// What every training command needs, checked and loaded.
struct Setup {
    base: Base,
    data: TaskData,
    options: TuneOptions,
}

impl Setup {
    /// The settings for the record.
    fn settings(&self, args: &TrainArgs) -> Settings {
        let data = args.data.display().to_string();
        settings(
            &self.base,
            &self.data,
            &self.options,
            &data,
            &args.recipe.device,
        )
    }
}

/// Makes sure that `files` and an adapter can be written to `out`, before hours of work go in.
fn prepare_output(out: &Path, files: &[&str]) -> Result<MadeFolders> {
    let made = prepare_folder(out, files)?;
    Adapter::check_target(&out.join("adapter"))?;
    Ok(made)
}

/// Trains one term set, showing progress, and lets `save` write the results to `out`.
fn train_terms(
    args: &TrainArgs,
    terms: &TermSet,
    out: &Path,
    save: impl FnOnce(&Setup, &TuneOutcome) -> Result<()>,
) -> Result<()> {
    let mut progress = Progress::new();
    let setup = setup(args, &progress)?;
    terms.sites(setup.base.num_layers())?;
    let _made = prepare_output(out, &["results.json", "ranking.json"])?;
    progress.mode(terms.to_string());
    let outcome = beft::tune(&setup.base, &setup.data, terms, &setup.options, |event| {
        progress.train(event)
    })?;
    progress.finish();
    if let Some(warning) = outcome.warning(setup.data.labels.len()) {
        eprintln!("warning: {warning}");
    }
    save(&setup, &outcome)
}

/// The task's protocol values with the command line's on top.
fn options(task: &Task, recipe: &RecipeArgs) -> TuneOptions {
    let defaults = TuneOptions::for_task(task, recipe.seed);
    TuneOptions {
        learning_rate: recipe.lr.unwrap_or(defaults.learning_rate),
        epochs: recipe.epochs.map_or(defaults.epochs, |n| n as usize),
        batch_size: recipe
            .batch_size
            .map_or(defaults.batch_size, |n| n as usize),
        ..defaults
    }
}

fn setup(args: &TrainArgs, progress: &Progress) -> Result<Setup> {
    let device = parse_device(&args.recipe.device)?;
    let task = Task::named(&args.task)?;
    let base = Base::open(&args.model, task.defaults.max_length, &device)?
        .with_precision(args.recipe.precision)?;
    let data = load_data(&task, args, &base)?;
    let (_, report) = base.classifier(data.labels.len(), u64::from(args.recipe.seed))?;
    if !report.initialized.is_empty() {
        progress.line(&format!(
            "newly initialised (seed {}), not in the checkpoint: {}",
            args.recipe.seed,
            report.initialized.join(", ")
        ));
    }
    if !report.unused.is_empty() {
        progress.line(&format!(
            "in the checkpoint, not used: {}",
            report.unused.join(", ")
        ));
    }
    Ok(Setup {
        options: options(&task, &args.recipe),
        base,
        data,
    })
}

fn load_data(task: &Task, args: &TrainArgs, base: &Base) -> Result<TaskData> {
    let train_size = args.recipe.train_size.map(|n| n as usize);
    let train_size = train_size.or(task.defaults.train_size);
    Ok(TaskData::load(
        task,
        &args.data,
        base,
        train_size,
        args.recipe.seed,
    )?)
}
