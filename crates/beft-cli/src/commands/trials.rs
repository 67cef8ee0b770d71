//! Runs the trainings of comparisons and sweeps.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use beft_compare::{JointTrials, Journal, Trial, TrialResult, joint_trials, run_trials};
use beft_device::names_gpu;
use beft_train::Event;

use crate::args::{ComparePassArgs, TrialArgs};
use crate::output::tell;
use crate::progress::TrialsProgress;

/// Folder of finished trials within the output folder.
const CELLS: &str = "cells";

impl TrialArgs {
    /// Device, precision and limit as a trial holds them.
    pub(crate) fn of_trials(&self) -> (String, String, Option<usize>) {
        let limit = self.limit.map(|n| n as usize);
        (self.device.clone(), self.precision.to_string(), limit)
    }
}

/// Runs every trial that has no result in `out` yet; the results of all, in their order.
pub(crate) fn finish(trials: Vec<Trial>, out: &Path, args: &TrialArgs) -> Result<Vec<TrialResult>> {
    let mut journal = Journal::open(&out.join(CELLS))?;
    let mut keyed = Vec::new();
    for trial in trials {
        let key = journal.key(&trial)?;
        keyed.push((key, trial));
    }
    let failed = run_all(args, &journal, &keyed)?;
    if !failed.is_empty() {
        for line in &failed {
            tell!("{line}");
        }
        bail!(
            "{} of {} trainings failed; the others are kept: run the same command again to continue",
            failed.len(),
            keyed.len()
        );
    }
    keyed
        .iter()
        .map(|(key, trial)| {
            journal.find(key, trial).with_context(|| {
                let name = name_of(trial);
                format!("{name}: its result in {CELLS} is damaged; delete {key}.json there")
            })
        })
        .collect()
}

/// Runs every trial that is not finished. Those that can train together share a pass, and each pass has
/// a process of its own, so that memory goes back with it and a crash takes few along. Returns what
/// failed, in words.
fn run_all(args: &TrialArgs, journal: &Journal, trials: &[(String, Trial)]) -> Result<Vec<String>> {
    let open: Vec<&(String, Trial)> = trials
        .iter()
        .filter(|(key, _)| !journal.is_done(key))
        .collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (jobs, most) = match names_gpu(&args.device) {
        true => (1, TOGETHER_ON_GPU),
        false => (cores, TOGETHER_ON_CPU),
    };
    let jobs = args.jobs.map_or(jobs, |jobs| jobs as usize);
    let most = args.together.map_or(most, |most| most as usize);
    let most = most.min(open.len().div_ceil(jobs));
    let of: Vec<Trial> = open.iter().map(|(_, trial)| trial.clone()).collect();
    let joint_trials: Vec<JointTrials> = joint_trials(&of, most)?
        .into_iter()
        .map(|pass| JointTrials {
            trials: pass.into_iter().map(|index| open[index].clone()).collect(),
        })
        .collect();
    let jobs = jobs.clamp(1, joint_trials.len().max(1));
    let threads = (cores / jobs).max(1);
    let progress = TrialsProgress::new(trials.len(), trials.len() - open.len());
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(pass) = joint_trials.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let results = run_one(journal, pass, threads, &progress);
                    for (index, (_, trial)) in pass.trials.iter().enumerate() {
                        let name = name_of(trial);
                        match &results {
                            Ok(results) => {
                                let result = results.get(index);
                                progress.finished(&name, result.map_or("", |r| r.as_str()));
                            }
                            Err(error) => {
                                progress.finished(&name, "failed");
                                let line = format!("{name}: {error:#}");
                                failed.lock().unwrap_or_else(|e| e.into_inner()).push(line);
                            }
                        }
                    }
                }
            });
        }
    });
    progress.finish();
    Ok(failed.into_inner().unwrap_or_else(|e| e.into_inner()))
}

/// Trainings in one pass, if no other number is asked for.
const TOGETHER_ON_CPU: usize = 4;
const TOGETHER_ON_GPU: usize = 32;

/// `sst2 low lora-v lr 0.0004 seed 1`
fn name_of(trial: &Trial) -> String {
    format!(
        "{} {} {} lr {} seed {}",
        trial.task, trial.regime, trial.mode, trial.learning_rate, trial.seed
    )
}

/// Kills the process when this end goes away.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a process that is gone.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a pass in a process; what it said of the result of each trial.
fn run_one(
    journal: &Journal,
    pass: &JointTrials,
    threads: usize,
    progress: &TrialsProgress,
) -> Result<Vec<String>> {
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
        [(_, trial), more @ ..] if !more.is_empty() => {
            format!("{} and {} more", name_of(trial), more.len())
        }
        trials => trials.iter().map(|(_, trial)| name_of(trial)).collect(),
    };
    let mut child = Running(child);
    // Out of the child's hands: `wait` would close it.
    let _alive = child.0.stdin.take();
    let mut results = Vec::new();
    if let Some(out) = child.0.stdout.take() {
        for line in BufReader::new(out).lines().map_while(|line| line.ok()) {
            match line.split_once(' ') {
                Some(("step", _)) => progress.step(&name, &line),
                _ => results.push(line),
            }
        }
    }
    let status = child.0.wait()?;
    if !status.success() {
        let text = fs::read_to_string(&log).unwrap_or_default();
        bail!("{} (see {})", reason(status, &text), log.display());
    }
    // Only a failure's are of use.
    let _ = fs::remove_file(&log);
    let _ = fs::remove_file(&file);
    Ok(results)
}

/// Ends this process when the one that started it is gone, however that ended: the parent holds the
/// other end of standard input and never writes to it.
fn end_with_parent() -> Result<()> {
    let watch = || {
        // An error says as little as an end.
        let _ = std::io::copy(&mut stdin(), &mut std::io::sink());
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

/// One pass: what the hidden subcommand does.
pub(crate) fn pass(args: &ComparePassArgs) -> Result<()> {
    let text =
        fs::read(&args.pass).with_context(|| format!("cannot read {}", args.pass.display()))?;
    let pass: JointTrials = serde_json::from_slice(&text)
        .with_context(|| format!("cannot read {}", args.pass.display()))?;
    let journal = Journal::open(&args.journal)?;
    end_with_parent()?;
    let mut of = (0, 0);
    // The parent reads these lines; one that is gone makes this process pointless.
    let tell = |line: String| {
        if writeln!(stdout(), "{line}").is_err() {
            std::process::exit(2);
        }
    };
    let trials: Vec<Trial> = pass.trials.iter().map(|(_, trial)| trial.clone()).collect();
    let mut told = 0;
    let results = run_trials(
        &trials,
        &journal.state_path(&pass),
        |_, event| match event {
            Event::Started { steps, epochs, .. } => of = (steps, epochs),
            Event::Step { epoch, step, .. } => {
                let at = (epoch - 1) * of.0 + step;
                if at >= told + 10 {
                    told = at;
                    tell(format!("step {at} of {}", of.0 * of.1));
                }
            }
            _ => {}
        },
    )?;
    for ((key, _), result) in pass.trials.iter().zip(&results) {
        journal.finish(key, result)?;
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
