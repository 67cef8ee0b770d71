use std::fmt::Write;

use beft::table::{Align, Cell, Document, Table};
use beft_eval::same_value;

use crate::agreement_tables::agreement_tables;
use crate::{Group, ModeSummary, distinct};

/// The comparison as people read it: per model and regime one table of modes and tasks as the paper lays
/// it out, then per task the scorers' picks and the pairs.
pub fn report(groups: &[Group]) -> Document {
    let mut out = Document::default();
    for (model, regime) in distinct(groups.iter().map(|g| (&g.model, &g.regime))) {
        let mine = groups
            .iter()
            .filter(|g| g.model == *model && g.regime == *regime);
        let mine: Vec<&Group> = mine.collect();
        out.heading(2, format!("{model}, {regime}"));
        accuracies(&mut out, &mine);
    }
    out.heading(2, "Did the scores pick the best of q, k, v?");
    picks(&mut out, groups);
    agreement_tables(&mut out, groups);
    for group in groups.iter().filter(|group| !group.pairs.is_empty()) {
        out.heading(
            2,
            format!(
                "{} on {}, {}: differences in {}",
                group.model, group.task, group.regime, group.metric
            ),
        );
        out.table(pairs_table(group));
    }
    out.list(groups.iter().flat_map(|g| &g.notes));
    out
}

fn accuracies(out: &mut Document, groups: &[&Group]) {
    let metrics = groups.iter().flat_map(|g| {
        let name = |metric| format!("{} {metric}", g.task);
        g.metrics.iter().map(name)
    });
    let numbers = metrics.flat_map(|metric| [metric, "best".to_owned()]);
    let numbers = ["trained", "share"]
        .map(str::to_owned)
        .into_iter()
        .chain(numbers);
    let mut table = Table::new([("mode".to_owned(), Align::Left)]);
    table
        .columns
        .extend(numbers.map(|name| (name, Align::Right)));
    let mut modes: Vec<&ModeSummary> = Vec::new();
    for mode in groups.iter().flat_map(|g| &g.modes) {
        if !modes.iter().any(|m| m.mode == mode.mode) {
            modes.push(mode);
        }
    }
    for mode in modes {
        let share = 100.0 * mode.trainable as f64 / mode.parameters as f64;
        let mut row = vec![
            Cell::default().code(&mode.mode),
            mode.trainable.into(),
            format!("{share:.3} %").into(),
        ];
        for group in groups {
            let found = group.modes.iter().find(|m| m.mode == mode.mode);
            for metric in &group.metrics {
                let last = found.and_then(|m| m.last.get(metric));
                let best = found.and_then(|m| m.best.get(metric));
                row.extend(match (last, best) {
                    (Some((mean, deviation)), Some(best)) => [
                        format!("{mean:.3} ± {}", or_zero(*deviation)).into(),
                        format!("{best:.3}").into(),
                    ],
                    _ => [Cell::from("-"), Cell::from("-")],
                });
            }
        }
        table.rows.push(row);
    }
    out.table(table);
    let sizes: Vec<String> = groups
        .iter()
        .map(|g| {
            let (train, dev) = g.sizes;
            format!("{} {train} training and {dev} dev examples", g.task)
        })
        .collect();
    let seeds = groups.iter().map(|g| g.seeds.len()).max().unwrap_or(0);
    let trials = groups.iter().flat_map(|group| &group.results);
    let best = match trials.clone().all(|result| result.trial.evaluate.is_each()) {
        true => "best epoch",
        false => "best epoch among those that were evaluated",
    };
    out.paragraph(format!(
        "{}; `best`: mean of each seed's {best}. {}.",
        over_seeds(seeds),
        sizes.join("; ")
    ));
    for group in groups {
        for mode in group.modes.iter().filter(|m| m.diverged > 0) {
            out.paragraph(format!(
                "`{}` on {} diverged with {} seed{}.",
                mode.mode,
                group.task,
                mode.diverged,
                if mode.diverged == 1 { "" } else { "s" }
            ));
        }
    }
}

/// What the numbers of a table are.
pub(super) fn over_seeds(seeds: usize) -> String {
    let s = if seeds == 1 { "" } else { "s" };
    format!("Mean ± standard deviation over {seeds} seed{s} after the last epoch")
}

