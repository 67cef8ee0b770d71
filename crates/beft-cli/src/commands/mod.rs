//! One file per subcommand.

pub(crate) mod demo;
pub(crate) mod eval;
pub(crate) mod predict;
pub(crate) mod rank;
pub(crate) mod run;
pub(crate) mod tune;

use anyhow::Result;
use beft::tasks::Task;
use beft::{Base, TaskData, TuneOptions, parse_device};

use crate::args::{RecipeArgs, TrainArgs};
use crate::progress::Progress;

/// What every training command needs, checked and loaded.
struct Setup {
    base: Base,
    data: TaskData,
    options: TuneOptions,
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
    let base = Base::open(&args.model, task.defaults.max_length, &device)?;
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
    let train_size = args.recipe.train_size.or(task.defaults.train_size);
    Ok(TaskData::load(
        task,
        &args.data,
        base,
        train_size,
        args.recipe.seed,
    )?)
}
