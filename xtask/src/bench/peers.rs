//! Whole trainings beside PyTorch, and together beside one after another.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::ratios::Ratios;
use super::{PeersArgs, Shape, build, peer, shape};
use crate::{execute, python};

/// Losses of the first steps without dropout may differ by this.
const LOSS_TOLERANCE: f64 = 1e-3;

/// Losses of trainings that run together, from those one after another.
const GROUPED_TOLERANCE: f64 = 1e-4;

/// What is measured of a side: a program's last line, one object for each round.
#[derive(Default)]
struct Measured(Vec<Value>);

impl Measured {
    /// The median over the rounds of one number.
    fn median(&self, name: &str) -> f64 {
        let mut values: Vec<f64> = self.0.iter().map(|r| number(r, name)).collect();
        values.sort_by(f64::total_cmp);
        let middle = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        match values.len() {
            0 => f64::NAN,
            len => (middle((len - 1) / 2) + middle(len / 2)) / 2.0,
        }
    }
}

/// The programs that are measured, and what on.
struct Peers<'a> {
    root: &'a Path,
    args: &'a PeersArgs,
    model: PathBuf,
    program: PathBuf,
    plan: PathBuf,
}

/// Sizes that `--quick` decides where nothing is said.
struct Sizes {
    train: String,
    epochs: String,
    rounds: usize,
    seeds: String,
}

pub(super) fn run(root: &Path, args: &PeersArgs) -> Result<()> {
    python::setup(root)?;
    let model = match &args.model {
        None => {
            python::fetch_minilm(root)?;
            root.join("models/minilm")
        }
        Some(name) if name.as_os_str() == "bert-base-shape" => shape(root, Shape::BertBase)?,
        Some(dir) => dir.clone(),
    };
    let (train, epochs, rounds, seeds) = match args.quick {
        true => (160, 1, 2, 2),
        false => (1000, 2, 3, 5),
    };
    let sizes = Sizes {
        train: args.train_size.unwrap_or(train).to_string(),
        epochs: args.epochs.unwrap_or(epochs).to_string(),
        rounds: args.rounds.unwrap_or(rounds),
        seeds: args.seeds.unwrap_or(seeds).to_string(),
    };
    let peers = Peers {
        root,
        args,
        program: build(root, &args.device)?,
        plan: root.join("target/bench-peers"),
        model,
    };
    peers.check_losses()?;
    let [ours, best, authors] = peers.trainings(&sizes)?;
    let [alone, grouped] = peers.grouped(&sizes)?;
    let forward = peers.forward()?;

    println!(
        "\n| side | seconds | train | evaluate | load | tokens/s | peak MB |\n|---|---|---|---|---|---|---|"
    );
    let tokens = ours.median("tokens");
    for (name, side) in SIDES.into_iter().zip([&ours, &best, &authors]) {
        let train = side.median("train_seconds");
        println!(
            "| {name} | {:.2} | {train:.2} | {:.2} | {:.2} | {:.0} | {:.0} |",
            side.median("seconds"),
            side.median("eval_seconds"),
            side.median("load_seconds"),
            tokens / train,
            side.median("peak_bytes") / 1e6,
        );
    }
    println!(
        "\nfrozen forward {:.1} of {:.1} GFLOP/s of a large matrix product",
        number(&forward, "forward_flops") / 1e9,
        number(&forward, "matmul_flops") / 1e9,
    );
    let name = peers.model.file_name().unwrap_or_default();
    let key = format!(
        "{} {} {} {} {}x{} {} seeds",
        name.to_string_lossy(),
        args.task,
        args.terms,
        args.device,
        sizes.train,
        sizes.epochs,
        sizes.seeds,
    );
    let seconds = |side: &Measured| side.median("seconds");
    Ratios {
        key,
        path: root.join("benchmarks/ratios.json"),
        values: vec![
            ("authors_recipe_time", seconds(&authors) / seconds(&ours)),
            ("best_practice_time", seconds(&best) / seconds(&ours)),
            (
                "best_practice_peak_memory",
                ours.median("peak_bytes") / best.median("peak_bytes"),
            ),
            (
                "grouped_vs_sequential_time",
                seconds(&alone) / seconds(&grouped),
            ),
            ("forward_share_of_matmul_peak", number(&forward, "share")),
        ],
    }
    .finish(args.check)
}

/// In the order of [`Peers::trainings`].
const SIDES: [&str; 3] = ["beft", "best_practice", "authors_recipe"];

