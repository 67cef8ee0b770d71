use anyhow::Result;
use beft::{save_report, write_json};
use beft_compare::{
    CompareSpec, Sweep, TaskSpec, add_sweep_pictures, csv, summarize_sweep, sweep_report,
    sweep_trials,
};
use serde_json::json;

use super::compare::about;
use crate::args::SweepArgs;
use crate::commands::trials::finish;
use crate::output::{print_document, print_json, say, write_file};

const FILES: [&str; 4] = ["sweep.html", "sweep.csv", "sweep.json", "sweep.md"];

pub(crate) fn sweep(args: &SweepArgs) -> Result<()> {
    let (task, data) = args.task.clone();
    let spec = CompareSpec {
        models: vec![args.model.clone()],
        tasks: vec![TaskSpec {
            task,
            data,
            train_size: args.train_size.map(|n| n as usize),
            epochs: None,
            lr: None,
        }],
        regimes: vec![args.regime.clone()],
        modes: args.mode.clone(),
        seeds: args.seeds.clone(),
        scorers: None,
        epochs: args.epochs.map(|n| n as usize),
        lr: None,
        batch_size: args.batch_size.map(|n| n as usize),
        evaluate: args.evaluate,
        objective: args.trials.objective,
        head: args.trials.head,
        mode: Default::default(),
    };
    let (device, precision, limit) = args.trials.of_trials()?;
    let trials = || Ok(sweep_trials(&spec, &args.lr, &device, &precision, limit)?);
    let Some((results, _output)) = finish(trials, &args.out, &FILES, &args.trials)? else {
        return Ok(());
    };
    let sweeps = summarize_sweep(results)?;

    let report = sweep_report(&sweeps);
    let mut whole = report.clone();
    add_sweep_pictures(&mut whole, &sweeps);
    let rates = sweeps.iter().flat_map(|sweep| &sweep.rates);
    let groups: Vec<_> = rates.map(|(_, group)| group.clone()).collect();
    write_file(&args.out.join(FILES[1]), csv(&groups).as_bytes())?;
    save_report(
        &args.out,
        "sweep",
        &whole,
        &about("Sweep", &groups, &args.report),
    )?;
    let record: Vec<_> = sweeps.iter().map(record).collect();
    let record = json!({ "sweeps": record });
    write_json(&args.out.join(FILES[2]), &record)?;
    if args.json.json {
        print_json(&record);
        return Ok(());
    }
    print_document(&report);
    say!("Report: {}", args.out.join(FILES[0]).display());
    Ok(())
}

/// A sweep's numbers, for programs.
fn record(sweep: &Sweep) -> serde_json::Value {
    let first = &sweep.rates[0].1;
    let modes = sweep.modes().into_iter().map(|mode| {
        let rates = sweep.of(mode).map(|(rate, found)| {
            json!({"lr": rate, "trained": found.trainable, "diverged": found.diverged,
                "mean_and_std": found.last, "best": found.best, "stderr": found.stderr})
        });
        json!({"mode": mode, "best_lr": sweep.best.get(mode), "rates": rates.collect::<Vec<_>>()})
    });
    json!({
        "model": first.model, "task": first.task, "regime": first.regime, "metric": first.metric,
        "seeds": first.seeds, "train_size": first.sizes.0, "dev_size": first.sizes.1,
        "modes": modes.collect::<Vec<_>>(),
    })
}
