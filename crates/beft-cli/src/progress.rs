use std::io::IsTerminal;
use std::time::Duration;

use beft::train::{Event, Metrics};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Draws progress on standard error: a bar on a terminal, else one plain line per epoch.
pub(crate) struct Progress {
    bar: ProgressBar,
    mode: String,
}

impl Progress {
    /// Progress without anything under way yet.
    pub(crate) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        // Nothing is drawn before there is something to count.
        if let Ok(style) = ProgressStyle::with_template("") {
            bar.set_style(style);
        }
        Self {
            bar,
            mode: String::new(),
        }
    }

    /// A line that stays.
    pub(crate) fn line(&self, text: &str) {
        if self.bar.is_hidden() {
            eprintln!("{text}");
        } else {
            self.bar.println(text);
        }
    }

    /// Names what the next training events belong to.
    pub(crate) fn mode(&mut self, name: String) {
        self.mode = name;
    }

    /// Shows a training event.
    pub(crate) fn train(&self, event: Event<'_>) {
        match event {
            Event::Started {
                trainable,
                steps,
                epochs,
            } => {
                self.line(&format!(
                    "{}: {trainable} trained values, {} of {}",
                    self.mode,
                    count(epochs, "epoch"),
                    count(steps, "step")
                ));
                let style = ProgressStyle::with_template(
                    "  {prefix} [{bar:30}] {pos}/{len} steps, {eta} left {msg}",
                );
                if let Ok(style) = style {
                    self.bar.set_style(style.progress_chars("=> "));
                }
                self.bar.reset();
                self.bar.set_length((steps * epochs) as u64);
                self.bar.set_prefix(self.mode.clone());
                self.bar.enable_steady_tick(Duration::from_millis(500));
            }
            Event::Step { loss, .. } => {
                self.bar.set_message(format!("loss {}", loss_text(loss)));
                self.bar.inc(1);
            }
            Event::Epoch(record) => self.line(&format!(
                "  {} epoch {}: loss {}{}",
                self.mode,
                record.epoch,
                loss_text(record.train_loss),
                metrics(&record.metrics)
            )),
        }
    }

    /// A bar over `len` inputs, for evaluation and prediction.
    pub(crate) fn inputs(&self, len: usize) -> ProgressBar {
        if let Ok(style) =
            ProgressStyle::with_template("  [{bar:30}] {pos}/{len} inputs, {eta} left")
        {
            self.bar.set_style(style.progress_chars("=> "));
        }
        self.bar.reset();
        self.bar.set_length(len as u64);
        self.bar.clone()
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

fn loss_text(loss: f64) -> String {
    if loss < 1e4 {
        format!("{loss:.4}")
    } else {
        format!("{loss:.1e}")
    }
}

/// `1 epoch`, `16 epochs`
fn count(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// `, accuracy 0.8500, f1 0.8000`
pub(crate) fn metrics(metrics: &Metrics) -> String {
    metrics
        .iter()
        .map(|(name, value)| format!(", {name} {value:.4}"))
        .collect()
}
