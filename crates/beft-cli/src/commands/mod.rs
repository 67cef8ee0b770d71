//! One file per subcommand.

pub(crate) mod compare;
pub(crate) mod demo;
pub(crate) mod device_server;
pub(crate) mod devices;
pub(crate) mod embed;
pub(crate) mod eval;
pub(crate) mod generate;
pub(crate) mod inspect;
pub(crate) mod merge;
pub(crate) mod plan;
pub(crate) mod predict;
mod predict_set;
pub(crate) mod rank;
pub(crate) mod run;
pub(crate) mod sample;
pub(crate) mod serve;
pub(crate) mod shell;
mod split;
pub(crate) mod sweep;
pub(crate) mod tasks;
pub(crate) mod trials;
pub(crate) mod tune;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use beft::{
    AdapterSet, Base, DataOptions, InferencePrecision, ModelConfig, Objective, OpenOptions,
    Predictor, Settings, TaskData, TaskForm, check_mode, check_output, check_training_memory,
    find_task, parse_device, parse_devices, protocol, settings,
};
use beft_core::TaskType;
use beft_modes::{Adapter, Mode};
use beft_score::ScorerKind;
use beft_tasks::{Regime, Task};
use beft_train::TrainSettings;

use crate::args::{
    DropoutChoice, NamedAdapter, RecipeArgs, ScorerArgs, SourceArgs, TrainArgs, TunedArgs,
};
use crate::output::{OutputFolder, lock_folder, tell};
use crate::progress::{Downloads, Progress};

/// The name of standard input and output.
const STANDARD: &str = "-";

/// What every training command needs, checked and loaded.
struct Setup {
    base: Base,
    data: TaskData,
    /// The folder of the data.
    folder: PathBuf,
    training: TrainSettings,
}

impl Setup {
    /// The settings for the record.
    fn settings(&self, args: &TrainArgs) -> Settings {
        let data = self.folder.display().to_string();
        settings(
            &self.base,
            &self.data,
            &self.training,
            &data,
            &args.recipe.device,
        )
    }
}

/// Makes sure that `files` and what is tuned can be written to `out`, and by this process alone, before
/// hours of work go in.
fn prepare_output(out: &Path, files: &[&str]) -> Result<OutputFolder> {
    let output = lock_folder(out, files)?;
    check_output(out)?;
    Ok(output)
}

/// The task's protocol values for a mode, with the command line's on top.
fn settings_of(task: &Task, mode: &Mode, base: &Base, recipe: &RecipeArgs) -> TrainSettings {
    let mut settings = protocol(task, mode, base, recipe.seed);
    let count = |given: Option<u32>, usual: usize| given.map_or(usual, |n| n as usize);
    settings.learning_rate = recipe.lr.unwrap_or(settings.learning_rate);
    settings.epochs = count(recipe.epochs, settings.epochs);
    settings.batch_size = count(recipe.batch_size, settings.batch_size);
    settings.checkpointing = recipe.gradient_checkpointing;
    settings.micro_batch = recipe.micro_batch.map(|n| n as usize);
    settings.savings = recipe.without;
    settings.forward = recipe.forward;
    settings.dropout = recipe.dropout == DropoutChoice::Config;
    settings
}

fn setup(args: &TrainArgs, mode: &Mode, progress: &Progress) -> Result<Setup> {
    let devices = parse_devices(&args.recipe.device)?;
    let mut devices = devices.into_iter().map(|named| named.device);
    // A list is not empty.
    let device = devices.next().unwrap_or_default();
    fetch_model(&args.model)?;
    let form = args.head.then_some(TaskForm::Texts);
    let task = find_task(&args.model, &args.source.task, form)?;
    let task = task.with(&args.source.changes.to_changes())?;
    let folder = data_folder(&args.source, &task)?;
    check_share(&args.source, &folder)?;
    let asked = args.recipe.max_length.map(|n| n as usize);
    let base = Base::open(&args.model, asked.or(task.defaults.max_length), &device)?
        .with_precision(args.recipe.precision)?
        .for_task(&task)?;
    if args.head && matches!(base.config(), ModelConfig::Encoder(_)) {
        bail!(
            "--head is for decoders, and {} is an encoder, which always has one: leave it out",
            args.model
        );
    }
    if args.objective != Objective::default() && base.task_type() != TaskType::CausalLm {
        bail!("--objective is for decoders that are asked prompts: leave it out");
    }
    if args.recipe.keep_head && !base.has_head() {
        bail!("--keep-head is for models with a head for the task: leave it out");
    }
    base.notes().iter().for_each(|note| progress.line(note));
    check_mode(&base, &task, mode)?;
    let size = train_size(&task, args.recipe.train_size, args.regime)?;
    let data_options = DataOptions {
        train_size: size,
        limit: args.limit.map(|n| n as usize),
        seed: args.recipe.seed,
        objective: args.objective,
        ..DataOptions::default()
    };
    let data = TaskData::load(&task, &folder, &base, &data_options.for_mode(mode))?;
    data.notes.iter().for_each(|note| progress.line(note));
    let mut training = settings_of(&task, mode, &base, &args.recipe);
    if let Some(micro) = training.micro_batch
        && micro > training.batch_size
    {
        bail!(
            "--micro-batch {micro} is more than the {} examples of a step: give less, or leave it out",
            training.batch_size
        );
    }
    training.team.more_devices = devices.collect();
    if let Some(note) = check_training_memory(&base, &data, mode, &training)? {
        progress.line(&format!(
            "warning: {note}: --micro-batch N with a small N, --gradient-checkpointing or a smaller --batch-size take less"
        ));
    }
    let (_, report) = base.model(data.outputs.count(), u64::from(args.recipe.seed))?;
    if let Some(problem) = report.misshapen.first() {
        if args.recipe.keep_head {
            bail!(
                "{problem}: --keep-head needs a task with as many classes as the checkpoint's head; leave it out to \
                 train a new head"
            );
        }
        progress.line(&format!(
            "the checkpoint's head has other classes: {problem}"
        ));
    }
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
        training,
        base,
        data,
        folder,
    })
}

