//! What the threads that compute and the threads that answer share.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

/// A state under a lock, for whose changes threads wait.
#[derive(Default)]
pub(crate) struct Shared<S> {
    state: Mutex<S>,
    changed: Condvar,
}

impl<S> Shared<S> {
    /// The state; whole at any time, also where a thread panicked that held it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, S> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the state back, and waits until another thread says that it changed.
    pub(crate) fn wait<'a>(&'a self, state: MutexGuard<'a, S>) -> MutexGuard<'a, S> {
        let state = self.changed.wait(state);
        state.unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes one thread that waits.
    pub(crate) fn wake_one(&self) {
        self.changed.notify_one();
    }

    /// Wakes all.
    pub(crate) fn wake_all(&self) {
        self.changed.notify_all();
    }
}

/// Threads that run until they are told to end.
#[derive(Default)]
pub(crate) struct Threads(Vec<JoinHandle<()>>);

impl Threads {
    pub(crate) fn spawn(
        &mut self,
        name: &str,
        work: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<()> {
        self.0
            .push(Builder::new().name(name.to_owned()).spawn(work)?);
        Ok(())
    }

    /// Whether all are there.
    pub(crate) fn run(&self) -> bool {
        self.0.iter().all(|thread| !thread.is_finished())
    }

    /// Waits for the end of all.
    pub(crate) fn join(&mut self) {
        for thread in self.0.drain(..) {
            // What it panicked with was logged.
            let _ = thread.join();
        }
    }
}
