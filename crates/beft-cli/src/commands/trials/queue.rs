//! What is left of a comparison's work, dealt to the processes of this machine and kept from those of others.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result};
use beft_compare::{JointTrials, Journal, Planned};
use beft_files::{Lease, Leases, Take};

use crate::output::tell;
use crate::progress::TrialsProgress;

use super::process;

/// How often work that others have is looked at.
const PAUSE: Duration = Duration::from_millis(500);

/// The passes of a part of a comparison.
pub(super) struct Queue<'a> {
    journal: &'a Journal,
    leases: &'a Leases,
    progress: TrialsProgress,
    state: Mutex<State>,
}

struct State {
    /// Passes that are not finished and that no job of this process has.
    open: Vec<JointTrials>,
    /// What failed, in words.
    failed: Vec<String>,
    /// Who was waited for already.
    told: BTreeSet<String>,
    /// The trials that the progress counts as finished.
    counted: BTreeSet<String>,
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
    pub(super) fn new(journal: &'a Journal, leases: &'a Leases, passes: Vec<JointTrials>) -> Self {
        let trials = || passes.iter().flat_map(|pass| &pass.trials);
        let done = trials().filter(|planned| journal.is_done(&planned.key));
        let counted: BTreeSet<String> = done.map(|planned| planned.key.clone()).collect();
        Self {
            journal,
            leases,
            progress: TrialsProgress::new(trials().count(), counted.len()),
            state: Mutex::new(State {
                open: passes,
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

    /// What failed, in words.
    pub(super) fn finish(self) -> Vec<String> {
        self.progress.finish();
        self.state
            .into_inner()
            .unwrap_or_else(|e| e.into_inner())
            .failed
    }
}

enum Taken {
    Mine(Held),
    Done,
    Held(String),
}
