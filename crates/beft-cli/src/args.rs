mod compare;
mod decoders;
mod serve;
mod train;
mod tuned;
mod values;

use std::path::PathBuf;

use beft::BACKENDS;
use clap::{ArgAction, Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use compare::{CompareArgs, ComparePassArgs, SweepArgs, TrialArgs};
pub(crate) use decoders::{GenerateArgs, PlanArgs, TextFormat};
pub(crate) use serve::{DeviceServerArgs, LogChoice, ServeArgs};
pub(crate) use train::{
    ChangeArgs, DemoArgs, DropoutChoice, KeepChoice, RankArgs, RecipeArgs, RunArgs, SampleArgs,
    ScorerArgs, SourceArgs, SpendingArgs, TrainArgs, TuneArgs,
};
pub(crate) use tuned::{
    EmbedArgs, EvalArgs, Format, InspectArgs, Keep, MergeArgs, NamedAdapter, OutputFormat,
    PredictArgs, SplitName, TasksAction, TasksArgs, TunedArgs, VectorFormat,
};
pub(crate) use values::Scorers;

/// Find the bias of a pretrained transformer that is worth training, train only that bias, and show that it was the right
/// choice.
#[derive(Debug, Parser)]
#[command(
    name = "beft",
    version,
    long_version = long_version(),
    max_term_width = 100,
    args_override_self = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) speech: SpeechArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Reads the arguments of the process. Help and mistakes are printed in the colours that `--color` asks for, wherever it
    /// stands.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let words = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned());
        let mut command = Self::command().color(asked_color(words));
        let matches = command.try_get_matches_from_mut(std::env::args_os())?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }
}

/// The last `--color` of these arguments that means something.
fn asked_color(args: impl Iterator<Item = String>) -> ColorChoice {
    let mut asked = ColorChoice::Auto;
    let mut args = args.take_while(|arg| arg != "--").peekable();
    while let Some(arg) = args.next() {
        let value = match arg.strip_prefix("--color") {
            Some("") => args.peek().map(String::as_str),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        };
        if let Some(Ok(color)) = value.map(str::parse) {
            asked = color;
        }
    }
    asked
}

/// How much a command says, and how.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct SpeechArgs {
    /// Say nothing on standard error but errors and warnings.
    #[arg(
        short,
        long,
        global = true,
        display_order = 900,
        conflicts_with = "verbose"
    )]
    pub(crate) quiet: bool,
    /// Log what is done, and how long it takes (-vv: what libraries do, too). The variable RUST_LOG says it in more detail.
    #[arg(short, long, global = true, display_order = 901, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Colours in messages and help. auto: on a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, display_order = 902, value_name = "auto|always|never", default_value_t = ColorChoice::Auto, hide_possible_values = true)]
    pub(crate) color: ColorChoice,
}

/// A result that programs can read.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct JsonArgs {
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a report is written as.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct ReportArgs {
    /// Also write the report's tables for LaTeX (.tex, with booktabs).
    #[arg(long)]
    pub(crate) latex: bool,
}

/// The version, and what the program was built with.
fn long_version() -> String {
    let backends = BACKENDS.iter().filter(|backend| backend.compiled);
    let backends: Vec<&str> = backends.map(|backend| backend.name).collect();
    let features = [
        ("mpi", cfg!(feature = "mpi")),
        ("remote", cfg!(feature = "remote")),
    ];
    let features: Vec<&str> = { features.iter() }
        .filter(|(_, built)| *built)
        .map(|(name, _)| *name)
        .collect();
    let mut text = format!(
        "{}\nbackends: {}",
        env!("CARGO_PKG_VERSION"),
        backends.join(", ")
    );
    if !features.is_empty() {
        text.push_str(&format!("\nfeatures: {}", features.join(", ")));
    }
    text
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Do the whole job: rank the biases, pick the best of q, k and v, train it, compare, and write a report.
    Run(RunArgs),
    /// Rank the bias terms by importance. Most scores train all biases first and measure how each changed.
    Rank(RankArgs),
    /// Train the chosen biases (or a baseline such as LoRA) and the head, and write an adapter.
    Tune(TuneArgs),
    /// Measure an adapter or a tuned model on labelled data.
    Eval(EvalArgs),
    /// Predict the labels of texts with an adapter or a tuned model, as JSON lines or as GLUE files.
    Predict(PredictArgs),
    /// Write the embeddings of texts, as sentence-transformers computes them, as JSON lines or as a numpy file.
    Embed(EmbedArgs),
    /// Serve adapters over one base model by HTTP: classification, tags, answers, completions, and a page to try them.
    Serve(ServeArgs),
    /// Write an adapter and its base model as one model, which transformers loads without PEFT.
    Merge(MergeArgs),
    /// Say what an adapter folder or a whole model holds: base, task, labels, settings, tensors and their norms.
    Inspect(InspectArgs),
    /// List the built-in tasks, or print one as a task file to start from.
    Tasks(TasksArgs),
    /// Generate text from prompts with a causal language model.
    Generate(GenerateArgs),
    /// Estimate the memory that a training takes, from the model's config.json alone.
    Plan(PlanArgs),
    /// Print the rows of the training file that a run learns from, one number per line.
    Sample(SampleArgs),
    /// Train and compare models, tasks, training sizes, modes and seeds, with tests of significance and the picks of each
    /// score. Can be interrupted; run it again to continue.
    Compare(CompareArgs),
    /// Find the best learning rate of each mode: train every mode with every learning rate and seed. Can be interrupted;
    /// run it again to continue.
    Sweep(SweepArgs),
    /// Run some trainings of a comparison or a sweep in a process of their own.
    #[command(hide = true)]
    ComparePass(ComparePassArgs),
    /// Do the whole job on a tiny model and a small data set that are part of this program.
    Demo(DemoArgs),
    /// List the devices that this program can compute on, and what the other devices need.
    Devices(JsonArgs),
    /// Print completions for a shell, such as `beft completions bash > /etc/bash_completion.d/beft`.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write manual pages, for `man beft`.
    Man {
        /// Folder to write them to.
        #[arg(long, value_name = "DIR", default_value = "man")]
        out: PathBuf,
    },
    /// Lend a device of this machine to programs on other machines, which use it by --device remote:HOST:PORT.
    DeviceServer(DeviceServerArgs),
}

#[cfg(test)]
mod documented;
#[cfg(test)]
mod reference;
