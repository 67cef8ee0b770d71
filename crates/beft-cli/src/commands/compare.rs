use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write, stdout};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use beft::compare::{
    Cell, CompareSpec, Group, Journal, Pass, TaskSpec, csv, curves_svg, harness_results, markdown,
    passes, run_cells, sample_lines, summarize,
};
use beft::core::write_atomic;
use beft::score::{Scores, core::BiasSite};
use beft::train::Event;
use beft::{heatmap_svg, parse_device, write_json};
use serde_json::json;

use crate::args::{CompareArgs, ComparePassArgs};
use crate::output::{prepare_folder, print_markdown, say, tell};
use crate::progress::CellsProgress;

/// Folder of finished cells within the output folder.
const CELLS: &str = "cells";

pub(crate) fn compare(args: &CompareArgs) -> Result<()> {
    parse_device(&args.device)?;
    let limit = args.limit.map(|n| n as usize);
    let cells = spec(args)?.cells(&args.device, &args.precision.to_string(), limit)?;
    let _made = prepare_folder(&args.out, &["compare.md", "compare.csv"])?;
    let mut journal = Journal::open(&args.out.join(CELLS))?;
    let mut keyed = Vec::new();
    for cell in cells {
        let key = journal.key(&cell)?;
        keyed.push((key, cell));
    }

    let failed = run_all(args, &journal, &keyed)?;
    if !failed.is_empty() {
        for line in &failed {
            tell!("{line}");
        }
        bail!(
            "{} of {} trainings failed; the others are kept, and the same command goes on from there",
            failed.len(),
            keyed.len()
        );
    }
    write_summary(args, &journal, &keyed)
}

fn spec(args: &CompareArgs) -> Result<CompareSpec> {
    if let Some(file) = &args.file {
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
        mode: Default::default(),
    })
}

/// Runs every cell that is not finished. Those that can train together share a pass, and each pass has
/// a process of its own, so that memory goes back with it and a crash takes few along. Returns what
/// failed, in words.
fn run_all(args: &CompareArgs, journal: &Journal, cells: &[(String, Cell)]) -> Result<Vec<String>> {
    let open: Vec<&(String, Cell)> = cells
        .iter()
        .filter(|(key, _)| !journal.is_done(key))
        .collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let on_gpu = ["cuda", "vulkan", "wgpu"]
        .iter()
        .any(|gpu| args.device.contains(gpu));
    let (jobs, most) = match on_gpu {
        true => (1, TOGETHER_ON_GPU),
        false => (cores, TOGETHER_ON_CPU),
    };
    let jobs = args.jobs.map_or(jobs, |jobs| jobs as usize);
    let most = args.together.map_or(most, |most| most as usize);
    let most = most.min(open.len().div_ceil(jobs));
    let of: Vec<Cell> = open.iter().map(|(_, cell)| cell.clone()).collect();
    let passes: Vec<Pass> = passes(&of, most)?
        .into_iter()
        .map(|pass| Pass {
            cells: pass.into_iter().map(|index| open[index].clone()).collect(),
        })
        .collect();
    let jobs = jobs.clamp(1, passes.len().max(1));
    let threads = (cores / jobs).max(1);
    let progress = CellsProgress::new(cells.len(), cells.len() - open.len());
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(pass) = passes.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let results = run_one(journal, pass, threads, &progress);
                    for (index, (_, cell)) in pass.cells.iter().enumerate() {
                        let name = name_of(cell);
                        match &results {
                            Ok(results) => {
                                let result = results.get(index);
                                progress.finished(&name, result.map_or("", |r| r.as_str()));
                            }
                            Err(error) => {
                                progress.finished(&name, "failed");
                                let line = format!("{name}: {error:#}");
                                failed.lock().unwrap_or_else(|e| e.into_inner()).push(line);
                            }
                        }
                    }
                }
            });
        }
    });
    progress.finish();
    Ok(failed.into_inner().unwrap_or_else(|e| e.into_inner()))
}

