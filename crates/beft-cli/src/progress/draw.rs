//! Where progress is drawn: on a terminal, or as a plain line a minute.

use std::io::{self, IsTerminal};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use crate::output::{says_notes, tell};

/// How often long work says where it is, without a terminal.
const PAUSE: Duration = Duration::from_secs(60);

/// Whether somebody watches standard error, and wants to see more there than errors.
pub(super) fn on_terminal() -> bool {
    says_notes() && io::stderr().is_terminal()
}

/// A bar of so many things, if that is known. Nothing is drawn before it has a style.
pub(super) fn bar(len: Option<u64>) -> ProgressBar {
    let watched = on_terminal();
    let bar = ProgressBar::with_draw_target(
        len,
        match watched {
            true => ProgressDrawTarget::stderr(),
            false => target(Lines::new(PAUSE, |line| tell!("{line}")), 1),
        },
    );
    if let Ok(style) = ProgressStyle::with_template("") {
        bar.set_style(style);
    }
    if !watched {
        // While nothing happens, too: one step can take longer than the pause between two lines.
        bar.enable_steady_tick(PAUSE / 10);
    }
    bar
}

/// Draws into lines, at most so often in a second.
fn target<F: Fn(&str) + Send + Sync + 'static>(lines: Lines<F>, hz: u8) -> ProgressDrawTarget {
    ProgressDrawTarget::term_like_with_hz(Box::new(lines), hz)
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
        let draw = |pause, work: fn(&ProgressBar)| {
            let lines = told.clone();
            let lines = Lines::new(pause, move |line: &str| {
                lines
                    .lock()
                    .unwrap_or_else(|e| e.into_inner())
                    .push(line.to_owned());
            });
            let bar = ProgressBar::with_draw_target(Some(40), target(lines, 255));
            work(&bar);
            bar.finish_and_clear();
            std::mem::take(&mut *told.lock().unwrap_or_else(|e| e.into_inner()))
        };
        let steps = |bar: &ProgressBar| {
            for _ in 0..40 {
                bar.inc(1);
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        let one_long_step = |bar: &ProgressBar| {
            bar.enable_steady_tick(Duration::from_millis(10));
            std::thread::sleep(Duration::from_millis(400));
        };
        let works: [fn(&ProgressBar); 2] = [steps, one_long_step];
        for work in works {
            let seen = draw(Duration::from_millis(100), work);
            assert!((2..=4).contains(&seen.len()), "{seen:?}");
            assert!(
                seen[0].contains("/40") && !seen[0].contains('\u{1b}'),
                "{seen:?}"
            );
            assert!(draw(PAUSE, work).is_empty());
        }
    }
}
