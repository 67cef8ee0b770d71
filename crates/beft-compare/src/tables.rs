use std::fmt::Write;

use beft_eval::same_value;

use crate::{Group, ModeSummary};

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
                        let deviation = or_zero(*deviation);
                        let _ = write!(out, " {mean:.3} ± {deviation} | {best:.3} |");
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
        let (mut right, mut decided) = (0, 0);
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
            decided += found.map_or(0, |p| p.decided);
        }
        let _ = writeln!(out, " {right} of {decided} |");
    }
    let best: Vec<String> = groups
        .iter()
        .map(|group| format!("{} {}: {}", group.task, group.regime, best_of(group)))
        .collect();
    let _ = writeln!(
        out,
        "\nOne pick per seed, right when that term alone reached the highest main metric of the seed. Where several of q, k, v share it, a pick is neither right nor wrong: {}. Best by the mean over seeds: {}.\n",
        ties(groups),
        best.join("; ")
    );
}

/// The seeds in which candidates tie: `2 ties (sst2 low seed 1: q = v; rte low seed 0: q = k = v)`.
fn ties(groups: &[Group]) -> String {
    let tied: Vec<String> = groups
        .iter()
        .flat_map(|group| {
            group.tied.iter().map(move |(seed, terms)| {
                let terms: Vec<String> = terms.iter().map(ToString::to_string).collect();
                let terms = terms.join(" = ");
                format!("{} {} seed {seed}: {terms}", group.task, group.regime)
            })
        })
        .collect();
    match tied.len() {
        0 => "there are no ties".to_owned(),
        1 => format!("there is 1 tie ({})", tied[0]),
        count => format!("there are {count} ties ({})", tied.join("; ")),
    }
}

/// Three decimals; `0` for what is exactly zero.
pub(super) fn or_zero(value: f64) -> String {
    match value == 0.0 {
        true => "0".to_owned(),
        false => format!("{value:.3}"),
    }
}

/// The same with a sign.
fn signed(value: f64) -> String {
    match value == 0.0 {
        true => "0".to_owned(),
        false => format!("{value:+.3}"),
    }
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
    let mut out = String::new();
    for (index, (term, value)) in terms.iter().enumerate() {
        let sign = match index.checked_sub(1).map(|before| terms[before].1) {
            None => "",
            Some(before) if same_value(before, *value) => " = ",
            Some(_) => " > ",
        };
        let _ = write!(out, "{sign}{term} {value:.3}");
    }
    out
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
            "| `{}` - `{}` | {} | {} to {} | {:.3} | {} |",
            pair.a,
            pair.b,
            match found.value == 0.0 {
                true => "=".to_owned(),
                false => signed(found.value),
            },
            signed(found.low),
            signed(found.high),
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

/// One line per trial and metric: model, task, regime, mode, learning rate, seed, trained values,
/// metric, last, best, whether it diverged, whether it is one of q, k and v that share the highest
/// main metric of the seed.
pub fn csv(groups: &[Group]) -> String {
    let mut out =
        "model,task,regime,mode,lr,seed,trained,metric,last,best,diverged,tied\n".to_owned();
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
                let mut tied = group.tied.get(&result.trial.seed).into_iter().flatten();
                let tied = *metric == group.metric
                    && tied.any(|term| term.to_string() == result.trial.mode);
                let _ = writeln!(
                    out,
                    "{},{},{},{},{},{},{},{metric},{last},{best},{},{tied}",
                    quoted(&group.model),
                    quoted(&group.task),
                    group.regime,
                    quoted(&result.trial.mode),
                    result.trial.learning_rate,
                    result.trial.seed,
                    result.trainable,
                    result.failure.is_some()
                );
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use beft_core::BiasTerm;
    use beft_eval::Difference;

    use super::*;
    use crate::test::result;
    use crate::{Pair, ScorerPicks};

    /// Two seeds of q and v that reached the same, and one pick in each.
    fn group() -> Group {
        let mode = |mode: &str| ModeSummary {
            mode: mode.to_owned(),
            trainable: 1,
            parameters: 2,
            diverged: 0,
            last: [("accuracy".to_owned(), (0.5, 0.0))].into(),
            best: [("accuracy".to_owned(), 0.5)].into(),
            stderr: BTreeMap::new(),
        };
        Group {
            model: "model".to_owned(),
            task: "sst2".to_owned(),
            regime: "low".to_owned(),
            sizes: (10, 20),
            metric: "accuracy".to_owned(),
            metrics: vec!["accuracy".to_owned()],
            seeds: vec![0, 1],
            modes: vec![mode("q"), mode("v")],
            pairs: vec![Pair {
                a: "q".to_owned(),
                b: "v".to_owned(),
                bootstrap: Difference {
                    value: 0.0,
                    low: -0.1,
                    high: 0.0,
                    p: 1.0,
                },
                mcnemar: vec![1.0],
            }],
            picks: vec![ScorerPicks {
                scorer: "beft".to_owned(),
                picks: vec![Some(BiasTerm::V); 2],
                right: 1,
                decided: 1,
            }],
            tied: [(1, vec![BiasTerm::Q, BiasTerm::V])].into(),
            rankings: BTreeMap::new(),
            notes: Vec::new(),
            results: vec![result("q", 1, 0.5), result("frozen", 1, 0.5)],
        }
    }

    #[test]
    fn ties_are_counted_and_shown() {
        let text = markdown(&[group()]);
        for part in [
            "| beft | v v | 1 of 1 |",
            "there is 1 tie (sst2 low seed 1: q = v)",
            "q 0.500 = v 0.500",
            "0.500 ± 0 |",
            "| `q` - `v` | = | -0.100 to 0 |",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let rows = csv(&[group()]);
        let rows: Vec<&str> = rows.lines().skip(1).collect();
        assert!(rows[0].contains(",q,") && rows[0].ends_with(",true"));
        assert!(rows[1].contains(",frozen,") && rows[1].ends_with(",false"));
    }
}
