use anyhow::{Result, bail};
use beft::core::Mode;
use beft::{ModeResult, TuneOptions, write_json};
use serde_json::json;

use super::{prepare_output, remove_state, setup, state_path, warn_of_state};
use crate::args::{Keep, TuneArgs};
use crate::output::{say, tell};
use crate::progress::{Progress, metrics, share};

pub(crate) fn tune(args: &TuneArgs) -> Result<()> {
    if let Mode::Asked(_) = args.terms {
        bail!(
            "{} trains nothing: `beft eval` with --shots and --calibrate does that",
            args.terms
        );
    }
    let mut progress = Progress::new();
    let setup = setup(&args.train, &args.terms, &progress)?;
    if let Mode::Biases(terms) = &args.terms {
        terms.sites(setup.base.num_layers())?;
    }
    let _made = prepare_output(&args.out, &["results.json"])?;
    let state = state_path(&args.out);
    warn_of_state(&state, args.resume, &progress);
    let options = TuneOptions {
        lora_rank: args.lora_rank as usize,
        lora_alpha: args.lora_alpha,
        random_entries: args.random_entries.map(|n| n as usize),
        keep_best: args.keep == Keep::Best,
        patience: args.patience.map(|n| n as usize),
        checkpoint: Some(state.clone()),
        resume: args.resume,
        ..setup.options.clone()
    };
    progress.mode(args.terms.to_string());
    let outcome = beft::tune(&setup.base, &setup.data, &args.terms, &options, |event| {
        progress.train(event)
    })?;
    progress.finish();
    if let Some(warning) = outcome.warning(setup.data.labels.len()) {
        tell!("warning: {warning}");
    }

    let saved = outcome.save(&setup.base, &args.out);
    remove_state(&state);
    let saved = saved?;
    let mode = ModeResult::of(&outcome);
    let record = json!({ "settings": setup.settings(&args.train), "modes": [mode] });
    write_json(&args.out.join("results.json"), &record)?;
    let stopped = outcome.epochs.len() < options.epochs;
    if options.keep_best || stopped {
        let of = outcome.epochs.len();
        say!(
            "Kept epoch {} of {of}{}",
            outcome.kept,
            if stopped { ", stopped early" } else { "" }
        );
    }
    say!(
        "{}: {} trained values ({}){}",
        mode.mode,
        mode.trainable,
        share(mode.share),
        metrics(&mode.metrics)
    );
    say!("Saved: {}", saved.display());
    if let Some(note) = outcome.beyond_peft() {
        tell!("{note}");
    }
    Ok(())
}
