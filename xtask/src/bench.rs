//! `cargo xtask bench`: the parts alone (criterion), and whole trainings beside PyTorch.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::{cargo, execute, python};

/// What to measure.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Bench {
    /// Operations, passes, scores and loading, each alone (criterion).
    Parts,
    /// One training beside the authors' recipe and a best-practice PyTorch loop, in turns.
    Peers(PeersArgs),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct PeersArgs {
    /// Model folder; `bert-base-shape` for random weights of that shape [default: MiniLM]
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
    #[arg(long, value_name = "N")]
    train_size: Option<usize>,
    /// Passes over them [default: 2; 1 with --quick]
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// How often each side is measured [default: 3; 2 with --quick]
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Few examples and rounds: under three minutes on MiniLM.
    #[arg(long)]
    quick: bool,
    /// Fail when a ratio is worse than the stored one by more than the margin (never stores).
    #[arg(long)]
    check: bool,
}

/// A ratio may be this much worse than the stored one.
const MARGIN: f64 = 0.25;

/// Losses of the first steps without dropout may differ by this.
const LOSS_TOLERANCE: f64 = 1e-3;

pub(crate) fn run(root: &Path, what: Option<&Bench>) -> Result<()> {
    match what {
        Some(Bench::Parts) => parts(root),
        Some(Bench::Peers(args)) => peers(root, args),
        None => {
            parts(root)?;
            peers(root, &PeersArgs::default_values())
        }
    }
}

