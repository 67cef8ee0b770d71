//! A program that libFuzzer drives, and what it found.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::said::Said;
use super::tried::Turn;

/// Inputs of each target that the repository keeps beside what broke it, and the bytes of the largest. The tests try each of
/// them.
const KEPT: usize = 30;
const LARGEST: usize = 512;

/// A target, and the folder of what was done for it on this machine.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) name: String,
    root: PathBuf,
    program: PathBuf,
    folder: PathBuf,
    /// The inputs that are kept in the repository.
    corpus: PathBuf,
}

impl Target {
    pub(super) fn new(root: &Path, built: &Path, name: String) -> Self {
        let programs = format!("{}-unknown-linux-gnu/debug", std::env::consts::ARCH);
        Self {
            root: root.to_owned(),
            program: built.join(programs).join(&name),
            folder: root.join("target/fuzz/work").join(&name),
            corpus: root.join("fuzz/corpus").join(&name),
            name,
        }
    }

    /// Inputs that break it.
    pub(super) fn finds(&self) -> Vec<PathBuf> {
        files(&self.folder.join("finds"))
    }

    /// The number of inputs that run through different code.
    pub(super) fn known(&self) -> usize {
        files(&self.folder.join("corpus")).len()
    }

    /// Tries it for so many seconds. The start does not count: there libFuzzer reads again all inputs that are known.
    pub(super) fn turn(&self, seconds: u64) -> Result<Turn> {
        let (inputs, finds) = (self.folder.join("corpus"), self.folder.join("finds"));
        for folder in [&inputs, &finds] {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let before = self.finds().len();
        let mut program = Command::new(&self.program);
        program.current_dir(&self.root).arg(&inputs);
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
                // Recipes of some thirty bytes from the beginning, not of a few.
                "-len_control=0",
            ])
            // A fifth of the time, for a choice among inputs that finds less here.
            .arg("-entropic=0")
            .arg("-print_final_stats=1");
        let begun = Instant::now();
        let mut child = { program.stderr(Stdio::piped()).spawn() }
            .with_context(|| format!("cannot start {}", self.name))?;
        let (mut said, mut ready) = (Said::default(), None);
        let heard = child.stderr.take().context("it is piped")?;
        for line in BufReader::new(heard).split(b'\n') {
            let line = line.with_context(|| self.name.clone())?;
            said.hear(&String::from_utf8_lossy(&line));
            if said.known.is_some() && ready.is_none() {
                ready = Some(begun.elapsed().as_secs());
            }
        }
        let status = child.wait().with_context(|| self.name.clone())?;
        if !status.success() && self.finds().len() == before {
            bail!("{}: {status}: {}", self.name, said.last.join("\n"));
        }
        let spent = begun.elapsed().as_secs().min(seconds);
        let turn = Turn {
            seconds: spent.saturating_sub(ready.unwrap_or(spent)),
            inputs: said
                .inputs
                .saturating_sub(said.known.unwrap_or(said.inputs)),
        };
        if turn.seconds == 0 && self.finds().len() == before {
            bail!(
                "{}: its {} known inputs take more than {seconds} s: `cargo xtask fuzz {} --keep` drops those that run through the same code",
                self.name,
                self.known(),
                self.name
            );
        }
        Ok(turn)
    }

    /// Drops inputs that run through the same code as others, and puts some of the rest into the repository, small and less small
    /// ones, in place of those that an earlier call put there.
    pub(super) fn keep(&self) -> Result<()> {
        let merged = self.folder.join("merged");
        if merged.exists() {
            fs::remove_dir_all(&merged).with_context(|| merged.display().to_string())?;
        }
        for folder in [&merged, &self.corpus] {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let mut program = Command::new(&self.program);
        program.current_dir(&self.root).arg("-merge=1").args([
            &merged,
            &self.corpus,
            &self.folder.join("corpus"),
        ]);
        let output = program.output();
        let output = output.with_context(|| format!("cannot start {}", self.name))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{}: {}: {said}", self.name, output.status);
        }
        // The next turn starts with as many fewer inputs.
        let known = self.folder.join("corpus");
        fs::remove_dir_all(&known).with_context(|| known.display().to_string())?;
        fs::rename(&merged, &known).with_context(|| merged.display().to_string())?;
        let mut inputs = Vec::new();
        for path in files(&known) {
            let content = fs::read(&path).with_context(|| path.display().to_string())?;
            inputs.push((content.len(), path));
        }
        inputs.sort();
        // What broke a reader once has a name in words; what libFuzzer keeps is named by its hash.
        for path in files(&self.corpus).iter().filter(|path| is_hash(path)) {
            fs::remove_file(path).with_context(|| path.display().to_string())?;
        }
        let small: Vec<&(usize, PathBuf)> = { inputs.iter() }
            .filter(|(size, _)| *size <= LARGEST)
            .collect();
        let mut kept = 0;
        for (_, path) in small.iter().step_by(small.len().div_ceil(KEPT).max(1)) {
            let to = self.corpus.join(path.file_name().unwrap_or_default());
            fs::copy(path, &to).with_context(|| to.display().to_string())?;
            kept += 1;
        }
        println!("{}: {kept} of {} inputs kept", self.name, inputs.len());
        Ok(())
    }
}

/// Whether a file has a name that libFuzzer gives.
fn is_hash(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
