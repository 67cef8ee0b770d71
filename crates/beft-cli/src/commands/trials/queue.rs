//! What is left of a comparison's work, dealt to the processes of this machine and kept from those of others.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result};
use beft_compare::{JointTrials, Journal, Planned, Shard};
use beft_files::{Lease, Leases, Take};

use crate::interrupt::wish;
use crate::output::tell;
use crate::progress::TrialsProgress;

use super::process;

/// How often work that others have is looked at.
const PAUSE: Duration = Duration::from_millis(500);

/// The passes of a part of a comparison, and then those of other parts that processes work on in the same folder.
pub(super) struct Queue<'a> {
    journal: &'a Journal,
    leases: &'a Leases,
    progress: TrialsProgress,
    state: Mutex<State>,
}

struct State {
    /// Passes that are not finished and that no job of this process has.
    open: Vec<JointTrials>,
    others: Vec<OtherPart>,
    /// The number of trials of all passes that are this process's.
    trials: usize,
    /// What failed, in words.
    failed: Vec<String>,
    /// Who was waited for already.
    told: BTreeSet<String>,
    /// The trials that the progress counts as finished.
    counted: BTreeSet<String>,
}

/// Another part of the comparison.
struct OtherPart {
    shard: Shard,
    /// Its passes that this process did not take.
    passes: Vec<JointTrials>,
    /// Whether somebody works or worked on it in this folder.
    begun: bool,
}

enum Next {
    Run(JointTrials, Held),
    /// Others have the rest.
    Wait,
    Over,
}

/// A pass that nobody else has.
struct Held {
    pass: JointTrials,
    leases: Vec<Lease>,
}