/// Downloads a model that is neither a folder nor in the cache, showing progress.
fn fetch_model(name: &str) -> Result<()> {
    let bar = Downloads::new();
    beft::find_model(name, &mut |progress| bar.show(&progress))?;
    Ok(())
}

/// Downloads the base model of what is to be opened, as [`fetch_model`] does.
fn fetch_base(model: Option<&str>, adapter: Option<&Path>) -> Result<()> {
    match (model, adapter) {
        (Some(model), _) => fetch_model(model),
        (None, Some(adapter)) => {
            // That it is neither here nor to be had is reported when it is opened, with what to do.
            let _ = fetch_model(&Adapter::load(adapter)?.base_name());
            Ok(())
        }
        (None, None) => Ok(()),
    }
}

/// Opens a tuned model with its task, and prints the notes about their files.
fn open_predictor(args: &TunedArgs) -> Result<Predictor> {
    let device = parse_device(&args.device)?;
    let adapter = args.one_adapter()?;
    fetch_base(args.model.as_deref(), adapter)?;
    let predictor = Predictor::open(&OpenOptions {
        model: args.model.as_deref(),
        adapter,
        task: args.task.as_deref(),
        device: Some(&device),
        precision: args.precision,
        max_length: args.max_length.map(|n| n as usize),
        ..OpenOptions::default()
    })?;
    predictor.notes().iter().for_each(|note| tell!("{note}"));
    Ok(predictor)
}

/// Opens the base model of adapters: the one that is named, else that of the first adapter.
fn open_set(
    model: Option<&str>,
    adapters: &[NamedAdapter],
    device: &str,
    precision: InferencePrecision,
) -> Result<AdapterSet> {
    let device = parse_device(device)?;
    let first = adapters.first().map(|adapter| adapter.dir.as_path());
    fetch_base(model, first)?;
    let model = match (model, first) {
        (Some(model), _) => model.to_owned(),
        (None, Some(first)) => match Adapter::load(first)?.base_name() {
            name if name.is_empty() => {
                let adapter = first.to_owned();
                return Err(beft::Error::NoBaseName { adapter }.into());
            }
            name => name,
        },
        (None, None) => bail!("give --model, or at least one --adapter"),
    };
    let set = AdapterSet::open(&model, &device, precision)?;
    set.notes().iter().for_each(|note| tell!("{note}"));
    Ok(set)
}

/// Refuses a share of what is not one file.
fn check_share(source: &SourceArgs, data: &Path) -> Result<()> {
    if source.changes.dev_share.is_some() && data.is_dir() {
        bail!(
            "--dev-share splits one file, and {} is a folder: give one file, or leave it out",
            data.display()
        );
    }
    Ok(())
}

/// The folder of the data: as given, else the task's from the cache or the hub.
fn data_folder(source: &SourceArgs, task: &Task) -> Result<PathBuf> {
    if let Some(data) = &source.data {
        return Ok(data.clone());
    }
    let bar = Downloads::new();
    Ok(beft::find_data(task, &mut |progress| bar.show(&progress))?)
}

/// Number of training examples: as asked for, else the regime's, else the task's.
fn train_size(task: &Task, size: Option<u32>, regime: Option<Regime>) -> Result<Option<usize>> {
    Ok(match (size, regime) {
        (Some(size), _) => Some(size as usize),
        (None, Some(regime)) => Some(task.regime_size(regime)?),
        (None, None) => task.defaults.train_size,
    })
}

/// The scorers asked for; of a model that has no biases also Fisher's, which needs none.
fn scorers(base: &Base, args: &ScorerArgs) -> Vec<ScorerKind> {
    let mut scorers = args.scorer.0.clone();
    let fisher = ScorerKind::Fisher;
    if base.config().adds_biases()
        && scorers.contains(&ScorerKind::Beft)
        && !scorers.contains(&fisher)
    {
        scorers.push(fisher);
    }
    scorers
}

/// Where a training survives, in an output folder: one file, or a folder of one per mode.
fn state_path(out: &Path) -> PathBuf {
    out.join("state")
}

/// Says it when an interrupted training is about to be overwritten.
fn warn_of_state(path: &Path, resume: bool, progress: &Progress) {
    if path.exists() && !resume {
        progress.line(&format!(
            "{} holds an interrupted training; it is begun anew (--resume continues it)",
            path.display()
        ));
    }
}

/// The message when a training to resume is finished.
const FINISHED: &str = "the training is finished, with these very settings: nothing is trained again, and nothing is changed";

/// Whether a training that failed this way cannot be resumed, because it diverged. After any other failure,
/// such as a full disk, its saved state can still be used.
fn is_lost(error: &beft::Error) -> bool {
    matches!(
        error,
        beft::Error::Diverged { .. } | beft::Error::NothingGood(_)
    )
}

/// Removes what a finished training no longer needs.
fn remove_state(path: &Path) {
    // What cannot be removed harms nothing: without --resume it is not read.
    let _ = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
}
