//! What `compare` and `sweep` take.

use std::path::PathBuf;

use beft::{Objective, Precision};
use beft_compare::Shard;
use beft_train::Evaluate;
use clap::Args;

use super::values::{learning_rate, objective};
use super::{JsonArgs, ReportArgs};

/// How the trainings of a comparison or a sweep are run.
#[derive(Debug, Args)]
pub(crate) struct TrialArgs {
    /// Evaluate on at most N dev examples of each split.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// Number of processes at the same time [default: one per core on a CPU, one on a GPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024), conflicts_with = "summarise_only")]
    pub(crate) jobs: Option<u32>,
    /// Largest number of bias trainings that share one pass over one frozen model [default: 4 on a CPU, 32 on a GPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) together: Option<u32>,
    /// Train the part K of N alone, and write no tables. The parts have about equally much work, and can run at the same time, on
    /// one machine or many, into one shared folder or into folders that are copied together. [default: what Slurm's or
    /// Kubernetes' variables say, if they are set]
    #[arg(long, value_name = "K/N", conflicts_with = "summarise_only")]
    pub(crate) shard: Option<Shard>,
    /// Train nothing: write the tables, or list the trainings that are missing.
    #[arg(long, alias = "summarize-only")]
    pub(crate) summarise_only: bool,
    /// Training loss of decoders, as in tune.
    #[arg(long, value_name = "task|text", default_value = "task", value_parser = objective)]
    pub(crate) objective: Objective,
    /// Train a decoder with a classification head on its last token (HF's ...ForSequenceClassification), instead of asking it
    /// the prompts that the task has.
    #[arg(long)]
    pub(crate) head: bool,
    /// Device to compute on. `beft devices` lists them. Several of one kind, separated by commas, share the trainings.
    #[arg(long, value_name = "DEVICE,...", default_value = "flex")]
    pub(crate) device: String,
    /// Number type of the frozen weight matrices: f32, bf16 or f16.
    #[arg(long, value_name = "TYPE", default_value_t = Precision::F32)]
    pub(crate) precision: Precision,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// TOML file that says what to compare: models, tasks, regimes, modes, seeds and settings of single modes. An example is
    /// benchmarks/compare_minilm.toml.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "task", "mode"])]
    pub(crate) file: Option<PathBuf>,
    /// Model folder or name. Can be given more than once.
    #[arg(long, value_name = "DIR|NAME", required_unless_present = "file")]
    pub(crate) model: Vec<String>,
    /// Task and its data folder, such as sst2=data/SST-2. Without a folder the data come from the hub. Can be given more
    /// than once.
    #[arg(long, value_name = "TASK[=DIR]", value_parser = task_with_data, required_unless_present = "file")]
    pub(crate) task: Vec<(String, Option<PathBuf>)>,
    /// Size of the training subset: low, medium or high. Can be given more than once.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "low",
        conflicts_with = "file"
    )]
    pub(crate) regime: Vec<String>,
    /// What to train, as in tune --terms. terms trains each bias term alone, sites each bias term of each layer alone. Can be
    /// given more than once.
    #[arg(long, value_name = "MODE", default_values = ["frozen", "q", "k", "v", "all"])]
    pub(crate) mode: Vec<String>,
    /// Seeds, separated by commas.
    #[arg(
        long,
        value_name = "N,...",
        value_delimiter = ',',
        default_value = "0",
        conflicts_with = "file"
    )]
    pub(crate) seeds: Vec<u32>,
    /// Scores to compute in the mode all, as in rank [default: all]
    #[arg(long, value_name = "NAME,...", conflicts_with = "file")]
    pub(crate) scorer: Option<String>,
    /// Number of training examples [default: the regime's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with_all = ["file", "regime"])]
    pub(crate) train_size: Option<u32>,
    /// Number of passes over the training examples [default: the tasks']
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "file")]
    pub(crate) epochs: Option<u32>,
    /// Learning rate of all modes except full fine-tuning [default: the tasks']
    #[arg(long, value_name = "RATE", value_parser = learning_rate, conflicts_with = "file")]
    pub(crate) lr: Option<f64>,
    /// Number of examples per step [default: the tasks']
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "file")]
    pub(crate) batch_size: Option<u32>,
    /// Epochs to evaluate on the dev split: each, each Nth and the last one, or the last one alone.
    #[arg(
        long,
        value_name = "each|N|last",
        default_value_t,
        conflicts_with = "file"
    )]
    pub(crate) evaluate: Evaluate,
    /// Also write samples_*.jsonl: every dev example with the prediction of each seed's model.
    #[arg(long, alias = "log_samples")]
    pub(crate) log_samples: bool,
    #[command(flatten)]
    pub(crate) trials: TrialArgs,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    /// Output folder. It gets compare.html, compare.md, compare.csv, compare.json, pictures, lm-eval/ and cells/.
    #[arg(long, value_name = "DIR", default_value = "beft-compare")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    /// Model folder or name.
    #[arg(long, value_name = "DIR|NAME")]
    pub(crate) model: String,
    /// Task and its data folder, such as sst2=data/SST-2. Without a folder the data come from the hub.
    #[arg(long, value_name = "TASK[=DIR]", value_parser = task_with_data)]
    pub(crate) task: (String, Option<PathBuf>),
    /// Learning rates to try, separated by commas.
    #[arg(
        long,
        value_name = "RATE,...",
        value_delimiter = ',',
        value_parser = learning_rate,
        default_values = ["1e-4", "4e-4", "1e-3", "4e-3", "1e-2"]
    )]
    pub(crate) lr: Vec<f64>,
    /// What to train, as in tune --terms. Can be given more than once.
    #[arg(long, value_name = "MODE", default_values = ["q", "k", "v"])]
    pub(crate) mode: Vec<String>,
    /// Seeds, separated by commas.
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "0")]
    pub(crate) seeds: Vec<u32>,
    /// Size of the training subset: low, medium or high.
    #[arg(long, value_name = "NAME", default_value = "low")]
    pub(crate) regime: String,
    /// Number of training examples [default: the regime's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "regime")]
    pub(crate) train_size: Option<u32>,
    /// Number of passes over the training examples [default: the task's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) epochs: Option<u32>,
    /// Number of examples per step [default: the task's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) batch_size: Option<u32>,
    /// Epochs to evaluate on the dev split: each, each Nth and the last one, or the last one alone.
    #[arg(long, value_name = "each|N|last", default_value_t)]
    pub(crate) evaluate: Evaluate,
    #[command(flatten)]
    pub(crate) trials: TrialArgs,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    /// Output folder. It gets sweep.html, sweep.md, sweep.csv, sweep.json and cells/.
    #[arg(long, value_name = "DIR", default_value = "beft-sweep")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ComparePassArgs {
    /// The trials that train together, as JSON.
    pub(crate) pass: PathBuf,
    /// Folder of the journal.
    pub(crate) journal: PathBuf,
}

/// `sst2`, `sst2=data/SST-2`
fn task_with_data(text: &str) -> Result<(String, Option<PathBuf>), String> {
    let (task, data) = match text.split_once('=') {
        Some((task, data)) => (task, Some(data)),
        None => (text, None),
    };
    if task.is_empty() || data == Some("") {
        return Err("write TASK or TASK=DIR, such as sst2=data/SST-2".to_owned());
    }
    Ok((task.to_owned(), data.map(PathBuf::from)))
}
