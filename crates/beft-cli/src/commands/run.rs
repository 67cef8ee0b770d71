use std::path::Path;

use anyhow::Result;
use beft::{RunEvent, RunOptions, RunOutcome, modes_table, ranking_table};

use super::{Setup, prepare_output, setup};
use crate::args::RunArgs;
use crate::output::{print_table, say};
use crate::progress::Progress;

pub(crate) fn run(args: &RunArgs) -> Result<()> {
    let mut progress = Progress::new();
    let Setup {
        base,
        data,
        options,
    } = setup(&args.train, &progress)?;
    let _made = prepare_output(&args.out, &["results.json", "report.md"])?;
    let options = RunOptions {
        tune: options,
        candidates: args.terms.clone(),
        data: args.train.data.display().to_string(),
        device: args.train.recipe.device.clone(),
    };
    let outcome = beft::run(&base, &data, &options, &args.out, |event| match event {
        RunEvent::Mode { terms, number, of } => progress.mode(format!("[{number}/{of}] {terms}")),
        RunEvent::Train(event) => progress.train(event),
    })?;
    progress.finish();
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
