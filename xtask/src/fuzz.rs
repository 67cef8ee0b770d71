//! Searches for inputs that break a reader, with cargo-fuzz.

mod said;
mod target;
mod tried;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, Result, bail};
use toml::{Table, Value};

use crate::{cargo, execute};
use target::Target;
use tried::Tried;

/// Targets take turns of so many seconds, so that an interruption costs little and all have had about the same. A shorter turn
/// goes on reading again what is known: a minute for some targets.
const TURN: u64 = 600;
/// The shortest turn, for the last seconds of a target.
const SHORT_TURN: u64 = 120;

/// What to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Fuzz {
    /// Targets [default: all]
    targets: Vec<String>,
    /// Seconds for each target, those in fuzz/tried.toml included.
    #[arg(long, default_value_t = 3600)]
    seconds: u64,
    /// Instead, drop the inputs that run through the same code as others, and put some of the rest into fuzz/corpus.
    #[arg(long)]
    keep: bool,
}

/// Gives each target its seconds, as many targets at once as there are cores.
pub(crate) fn run(root: &Path, wanted: &Fuzz) -> Result<()> {
    let mut names = names(root)?;
    if let Some(unknown) = wanted.targets.iter().find(|name| !names.contains(name)) {
        bail!(
            "there is no target {unknown}; there are {}",
            names.join(", ")
        );
    }
    names.retain(|name| wanted.targets.is_empty() || wanted.targets.contains(name));
    let built = root.join("target/fuzz");
    let settings = built.join(".cargo/config.toml");
    fs::create_dir_all(built.join(".cargo")).with_context(|| settings.display().to_string())?;
    fs::write(&settings, optimised(root)?).with_context(|| settings.display().to_string())?;
    // Cargo reads the settings of the folder where it starts.
    let mut build = cargo(&built);
    build.args([
        "fuzz",
        "build",
        "--fuzz-dir",
        "../../fuzz",
        "--dev",
        "-s",
        "none",
        "--features",
        "libfuzzer",
    ]);
    let built_all = execute(build.env("CARGO_TARGET_DIR", &built));
    built_all.context("`cargo install cargo-fuzz` installs what this needs")?;
    let targets: Vec<Target> = { names.into_iter() }
        .map(|name| Target::new(root, &built, name))
        .collect();
    if wanted.keep {
        return targets.iter().try_for_each(Target::keep);
    }
    let shared = Mutex::new((Tried::read(root)?, BTreeSet::new()));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = { 0..cores.min(targets.len()) }
            .map(|_| scope.spawn(|| take_turns(&targets, wanted.seconds, &shared)))
            .collect();
        let mut ended = workers.into_iter().map(|worker| worker.join());
        ended.try_for_each(|ended| ended.unwrap_or_else(|_| bail!("a worker panicked")))
    })?;
    let found: Vec<PathBuf> = targets.iter().flat_map(Target::finds).collect();
    for path in &found {
        eprintln!("found: {}", path.display());
    }
    match found.is_empty() {
        true => Ok(()),
        false => bail!(
            "{} inputs break a reader: put them into fuzz/corpus/NAME, which the tests read, and mend it",
            found.len()
        ),
    }
}

/// Tries the target that had the least time, of those that nobody tries now, until all have had theirs.
fn take_turns(
    targets: &[Target],
    seconds: u64,
    shared: &Mutex<(Tried, BTreeSet<usize>)>,
) -> Result<()> {
    let locked = || {
        shared
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    };
    loop {
        let (next, left) = {
            let (tried, busy) = &mut *locked();
            let open = { targets.iter().enumerate() }
                .map(|(index, target)| (tried.of(&target.name).seconds, index))
                .filter(|(done, index)| *done < seconds && !busy.contains(index));
            let Some((done, next)) = open.min() else {
                return Ok(());
            };
            busy.insert(next);
            (next, seconds - done)
        };
        let target = &targets[next];
        let turn = target.turn(left.clamp(SHORT_TURN, TURN));
        let (tried, busy) = &mut *locked();
        busy.remove(&next);
        let now = tried.add(&target.name, turn?)?;
        println!(
            "{}: {} s, {} inputs, {} that differ, {} that break it",
            target.name,
            now.seconds,
            now.inputs,
            target.known(),
            target.finds().len()
        );
    }
}

/// Settings that optimise the crates which the tests' profile does not: a target tries twice as many inputs then.
fn optimised(root: &Path) -> Result<String> {
    let manifest = manifest(&root.join("Cargo.toml"))?;
    let table = |of: &Table, key: &str| of.get(key).and_then(Value::as_table).cloned();
    let packages = { ["profile", "dev", "package"].iter() }
        .try_fold(manifest, |within, key| table(&within, key));
    let mut settings = String::new();
    for (name, set) in packages.unwrap_or_default() {
        if name.starts_with("beft") && set.get("opt-level") == Some(&Value::Integer(0)) {
            settings += &format!("[profile.dev.package.{name}]\nopt-level = 1\n");
        }
    }
    Ok(settings)
}

fn manifest(path: &Path) -> Result<Table> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    text.parse().with_context(|| path.display().to_string())
}

/// The programs of the fuzz crate.
fn names(root: &Path) -> Result<Vec<String>> {
    let manifest = manifest(&root.join("fuzz/Cargo.toml"))?;
    let programs = manifest.get("bin").and_then(Value::as_array);
    let names = programs.into_iter().flatten();
    let names = names.filter_map(|program| Some(program.get("name")?.as_str()?.to_owned()));
    Ok(names.collect())
}
