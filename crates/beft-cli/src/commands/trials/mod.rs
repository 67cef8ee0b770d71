//! Runs the trainings of comparisons and sweeps.

mod process;
mod queue;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use beft::parse_devices;
use beft_compare::{Journal, Plan, Planned, Shard, Trial, TrialResult};
use beft_device::names_gpu;
use beft_files::Leases;

pub(crate) use process::pass;

use crate::args::TrialArgs;
use crate::interrupt;
use crate::output::{MadeFolders, OutputFolder, lock_folder, prepare_folder, say, tell};
use crate::progress::share as percent;
use queue::Queue;

/// Folder of finished trials within the output folder.
const CELLS: &str = "cells";

/// Trainings in one pass, if no other number is asked for.
const TOGETHER_ON_CPU: usize = 4;
const TOGETHER_ON_GPU: usize = 32;

/// A process on another machine that has said nothing for so long is taken for dead.
const PATIENCE: Duration = Duration::from_secs(60);

/// Trainings that failed, and may succeed when the command is run again.
#[derive(Debug, thiserror::Error)]
#[error(
    "{failed} of {of} trainings failed; the others are kept: run the same command again to continue"
)]
pub(crate) struct TrainingsFailed {
    failed: usize,
    of: usize,
}

/// What a command does of a comparison or sweep.
#[derive(Clone, Copy)]
enum Work {
    /// What is not finished of a part, and no tables; or without a part of everything, and the tables.
    Train(Option<Shard>),
    /// The tables alone.
    Summary,
}

impl TrialArgs {
    /// Device, precision and limit as a trial holds them. Of several devices it has the first.
    pub(crate) fn of_trials(&self) -> Result<(String, String, Option<usize>)> {
        let limit = self.limit.map(|n| n as usize);
        let device = self.devices()?.remove(0);
        Ok((device, self.precision.to_string(), limit))
    }

    /// How many trainings share a pass at most.
    fn most_together(&self) -> Result<usize> {
        let usual = match names_gpu(&self.devices()?[0]) {
            true => TOGETHER_ON_GPU,
            false => TOGETHER_ON_CPU,
        };
        Ok(self.together.map_or(usual, |most| most as usize))
    }

    /// The devices that trainings are dealt to, at least one.
    fn devices(&self) -> Result<Vec<String>> {
        let devices = parse_devices(&self.device)?;
        Ok(devices.into_iter().map(|device| device.name).collect())
    }

    /// What to do, by the options or by what a scheduler says. Tells of the latter.
    fn work(&self) -> Result<Work> {
        if self.summarise_only {
            return Ok(Work::Summary);
        }
        if let Some(shard) = self.shard {
            return Ok(Work::Train(Some(shard)));
        }
        let found = Shard::of_scheduler(|name| std::env::var(name).ok());
        match found
            .context("the scheduler's variables say no part of the work; give --shard K/N")?
        {
            None => Ok(Work::Train(None)),
            Some((shard, variable)) => {
                tell!(
                    "{variable} is set: this is part {shard} of the work (--shard 1/1 does all of it)"
                );
                Ok(Work::Train(Some(shard)))
            }
        }
    }
}

