//! `report.md`: what a run found, for people.

use std::fmt::Write;

use beft_score::Scores;

use crate::{ModeResult, Ranking, RunResults};

/// The report of a run in Markdown. Heatmaps are expected beside it as `heatmap_<scorer>.svg`.
pub fn report_markdown(results: &RunResults, ranking: &Ranking) -> String {
    let settings = &results.settings;
    let mut out = String::new();
    // Writing to a String cannot fail.
    let mut line = |text: String| {
        let _ = writeln!(out, "{text}");
    };
    line(format!("# {} on {}\n", settings.model, settings.task));
    line(format!(
        "{} training examples, {} dev examples, {} epochs of batches of {}, learning rate {:e}, seed {}, device {}, {}.\n",
        settings.train_size,
        settings.dev_size,
        settings.epochs,
        settings.batch_size,
        settings.learning_rate,
        settings.seed,
        settings.device,
        settings.precision
    ));
    line(format!(
        "**{}** The pick has the highest {} score among the candidates; its adapter is in [`adapter/`](adapter/).\n",
        results.verdict(),
        ranking.primary().scorer()
    ));
    line("## Which bias to train\n".to_owned());
    line(ranking_table(ranking));
    line("Of a bias before (b0) and after (b1) training all biases: beft `1 - <b1,b0> / max(|b0|^2, |b1|^2)`, magnitude `mean |b1 - b0|`, angle in degrees, l2 `|b1 - b0|`; before training: fisher, the mean squared gradient, gradnorm, the gradient's length in the first step. Means over layers.\n".to_owned());
    for note in &results.notes {
        line(format!("- {note}"));
    }
    if !results.notes.is_empty() {
        line(String::new());
    }
    line("## What each mode reached\n".to_owned());
    line(modes_table(&results.modes, &results.picked));
    // A decoder has no head, and so no mode that trains it alone.
    let what = match results.modes.iter().any(|mode| mode.mode == "frozen") {
        true => {
            "`frozen` trains the head alone, `all` every bias; each of the others the named bias in every layer, the pooler's bias and the head."
        }
        false => {
            "`all` trains every bias; each of the others the named bias in every layer and nothing else."
        }
    };
    line(format!(
        "Metrics on the dev split after the last epoch; `best` is the best epoch's. {what}\n"
    ));
    line("## Scores by layer\n".to_owned());
    for scores in &ranking.scores {
        line(format!("![{0} scores](heatmap_{0}.svg)\n", scores.scorer()));
    }
    out
}

/// A Markdown table: one row per term in the order of the first scorer, one column per scorer.
pub fn ranking_table(ranking: &Ranking) -> String {
    let names: Vec<&str> = ranking.scores.iter().map(Scores::scorer).collect();
    let mut out = format!(
        "| term | {} |\n|---|{}\n",
        names.join(" | "),
        "---:|".repeat(names.len())
    );
    for row in ranking.primary().to_ranking() {
        let cells: Vec<String> = ranking
            .scores
            .iter()
            .map(|s| s.term_mean(row.term).map_or_else(|| "-".to_owned(), score))
            .collect();
        let _ = writeln!(out, "| `{}` | {} |", row.term, cells.join(" | "));
    }
    out
}

/// Three decimals, as the paper prints them; smaller ones by their exponent.
fn score(value: f64) -> String {
    if value == 0.0 || value.abs() >= 0.0005 {
        format!("{value:.3}")
    } else {
        format!("{value:.1e}")
    }
}

/// A Markdown table with one row per mode: trained values, and each metric after the last and in the best epoch.
pub fn modes_table(modes: &[ModeResult], picked: &str) -> String {
    let metrics: Vec<&String> = modes
        .first()
        .map(|m| m.metrics.keys().collect())
        .unwrap_or_default();
    let mut head = "| mode | trained values |".to_owned();
    for metric in &metrics {
        let _ = write!(head, " {metric} | best |");
    }
    let mut out = format!("{head}\n|---|---:|{}\n", "---:|---:|".repeat(metrics.len()));
    for mode in modes {
        let name = if mode.mode == picked {
            format!("**`{}`** (picked)", mode.mode)
        } else {
            format!("`{}`", mode.mode)
        };
        let _ = write!(out, "| {name} | {} |", mode.trainable);
        for metric in &metrics {
            let last = mode.metrics.get(*metric).copied().unwrap_or(f64::NAN);
            let best = mode
                .epochs
                .iter()
                .filter_map(|e| e.metrics.get(*metric))
                .fold(f64::NEG_INFINITY, |best, value| best.max(*value));
            let _ = write!(out, " {last:.3} | {best:.3} |");
        }
        out.push('\n');
    }
    out
}
