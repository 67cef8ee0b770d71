use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Calls a library that panics on files that are damaged in some ways; `None` when it does.
pub fn guarded<T>(call: impl FnOnce() -> T) -> Option<T> {
    let before = GUARDED.replace(true);
    let found = catch_unwind(AssertUnwindSafe(call)).ok();
    GUARDED.set(before);
    found
}

/// Whether a panic of this thread would be caught by [`guarded`]: a panic hook need not tell of it.
pub fn is_guarded() -> bool {
    GUARDED.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_are_none() {
        assert_eq!(guarded(|| (is_guarded(), 1)), Some((true, 1)));
        assert!(guarded(|| assert!(!is_guarded(), "a library's words")).is_none());
        assert!(!is_guarded());
    }
}