/// The results of all trials, in their order, and the output folder that the tables go to, which no other process
/// writes to; `None` when the command had a part of the work alone. `files` are the tables.
pub(crate) fn finish(
    trials: impl FnOnce() -> Result<Vec<Trial>>,
    out: &Path,
    files: &[&str],
    args: &TrialArgs,
) -> Result<Option<(Vec<TrialResult>, OutputFolder)>> {
    let work = args.work()?;
    let trials = trials()?;
    let (_made, output): (Option<MadeFolders>, _) = match work {
        // Several may work in the folder; the journal's leases keep them apart.
        Work::Train(Some(_)) => (Some(prepare_folder(out, files)?), None),
        Work::Train(None) | Work::Summary => (None, Some(lock_folder(out, files)?)),
    };
    let cells = out.join(CELLS);
    let _cells = MadeFolders::of(&cells);
    let mut journal = Journal::open(&cells)?;
    let planned = trials.into_iter().map(|trial| journal.plan(trial));
    let planned: Vec<Planned> = planned.collect::<Result<_, _>>()?;
    let aside = journal.set_damaged_aside(&planned)?;
    for path in &aside {
        tell!(
            "note: a damaged result, or one of another training, is now {}",
            path.display()
        );
    }
    match work {
        Work::Summary => {
            journal.check_agreed(&planned, None)?;
            check_complete(&journal, &planned)?;
        }
        Work::Train(shard) => {
            // Before the first training, and not in the one that lacks something.
            journal.check_data(&planned)?;
            let most = args.most_together()?;
            journal.agree(&planned, most, shard.is_none())?;
            run(args, &mut journal, planned.clone(), shard, most)?;
        }
    }
    let Some(output) = output else {
        let done = planned.iter().filter(|t| journal.is_done(&t.key)).count();
        say!(
            "{done} of {} trainings are finished in {}",
            planned.len(),
            out.display()
        );
        if done == planned.len() {
            say!("For the tables run the same command with --summarise-only instead of --shard");
        }
        return Ok(None);
    };
    journal.clean();
    let results = planned.iter().map(|planned| {
        journal.find(planned).with_context(|| {
            format!(
                "{}: its result is gone; run the same command again",
                planned.trial
            )
        })
    });
    Ok(Some((results.collect::<Result<_>>()?, output)))
}

/// Fails with a list of what is missing.
fn check_complete(journal: &Journal, trials: &[Planned]) -> Result<()> {
    let missing: Vec<&Planned> = trials.iter().filter(|t| !journal.is_done(&t.key)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    tell_of_others(journal, trials);
    for planned in &missing {
        tell!("missing: {}", planned.trial);
    }
    bail!(
        "{} of {} trainings are missing in {}: run the same command without --summarise-only to train them",
        missing.len(),
        trials.len(),
        journal.dir().display()
    );
}

/// Names the finished trials that look like some of these and are not.
fn tell_of_others(journal: &Journal, trials: &[Planned]) {
    let others = journal.others(trials);
    for (path, what) in others.iter().take(5) {
        let name = path.file_name().unwrap_or_default().display();
        tell!("note: {CELLS}/{name} is not used, because it is of another training: {what}");
    }
    if others.len() > 5 {
        tell!(
            "note: {} more in {CELLS} are not used for such reasons",
            others.len() - 5
        );
    }
}

/// Runs every trial of a part that is not finished.
fn run(
    args: &TrialArgs,
    journal: &mut Journal,
    trials: Vec<Planned>,
    shard: Option<Shard>,
    most: usize,
) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let devices = args.devices()?;
    let jobs = match names_gpu(&devices[0]) {
        true => devices.len(),
        false => cores,
    };
    let jobs = args.jobs.map_or(jobs, |jobs| jobs as usize);
    let plan = Plan::new(journal, trials, shard, most)?;
    let mine = plan
        .passes
        .iter()
        .map(|pass| pass.trials.len())
        .sum::<usize>();
    if let Some(shard) = shard {
        let (all, share) = (plan.trials.len(), percent(plan.share));
        tell!("Part {shard}: {mine} of {all} trainings, about {share} of the work");
        if mine == 0 {
            tell!(
                "note: there are fewer groups of trainings than parts; --together 1 makes more groups"
            );
        }
    }
    tell_of_others(journal, &plan.trials);
    // By the whole plan, and not by what is open or this part's: how many threads a training has decides its last bits.
    let jobs = jobs.clamp(1, plan.all_passes().max(1));
    let threads = (cores / jobs).max(1);
    let leases = Leases::new(journal.dir(), PATIENCE);
    let queue = Queue::new(journal, &leases, plan.passes, plan.others);
    let _work = interrupt::Work::begin();
    std::thread::scope(|scope| {
        for device in devices.iter().cycle().take(jobs) {
            scope.spawn(|| queue.work(device, threads));
        }
    });
    let (failed, of) = queue.finish();
    if interrupt::wish().is_asked() {
        bail!("the trainings were stopped");
    }
    if !failed.is_empty() {
        for line in &failed {
            tell!("{line}");
        }
        let failed = failed.len();
        return Err(TrainingsFailed { failed, of }.into());
    }
    Ok(())
}
