//! Searches for inputs that break a reader, with cargo-fuzz.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{cargo, execute};

/// Targets take turns of so many seconds, so that an interruption costs little and all have had about the same.
const TURN: u64 = 60;

/// Gives each target so many seconds in all, those of earlier calls included. `wanted` are their names; all of them if empty.
pub(crate) fn run(root: &Path, wanted: &[String], seconds: u64) -> Result<()> {
    let mut all = names(root)?;
    if let Some(unknown) = wanted.iter().find(|name| !all.contains(name)) {
        bail!("there is no target {unknown}; there are {}", all.join(", "));
    }
    all.retain(|name| wanted.is_empty() || wanted.contains(name));
    let built = root.join("target/fuzz");
    let mut build = cargo(root);
    build.args([
        "fuzz",
        "build",
        "--dev",
        "-s",
        "none",
        "--features",
        "libfuzzer",
    ]);
    let built_all = execute(build.env("CARGO_TARGET_DIR", &built));
    built_all.context("`cargo install cargo-fuzz` installs what this needs")?;
    let targets: Vec<Target> = all
        .into_iter()
        .map(|name| Target::new(root, name))
        .collect();
    loop {
        let open = targets.iter().filter(|target| target.done() < seconds);
        let Some(next) = open.min_by_key(|target| target.done()) else {
            break;
        };
        let left = seconds - next.done();
        next.turn(root, &built, left.min(TURN))?;
    }
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

/// The programs of the fuzz crate.
fn names(root: &Path) -> Result<Vec<String>> {
    let path = root.join("fuzz/Cargo.toml");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let manifest: toml::Table = text.parse().with_context(|| path.display().to_string())?;
    let programs = manifest.get("bin").and_then(toml::Value::as_array);
    let names = programs.into_iter().flatten();
    let names = names.filter_map(|program| Some(program.get("name")?.as_str()?.to_owned()));
    Ok(names.collect())
}

/// A target, and the folder of what was done for it.
struct Target {
    name: String,
    folder: PathBuf,
    /// The inputs that are kept in the repository.
    corpus: PathBuf,
}

impl Target {
    fn new(root: &Path, name: String) -> Self {
        Self {
            folder: root.join("target/fuzz/work").join(&name),
            corpus: root.join("fuzz/corpus").join(&name),
            name,
        }
    }

    /// Seconds that it was tried for.
    fn done(&self) -> u64 {
        let text = fs::read_to_string(self.folder.join("seconds"));
        text.ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0)
    }

    fn finds(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.join("finds"))
            .into_iter()
            .flatten()
            .flatten();
        entries.map(|entry| entry.path()).collect()
    }

    /// Tries it for so many seconds, and says so.
    fn turn(&self, root: &Path, built: &Path, seconds: u64) -> Result<()> {
        let (inputs, finds) = (self.folder.join("corpus"), self.folder.join("finds"));
        for folder in [&inputs, &finds] {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let before = self.finds().len();
        let programs = built.join(format!(
            "{}-unknown-linux-gnu/debug",
            std::env::consts::ARCH
        ));
        let mut program = Command::new(programs.join(&self.name));
        program.current_dir(root).arg(&inputs);
        if self.corpus.is_dir() {
            program.arg(&self.corpus);
        }
        program
            .arg(format!("-artifact_prefix={}/", finds.display()))
            .arg(format!("-max_total_time={seconds}"))
            .args([
                "-timeout=5",
                "-rss_limit_mb=3000",
                "-malloc_limit_mb=400",
                "-max_len=4096",
            ])
            .args(["-verbosity=0", "-print_final_stats=0"]);
        let output = program.output();
        let output = output.with_context(|| format!("cannot start {}", self.name))?;
        if !output.status.success() && self.finds().len() == before {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{}: {}: {said}", self.name, output.status);
        }
        let done = self.done() + seconds;
        let path = self.folder.join("seconds");
        fs::write(&path, done.to_string()).with_context(|| path.display().to_string())?;
        let known = fs::read_dir(&inputs).map_or(0, Iterator::count);
        let found = self.finds().len();
        println!(
            "{}: {done} s, {known} inputs that differ, {found} that break it",
            self.name
        );
        Ok(())
    }
}
