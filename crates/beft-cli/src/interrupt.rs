//! What Ctrl-C and the system's wish to end do.
//!
//! Where work can be continued later ([`Work`]), it is asked to stop, and the command ends with [`CODE`] when it has. A
//! second signal, and the first one of any other command, ends the process at once.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ChildStdin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};

use anyhow::{Context, Result};
use beft_core::Stop;

use crate::output::{abandon, tell};

/// Exit code of a command that was interrupted.
pub(crate) const CODE: u8 = 130;

/// What a child process reads when it is to stop where it can be continued.
pub(crate) const STOP: &str = "stop";

static WISH: OnceLock<Stop> = OnceLock::new();
/// Pieces of work under way that can be continued.
static WORKING: AtomicUsize = AtomicUsize::new(0);
/// Whether there was a signal of this process's own: the process that started it may have asked before.
static SIGNALLED: AtomicBool = AtomicBool::new(false);
static CHILDREN: Mutex<BTreeMap<u32, ChildStdin>> = Mutex::new(BTreeMap::new());

/// Work that can be continued later. As long as it lives, the first signal asks it to stop.
#[must_use = "without it a signal ends the process"]
pub(crate) struct Work;

impl Work {
    /// Begins work that looks at [`wish`].
    pub(crate) fn begin() -> Self {
        WORKING.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        WORKING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The wish of whoever interrupts this process.
pub(crate) fn wish() -> Stop {
    WISH.get_or_init(Stop::default).clone()
}

/// Listens to signals from now on.
///
/// # Errors
///
/// When the system does not let the process.
pub(crate) fn listen() -> Result<()> {
    ctrlc::set_handler(signalled).context("cannot listen to signals")
}

fn signalled() {
    let again = SIGNALLED.swap(true, Ordering::SeqCst);
    if again || WORKING.load(Ordering::SeqCst) == 0 {
        abandon();
        std::process::exit(CODE.into());
    }
    tell!("stopping after the step under way; once more stops at once");
    wish().ask();
    children().values_mut().for_each(ask);
}

fn children() -> MutexGuard<'static, BTreeMap<u32, ChildStdin>> {
    CHILDREN.lock().unwrap_or_else(|e| e.into_inner())
}

/// Asks a child to stop; one that is gone has stopped.
fn ask(child: &mut ChildStdin) {
    let _ = writeln!(child, "{STOP}").and_then(|()| child.flush());
}

/// A child process that is asked to stop when this process is. It ends at once when this is dropped, because its standard
/// input is closed then.
#[must_use = "the child ends when this is dropped"]
pub(crate) struct Child(u32);

impl Child {
    /// The child with this number, and its standard input.
    pub(crate) fn new(process: u32, mut stdin: ChildStdin) -> Self {
        let mut children = children();
        // One that is started at the very moment of the signal.
        if wish().is_asked() {
            ask(&mut stdin);
        }
        children.insert(process, stdin);
        Self(process)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        children().remove(&self.0);
    }
}
