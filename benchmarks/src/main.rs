//! Our side of `cargo xtask bench peers`: the same training as `benchmarks/peer.py`, timed.
//!
//! `plan` fixes what both sides must share (examples, their order, the starting weights with the new
//! head); `train` trains by it and prints one JSON object. `load` sends the requests of `cargo xtask bench serve`.

mod forward;
mod generate;
mod load;
mod plan;
mod predict;
mod together;
mod train;

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use serde::de::DeserializeOwned;

/// Our side of `cargo xtask bench peers`.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write plan.json and the starting model.
    Plan(plan::PlanArgs),
    /// Train by a plan; prints losses, seconds and memory as JSON.
    Train(train::TrainArgs),
    /// Run several trainings, so many in a pass; prints losses, seconds and memory as JSON.
    Together(together::TogetherArgs),
    /// Time the frozen forward pass against the largest speed of a matrix product.
    Forward(forward::ForwardArgs),
    /// Generate texts; prints their tokens and the seconds as JSON.
    Generate(generate::GenerateArgs),
    /// Classify texts; prints their logits and the seconds as JSON.
    Predict(predict::PredictArgs),
    /// Send requests to a server; prints throughput and times as JSON.
    Load(load::LoadArgs),
}

/// What to train on.
#[derive(Clone, Debug, Args)]
struct Source {
    /// Model folder.
    #[arg(long)]
    model: String,
    /// Task name.
    #[arg(long, default_value = "sst2")]
    task: String,
    /// Folder of the task's data.
    #[arg(long)]
    data: std::path::PathBuf,
    /// Dev examples at most.
    #[arg(long)]
    limit: Option<usize>,
    /// Number of training examples.
    #[arg(long, default_value_t = 1000)]
    train_size: usize,
    /// Seed of the subset, the head, orders and dropout.
    #[arg(long, default_value_t = 0)]
    seed: u32,
    /// What to compute on.
    #[arg(long, default_value = "flex")]
    device: String,
}

/// What a JSON file holds.
fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let name = || path.display().to_string();
    let file = File::open(path).with_context(name)?;
    serde_json::from_reader(file).with_context(name)
}

fn main() -> ExitCode {
    let run = || -> Result<()> {
        match Cli::parse().command {
            Command::Plan(args) => plan::write(&args),
            Command::Train(args) => train::run(&args),
            Command::Together(args) => together::run(&args),
            Command::Forward(args) => forward::run(&args),
            Command::Generate(args) => generate::run(&args),
            Command::Predict(args) => predict::run(&args),
            Command::Load(args) => load::run(&args),
        }
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