impl<'a> Queue<'a> {
    /// Of the `passes` of a part and those of `others`.
    pub(super) fn new(
        journal: &'a Journal,
        leases: &'a Leases,
        passes: Vec<JointTrials>,
        others: Vec<(Shard, Vec<JointTrials>)>,
    ) -> Self {
        let trials = || passes.iter().flat_map(|pass| &pass.trials);
        let done = trials().filter(|planned| journal.is_done(&planned.key));
        let counted: BTreeSet<String> = done.map(|planned| planned.key.clone()).collect();
        Self {
            journal,
            leases,
            progress: TrialsProgress::new(trials().count(), counted.len()),
            state: Mutex::new(State {
                trials: trials().count(),
                open: passes,
                others: others
                    .into_iter()
                    .map(|(shard, passes)| OtherPart {
                        shard,
                        passes,
                        begun: false,
                    })
                    .collect(),
                failed: Vec::new(),
                told: BTreeSet::new(),
                counted,
            }),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Works on a device until nothing is left.
    pub(super) fn work(&self, device: &str, threads: usize) {
        loop {
            if wish().is_asked() {
                return;
            }
            match self.next() {
                Next::Over => return,
                Next::Wait => std::thread::sleep(PAUSE),
                Next::Run(whole, mut held) => {
                    for planned in &mut held.pass.trials {
                        device.clone_into(&mut planned.trial.device);
                    }
                    let result = process::run(
                        self.journal,
                        &held.pass,
                        &held.leases,
                        threads,
                        &self.progress,
                    );
                    match result {
                        Ok(Some(results)) => {
                            for (index, planned) in held.pass.trials.iter().enumerate() {
                                let result = results.get(index).map_or("", String::as_str);
                                self.finished(&mut self.state(), planned, result);
                            }
                        }
                        Ok(None) => self.state().open.push(whole),
                        Err(error) => self.failed(&mut self.state(), &held.pass, &error),
                    }
                }
            }
        }
    }

    /// Tells of a trial, if that was not done.
    fn finished(&self, state: &mut State, planned: &Planned, result: &str) {
        if state.counted.insert(planned.key.clone()) {
            self.progress.finished(&planned.trial.to_string(), result);
        }
    }

    fn failed(&self, state: &mut State, pass: &JointTrials, error: &anyhow::Error) {
        for planned in &pass.trials {
            self.finished(state, planned, "failed");
            state.failed.push(format!("{}: {error:#}", planned.trial));
        }
    }

    /// The next pass that nobody has.
    fn next(&self) -> Next {
        let mut state = self.state();
        let mut index = 0;
        let mut holders = BTreeSet::new();
        while index < state.open.len() {
            match self.take(&state.open[index]) {
                Ok(Taken::Mine(held)) => {
                    let whole = state.open.remove(index);
                    return Next::Run(whole, held);
                }
                Ok(Taken::Done) => {
                    let pass = state.open.remove(index);
                    for planned in &pass.trials {
                        self.finished(&mut state, planned, "finished by another process");
                    }
                }
                Ok(Taken::Held(by)) => {
                    holders.insert(by);
                    index += 1;
                }
                Err(error) => {
                    let pass = state.open.remove(index);
                    self.failed(&mut state, &pass, &error);
                }
            }
        }
        if let Some((whole, held)) = self.help(&mut state) {
            return Next::Run(whole, held);
        }
        if holders.is_empty() {
            return Next::Over;
        }
        for holder in holders {
            if state.told.insert(holder.clone()) {
                tell!("waiting for trainings of {holder}");
            }
        }
        Next::Wait
    }

    /// A pass of another part, if somebody works or worked on that part in this folder: the parts of processes that have
    /// other folders are none of our business. Nobody is waited for.
    fn help(&self, state: &mut State) -> Option<(JointTrials, Held)> {
        let begun = |pass: &JointTrials| {
            let mut keys = pass.trials.iter().map(|planned| &planned.key);
            keys.any(|key| self.journal.is_done(key) || self.leases.is_leased(key))
        };
        let mut found = None;
        for part in &mut state.others {
            part.begun |= part.passes.iter().any(begun);
            if !part.begun {
                continue;
            }
            // What cannot be taken is its own part's to tell.
            let taken = part.passes.iter().enumerate().find_map(|(index, pass)| {
                let Ok(Taken::Mine(held)) = self.take(pass) else {
                    return None;
                };
                Some((index, held))
            });
            if let Some((index, held)) = taken {
                found = Some((part.shard, part.passes.remove(index), held));
                break;
            }
        }
        let (shard, pass, held) = found?;
        let part = format!("part {shard}");
        if state.told.insert(part.clone()) {
            tell!("helping {part}");
        }
        let new = pass.trials.iter().filter(|planned| {
            let counted = state.counted.contains(&planned.key);
            !counted && !self.journal.is_done(&planned.key)
        });
        let new = new.count();
        state.trials += new;
        self.progress.add(new);
        Some((pass, held))
    }

    /// Takes what is left of a pass, all of it or nothing.
    fn take(&self, pass: &JointTrials) -> Result<Taken> {
        let Some(open) = self.journal.open_part(pass) else {
            // What a process left that was killed at the very end.
            self.journal.forget(pass);
            pass.trials.iter().for_each(|t| self.leases.clear(&t.key));
            return Ok(Taken::Done);
        };
        // All in one order, so that two processes do not each get half of them for ever.
        let keys: BTreeSet<&str> = open
            .trials
            .iter()
            .map(|planned| planned.key.as_str())
            .collect();
        let (mut leases, mut held) = (Vec::new(), None);
        for key in keys {
            if held.is_some() {
                // So that all that a dead process held are given up at the same time.
                self.leases.watch(key);
                continue;
            }
            let take = self.leases.take(key);
            let dir = self.journal.dir();
            match take.with_context(|| format!("cannot write to {}", dir.display()))? {
                Take::Mine(lease) => leases.push(lease),
                Take::Held(by) => held = Some(by),
            }
        }
        if let Some(by) = held {
            return Ok(Taken::Held(by));
        }
        // Another process may have finished some before it gave them back.
        match self.journal.open_part(pass) {
            Some(pass) => Ok(Taken::Mine(Held { pass, leases })),
            None => Ok(Taken::Done),
        }
    }

    /// What failed, in words, and the number of all trials that were this process's.
    pub(super) fn finish(self) -> (Vec<String>, usize) {
        self.progress.finish();
        let state = self.state.into_inner();
        let state = state.unwrap_or_else(|e| e.into_inner());
        (state.failed, state.trials)
    }
}

enum Taken {
    Mine(Held),
    Done,
    Held(String),
}
