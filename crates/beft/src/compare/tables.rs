use std::fmt::Write;

use crate::compare::{Group, ModeSummary};

/// The comparison in Markdown: per model and regime one table of modes and tasks as the paper lays
/// it out, then per task the scorers' picks and the pairs.
pub fn markdown(groups: &[Group]) -> String {
    let mut out = String::new();
    let mut tables: Vec<(&str, &str)> = Vec::new();
    for group in groups {
        let table = (group.model.as_str(), group.regime.as_str());
        if !tables.contains(&table) {
            tables.push(table);
        }
    }
    for (model, regime) in tables {
        let mine = groups
            .iter()
            .filter(|g| g.model == model && g.regime == regime);
        let mine: Vec<&Group> = mine.collect();
        let _ = writeln!(out, "## {model}, {regime}\n");
        accuracy_table(&mut out, &mine);
    }
    let _ = writeln!(out, "## Did the scores pick the best of q, k, v?\n");
    picks_table(&mut out, groups);
    for group in groups {
        pairs_table(&mut out, group);
    }
    for note in groups.iter().flat_map(|g| &g.notes) {
        let _ = writeln!(out, "- {note}");
    }
    out
}

fn accuracy_table(out: &mut String, groups: &[&Group]) {
    let mut head = "| mode | trained | share |".to_owned();
    let mut rule = "|---|---:|---:|".to_owned();
    for group in groups {
        for metric in &group.metrics {
            let _ = write!(head, " {} {metric} | best |", group.task);
            rule += "---:|---:|";
        }
    }
    let _ = writeln!(out, "{head}\n{rule}");
    let mut modes: Vec<&ModeSummary> = Vec::new();
    for mode in groups.iter().flat_map(|g| &g.modes) {
        if !modes.iter().any(|m| m.mode == mode.mode) {
            modes.push(mode);
        }
    }
    for mode in modes {
        let share = 100.0 * mode.trainable as f64 / mode.parameters as f64;
        let _ = write!(
            out,
            "| `{}` | {} | {share:.3} % |",
            mode.mode, mode.trainable
        );
        for group in groups {
            let found = group.modes.iter().find(|m| m.mode == mode.mode);
            for metric in &group.metrics {
                let last = found.and_then(|m| m.last.get(metric));
                let best = found.and_then(|m| m.best.get(metric));
                match (last, best) {
                    (Some((mean, deviation)), Some(best)) => {
                        let _ = write!(out, " {mean:.3} ± {deviation:.3} | {best:.3} |");
                    }
                    _ => out.push_str(" - | - |"),
                }
            }
        }
        out.push('\n');
    }
    let sizes: Vec<String> = groups
        .iter()
        .map(|g| {
            let (train, dev) = g.sizes;
            format!("{} {train} training and {dev} dev examples", g.task)
        })
        .collect();
    let seeds = groups.iter().map(|g| g.seeds.len()).max().unwrap_or(0);
    let _ = writeln!(
        out,
        "\nMean ± standard deviation over {seeds} seed{} after the last epoch; `best`: mean of each seed's best epoch. {}.",
        if seeds == 1 { "" } else { "s" },
        sizes.join("; ")
    );
    for group in groups {
        for mode in group.modes.iter().filter(|m| m.diverged > 0) {
            let _ = writeln!(
                out,
                "\n`{}` on {} diverged with {} of the seeds.",
                mode.mode, group.task, mode.diverged
            );
        }
    }
    out.push('\n');
}