/// Trainings in one pass, if no other number is asked for.
const TOGETHER_ON_CPU: usize = 4;
const TOGETHER_ON_GPU: usize = 32;

/// `sst2 low lora-v seed 1`
fn name_of(cell: &Cell) -> String {
    format!(
        "{} {} {} seed {}",
        cell.task, cell.regime, cell.mode, cell.seed
    )
}

/// Kills the process when this end goes away.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a process that is gone.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a pass in a process; what it said of the result of each cell.
fn run_one(
    journal: &Journal,
    pass: &Pass,
    threads: usize,
    progress: &CellsProgress,
) -> Result<Vec<String>> {
    let file = journal.write_pass(pass)?;
    let folder = file.parent().unwrap_or(Path::new("."));
    let log = file.with_extension("log");
    let errors = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let child = Command::new(std::env::current_exe()?)
        .arg("compare-pass")
        .args([file.as_os_str(), folder.as_os_str()])
        // Small matrices gain little from threads; whole trainings side by side do.
        .env("RAYON_NUM_THREADS", threads.to_string())
        .env("OMP_NUM_THREADS", threads.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors)
        .spawn()
        .context("cannot start a process")?;
    let name = match pass.cells.as_slice() {
        [(_, cell), more @ ..] if !more.is_empty() => {
            format!("{} and {} more", name_of(cell), more.len())
        }
        cells => cells.iter().map(|(_, cell)| name_of(cell)).collect(),
    };
    let mut child = Running(child);
    let mut results = Vec::new();
    if let Some(out) = child.0.stdout.take() {
        for line in BufReader::new(out).lines().map_while(|line| line.ok()) {
            match line.split_once(' ') {
                Some(("step", _)) => progress.step(&name, &line),
                _ => results.push(line),
            }
        }
    }
    let status = child.0.wait()?;
    if !status.success() {
        let text = fs::read_to_string(&log).unwrap_or_default();
        let reason = text.lines().rfind(|line| !line.trim().is_empty());
        bail!("{} (see {})", reason.unwrap_or("no message"), log.display());
    }
    // Only a failure's are of use.
    let _ = fs::remove_file(&log);
    let _ = fs::remove_file(&file);
    Ok(results)
}

/// One pass of a comparison: what the hidden subcommand does.
pub(crate) fn pass(args: &ComparePassArgs) -> Result<()> {
    let text =
        fs::read(&args.pass).with_context(|| format!("cannot read {}", args.pass.display()))?;
    let pass: Pass = serde_json::from_slice(&text)
        .with_context(|| format!("cannot read {}", args.pass.display()))?;
    let journal = Journal::open(&args.journal)?;
    let mut of = (0, 0);
    // The parent reads these lines; one that is gone makes this process pointless.
    let tell = |line: String| {
        if writeln!(stdout(), "{line}").is_err() {
            std::process::exit(2);
        }
    };
    let cells: Vec<Cell> = pass.cells.iter().map(|(_, cell)| cell.clone()).collect();
    let mut told = 0;
    let results = run_cells(&cells, &journal.state_path(&pass), |_, event| match event {
        Event::Started { steps, epochs, .. } => of = (steps, epochs),
        Event::Step { epoch, step, .. } => {
            let at = (epoch - 1) * of.0 + step;
            if at >= told + 10 {
                told = at;
                tell(format!("step {at} of {}", of.0 * of.1));
            }
        }
        _ => {}
    })?;
    for ((key, _), result) in pass.cells.iter().zip(&results) {
        journal.finish(key, result)?;
    }
    journal.forget(&pass);
    for result in &results {
        let metrics = crate::progress::metrics(&result.metrics);
        match &result.failure {
            None => tell(metrics.trim_start_matches(", ").to_owned()),
            Some(failure) => tell(format!("diverged: {failure}")),
        }
    }
    Ok(())
}

