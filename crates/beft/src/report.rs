//! `report.md`: what a run found, for people.

use beft_plot::{Bar, Curve, CurveAxis, CurvePoint};
use beft_tasks::Split;

use crate::table::{Align, Cell, Document, Picture, Table};
use crate::{
    Details, Ranking, RunResults, bars_picture, curves_picture, heatmaps, metric_suffix, pictures,
};

/// The report of a run, with its pictures.
pub fn report(results: &RunResults, ranking: &Ranking) -> Document {
    let settings = &results.settings;
    let mut out = Document::default();
    out.heading(1, format!("{} on {}", settings.model, settings.task));
    out.paragraph(format!(
        "{} training examples, {} dev examples, {} epoch{} of batches of {}, learning rate {:e}, seed {}, device {}, {}.",
        settings.train_size,
        settings.dev_size,
        settings.epochs,
        if settings.epochs == 1 { "" } else { "s" },
        settings.batch_size,
        settings.learning_rate,
        settings.seed,
        settings.device,
        settings.precision
    ));
    if let Some(forward) = &settings.forward {
        out.paragraph(format!(
            "The frozen matrices were multiplied in {forward}, in the forward pass and in the evaluations behind the metrics. An \
             evaluation of the adapter computes them in f32."
        ));
    }
    let why = match &results.budget {
        None => format!(
            "The pick has the highest {} score among the candidates",
            ranking.primary().scorer()
        ),
        Some(budget) => format!(
            "The pick is what a budget of {} values was spent on",
            budget.budget
        ),
    };
    out.paragraph(format!(
        "**{}** {why}; its adapter is in [`adapter/`](adapter/).",
        results.verdict()
    ));
    out.heading(2, "Which bias to train");
    out.table(ranking_table(ranking));
    let picture = ranking_picture(ranking, &results.picked, &settings.model);
    out.pictures(picture);
    out.paragraph("Of a bias before (b0) and after (b1) training all biases: beft `1 - <b1,b0> / max(|b0|^2, |b1|^2)`, magnitude `mean |b1 - b0|`, angle in degrees, l2 `|b1 - b0|`; before training: fisher, the mean squared gradient, gradnorm, the gradient's length in the first step, snr, how sure the gradient's direction is, slope, the sum of its absolute means. Means over layers.");
    out.list(&results.notes);
    if let Some(budget) = &results.budget {
        out.heading(2, "What the budget was spent on");
        out.paragraph(budget.summary());
        out.table(budget.table());
    }
    out.heading(2, "What each mode reached");
    out.table(modes_table(results));
    out.pictures(modes_picture(results));
    // A decoder has no head, and so no mode that trains it alone.
    let what = match results.modes.iter().any(|mode| mode.mode == "frozen") {
        true => {
            "`frozen` trains the head alone, `all` every bias; each of the others the named bias in every layer, the pooler's bias and the head."
        }
        false => {
            "`all` trains every bias; each of the others the named bias in every layer and nothing else."
        }
    };
    out.paragraph(format!(
        "Metrics on the dev split after the last epoch; `best` is the best epoch's. {what}"
    ));
    out.pictures(curves(results));
    for (details, suffix) in split_details(results) {
        let title = format!(
            "What `{}` says of {} dev examples",
            results.picked, details.examples
        );
        out.heading(2, title);
        details.describe(&mut out);
        out.pictures(pictures(details, &settings.task, suffix));
    }
    if !results.class_weights.is_empty() {
        let weights = settings.labels.iter().zip(&results.class_weights);
        let weights = weights.map(|(label, weight)| format!("`{label}` {weight:.2}"));
        let weights = weights.collect::<Vec<_>>().join(", ");
        out.paragraph(format!(
            "Classes count in the loss by the inverse of their share: {weights}."
        ));
    }
    out.heading(2, "Scores by layer");
    out.pictures(heatmaps(ranking, &settings.model));
    out
}

/// What stands behind the picked term's metrics, with what the files of each split end in: MNLI has two splits.
pub(crate) fn split_details(
    results: &RunResults,
) -> impl Iterator<Item = (&Details, &'static str)> {
    let splits = [Split::Dev, Split::DevMismatched].map(metric_suffix);
    results.details.iter().zip(splits)
}