impl Peers<'_> {
    /// Our program, on the model and data.
    fn ours(&self, what: &str, more: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        let source: [OsString; 8] = [
            "--model".into(),
            self.model.clone().into(),
            "--task".into(),
            self.args.task.clone().into(),
            "--data".into(),
            self.args.data.clone().into(),
            "--device".into(),
            self.args.device.clone().into(),
        ];
        command
            .current_dir(self.root)
            .arg(what)
            .args(source)
            .args(more);
        command
    }

    /// PyTorch by the plan.
    fn python(&self, recipe: &str, more: &[&str]) -> Command {
        let mut command = peer(self.root, "peer.py");
        command
            .args(["--recipe", recipe])
            .args(["--terms", &self.args.terms, "--plan"])
            .arg(&self.plan)
            .args(more);
        command
    }

    /// Fixes examples, their order and the starting weights for all sides.
    fn write_plan(&self, size: &str, epochs: &str, more: &[&str]) -> Result<()> {
        let sizes = ["--train-size", size, "--epochs", epochs];
        let mut command = self.ours("plan", &[&sizes, more].concat());
        execute(command.arg("--out").arg(&self.plan))
    }

    /// Every side, in the order of [`SIDES`].
    fn sides(&self, size: &str, epochs: &str, more: &[&str]) -> [Command; 3] {
        let own = ["--train-size", size, "--epochs", epochs];
        let own = [&["--terms", &self.args.terms], &own[..], more].concat();
        [
            self.ours("train", &own),
            self.python("best-practice", more),
            self.python("authors", more),
        ]
    }

    /// A few steps without dropout must give the same losses on all sides.
    fn check_losses(&self) -> Result<()> {
        println!("losses of 5 steps without dropout:");
        // Nothing is asked of the dev split here.
        self.write_plan("80", "1", &["--limit", "16"])?;
        let mut found = Vec::new();
        for side in self.sides("80", "1", &["--no-dropout"]) {
            found.push(losses(&measure(side)?));
        }
        let expected = &found[1];
        for index in [0, 2] {
            let name = SIDES[index];
            let worst = difference(expected, &found[index]);
            println!("  {name} and best_practice differ by at most {worst:.1e}");
            if worst.is_nan() || worst > LOSS_TOLERANCE {
                bail!(
                    "{name} does not compute what best_practice does: {:?}, {expected:?}",
                    found[index]
                );
            }
        }
        Ok(())
    }

    /// The trainings, in turns.
    fn trainings(&self, sizes: &Sizes) -> Result<[Measured; 3]> {
        self.write_plan(&sizes.train, &sizes.epochs, &[])?;
        let mut all: [Measured; 3] = Default::default();
        for round in 1..=sizes.rounds {
            let sides = self.sides(&sizes.train, &sizes.epochs, &[]);
            for ((name, side), measured) in SIDES.into_iter().zip(sides).zip(&mut all) {
                // Most of the time goes there, and the least depends on it.
                if self.args.quick && round > 1 && name == "authors_recipe" {
                    continue;
                }
                let result = measure(side)?;
                println!(
                    "round {round} of {}, {name}: {:.1} s (train {:.1}, evaluate {:.1}), {:.0} MB, last loss {:.4}",
                    sizes.rounds,
                    number(&result, "seconds"),
                    number(&result, "train_seconds"),
                    number(&result, "eval_seconds"),
                    number(&result, "peak_bytes") / 1e6,
                    losses(&result).last().copied().unwrap_or(f64::NAN),
                );
                measured.0.push(result);
            }
        }
        Ok(all)
    }

    /// q, k, v with every seed: one after another, and as many as can go together in one pass. One
    /// epoch, in turns.
    fn grouped(&self, sizes: &Sizes) -> Result<[Measured; 2]> {
        let mut all: [Measured; 2] = Default::default();
        let rounds = if self.args.quick {
            1
        } else {
            sizes.rounds.min(2)
        };
        for round in 1..=rounds {
            for (index, together) in ["1", "1000"].into_iter().enumerate() {
                let result = measure(self.ours(
                    "together",
                    &[
                        "--train-size",
                        &sizes.train,
                        "--modes",
                        "q,k,v",
                        "--seeds",
                        &sizes.seeds,
                        "--together",
                        together,
                    ],
                ))?;
                println!(
                    "round {round} of {rounds}, {} trainings {}: {:.1} s, {:.0} MB",
                    losses(&result).len(),
                    ["one after another", "together"][index],
                    number(&result, "seconds"),
                    number(&result, "peak_bytes") / 1e6,
                );
                all[index].0.push(result);
            }
        }
        let worst = difference(&losses(&all[0].0[0]), &losses(&all[1].0[0]));
        println!("  their losses differ by at most {worst:.1e}");
        if worst.is_nan() || worst > GROUPED_TOLERANCE {
            bail!("trainings that run together do not give what each gives alone");
        }
        Ok(all)
    }

    /// The frozen forward pass against a large matrix product.
    fn forward(&self) -> Result<Value> {
        let mut command = Command::new(&self.program);
        command.current_dir(self.root).arg("forward").arg("--model");
        command.arg(&self.model);
        command.args(["--device", &self.args.device]);
        measure(command)
    }
}

/// Runs a side and reads the JSON object of its last line.
pub(super) fn measure(mut command: Command) -> Result<Value> {
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

/// The largest difference; not a number when they are not as many.
fn difference(a: &[f64], b: &[f64]) -> f64 {
    if a.len() != b.len() || a.is_empty() {
        return f64::NAN;
    }
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(
        0.0,
        |worst, d| if d > worst || d.is_nan() { d } else { worst },
    )
}

fn losses(result: &Value) -> Vec<f64> {
    let losses = result["losses"].as_array();
    let losses = losses.into_iter().flatten();
    losses.filter_map(Value::as_f64).collect()
}

pub(super) fn number(result: &Value, name: &str) -> f64 {
    result[name].as_f64().unwrap_or(f64::NAN)
}
