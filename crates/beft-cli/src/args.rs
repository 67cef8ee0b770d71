use std::path::PathBuf;

use beft::Precision;
use beft::core::{BiasTerm, TermSet};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Bias-efficient fine-tuning: find the bias worth training, train only that, show that it was
/// the right choice.
#[derive(Debug, Parser)]
#[command(
    name = "beft",
    version,
    max_term_width = 100,
    args_override_self = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The whole job: rank the biases, pick the best of q, k, v, tune it, compare, report.
    Run(RunArgs),
    /// Train all biases and rank the terms by how much they changed.
    Rank(RankArgs),
    /// Train the chosen biases and the head; write an adapter.
    Tune(TuneArgs),
    /// Evaluate an adapter on labelled data.
    Eval(EvalArgs),
    /// Predict labels of texts with an adapter; JSON lines out.
    Predict(PredictArgs),
    /// The whole job on a tiny model and data set that are part of this program.
    Demo(DemoArgs),
    /// List what this program can compute on, and what is missing for the rest.
    Devices,
}

/// Where model and data are, and how to train. Defaults are the task's protocol values.
#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// Model folder in Hugging Face layout (config.json, model.safetensors, tokenizer.json), or
    /// the name of a model in the local Hugging Face cache.
    #[arg(long, value_name = "DIR|NAME")]
    pub(crate) model: String,
    /// Task: sst2, or text for your own data (columns text[, text_pair], label).
    #[arg(long, value_name = "TASK")]
    pub(crate) task: String,
    /// Folder with train.tsv and dev.tsv (.csv and .jsonl can be read too).
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RecipeArgs {
    /// Number of training examples, the first of numpy's permutation by the seed [default: the
    /// task's low-data size; 1000 for sst2, all for text]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) train_size: Option<u32>,
    /// Passes over the training examples [default: the task's; 16 for sst2 and text]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) epochs: Option<u32>,
    /// Learning rate, constant [default: the task's; 4e-4 for sst2 and text]
    #[arg(long, value_name = "RATE", value_parser = learning_rate, allow_negative_numbers = true)]
    pub(crate) lr: Option<f64>,
    /// Examples per step [default: the task's; 16 for sst2 and text]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) batch_size: Option<u32>,
    /// Decides the training subset, a new head, the order of examples and dropout.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u32,
    /// What to compute on; `beft devices` lists what there is.
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    pub(crate) device: String,
    /// What the frozen weight matrices are kept and multiplied in: f32 or bf16 (tensor cores).
    #[arg(long, value_name = "TYPE", default_value_t = Precision::F32)]
    pub(crate) precision: Precision,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) train: TrainArgs,
    /// The terms to pick from and to compare, single ones: q, k, v, m1, ln1, m2, m3, ln2.
    #[arg(
        long,
        value_name = "TERMS",
        value_delimiter = ',',
        default_value = "q,k,v"
    )]
    pub(crate) terms: Vec<BiasTerm>,
    /// Output folder: report.md, results.json, heatmaps, adapter/.
    #[arg(long, value_name = "DIR", default_value = "beft-run")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RankArgs {
    #[command(flatten)]
    pub(crate) train: TrainArgs,
    /// The biases to train and rank: all, q,k,v, v@0-5, ...
    #[arg(long, value_name = "TERMS", default_value = "all")]
    pub(crate) terms: TermSet,
    /// Output folder: ranking.json and heatmaps.
    #[arg(long, value_name = "DIR", default_value = "beft-rank")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct TuneArgs {
    #[command(flatten)]
    pub(crate) train: TrainArgs,
    /// The biases to train: v, q,k,v, v@6-11, all, or frozen (the head alone).
    #[arg(long, value_name = "TERMS", default_value = "v")]
    pub(crate) terms: TermSet,
    /// Output folder: adapter/ in HF PEFT's BEFT layout, and results.json.
    #[arg(long, value_name = "DIR", default_value = "beft-tune")]
    pub(crate) out: PathBuf,
}

/// The model to use: an adapter on its base.
#[derive(Debug, Args)]
pub(crate) struct TunedArgs {
    /// Adapter folder, written by `beft tune` or by HF PEFT.
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter: PathBuf,
    /// Base model folder or name [default: the one the adapter names]
    #[arg(long, value_name = "DIR|NAME")]
    pub(crate) model: Option<String>,
    /// Task [default: the one the adapter was trained on; text if it does not say]
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
    /// What to compute on; `beft devices` lists what there is.
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    pub(crate) device: String,
    /// What the frozen weight matrices are kept and multiplied in: f32 or bf16 (tensor cores).
    #[arg(long, value_name = "TYPE", default_value_t = Precision::F32)]
    pub(crate) precision: Precision,
}

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    #[command(flatten)]
    pub(crate) tuned: TunedArgs,
    /// Labelled data: a file (.tsv, .csv, .jsonl), or a folder whose dev split is taken.
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) data: PathBuf,
    /// Also write the result as JSON to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    #[command(flatten)]
    pub(crate) tuned: TunedArgs,
    /// Texts: a file, or - for standard input.
    #[arg(long, value_name = "FILE|-", default_value = "-")]
    pub(crate) data: PathBuf,
    /// Format of the texts [default: by the file's extension; lines for standard input]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// Where the JSON lines go: a file, or - for standard output.
    #[arg(long, value_name = "FILE|-", default_value = "-")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
    /// Output folder: model/, data/, report.md, results.json, heatmaps, adapter/.
    #[arg(long, value_name = "DIR", default_value = "beft-demo")]
    pub(crate) out: PathBuf,
}

/// A learning rate that f32 can hold and that moves something.
fn learning_rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|e| format!("{e}"))?;
    let usable = rate > 0.0 && (rate as f32).is_finite();
    usable
        .then_some(rate)
        .ok_or_else(|| "it must be positive and finite".to_owned())
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// One text a line.
    Lines,
    /// Tab-separated with a header line; quotes are literal.
    Tsv,
    /// Comma-separated with a header line and quotes.
    Csv,
    /// One JSON object a line.
    Jsonl,
}
