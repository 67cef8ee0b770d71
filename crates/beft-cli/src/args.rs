mod compare;
mod decoders;

use std::path::PathBuf;

use beft::{Objective, Precision};
use beft_core::{BiasTerm, TermSet};
use beft_modes::Mode;
use beft_nn::Savings;
use beft_score::{ScorerKind, UnknownScorer};
use beft_tasks::Regime;
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use compare::{CompareArgs, ComparePassArgs, SweepArgs, TrialArgs};
pub(crate) use decoders::{GenerateArgs, PlanArgs};

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
    /// Score the biases (by default: train all of them, and see how they changed) and rank the terms.
    Rank(RankArgs),
    /// Train the chosen biases (or what they are compared with) and the head; write an adapter.
    Tune(TuneArgs),
    /// Evaluate an adapter or a tuned model on labelled data.
    Eval(EvalArgs),
    /// Predict labels of texts with an adapter or a tuned model; JSON lines or GLUE files out.
    Predict(PredictArgs),
    /// Go on with texts, by a decoder: the most probable token after token.
    Generate(GenerateArgs),
    /// Say what memory a decoder's training will take, from its config.json alone.
    Plan(PlanArgs),
    /// Print which rows of the training file a run learns from, one number a line.
    Sample(SampleArgs),
    /// Many trainings side by side: models x tasks x regimes x modes x seeds, with significance and
    /// which scorer picked right. Can be interrupted; run it again to continue.
    Compare(CompareArgs),
    /// The best learning rate of each mode: modes x learning rates x seeds, as many as go together in
    /// one pass. Can be interrupted; run it again to continue.
    Sweep(SweepArgs),
    /// Some trainings of a comparison or a sweep, in a process of their own.
    #[command(hide = true)]
    ComparePass(ComparePassArgs),
    /// The whole job on a tiny model and data set that are part of this program.
    Demo(DemoArgs),
    /// List what this program can compute on, and what is missing for the rest.
    Devices,
}

/// Where model and data are, and how to train. Defaults are the task's protocol values.
#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// Model folder in Hugging Face layout (config.json, model.safetensors, tokenizer.json), or
    /// the name of a model in the Hugging Face cache or on the hub (bert-base-cased).
    #[arg(long, value_name = "DIR|NAME")]
    pub(crate) model: String,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Size of the training subset by the protocol's name [default: low]
    #[arg(long, value_name = "low|medium|high", conflicts_with = "train_size")]
    pub(crate) regime: Option<Regime>,
    /// Evaluate on at most so many dev examples.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// What a decoder learns by: the task's own (cross entropy over candidates where there are the same
    /// for all examples, else the text), or the language-model loss of the right text.
    #[arg(long, value_name = "task|text", default_value = "task", value_parser = objective)]
    pub(crate) objective: Objective,
    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
}

fn objective(name: &str) -> Result<Objective, String> {
    match name {
        "task" => Ok(Objective::Task),
        "text" => Ok(Objective::Text),
        _ => Err("expected task or text".to_owned()),
    }
}

