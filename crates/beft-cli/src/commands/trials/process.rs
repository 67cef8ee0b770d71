//! A process for trials that train together, so that memory goes back with it and a crash takes few along.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use beft_compare::{JointTrials, Journal, Trial, run_trials};
use beft_files::Lease;
use beft_train::Event;

use crate::args::ComparePassArgs;
use crate::interrupt;
use crate::progress::TrialsProgress;

/// Kills the process when this end goes away.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a process that is gone.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a pass in a process; what it said of the result of each trial. `None` when another process has taken the work
/// over, or the process was stopped.
pub(super) fn run(
    journal: &Journal,
    pass: &JointTrials,
    leases: &[Lease],
    threads: usize,
    progress: &TrialsProgress,
) -> Result<Option<Vec<String>>> {
    let file = journal.write_joint(pass)?;
    let folder = file.parent().unwrap_or(Path::new("."));
    let log = file.with_extension("log");
    let errors = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let child = Command::new(std::env::current_exe()?)
        .arg("compare-pass")
        .args([file.as_os_str(), folder.as_os_str()])
        // Small matrices gain little from threads; whole trainings side by side do.
        .env("RAYON_NUM_THREADS", threads.to_string())
        .env("OMP_NUM_THREADS", threads.to_string())
        // Held open as long as this process lives: the child ends when it is closed.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(errors)
        .spawn()
        .context("cannot start a process")?;
    let name = match pass.trials.as_slice() {
        [first, more @ ..] if !more.is_empty() => {
            format!("{} and {} more", first.trial, more.len())
        }
        trials => trials
            .iter()
            .map(|planned| planned.trial.to_string())
            .collect(),
    };
    let mut child = Running(child);
    // Out of the child's hands: `wait` would close it.
    let stdin = child.0.stdin.take();
    let _alive = stdin.map(|stdin| interrupt::Child::new(child.0.id(), stdin));
    let mut results = Vec::new();
    if let Some(out) = child.0.stdout.take() {
        for line in BufReader::new(out).lines().map_while(|line| line.ok()) {
            if leases.iter().any(Lease::is_lost) {
                return Ok(None);
            }
            match line.split_once(' ') {
                Some(("step", _)) => progress.step(&name, &line),
                _ => results.push(line),
            }
        }
    }
    let status = child.0.wait()?;
    if interrupt::wish().is_asked() && !status.success() {
        return Ok(None);
    }
    if !status.success() {
        let text = fs::read_to_string(&log).unwrap_or_default();
        bail!("{} (see {})", reason(status, &text), log.display());
    }
    // Only a failure's are of use.
    let _ = fs::remove_file(&log);
    let _ = fs::remove_file(&file);
    Ok(Some(results))
}

/// Stops when the process that started this one says so, and ends at once when that is gone, however it ended: it holds the
/// other end of standard input.
fn end_with_parent() -> Result<()> {
    let watch = || {
        // An error says as little as an end.
        for line in stdin().lines().map_while(Result::ok) {
            if line == interrupt::STOP {
                interrupt::wish().ask();
            }
        }
        std::process::exit(2);
    };
    std::thread::Builder::new()
        .spawn(watch)
        .context("the system refuses a thread")?;
    Ok(())
}

/// Why a process failed: its own last line, or what ended it.
fn reason(status: ExitStatus, log: &str) -> String {
    #[cfg(unix)]
    if std::os::unix::process::ExitStatusExt::signal(&status) == Some(9) {
        return "the system killed it, as it does when memory runs out: give --together 1, fewer --jobs or a smaller --batch-size".to_owned();
    }
    let line = log.lines().rfind(|line| !line.trim().is_empty());
    line.map_or_else(|| format!("no message, {status}"), str::to_owned)
}

/// After so long a step is told, however few there were since the last that was.
const LONG_STEP: Duration = Duration::from_secs(5);

/// One pass: what the hidden subcommand does.
pub(crate) fn pass(args: &ComparePassArgs) -> Result<()> {
    let text =
        fs::read(&args.pass).with_context(|| format!("cannot read {}", args.pass.display()))?;
    let pass: JointTrials = serde_json::from_slice(&text)
        .with_context(|| format!("cannot read {}", args.pass.display()))?;
    let journal = Journal::open(&args.journal)?;
    end_with_parent()?;
    let _work = interrupt::Work::begin();
    let mut of = (0, 0);
    // The parent reads these lines; one that is gone makes this process pointless.
    let tell = |line: String| {
        if writeln!(stdout(), "{line}").is_err() {
            std::process::exit(2);
        }
    };
    let trials: Vec<Trial> = pass.trials.iter().map(|t| t.trial.clone()).collect();
    let mut told = (0, Instant::now());
    let results = run_trials(
        &trials,
        &journal.state_path(&pass),
        &interrupt::wish(),
        |_, event| match event {
            Event::Started { steps, epochs, .. } => of = (steps, epochs),
            Event::Step { epoch, step, .. } => {
                let at = (epoch - 1) * of.0 + step;
                if at >= told.0 + 10 || told.1.elapsed() > LONG_STEP {
                    told = (at, Instant::now());
                    tell(format!("step {at} of {}", of.0 * of.1));
                }
            }
            _ => {}
        },
    )?;
    for (planned, result) in pass.trials.iter().zip(&results) {
        journal.finish(planned, result)?;
    }
    journal.forget(&pass);
    for result in &results {
        let metrics = crate::progress::metrics(&result.metrics);
        match &result.failure {
            None => tell(metrics.trim_start_matches(", ").to_owned()),
            Some(failure) => tell(format!("diverged: {failure}")),
        }
    }
    Ok(())
}
