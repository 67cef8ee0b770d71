//! The largest allocation of this process. It is the process's and not the thread's, because readers use other threads
//! too: tests that watch it run one at a time.

// SAFETY: everything is passed on to the system's allocator as it is.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

struct Watched;

#[global_allocator]
static ALLOCATOR: Watched = Watched;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.fetch_max(size, Ordering::Relaxed);
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

/// Allocations from now on.
pub struct Watch(#[allow(dead_code)] MutexGuard<'static, ()>);

pub fn watch() -> Watch {
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
    LARGEST.store(0, Ordering::Relaxed);
    Watch(guard)
}

impl Watch {
    /// The largest since then, in bytes.
    pub fn end(self) -> usize {
        LARGEST.load(Ordering::Relaxed)
    }
}
