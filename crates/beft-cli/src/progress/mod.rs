mod draw;

use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

use crate::output::tell;
use beft_train::{Event, Metrics};
use draw::on_terminal;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// Draws progress on standard error: a bar on a terminal, else a plain line for each epoch, and one a minute.
pub(crate) struct Progress {
    bar: ProgressBar,
    mode: String,
}

impl Progress {
    /// Progress without anything under way yet.
    pub(crate) fn new() -> Self {
        Self {
            bar: draw::bar(None),
            mode: String::new(),
        }
    }

    /// A line that stays.
    pub(crate) fn line(&self, text: &str) {
        if !on_terminal() {
            tell!("{text}");
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
                parameters,
                steps,
                epochs,
                done,
                steps_done,
            } => {
                self.line(&format!(
                    "{}: {trainable} trained values ({}), {} of {}{}",
                    self.mode,
                    share(trainable as f64 / parameters as f64),
                    count(epochs, "epoch"),
                    count(steps, "step"),
                    match (done, steps_done) {
                        (0, 0) => String::new(),
                        (_, 0) => format!(", continuing after epoch {done}"),
                        _ => format!(
                            ", continuing after epoch {done} and {}",
                            count(steps_done, "step")
                        ),
                    }
                ));
                let style = ProgressStyle::with_template(
                    "  {prefix} [{bar:30}] {pos}/{len} steps, {eta} left {msg}",
                );
                if let Ok(style) = style {
                    self.bar.set_style(style.progress_chars("=> "));
                }
                self.bar.reset();
                self.bar.set_length((steps * epochs) as u64);
                self.bar.set_position((steps * done + steps_done) as u64);
                self.bar.set_prefix(self.mode.clone());
                // It takes a thread. Without a terminal there is one already, which draws less often.
                if on_terminal() {
                    self.bar.enable_steady_tick(Duration::from_millis(500));
                }
            }
            Event::Keeping {
                layers,
                bytes,
                in_file,
            } => self.line(&format!(
                "  {}: the output of the embeddings and {} is computed once and kept {}, {:.1} MB",
                self.mode,
                count(layers, "layer"),
                match in_file {
                    true => "in a temporary file",
                    false => "in memory",
                },
                bytes as f64 / 1e6
            )),
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

    /// A sign of life where the length is not known.
    pub(crate) fn pulse(&self, text: &str) {
        if let Ok(style) = ProgressStyle::with_template("  {msg} {pos}") {
            self.bar.set_style(style);
        }
        self.bar.set_message(text.to_owned());
        self.bar.inc(1);
    }

    /// Counts `things` of which nobody knows how many there will be.
    pub(crate) fn count(&self, things: &str) -> ProgressBar {
        if let Ok(style) = ProgressStyle::with_template("  {pos} {msg}, {rate} after {elapsed}") {
            let rate = |state: &ProgressState, text: &mut dyn fmt::Write| {
                let _ = write!(text, "{:.0}/s", state.per_sec());
            };
            self.bar.set_style(style.with_key("rate", rate));
        }
        self.bar.reset();
        self.bar.set_message(things.to_owned());
        self.bar.clone()
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

/// `0.011 %`
pub(crate) fn share(share: f64) -> String {
    let percent = 100.0 * share;
    let digits = if percent < 1.0 { 3 } else { 1 };
    format!("{percent:.digits$} %")
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

/// Progress of many trainings in processes of their own: a bar on a terminal, else a line each, and one a minute.
pub(crate) struct TrialsProgress {
    bar: ProgressBar,
}

impl TrialsProgress {
    /// `done` of `len` are finished already.
    pub(crate) fn new(len: usize, done: usize) -> Self {
        let bar = draw::bar(Some(len as u64));
        if let Ok(style) =
            ProgressStyle::with_template("[{bar:30}] {pos}/{len} trainings, {elapsed} {msg}")
        {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_position(done as u64);
        let progress = Self { bar };
        if done > 0 {
            progress.line(&format!("{done} of {len} trainings were finished before"));
        }
        progress
    }

    fn line(&self, text: &str) {
        if !on_terminal() {
            tell!("{text}");
        } else {
            self.bar.println(text);
        }
    }

    /// There are more trainings to do.
    pub(crate) fn add(&self, more: usize) {
        self.bar.inc_length(more as u64);
    }

    /// A training has taken some steps.
    pub(crate) fn step(&self, name: &str, step: &str) {
        self.bar.set_message(format!("{name}: {step}"));
    }

    /// A training is finished.
    pub(crate) fn finished(&self, name: &str, result: &str) {
        self.bar.inc(1);
        let (done, len) = (self.bar.position(), self.bar.length().unwrap_or_default());
        self.line(&format!("[{done}/{len}] {name}: {result}"));
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Bars of files that are downloaded, on a terminal; else a line each.
pub(crate) struct Downloads {
    bar: ProgressBar,
    file: RefCell<String>,
}

impl Downloads {
    /// Nothing is drawn before there is something to download.
    pub(crate) fn new() -> Self {
        Self {
            bar: draw::bar(None),
            file: RefCell::default(),
        }
    }

    /// Shows how far a file is.
    pub(crate) fn show(&self, progress: &beft_hub::Progress<'_>) {
        if *self.file.borrow() != progress.file {
            progress.file.clone_into(&mut self.file.borrow_mut());
            if !on_terminal() {
                tell!("downloading {}", progress.file);
            }
            let style = ProgressStyle::with_template(
                "{msg} [{bar:30}] {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left",
            );
            if let Ok(style) = style {
                self.bar.set_style(style.progress_chars("=> "));
            }
            self.bar.reset();
            self.bar.set_message(progress.file.to_owned());
        }
        if let Some(total) = progress.total {
            self.bar.set_length(total);
        }
        self.bar.set_position(progress.done);
    }
}

impl Drop for Downloads {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
