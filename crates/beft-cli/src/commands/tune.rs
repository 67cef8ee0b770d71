use std::path::Path;

use anyhow::{Result, bail};
use beft::{ModeResult, TuneResults, finished_tune, left_folder, saved_folder, write_json};
use beft_modes::{Makes, ModeSettings};
use beft_train::{Checkpoint, Keep, Team, TrainSettings};

use super::split::{SPLIT, write_split};
use super::{FINISHED, is_lost, prepare_output, remove_state, setup, state_path, warn_of_state};
use crate::args::{KeepChoice, TuneArgs};
use crate::interrupt;
use crate::output::{complain, print_json, say, tell};
use crate::progress::{Progress, metrics, share};

/// Trains, with the other processes of a `team` if there are any. The first one writes and tells.
pub(crate) fn tune(args: &TuneArgs, team: &Team) -> Result<()> {
    if let Makes::Nothing = args.terms.makes() {
        bail!(
            "{} trains nothing: `beft eval` with --shots and --calibrate does that",
            args.terms
        );
    }
    // First of all: another process that writes there is told of before any work.
    let output = || prepare_output(&args.out, &["results.json", SPLIT]);
    let _output = team.leads().then(output).transpose()?;
    let mut progress = Progress::new();
    let setup = setup(&args.train, &args.terms, &progress)?;
    if let Some(terms) = args.terms.terms() {
        terms.sites(setup.base.config().num_layers())?;
    }
    let state = state_path(&args.out);
    warn_of_state(&state, args.resume, &progress);
    let mut training = setup.training.clone();
    training.modes.lora_rank = args.lora_rank.map(|n| n as usize);
    training.modes.lora_alpha = args.lora_alpha;
    if let Some(entries) = args.random_entries {
        training.modes.random_entries = Some(entries as usize);
    }
    check_options(args, &training.modes)?;
    training.keep = match args.keep {
        KeepChoice::Last => Keep::Last,
        KeepChoice::Best => Keep::Best,
    };
    training.evaluate = args.evaluate;
    training.tune_thresholds = args.tune_thresholds;
    training.patience = args.patience.map(|n| n as usize);
    training.team.peers.clone_from(&team.peers);
    training.stop = interrupt::wish();
    let _work = interrupt::Work::begin();
    training.checkpoint = Some(Checkpoint {
        path: state.clone(),
        resume: args.resume,
    });
    // The first process has the files of the training.
    let begun = team.from_first(state.exists().then(Vec::new))?.is_some();
    if args.resume && !begun {
        let found = || finished_tune(&setup.base, &setup.data, &args.terms, &training, &args.out);
        let found = team.leads().then(found).transpose()?.flatten();
        let finished = team.from_first(found.is_some().then(Vec::new))?.is_some();
        if finished && !team.leads() {
            return Ok(());
        }
        if let Some(results) = found {
            progress.line(FINISHED);
            print_results(
                args,
                &results,
                &training,
                &saved_folder(&args.terms, &args.out),
            );
            return Ok(());
        }
    }
    progress.mode(args.terms.to_string());
    let outcome = beft::tune(&setup.base, &setup.data, &args.terms, &training, |event| {
        progress.train(event)
    })?;
    progress.finish();
    if !team.leads() {
        return Ok(());
    }
    if let Some(warning) = outcome.warning(&setup.data.outputs) {
        complain!("warning: {warning}");
    }

    if !training.forward.is_f32() {
        tell!(
            "note: the metrics are those of {} products; `beft eval` computes them in f32",
            training.forward
        );
    }

    let saved = outcome.save(&setup.base, &args.out);
    if saved.as_ref().is_err_and(is_lost) {
        remove_state(&state);
    }
    let saved = saved?;
    let results = TuneResults {
        settings: setup.settings(&args.train),
        modes: vec![ModeResult::of(&outcome)],
        trainings: vec![outcome.record.clone()],
    };
    write_json(&args.out.join("results.json"), &results)?;
    write_split(&setup.data, &args.out)?;
    remove_state(&state);
    print_results(args, &results, &training, &saved);
    if let Some(note) = outcome.beyond_peft() {
        tell!("{note}");
    }
    Ok(())
}

/// Refuses options that the mode has no use for.
fn check_options(args: &TuneArgs, settings: &ModeSettings) -> Result<()> {
    let used = args.terms.recorded(settings);
    let lora = "LoRA, such as lora-v";
    if let (Some(asked), Some(used)) = (settings.lora_rank, used.lora_rank)
        && asked != used
    {
        bail!(
            "--terms {} says the rank: leave --lora-rank {asked} out",
            args.terms
        );
    }
    for (option, given, used, modes) in [
        (
            "--lora-rank",
            args.lora_rank.is_some(),
            used.lora_rank.is_some(),
            lora,
        ),
        (
            "--lora-alpha",
            args.lora_alpha.is_some(),
            used.lora_alpha.is_some(),
            lora,
        ),
        (
            "--random-entries",
            args.random_entries.is_some(),
            used.random_entries.is_some(),
            "random",
        ),
    ] {
        if given && !used {
            bail!(
                "{option} is for the mode {modes}, and does nothing for {}: leave it out, or give another --terms",
                args.terms
            );
        }
    }
    Ok(())
}

/// What was reached, and where it is.
fn print_results(args: &TuneArgs, results: &TuneResults, training: &TrainSettings, saved: &Path) {
    if let Some(left) = left_folder(&args.terms, &args.out) {
        tell!(
            "{} is what an earlier training saved: remove it if you no longer need it",
            left.display()
        );
    }
    if args.json.json {
        return print_json(results);
    }
    for mode in &results.modes {
        let of = mode.epochs.len();
        let stopped = of < training.epochs;
        if training.keep == Keep::Best || stopped {
            say!(
                "Kept epoch {} of {of}{}",
                mode.kept,
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
        if !mode.threshold_metrics.is_empty() {
            say!(
                "At thresholds chosen on the dev split{} (on the examples that they were chosen on)",
                metrics(&mode.threshold_metrics)
            );
        }
    }
    say!("Saved: {}", saved.display());
}
