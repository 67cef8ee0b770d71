use std::path::Path;

use anyhow::Result;
use beft::core::{Mode, TermSet};
use beft::{RunEvent, RunOptions, RunOutcome, TuneOptions, modes_table, ranking_table};

use super::{Setup, prepare_output, remove_state, scorers, setup, state_path, warn_of_state};
use crate::args::RunArgs;
use crate::output::{print_table, say};
use crate::progress::Progress;

pub(crate) fn run(args: &RunArgs) -> Result<()> {
    let mut progress = Progress::new();
    let Setup {
        base,
        data,
        folder,
        options,
    } = setup(&args.train, &Mode::Biases(TermSet::all()), &progress)?;
    let _made = prepare_output(&args.out, &["results.json", "report.md"])?;
    let state = state_path(&args.out);
    warn_of_state(&state, args.resume, &progress);
    let options = RunOptions {
        tune: TuneOptions {
            checkpoint: Some(state.clone()),
            resume: args.resume,
            ..options
        },
        scorers: scorers(&base, &args.scorers),
        candidates: args.terms.clone(),
        data: folder.display().to_string(),
        device: args.train.recipe.device.clone(),
    };
    let outcome = beft::run(&base, &data, &options, &args.out, |event| match event {
        RunEvent::Mode { mode, number, of } => progress.mode(format!("[{number}/{of}] {mode}")),
        RunEvent::Train(event) => progress.train(event),
        RunEvent::Gradients => progress.pulse("gradients of batch"),
    })?;
    progress.finish();
    remove_state(&state);
    print_outcome(&outcome, &args.out);
    Ok(())
}

/// The ranking, the accuracies and where the rest is.
fn print_outcome(outcome: &RunOutcome, out: &Path) {
    say!("\nWhich bias to train (mean score over layers, after training all biases):\n");
    print_table(&ranking_table(&outcome.ranking));
    say!("\nWhat each mode reached on the dev split (last epoch, best epoch):\n");
    print_table(&modes_table(
        &outcome.results.modes,
        &outcome.results.picked,
    ));
    for note in &outcome.results.notes {
        say!("note: {note}");
    }
    say!("\n{}", outcome.results.verdict());
    say!("Report: {}", out.join("report.md").display());
    say!("Adapter: {}", out.join("adapter").display());
}
