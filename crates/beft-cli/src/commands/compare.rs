use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use beft::{About, Objective, rows_of, save_report, write_json};
use beft_compare::{
    CompareSpec, Group, TaskSpec, add_pictures, csv, file_name, harness_results, report,
    sample_lines, summarize,
};
use serde_json::{Value, json};

use crate::args::{CompareArgs, ReportArgs};
use crate::commands::trials::finish;
use crate::output::{command, print_document, print_json, say, write_file};

pub(crate) fn compare(args: &CompareArgs) -> Result<()> {
    if args.trials.shard.is_some() && (args.json.json || args.report.latex || args.log_samples) {
        bail!(
            "--shard writes no tables: leave --json, --latex and --log-samples out, and give them with --summarise-only"
        );
    }
    let (device, precision, limit) = args.trials.of_trials()?;
    let trials = || Ok(spec(args)?.trials(&device, &precision, limit)?);
    let files = ["compare.md", "compare.html", "compare.csv"];
    match finish(trials, &args.out, &files, &args.trials)? {
        Some((results, _output)) => write_summary(args, &summarize(results)?),
        None => Ok(()),
    }
}

fn spec(args: &CompareArgs) -> Result<CompareSpec> {
    if let Some(file) = &args.file {
        if args.trials.head || args.trials.objective != Objective::default() {
            bail!(
                "{} says what is trained: write head = true or objective = \"text\" there, and leave --head and --objective out",
                file.display()
            );
        }
        return Ok(CompareSpec::read(file)?);
    }
    let tasks = args.task.iter().map(|(task, data)| TaskSpec {
        task: task.clone(),
        data: data.clone(),
        train_size: args.train_size.map(|n| n as usize),
        epochs: None,
        lr: None,
    });
    Ok(CompareSpec {
        models: args.model.clone(),
        tasks: tasks.collect(),
        regimes: args.regime.clone(),
        modes: args.mode.clone(),
        seeds: args.seeds.clone(),
        scorers: args.scorer.clone(),
        epochs: args.epochs.map(|n| n as usize),
        lr: args.lr,
        batch_size: args.batch_size.map(|n| n as usize),
        evaluate: args.evaluate,
        objective: args.trials.objective,
        head: args.trials.head,
        mode: Default::default(),
    })
}

/// Everything that is written when all trials are finished.
fn write_summary(args: &CompareArgs, groups: &[Group]) -> Result<()> {
    let document = report(groups);
    let mut whole = document.clone();
    add_pictures(&mut whole, groups);
    let harness = args.out.join("lm-eval");
    let mut current = BTreeSet::new();
    for group in groups {
        for mode in &group.modes {
            let folder = harness.join(group.stem()).join(file_name(&mode.mode));
            current.insert(folder.clone());
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
            let samples = || Ok(sample_lines(group, mode)?);
            write_harness(
                &folder,
                &group.task,
                |date| harness_results(group, mode, date),
                args.log_samples.then_some(samples),
            )?;
        }
    }
    remove_others(&harness, &current);
    write_file(&args.out.join("compare.csv"), csv(groups).as_bytes())?;
    save_report(
        &args.out,
        "compare",
        &whole,
        &about("Comparison", groups, &args.report),
    )?;
    let record = json!({ "groups": groups.iter().map(record).collect::<Vec<_>>() });
    write_json(&args.out.join("compare.json"), &record)?;
    if args.json.json {
        print_json(&record);
        return Ok(());
    }
    print_document(&document);
    say!("Report: {}", args.out.join("compare.html").display());
    Ok(())
}

/// Removes what an earlier comparison wrote for modes that this one does not have. What cannot be removed stays.
fn remove_others(harness: &Path, current: &BTreeSet<PathBuf>) {
    let inside = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    for group in inside(harness) {
        for mode in inside(&group)
            .iter()
            .filter(|mode| !current.contains(*mode))
        {
            for file in inside(mode) {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                if name.starts_with("results_") || name.starts_with("samples_") {
                    let _ = fs::remove_file(&file);
                }
            }
            // Goes where nothing else is in it.
            let _ = fs::remove_dir(mode);
        }
        let _ = fs::remove_dir(&group);
    }
}

