use anyhow::Result;
use beft::{ModeResult, TuneOutcome, write_json};
use serde_json::json;

use super::{Setup, train_terms};
use crate::args::TuneArgs;
use crate::output::say;
use crate::progress::metrics;

pub(crate) fn tune(args: &TuneArgs) -> Result<()> {
    train_terms(&args.train, &args.terms, &args.out, |setup, outcome| {
        save(args, setup, outcome)
    })
}

fn save(args: &TuneArgs, setup: &Setup, outcome: &TuneOutcome) -> Result<()> {
    let adapter = args.out.join("adapter");
    outcome.save(&adapter)?;
    let mode = ModeResult::of(outcome);
    let record = json!({ "settings": setup.settings(&args.train), "modes": [mode] });
    write_json(&args.out.join("results.json"), &record)?;
    say!(
        "{}: {} trained values{}",
        mode.mode,
        mode.trainable,
        metrics(&mode.metrics)
    );
    say!("Adapter: {}", adapter.display());
    Ok(())
}