/// One row per term in the order of the first scorer, one column per scorer.
pub fn ranking_table(ranking: &Ranking) -> Table {
    let names = ranking.scores.iter().map(|s| (s.scorer(), Align::Right));
    let mut table = Table::new([("term", Align::Left)].into_iter().chain(names));
    for row in ranking.primary().to_ranking() {
        let means = ranking.scores.iter().map(|s| s.term_mean(row.term));
        let cells = means.map(|mean| Cell::from(mean.map_or_else(|| "-".to_owned(), score)));
        let name = Cell::default().code(row.term);
        table.rows.push([name].into_iter().chain(cells).collect());
    }
    table
}

/// The terms by the score that picks.
fn ranking_picture(ranking: &Ranking, picked: &str, model: &str) -> Option<Picture> {
    let scores = ranking.primary();
    let bars = scores.to_ranking().into_iter().map(|row| Bar {
        marked: row.term.name() == picked,
        name: row.term.to_string(),
        value: row.mean.unwrap_or(f64::NAN),
        ..Bar::default()
    });
    let bars: Vec<Bar> = bars.collect();
    let title = format!("{} score of each bias, {model}", scores.scorer());
    bars_picture(&title, "mean over layers", &bars, "ranking.svg".to_owned())
}

/// What each mode reached, with its interval.
fn modes_picture(results: &RunResults) -> Option<Picture> {
    let metric = &results.metric;
    let bars = results.modes.iter().map(|mode| Bar {
        name: mode.mode.clone(),
        value: mode.metrics.get(metric).copied().unwrap_or(f64::NAN),
        interval: mode.intervals.get(metric).copied(),
        points: Vec::new(),
        marked: mode.mode == results.picked,
    });
    let bars: Vec<Bar> = bars.collect();
    let title = match bars.iter().any(|bar| bar.interval.is_some()) {
        true => format!("{metric} of each mode, with 95 % intervals over dev examples"),
        false => format!("{metric} of each mode"),
    };
    bars_picture(&title, metric, &bars, "modes.svg".to_owned())
}

fn curves(results: &RunResults) -> Option<Picture> {
    let curves = results.modes.iter().map(|mode| {
        let value = |epoch: &beft_train::EpochRecord| {
            Some(CurvePoint {
                place: epoch.epoch,
                value: *epoch.metrics.get(&results.metric)?,
                deviation: 0.0,
            })
        };
        Curve {
            name: mode.mode.clone(),
            points: mode.epochs.iter().filter_map(value).collect(),
        }
    });
    let curves: Vec<Curve> = curves.collect();
    let settings = &results.settings;
    let title = format!("{} on {}", settings.model, settings.task);
    curves_picture(
        &title,
        &results.metric,
        &CurveAxis::Epochs,
        &curves,
        "curves.svg".to_owned(),
    )
}

/// Three decimals, as the paper prints them; smaller ones by their exponent.
fn score(value: f64) -> String {
    if value == 0.0 || value.abs() >= 0.0005 {
        format!("{value:.3}")
    } else {
        format!("{value:.1e}")
    }
}

/// One row per mode: trained values, and each metric after the last and in the best epoch.
pub fn modes_table(results: &RunResults) -> Table {
    let (modes, picked) = (&results.modes, &results.picked);
    let mut metrics: Vec<&String> = modes
        .first()
        .map(|m| m.metrics.keys().collect())
        .unwrap_or_default();
    // The one that decides comes first.
    metrics.sort_by_key(|name| **name != results.metric);
    let head = [("mode", Align::Left), ("trained values", Align::Right)];
    let rest = metrics.iter().flat_map(|m| [m.as_str(), "best"]);
    let rest = rest.map(|name| (name, Align::Right));
    let mut table = Table::new(head.into_iter().chain(rest));
    for mode in modes {
        let name = match mode.mode == *picked {
            true => Cell::default().bold_code(&mode.mode).text(" (picked)"),
            false => Cell::default().code(&mode.mode),
        };
        let mut row = vec![name, mode.trainable.into()];
        for metric in &metrics {
            let last = mode.metrics.get(*metric).copied().unwrap_or(f64::NAN);
            let best = mode
                .epochs
                .iter()
                .filter_map(|e| e.metrics.get(*metric))
                .fold(f64::NEG_INFINITY, |best, value| best.max(*value));
            row.extend([last, best].map(|value| Cell::from(format!("{value:.3}"))));
        }
        table.rows.push(row);
    }
    table
}