/// Everything that is written when all cells are finished.
fn write_summary(args: &CompareArgs, journal: &Journal, cells: &[(String, Cell)]) -> Result<()> {
    let results = cells
        .iter()
        .map(|(key, cell)| {
            journal.find(key).with_context(|| {
                let name = name_of(cell);
                format!(
                    "{name}: its result in {} is damaged; delete {key}.json there",
                    CELLS
                )
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let groups = summarize(results)?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let text = |name: String, text: String| {
        let path = args.out.join(name);
        write_atomic(&path, text.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))
    };
    let mut report = markdown(&groups);
    report.push_str("\n## Pictures\n\n");
    for group in &groups {
        let stem = file_name(&format!(
            "{}_{}_{}",
            short(&group.model),
            group.task,
            group.regime
        ));
        if let Some(svg) = curves_svg(group) {
            text(format!("curves_{stem}.svg"), svg)?;
            report.push_str(&format!("![learning curves](curves_{stem}.svg)\n"));
        }
        for scores in scores(group) {
            let title = format!(
                "{} by layer, {} on {}, {}",
                scores.scorer(),
                short(&group.model),
                group.task,
                group.regime
            );
            let name = format!("heatmap_{stem}_{}.svg", scores.scorer());
            text(name.clone(), heatmap_svg(&scores, &title))?;
            report.push_str(&format!("![{} scores]({name})\n", scores.scorer()));
        }
        for mode in &group.modes {
            let folder = args
                .out
                .join("lm-eval")
                .join(&stem)
                .join(file_name(&mode.mode));
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
            let time = now.as_secs();
            let value = harness_results(group, mode, now.as_secs_f64());
            write_json(&folder.join(format!("results_{time}.json")), &value)?;
            if args.log_samples {
                let path = folder.join(format!("samples_{}_{time}.jsonl", group.task));
                write_atomic(&path, sample_lines(group, mode)?.as_bytes())
                    .with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
    }
    text("compare.csv".to_owned(), csv(&groups))?;
    text("compare.md".to_owned(), report)?;
    let record = json!({ "groups": groups.iter().map(record).collect::<Vec<_>>() });
    write_json(&args.out.join("compare.json"), &record)?;
    print_markdown(&markdown(&groups));
    say!("Report: {}", args.out.join("compare.md").display());
    Ok(())
}

/// A group's numbers, for programs.
fn record(group: &Group) -> serde_json::Value {
    let modes: Vec<_> = group
        .modes
        .iter()
        .map(|m| {
            json!({"mode": m.mode, "trained": m.trainable, "parameters": m.parameters,
                "diverged": m.diverged, "mean_and_std": m.last, "best": m.best, "stderr": m.stderr})
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
            json!({"scorer": p.scorer, "picks": picks, "right": p.right})
        })
        .collect();
    json!({
        "model": group.model, "task": group.task, "regime": group.regime, "metric": group.metric,
        "seeds": group.seeds, "train_size": group.sizes.0, "dev_size": group.sizes.1,
        "modes": modes, "pairs": pairs, "picks": picks, "ranking": group.rankings,
    })
}

/// The mean scores of a group as the heatmap takes them.
fn scores(group: &Group) -> Vec<Scores> {
    let rankings = group.rankings.iter();
    rankings
        .map(|(scorer, rows)| {
            let cells = rows.iter().flat_map(|row| {
                let layers = row.layers.iter().enumerate();
                layers.filter_map(|(l, value)| Some((BiasSite::new(l, row.term), (*value)?)))
            });
            Scores::from_values(scorer.clone(), cells)
        })
        .collect()
}

/// The last part of a model's path or name.
fn short(model: &str) -> &str {
    let model = model.trim_end_matches('/');
    model.rsplit('/').next().unwrap_or(model)
}

/// Letters, digits, `-` and `_` only.
fn file_name(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.chars()
        .map(|c| if plain(c) { c } else { '-' })
        .collect()
}