/// Where a task's data are.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// Task: a GLUE or SuperGLUE one (cola, mnli, mrpc, qnli, qqp, rte, sst2, stsb, wnli, boolq, cb,
    /// wic), text for your own data (columns text[, text_pair], label), or a .toml file. Of a decoder: sst2,
    /// rte, cb, boolq, wsc, wic, multirc, copa, record, squad, drop, or a .toml file with a prompt table.
    #[arg(long, value_name = "TASK")]
    pub(crate) task: String,
    /// Folder with the train and dev files (.tsv, .csv, .jsonl, .json, .parquet) [default: the task's data
    /// set in the Hugging Face cache, or from the hub]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RecipeArgs {
    /// Number of training examples, the first of numpy's permutation by the seed [default: the
    /// task's low-data size; all for text]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) train_size: Option<u32>,
    /// Passes over the training examples [default: the task's, 16 to 60; 5 for decoders]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) epochs: Option<u32>,
    /// Learning rate, constant, for decoders falling to 0 [default: the task's, 1e-4 to 1e-2; 1e-5 for full
    /// fine-tuning]
    #[arg(long, value_name = "RATE", value_parser = learning_rate, allow_negative_numbers = true)]
    pub(crate) lr: Option<f64>,
    /// Examples per step [default: the task's, 16; 8 for decoders]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) batch_size: Option<u32>,
    /// Examples computed at a time, their gradients added up over a step [default: all of a step]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) micro_batch: Option<u32>,
    /// Keep the layers' inputs alone, and compute each layer anew in the backward pass: less memory, more time.
    #[arg(long)]
    pub(crate) gradient_checkpointing: bool,
    /// Cut longer inputs to so many tokens [default: the task's, 128 for GLUE; else what model and tokenizer allow]
    #[arg(long, value_name = "N", value_parser = max_length())]
    pub(crate) max_length: Option<u32>,
    /// Refuse to train where the checkpoint's head has another number of classes, instead of drawing a new one.
    #[arg(long)]
    pub(crate) keep_head: bool,
    /// Decides the training subset, a new head, the order of examples and dropout.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u32,
    /// What to compute on; `beft devices` lists what there is.
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    pub(crate) device: String,
    /// What the frozen weight matrices are kept and multiplied in: f32, bf16 or f16.
    #[arg(long, value_name = "TYPE", default_value_t = Precision::F32, alias = "dtype")]
    pub(crate) precision: Precision,
    /// Dropout in training: as the model's config says, or none (what the layers below the lowest
    /// trained one give is then computed once and kept).
    #[arg(long, value_name = "WHEN", default_value = "config")]
    pub(crate) dropout: DropoutChoice,
    /// Savings to do without, to measure them: packing, length-groups, first-token, zero-gradients,
    /// reuse, host-functions, split-work. The result does not depend on them.
    #[arg(long, value_name = "NAMES", default_value = "", value_parser = savings, hide_default_value = true)]
    pub(crate) without: Savings,
}

/// Whether values are dropped in training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DropoutChoice {
    Config,
    Off,
}

fn savings(names: &str) -> Result<Savings, String> {
    let mut names = names.split(',').map(str::trim).filter(|n| !n.is_empty());
    names.try_fold(Savings::default(), |savings, name| {
        savings
            .without(name)
            .ok_or_else(|| format!("`{name}` is none of {}", Savings::NAMES.join(", ")))
    })
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
    #[command(flatten)]
    pub(crate) scorers: ScorerArgs,
    /// Go on with a run that was interrupted, from its last finished epoch.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Output folder: report.md, results.json, heatmaps, adapter/.
    #[arg(long, value_name = "DIR", default_value = "beft-run")]
    pub(crate) out: PathBuf,
}

/// How biases are scored.
#[derive(Debug, Args)]
pub(crate) struct ScorerArgs {
    /// Scores to compute: all, or some of beft, magnitude, angle, l2 (these train first), fisher,
    /// gradnorm, random. BEFT's decides where it is among them and tells q, k and v apart, else the first;
    /// fisher is added for a model whose biases are added ones.
    #[arg(long, value_name = "SCORERS", default_value = "beft,magnitude", value_parser = scorers)]
    pub(crate) scorer: Scorers,
}

/// A list of scorers; a type of its own, since clap would take a `Vec` for a repeated flag.
#[derive(Clone, Debug)]
pub(crate) struct Scorers(pub(crate) Vec<ScorerKind>);

fn scorers(list: &str) -> Result<Scorers, UnknownScorer> {
    ScorerKind::parse_list(list).map(Scorers)
}

#[derive(Debug, Args)]
pub(crate) struct RankArgs {
    #[command(flatten)]
    pub(crate) train: TrainArgs,
    /// The biases to train and rank: all, q,k,v, v@0-5, ...
    #[arg(long, value_name = "TERMS", default_value = "all")]
    pub(crate) terms: TermSet,
    #[command(flatten)]
    pub(crate) scorers: ScorerArgs,
    /// Output folder: ranking.json and heatmaps.
    #[arg(long, value_name = "DIR", default_value = "beft-rank")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct TuneArgs {
    #[command(flatten)]
    pub(crate) train: TrainArgs,
    /// What to train beside the head: biases (v; q,k,v; v@6-11; all; frozen for none), or what they
    /// are compared with: full, random, random-lines, lora-q, lora-v, lora-qv, ...; of decoders prefix.
    #[arg(
        long,
        value_name = "TERMS",
        default_value = "v",
        visible_alias = "mode"
    )]
    pub(crate) terms: Mode,
    /// Rank of LoRA's update.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) lora_rank: u32,
    /// LoRA's update is scaled by this over its rank.
    #[arg(long, value_name = "X", default_value_t = 16.0)]
    pub(crate) lora_alpha: f64,
    /// Entries that random trains [default: the paper's number for base and large models, else as
    /// many as there are biases]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) random_entries: Option<u32>,
    /// Which epoch to keep: the last, or the best by the task's main metric on the dev split.
    #[arg(long, value_name = "EPOCH", default_value = "last")]
    pub(crate) keep: KeepChoice,
    /// Stop after this many epochs without a better one.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) patience: Option<u32>,
    /// Go on with a training that was interrupted, from its last finished epoch.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Output folder: adapter/ in HF PEFT's BEFT or LoRA layout (tuned-model/ for full and random), and
    /// results.json.
    #[arg(long, value_name = "DIR", default_value = "beft-tune")]
    pub(crate) out: PathBuf,
}