fn picks_table(out: &mut String, groups: &[Group]) {
    let mut scorers: Vec<&str> = Vec::new();
    for picks in groups.iter().flat_map(|g| &g.picks) {
        if !scorers.contains(&picks.scorer.as_str()) {
            scorers.push(&picks.scorer);
        }
    }
    if scorers.is_empty() {
        let _ = writeln!(
            out,
            "Not known: it takes the mode `all`, at least two of `q`, `k`, `v`, and a difference between them.\n"
        );
        return;
    }
    let mut head = "| scorer |".to_owned();
    for group in groups {
        let _ = write!(head, " {} {} |", group.task, group.regime);
    }
    let _ = writeln!(
        out,
        "{head} right |\n|---|{}---:|",
        "---|".repeat(groups.len())
    );
    for scorer in scorers {
        let (mut right, mut all) = (0, 0);
        let _ = write!(out, "| {scorer} |");
        for group in groups {
            let found = group.picks.iter().find(|p| p.scorer == scorer);
            let picks = found.map(|p| p.picks.as_slice()).unwrap_or_default();
            let names: Vec<String> = picks
                .iter()
                .map(|p| p.map_or_else(|| "-".to_owned(), |term| term.to_string()))
                .collect();
            let _ = write!(out, " {} |", names.join(" "));
            right += found.map_or(0, |p| p.right);
            all += picks.len();
        }
        let _ = writeln!(out, " {right} of {all} |");
    }
    let best: Vec<String> = groups
        .iter()
        .map(|group| format!("{} {}: {}", group.task, group.regime, best_of(group)))
        .collect();
    let _ = writeln!(
        out,
        "\nOne pick per seed, right when that term reached the highest main metric of the seed (of two that tied, either is); seeds in which all of them tied are left out. Best by the mean over seeds: {}.\n",
        best.join("; ")
    );
}

/// The best of q, k and v by the mean over seeds, with all of them.
fn best_of(group: &Group) -> String {
    let mut terms: Vec<(&str, f64)> = group
        .modes
        .iter()
        .filter(|m| ["q", "k", "v"].contains(&m.mode.as_str()))
        .filter_map(|m| Some((m.mode.as_str(), m.last.get(&group.metric)?.0)))
        .collect();
    terms.sort_by(|a, b| b.1.total_cmp(&a.1));
    let terms: Vec<String> = terms.iter().map(|(t, v)| format!("{t} {v:.3}")).collect();
    terms.join(" > ")
}

fn pairs_table(out: &mut String, group: &Group) {
    if group.pairs.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "## {} on {}, {}: differences in {}\n\n| modes | difference | 95 % interval | p (bootstrap) | p (McNemar, per seed) |\n|---|---:|---|---:|---|",
        group.model, group.task, group.regime, group.metric
    );
    for pair in &group.pairs {
        let found = &pair.bootstrap;
        let mcnemar: Vec<String> = pair.mcnemar.iter().map(|p| format!("{p:.3}")).collect();
        let _ = writeln!(
            out,
            "| `{}` - `{}` | {:+.3} | {:+.3} to {:+.3} | {:.3} | {} |",
            pair.a,
            pair.b,
            found.value,
            found.low,
            found.high,
            found.p,
            if mcnemar.is_empty() {
                "-".to_owned()
            } else {
                mcnemar.join(" ")
            }
        );
    }
    out.push('\n');
}

/// One line per cell and metric: model, task, regime, mode, learning rate, seed, trained values,
/// metric, last, best, whether it diverged.
pub fn csv(groups: &[Group]) -> String {
    let mut out = "model,task,regime,mode,lr,seed,trained,metric,last,best,diverged\n".to_owned();
    let quoted = |text: &str| match text.contains([',', '"', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    };
    for group in groups {
        for result in &group.results {
            for metric in &group.metrics {
                let Some(last) = result.metrics.get(metric) else {
                    continue;
                };
                let epochs = result.epochs.iter().filter_map(|e| e.metrics.get(metric));
                let best = epochs.fold(f64::NEG_INFINITY, |best, v| best.max(*v));
                let _ = writeln!(
                    out,
                    "{},{},{},{},{},{},{},{metric},{last},{best},{}",
                    quoted(&group.model),
                    quoted(&group.task),
                    group.regime,
                    quoted(&result.cell.mode),
                    result.cell.learning_rate,
                    result.cell.seed,
                    result.trainable,
                    result.failure.is_some()
                );
            }
        }
    }
    out
}