fn picks(out: &mut Document, groups: &[Group]) {
    let scorers = distinct(groups.iter().flat_map(|g| &g.picks).map(|p| &p.scorer));
    if scorers.is_empty() {
        out.paragraph(
            "Not known: it takes the mode `all`, at least two of `q`, `k`, `v`, and a difference between them.",
        );
        return;
    }
    let data = groups.iter().map(|g| format!("{} {}", g.task, g.regime));
    let mut table = Table::new([("scorer", Align::Left)]);
    table.columns.extend(data.map(|name| (name, Align::Left)));
    table.columns.push(("right".to_owned(), Align::Right));
    for scorer in scorers {
        let (mut right, mut decided) = (0, 0);
        let mut row = vec![Cell::from(scorer)];
        for group in groups {
            let found = group.picks.iter().find(|p| p.scorer == *scorer);
            let picks = found.map(|p| p.picks.as_slice()).unwrap_or_default();
            let names: Vec<String> = picks
                .iter()
                .map(|p| p.map_or_else(|| "-".to_owned(), |term| term.to_string()))
                .collect();
            row.push(names.join(" ").into());
            right += found.map_or(0, |p| p.right);
            decided += found.map_or(0, |p| p.decided);
        }
        row.push(format!("{right} of {decided}").into());
        table.rows.push(row);
    }
    out.table(table);
    let best: Vec<String> = groups
        .iter()
        .map(|group| format!("{} {}: {}", group.task, group.regime, best_of(group)))
        .collect();
    out.paragraph(format!(
        "One pick per seed, right when that term alone reached the highest main metric of the seed. Where several of q, k, v share it, a pick is neither right nor wrong: {}. Best by the mean over seeds: {}.",
        ties(groups),
        best.join("; ")
    ));
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

/// A probability; one that is not zero is never shown as zero.
fn p_value(p: f64) -> String {
    match p < 0.0005 {
        true => "<0.001".to_owned(),
        false => format!("{p:.3}"),
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

fn pairs_table(group: &Group) -> Table {
    let mut table = Table::new([
        ("modes", Align::Left),
        ("difference", Align::Right),
        ("95 % interval", Align::Numbers),
        ("p (bootstrap)", Align::Right),
        ("p (McNemar, per seed)", Align::Numbers),
    ]);
    for pair in &group.pairs {
        let found = &pair.bootstrap;
        let mcnemar: Vec<String> = pair.mcnemar.iter().map(|p| p_value(*p)).collect();
        table.rows.push(vec![
            Cell::default().code(&pair.a).text(" - ").code(&pair.b),
            match found.value == 0.0 {
                true => "=".into(),
                false => signed(found.value).into(),
            },
            format!("{} to {}", signed(found.low), signed(found.high)).into(),
            p_value(found.p).into(),
            match mcnemar.is_empty() {
                true => "-".into(),
                false => mcnemar.join(" ").into(),
            },
        ]);
    }
    table
}

/// CSV with one line per trial and metric. `tied` says whether it is one of q, k and v that share the
/// highest main metric of the seed.
pub fn csv(groups: &[Group]) -> String {
    let mut out = csv::Writer::from_writer(Vec::new());
    // Writing to memory cannot fail.
    let _ = out.write_record([
        "model", "task", "regime", "mode", "lr", "seed", "trained", "metric", "last", "best",
        "diverged", "tied",
    ]);
    for group in groups {
        for result in &group.results {
            for metric in &group.metrics {
                let last = result.metrics.get(metric).copied();
                if last.is_none() && result.failure.is_none() {
                    continue;
                }
                let epochs = result.epochs.iter().filter_map(|e| e.metrics.get(metric));
                let best = epochs.copied().reduce(f64::max);
                let number = |value: Option<f64>| value.map_or(String::new(), |v| v.to_string());
                let mut tied = group.tied.get(&result.trial.seed).into_iter().flatten();
                let tied = *metric == group.metric
                    && tied.any(|term| term.to_string() == result.trial.mode);
                let _ = out.write_record([
                    &group.model,
                    &group.task,
                    &group.regime,
                    &result.trial.mode,
                    &result.trial.learning_rate.to_string(),
                    &result.trial.seed.to_string(),
                    &result.trainable.to_string(),
                    metric,
                    &number(last),
                    &number(best),
                    &result.failure.is_some().to_string(),
                    &tied.to_string(),
                ]);
            }
        }
    }
    String::from_utf8(out.into_inner().unwrap_or_default()).unwrap_or_default()
}
