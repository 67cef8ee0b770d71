use anyhow::{Result, bail};
use beft::{
    Ranking, RunEvent, RunOptions, RunResults, finished_run, modes_table, ranking_table,
    save_run_report,
};
use beft_core::TermSet;
use beft_modes::Mode;
use beft_train::Checkpoint;

use super::split::{SPLIT, write_split};
use super::{
    FINISHED, Setup, prepare_output, remove_state, scorers, setup, state_path, warn_of_state,
};
use crate::args::RunArgs;
use crate::interrupt;
use crate::output::{command, print_json, print_table, say};
use crate::progress::Progress;

pub(crate) fn run(args: &RunArgs) -> Result<()> {
    // First of all: another process that writes there is told of before any work.
    let _output = prepare_output(
        &args.out,
        &["results.json", "report.md", "report.html", SPLIT],
    )?;
    let mut named = args.terms.iter().enumerate();
    if let Some((_, term)) = named.find(|(place, term)| args.terms[..*place].contains(term)) {
        bail!("--terms names {term} twice: leave one out");
    }
    let mut progress = Progress::new();
    let Setup {
        base,
        data,
        folder,
        mut training,
    } = setup(&args.train, &Mode::Biases(TermSet::all()), &progress)?;
    let state = state_path(&args.out);
    warn_of_state(&state, args.resume, &progress);
    training.stop = interrupt::wish();
    let _work = interrupt::Work::begin();
    training.checkpoint = Some(Checkpoint {
        path: state.clone(),
        resume: args.resume,
    });
    let options = RunOptions {
        tune: training,
        scorers: scorers(&base, &args.scorers),
        candidates: args.terms.clone(),
        budget: args.spending.spending(),
        data: folder.display().to_string(),
        device: args.train.recipe.device.clone(),
        command: command(),
        latex: args.report.latex,
    };
    if args.resume
        && !state.exists()
        && let Some(results) = finished_run(&base, &data, &options, &args.out)?
    {
        progress.line(FINISHED);
        if args.report.latex || !args.out.join("report.html").exists() {
            save_run_report(&results, &results.to_ranking(), &options, &args.out)?;
        }
        print_results(args, &results, &results.to_ranking());
        return Ok(());
    }
    let outcome = beft::run(&base, &data, &options, &args.out, |event| match event {
        RunEvent::Mode { mode, number, of } => progress.mode(format!("[{number}/{of}] {mode}")),
        RunEvent::Train(event) => progress.train(event),
        RunEvent::Gradients => progress.pulse("gradients of batch"),
    })?;
    progress.finish();
    write_split(&data, &args.out)?;
    remove_state(&state);
    print_results(args, &outcome.results, &outcome.ranking);
    Ok(())
}

/// The ranking, the accuracies and where the rest is.
fn print_results(args: &RunArgs, results: &RunResults, ranking: &Ranking) {
    if args.json.json {
        return print_json(results);
    }
    let out = &args.out;
    say!("\nWhich bias to train (mean score over layers, after training all biases):\n");
    print_table(&ranking_table(ranking));
    say!("\nWhat each mode reached on the dev split (last epoch, best epoch):\n");
    print_table(&modes_table(results));
    for note in &results.notes {
        say!("note: {note}");
    }
    say!("\n{}", results.verdict());
    say!("Report: {}", out.join("report.html").display());
    say!("Adapter: {}", out.join("adapter").display());
}
