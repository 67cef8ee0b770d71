//! What happens when there is no more memory: a message with the remedy, and exit code 2.
//!
//! The standard library aborts the process then, and no stable function changes that. The only place
//! that can act before it is the allocator.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs::File;
use std::io::{Read, Write, stderr};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use crate::output::abandon;

/// What the user can do.
#[derive(Clone, Copy)]
pub(crate) enum Remedy {
    /// The command trains nothing.
    Other,
    /// It trains.
    Training,
    /// It is one pass of a comparison or sweep.
    Pass,
}

impl Remedy {
    fn text(number: u8) -> &'static str {
        match number {
            x if x == Self::Training as u8 => {
                "give --micro-batch 1, --gradient-checkpointing or a smaller --batch-size"
            }
            x if x == Self::Pass as u8 => {
                "give --together 1, fewer --jobs or a smaller --batch-size"
            }
            _ => "give --precision bf16, which halves the weights, or use a smaller model",
        }
    }
}

static REMEDY: AtomicU8 = AtomicU8::new(Remedy::Other as u8);

/// Says what the message will advise.
pub(crate) fn set_remedy(remedy: Remedy) {
    REMEDY.store(remedy as u8, Ordering::Relaxed);
}

#[global_allocator]
static ALLOCATOR: Reporting = Reporting;

/// The system's allocator. A request that it refuses ends the process with a message.
struct Reporting;

// SAFETY: every call goes to the system's allocator with the very arguments, and what it returns is
// returned unless it is null.
unsafe impl GlobalAlloc for Reporting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        checked(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        checked(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller promises.
        checked(unsafe { System.realloc(memory, layout, size) }, size)
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[inline]
fn checked(memory: *mut u8, size: usize) -> *mut u8 {
    if memory.is_null() {
        give_up(size);
    }
    memory
}

/// Ends the process. Nothing here needs memory.
#[cold]
#[inline(never)]
fn give_up(size: usize) {
    static UNDER_WAY: AtomicBool = AtomicBool::new(false);
    thread_local!(static HERE: Cell<bool> = const { Cell::new(false) });
    if HERE.replace(true) {
        // The message itself fails: the standard library aborts.
        return;
    }
    if UNDER_WAY.swap(true, Ordering::SeqCst) {
        // Another thread says it.
        loop {
            std::thread::park();
        }
    }
    let mut out = stderr();
    // A message that cannot be written changes nothing.
    let _ = match size {
        0..100_000 => write!(out, "error: out of memory: {size} bytes more were needed"),
        _ => write!(
            out,
            "error: out of memory: {:.1} MB more were needed",
            size as f64 / 1e6
        ),
    };
    if let Some(held) = resident() {
        let _ = write!(out, " beside the {:.1} MB in use", held as f64 / 1e6);
    }
    let _ = writeln!(
        out,
        "; {}, or let the process have more memory",
        Remedy::text(REMEDY.load(Ordering::Relaxed))
    );
    abandon();
    std::process::exit(2);
}

/// Bytes of memory that the process has, where the system says it.
fn resident() -> Option<u64> {
    let mut text = [0; 4096];
    let length = File::open("/proc/self/status").ok()?.read(&mut text).ok()?;
    let text = std::str::from_utf8(&text[..length]).ok()?;
    let (_, rest) = text.split_once("VmRSS:")?;
    let kilobytes: u64 = rest.split_whitespace().next()?.parse().ok()?;
    Some(1024 * kilobytes)
}