/// Which epoch's model is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeepChoice {
    Last,
    Best,
}

/// The rows of a training subset.
#[derive(Debug, Args)]
pub(crate) struct SampleArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Number of training examples.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) train_size: Option<u32>,
    /// The same by the protocol's name [default: low]
    #[arg(long, value_name = "low|medium|high", conflicts_with = "train_size")]
    pub(crate) regime: Option<Regime>,
    /// Seed of numpy's permutation.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u32,
}

/// The model to use: an adapter on its base, or a tuned model.
#[derive(Debug, Args)]
pub(crate) struct TunedArgs {
    /// Adapter folder, written by `beft tune` or by HF PEFT (BEFT, LoRA or prefix tuning).
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter: Option<PathBuf>,
    /// Base model folder or name [default: the one the adapter names]; without --adapter a tuned
    /// model's folder, or for eval a decoder as it is (zero-shot).
    #[arg(long, value_name = "DIR|NAME")]
    pub(crate) model: Option<String>,
    /// Task, as in tune [default: the one it was trained on; text if it does not say]
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
    /// Cut longer inputs to so many tokens [default: what the adapter was trained with, else what model and
    /// tokenizer allow]
    #[arg(long, value_name = "N", value_parser = max_length())]
    pub(crate) max_length: Option<u32>,
    /// What to compute on; `beft devices` lists what there is.
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    pub(crate) device: String,
    /// What the frozen weight matrices are kept and multiplied in: f32, bf16 or f16.
    #[arg(long, value_name = "TYPE", default_value_t = Precision::F32, alias = "dtype")]
    pub(crate) precision: Precision,
}

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    #[command(flatten)]
    pub(crate) tuned: TunedArgs,
    /// Labelled data: a file (.tsv, .csv, .jsonl, .json, .parquet), or a folder whose dev split is taken.
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) data: PathBuf,
    /// Examples at most [default: all; of a decoder's task the protocol's 1,000, drawn by seed 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// Of a decoder: worked examples in front of each question (in-context learning), from the train
    /// file of the folder --data.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) shots: u32,
    /// Of a decoder: compare each candidate's likelihood with that behind a prompt without content (SFC).
    #[arg(long)]
    pub(crate) calibrate: bool,
    /// Chooses the worked examples.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u32,
    /// Also write the result as JSON to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    #[command(flatten)]
    pub(crate) tuned: TunedArgs,
    /// Texts: a file, - for standard input, or a folder with --split.
    #[arg(long, value_name = "FILE|DIR|-", default_value = "-")]
    pub(crate) data: PathBuf,
    /// Which split of the folder --data to read.
    #[arg(long, value_name = "SPLIT")]
    pub(crate) split: Option<SplitName>,
    /// Format of the texts [default: by the file's extension; lines for standard input]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) input_format: Option<Format>,
    /// What to write: jsonl, or glue for the GLUE server's files (with --split; --out is a folder).
    #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
    pub(crate) format: OutputFormat,
    /// Where it goes: a file, or - for standard output; for glue a folder.
    #[arg(long, value_name = "FILE|DIR|-", default_value = "-")]
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

/// Three special tokens and one of each text of a pair are the least.
fn max_length() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(5..)
}

/// A learning rate that f32 can hold and that moves something.
fn learning_rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|e| format!("{e}"))?;
    let usable = rate > 0.0 && (rate as f32).is_finite();
    usable
        .then_some(rate)
        .ok_or_else(|| "it must be positive and finite".to_owned())
}

/// What `predict` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// One JSON object a line: index, label, logits.
    Jsonl,
    /// `index<TAB>prediction` files under the names that the GLUE server expects.
    Glue,
}

/// A split of a task's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SplitName {
    Train,
    Dev,
    Test,
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
    /// One JSON array of objects, or one object a line.
    Json,
}