impl PeersArgs {
    fn default_values() -> Self {
        Self {
            model: None,
            task: "sst2".to_owned(),
            data: "../shared/data/SST-2".into(),
            device: "flex".to_owned(),
            terms: "v".to_owned(),
            train_size: None,
            epochs: None,
            rounds: None,
            quick: false,
            check: false,
        }
    }
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

/// What starts a side, with more arguments.
type MakeCommand = Box<dyn Fn(&[&str]) -> Command>;

/// One side of the comparison.
struct Side {
    name: &'static str,
    command: MakeCommand,
    results: Vec<Value>,
}

impl Side {
    /// Runs it and reads the JSON object of its last line.
    fn measure(&self, more: &[&str]) -> Result<Value> {
        let mut command = (self.command)(more);
        let output = command
            .stderr(Stdio::piped())
            .output()
            .with_context(|| format!("cannot start {command:?}"))?;
        if !output.status.success() {
            bail!(
                "{command:?} failed: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let text = String::from_utf8(output.stdout)?;
        let line = text.lines().last().unwrap_or_default();
        serde_json::from_str(line).with_context(|| format!("{command:?} printed `{line}`"))
    }

    /// The median over the rounds of one number.
    fn median(&self, name: &str) -> f64 {
        let numbers = self.results.iter().filter_map(|r| r[name].as_f64());
        median(numbers.collect())
    }
}

fn peers(root: &Path, args: &PeersArgs) -> Result<()> {
    python::setup(root)?;
    let model = match &args.model {
        None => {
            python::fetch_minilm(root)?;
            root.join("models/minilm")
        }
        Some(name) if name.as_os_str() == "bert-base-shape" => base_shape(root)?,
        Some(dir) => dir.clone(),
    };
    let (size, epochs, rounds) = if args.quick {
        (160, 1, 2)
    } else {
        (1000, 2, 3)
    };
    let size = args.train_size.unwrap_or(size).to_string();
    let epochs = args.epochs.unwrap_or(epochs).to_string();
    let rounds = args.rounds.unwrap_or(rounds);
    let program = build(root, &args.device)?;

    let plan = root.join("target/bench-peers");
    let ours = {
        let source = [
            "--model".into(),
            model.display().to_string(),
            "--task".into(),
            args.task.clone(),
            "--data".into(),
            args.data.display().to_string(),
            "--device".into(),
            args.device.clone(),
        ];
        let (root, program) = (root.to_owned(), program.clone());
        move |what: &str, more: &[&str]| {
            let mut command = Command::new(&program);
            command
                .current_dir(&root)
                .arg(what)
                .args(&source)
                .args(more);
            command
        }
    };
    let write_plan = |size: &str, epochs: &str| {
        let plan = plan.display().to_string();
        let mut command = ours(
            "plan",
            &["--train-size", size, "--epochs", epochs, "--out", &plan],
        );
        execute(&mut command)
    };
    let terms = args.terms.clone();
    let train = {
        let (ours, terms) = (ours.clone(), terms.clone());
        move |more: &[&str]| {
            let mut command = ours("train", &["--terms", &terms]);
            command.args(more);
            command
        }
    };
    let peer = |recipe: &'static str| {
        let (root, plan, terms) = (root.to_owned(), plan.clone(), terms.clone());
        move |more: &[&str]| {
            let mut command = Command::new(root.join(".venv/bin/python"));
            command
                .current_dir(&root)
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .args(["benchmarks/peer.py", "--recipe", recipe, "--terms", &terms])
                .arg("--plan")
                .arg(&plan)
                .args(more);
            command
        }
    };
    let side = |name, command| Side {
        name,
        command,
        results: Vec::new(),
    };
    let mut sides = [
        side("beft", Box::new(train) as MakeCommand),
        side("best_practice", Box::new(peer("best-practice"))),
        side("authors_recipe", Box::new(peer("authors"))),
    ];

    println!("losses of 5 steps without dropout:");
    write_plan("80", "1")?;
    let few = ["--train-size", "80", "--epochs", "1", "--no-dropout"];
    let expected = losses(&sides[1].measure(&["--no-dropout"])?);
    for (name, found) in [
        (sides[0].name, losses(&sides[0].measure(&few)?)),
        (sides[2].name, losses(&sides[2].measure(&["--no-dropout"])?)),
    ] {
        let differences = expected.iter().zip(&found).map(|(a, b)| (a - b).abs());
        let worst = differences.fold(0.0, f64::max);
        println!("  {name} and best_practice differ by at most {worst:.1e}");
        if found.len() != expected.len() || worst > LOSS_TOLERANCE {
            bail!("{name} does not compute what best_practice does: {found:?}, {expected:?}");
        }
    }

    write_plan(&size, &epochs)?;
    let own = ["--train-size", &size, "--epochs", &epochs];
    for round in 1..=rounds {
        for side in &mut sides {
            let more: &[&str] = if side.name == "beft" { &own } else { &[] };
            let result = side.measure(more)?;
            println!(
                "round {round} of {rounds}, {}: {:.1} s (train {:.1}, evaluate {:.1}), {:.0} MB, last loss {:.4}",
                side.name,
                number(&result, "seconds"),
                number(&result, "train_seconds"),
                number(&result, "eval_seconds"),
                number(&result, "peak_bytes") / 1e6,
                losses(&result).last().copied().unwrap_or(f64::NAN),
            );
            side.results.push(result);
        }
    }
    let forward = Side {
        name: "forward",
        command: {
            let device = args.device.clone();
            let model = model.display().to_string();
            Box::new(move |_: &[&str]| {
                let mut command = Command::new(&program);
                command.args(["forward", "--model", &model, "--device", &device]);
                command
            })
        },
        results: Vec::new(),
    }
    .measure(&[])?;
    report(root, args, &model, &sides, &forward, (&size, &epochs))
}

/// Prints the medians and ratios; stores them, or compares them with what is stored.
fn report(
    root: &Path,
    args: &PeersArgs,
    model: &Path,
    sides: &[Side],
    forward: &Value,
    (size, epochs): (&str, &str),
) -> Result<()> {
    println!(
        "\n| side | seconds | train | evaluate | load | tokens/s | peak MB |\n|---|---|---|---|---|---|---|"
    );
    let ours = &sides[0];
    let tokens = ours.median("tokens");
    for side in sides {
        let train = side.median("train_seconds");
        println!(
            "| {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.0} | {:.0} |",
            side.name,
            side.median("seconds"),
            train,
            side.median("eval_seconds"),
            side.median("load_seconds"),
            tokens / train,
            side.median("peak_bytes") / 1e6,
        );
    }
    println!(
        "\nfrozen forward {:.1} of {:.1} GFLOP/s of a large matrix product",
        number(forward, "forward_flops") / 1e9,
        number(forward, "matmul_flops") / 1e9,
    );
    let time = |side: &Side| side.median("seconds") / ours.median("seconds");
    let [_, best, authors] = sides else {
        bail!("three sides are compared");
    };
    // The first three are better when larger.
    let ratios = [
        ("authors_recipe_time", time(authors), true),
        ("best_practice_time", time(best), true),
        (
            "forward_share_of_matmul_peak",
            number(forward, "share"),
            true,
        ),
        (
            "best_practice_peak_memory",
            ours.median("peak_bytes") / best.median("peak_bytes"),
            false,
        ),
    ];
    let name = model.file_name().unwrap_or_default().to_string_lossy();
    let key = format!(
        "{name} {} {} {} {size}x{epochs}",
        args.task, args.terms, args.device
    );
    let path = root.join("benchmarks/ratios.json");
    let mut stored: Map<String, Value> = match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text)
            .with_context(|| format!("{} is damaged", path.display()))?,
        Err(_) => Map::new(),
    };
    let mut worse = Vec::new();
    for (name, value, larger) in ratios {
        if let Some(before) = stored.get(&key).and_then(|row| row[name].as_f64()) {
            let change = if larger {
                before / value
            } else {
                value / before
            };
            if change > 1.0 + MARGIN {
                worse.push(format!("{name} {value:.2}, stored {before:.2}"));
            }
        } else if args.check {
            bail!("{}: nothing is stored for `{key}`", path.display());
        }
    }
    if !args.check {
        let row =
            ratios.map(|(name, value, _)| (name.to_owned(), json!((value * 1e3).round() / 1e3)));
        stored.insert(key, Value::Object(row.into_iter().collect()));
        std::fs::write(&path, serde_json::to_string_pretty(&stored)? + "\n")?;
    }
    println!();
    for (name, value, _) in ratios {
        println!("ratio {name} {value:.3}");
    }
    if args.check && !worse.is_empty() {
        bail!(
            "worse than stored by more than {MARGIN}: {}",
            worse.join("; ")
        );
    }
    Ok(())
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

/// A BERT-base with random weights and MiniLM's vocabulary, for time and memory.
fn base_shape(root: &Path) -> Result<PathBuf> {
    python::fetch_minilm(root)?;
    let dir = root.join("models/bert-base-shape");
    if !dir.join("model.safetensors").is_file() {
        let args = [
            "--tokenizer",
            "models/minilm",
            "--out",
            "models/bert-base-shape",
        ];
        python::script(root, "make_base_shape.py", &args)?;
    }
    Ok(dir)
}

fn losses(result: &Value) -> Vec<f64> {
    let losses = result["losses"].as_array();
    let losses = losses.into_iter().flatten();
    losses.filter_map(Value::as_f64).collect()
}

fn number(result: &Value, name: &str) -> f64 {
    result[name].as_f64().unwrap_or(f64::NAN)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    match values.len() {
        0 => f64::NAN,
        len => (middle((len - 1) / 2) + middle(len / 2)) / 2.0,
    }
}