/// What the page of a comparison or sweep says of how it was made: all values that its trials have of each setting.
pub(crate) fn about(title: &str, groups: &[Group], args: &ReportArgs) -> About {
    let trials = groups.iter().flat_map(|group| &group.results);
    let mut configuration: Vec<(String, Vec<String>)> = Vec::new();
    for (key, value) in trials.flat_map(|result| rows_of(&result.trial)) {
        match configuration.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) if values.contains(&value) => {}
            Some((_, values)) => values.push(value),
            None => configuration.push((key, vec![value])),
        }
    }
    let rows = configuration.into_iter();
    About {
        title: title.to_owned(),
        configuration: rows.map(|(key, values)| (key, values.join(", "))).collect(),
        command: command(),
        latex: args.latex,
    }
}

/// Writes a mode's results, and its samples, as lm-evaluation-harness names them: by the time. Those that are there already
/// are not written again.
fn write_harness(
    folder: &Path,
    task: &str,
    results: impl Fn(f64) -> Value,
    samples: Option<impl Fn() -> Result<String>>,
) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let known = fs::read_dir(folder).into_iter().flatten().flatten();
    let known = known.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let time = name
            .strip_prefix("results_")?
            .strip_suffix(".json")?
            .to_owned();
        Some((time, entry.path()))
    });
    // An older one that has the same would not be what programs take for the last.
    let newest = known.max().filter(|(_, path)| {
        let found: Option<Value> = fs::read(path)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        found.is_some_and(|found| {
            found["date"]
                .as_f64()
                .is_some_and(|date| results(date) == found)
        })
    });
    let time = match newest.map(|(time, _)| time) {
        Some(time) => time,
        None => {
            let time = now.as_secs().to_string();
            let path = folder.join(format!("results_{time}.json"));
            write_json(&path, &results(now.as_secs_f64()))?;
            time
        }
    };
    let path = folder.join(format!("samples_{task}_{time}.jsonl"));
    match samples {
        Some(samples) if !path.exists() => write_file(&path, samples()?.as_bytes()),
        _ => Ok(()),
    }
}

/// A group's numbers, for programs.
fn record(group: &Group) -> Value {
    let modes: Vec<_> = group
        .modes
        .iter()
        .map(|m| {
            json!({"mode": m.mode, "trained": m.trainable, "parameters": m.parameters,
                "diverged": m.diverged, "mean_and_std": m.last, "best": m.best, "stderr": m.stderr,
                "intervals": m.intervals})
        })
        .collect();
    let pairs: Vec<_> = group
        .pairs
        .iter()
        .map(|p| {
            json!({"a": p.a, "b": p.b, "difference": p.bootstrap.value, "low": p.bootstrap.low,
                "high": p.bootstrap.high, "p_bootstrap": p.bootstrap.p, "p_mcnemar": p.mcnemar})
        })
        .collect();
    let picks: Vec<_> = group
        .picks
        .iter()
        .map(|p| {
            let picks: Vec<_> = p.picks.iter().map(|t| t.map(|t| t.to_string())).collect();
            json!({"scorer": p.scorer, "picks": picks, "right": p.right, "decided": p.decided})
        })
        .collect();
    let agreements: Vec<_> = group
        .agreements
        .iter()
        .map(|a| {
            let points = a.points.iter();
            let points = points.map(|p| json!({"name": p.name, "score": p.score, "outcome": p.outcome}));
            json!({"scorer": a.scorer, "items": a.items.to_string(), "spearman": a.correlation,
                "interval": a.interval(), "best_is_best": a.best.0, "decided": a.best.1, "of_the_best_3": a.top,
                "lost": a.lost, "points": points.collect::<Vec<_>>()})
        })
        .collect();
    let tied: Vec<_> = group
        .tied
        .iter()
        .map(|(seed, terms)| {
            let terms: Vec<_> = terms.iter().map(ToString::to_string).collect();
            json!({"seed": seed, "terms": terms})
        })
        .collect();
    json!({
        "model": group.model, "task": group.task, "regime": group.regime, "metric": group.metric,
        "seeds": group.seeds, "train_size": group.sizes.0, "dev_size": group.sizes.1,
        "modes": modes, "pairs": pairs, "picks": picks, "agreements": agreements, "tied": tied,
        "ranking": group.rankings, "notes": group.notes,
    })
}
