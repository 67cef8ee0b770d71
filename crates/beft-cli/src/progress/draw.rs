//! Where progress is drawn: on a terminal, or as a plain line a minute.

use std::io::{self, IsTerminal};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, TermLike};

use crate::output::{says_notes, tell};

/// How often long work says where it is, without a terminal.
const PAUSE: Duration = Duration::from_secs(60);

/// Whether somebody watches standard error, and wants to see more there than errors.
pub(super) fn on_terminal() -> bool {
    says_notes() && io::stderr().is_terminal()
}

/// A bar of so many things, if that is known.
pub(super) fn bar(len: Option<u64>) -> ProgressBar {
    let target = match on_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => {
            let lines = Lines::new(PAUSE, |line| tell!("{line}"));
            ProgressDrawTarget::term_like_with_hz(Box::new(lines), 1)
        }
    };
    ProgressBar::with_draw_target(len, target)
}

/// Draws a bar while nothing happens, too: one step can take longer than the pause between two lines.
pub(super) fn without_events(bar: &ProgressBar) {
    bar.enable_steady_tick(match on_terminal() {
        true => Duration::from_millis(500),
        false => PAUSE / 10,
    });
}

/// What a bar would draw, as plain lines with a pause between them.
struct Lines<F> {
    pause: Duration,
    tell: F,
    state: Mutex<State>,
}

struct State {
    drawn: String,
    /// When a line was told, or the bar was made.
    last: Instant,
}

impl<F: Fn(&str) + Send + Sync> Lines<F> {
    fn new(pause: Duration, tell: F) -> Self {
        let state = Mutex::new(State {
            drawn: String::new(),
            last: Instant::now(),
        });
        Self { pause, tell, state }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl<F> std::fmt::Debug for Lines<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lines")
    }
}

impl<F: Fn(&str) + Send + Sync> TermLike for Lines<F> {
    fn width(&self) -> u16 {
        160
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.state().drawn.push_str(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.state().drawn.clear();
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let mut state = self.state();
        let drawn = std::mem::take(&mut state.drawn);
        if state.last.elapsed() >= self.pause && !drawn.trim().is_empty() {
            state.last = Instant::now();
            (self.tell)(drawn.trim());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_line_now_and_then() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let lines = |pause| {
            let told = told.clone();
            let lines = Lines::new(pause, move |line: &str| {
                told.lock()
                    .unwrap_or_else(|e| e.into_inner())
                    .push(line.to_owned());
            });
            ProgressDrawTarget::term_like_with_hz(Box::new(lines), 255)
        };
        let draw = |pause| {
            let bar = ProgressBar::with_draw_target(Some(40), lines(pause));
            for _ in 0..40 {
                bar.inc(1);
                std::thread::sleep(Duration::from_millis(10));
            }
            bar.finish_and_clear();
            std::mem::take(&mut *told.lock().unwrap_or_else(|e| e.into_inner()))
        };
        let seen = draw(Duration::from_millis(100));
        assert!((2..=4).contains(&seen.len()), "{seen:?}");
        // Without any event.
        let bar = ProgressBar::with_draw_target(Some(40), lines(Duration::from_millis(100)));
        bar.enable_steady_tick(Duration::from_millis(10));
        std::thread::sleep(Duration::from_millis(400));
        bar.finish_and_clear();
        let seen = std::mem::take(&mut *told.lock().unwrap_or_else(|e| e.into_inner()));
        assert!((2..=4).contains(&seen.len()), "{seen:?}");
        assert!(
            seen[0].contains("/40") && !seen[0].contains('\u{1b}'),
            "{seen:?}"
        );
        assert!(draw(PAUSE).is_empty());
    }
}
