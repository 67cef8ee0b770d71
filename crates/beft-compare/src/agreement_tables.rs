//! How scores agree with outcomes, as people read it.

use beft::scatter_picture;
use beft::table::{Align, Document, Picture, Table};
use beft_eval::{interval, mean, ranks};
use beft_plot::{ScatterPanel, ScatterPoint};

use crate::{Agreement, Group, Items, distinct};

/// Of each scorer, how its scores agree with what training each bias alone brought, on every task.
pub(crate) fn agreement_tables(out: &mut Document, groups: &[Group]) {
    for items in [Items::Terms, Items::Sites] {
        let groups: Vec<(&Group, Vec<&Agreement>)> = groups
            .iter()
            .map(|group| (group, group.agreements_on(items)))
            .filter(|(_, found)| !found.is_empty())
            .collect();
        if !groups.is_empty() {
            out.heading(2, heading(items));
            out.table(table(&groups));
            out.paragraph(explained(items, &groups));
        }
    }
}

impl Group {
    /// Its agreements over these items.
    fn agreements_on(&self, items: Items) -> Vec<&Agreement> {
        let found = self.agreements.iter().filter(|a| a.items == items);
        found.collect()
    }
}

fn heading(items: Items) -> &'static str {
    match items {
        Items::Terms => "Do the scores tell what training each term alone brings?",
        Items::Sites => "Do the scores tell what training each term of each layer alone brings?",
    }
}

fn table(groups: &[(&Group, Vec<&Agreement>)]) -> Table {
    let mut table = Table::new([("scorer", Align::Left)]);
    let data = groups
        .iter()
        .map(|(g, _)| format!("{} {}", g.task, g.regime));
    let mean_of = (groups.len() > 1).then(|| "mean".to_owned());
    let numbers = data.chain(mean_of);
    table
        .columns
        .extend(numbers.map(|name| (name, Align::Numbers)));
    let last = ["best is best", "of the best 3", "lost"];
    let last = last.map(|name| (name.to_owned(), Align::Right));
    table.columns.extend(last);
    let scorers = distinct(groups.iter().flat_map(|(_, all)| all).map(|a| &a.scorer));
    for scorer in scorers {
        let found: Vec<Option<&Agreement>> = groups
            .iter()
            .map(|(_, all)| all.iter().copied().find(|a| a.scorer == *scorer))
            .collect();
        let mut row = vec![scorer.into()];
        row.extend(found.iter().map(|agreement| {
            let agreement = agreement.and_then(|a| Some((a.correlation?, a.interval()?)));
            agreement.map_or("-".into(), |(value, ends)| correlation(value, ends).into())
        }));
        let found: Vec<&Agreement> = found.into_iter().flatten().collect();
        if groups.len() > 1 {
            row.push(
                mean_correlation(&found)
                    .map_or("-".into(), |(value, ends)| correlation(value, ends).into()),
            );
        }
        let sum = |of: fn(&Agreement) -> usize| found.iter().map(|a| of(a)).sum::<usize>();
        let mean_of = |of: fn(&Agreement) -> f64| {
            let values: Vec<f64> = found.iter().map(|a| of(a)).collect();
            mean(&values)
        };
        row.push(format!("{} of {}", sum(|a| a.best.0), sum(|a| a.best.1)).into());
        row.push(format!("{:.0} %", 100.0 * mean_of(|a| a.top)).into());
        row.push(format!("{:.3}", mean_of(|a| a.lost)).into());
        table.rows.push(row);
    }
    table
}

/// The mean of the correlations, with the 95 % interval of that mean; `None` if one is not known.
fn mean_correlation(found: &[&Agreement]) -> Option<(f64, (f64, f64))> {
    let values: Vec<f64> = found.iter().map(|a| a.correlation).collect::<Option<_>>()?;
    let draws = found.first()?.draws.len();
    let each = (0..draws).map(|draw| {
        let values: Vec<f64> = found.iter().map(|a| a.draws[draw]).collect();
        mean(&values)
    });
    let each: Vec<f64> = each.collect();
    Some((mean(&values), interval(&each)))
}

/// `+0.52 (+0.10 to +0.81)`
fn correlation(value: f64, (low, high): (f64, f64)) -> String {
    format!("{value:+.2} ({low:+.2} to {high:+.2})")
}

fn explained(items: Items, groups: &[(&Group, Vec<&Agreement>)]) -> String {
    let first = groups[0].1.first();
    let (count, chance) = first.map_or((0, 0.0), |a| (a.points.len(), a.top_by_chance()));
    format!(
        "Spearman's correlation between a scorer's scores of {count} {items} and the main metric after training each of them alone, both \
         as means over seeds, with 95 % intervals over seeds and dev examples (a draw in which all are equal counts as 0). \"Best is best\": seeds in which the highest score is that \
         of the best one; seeds with ties at the top do not count. \"Of the best 3\": how many of them have one of the 3 highest scores \
         ({:.0} % by chance). \"Lost\": the main metric of the best one less that of the one with the highest score.",
        100.0 * chance
    )
}

/// Scores against outcomes, a panel for each scorer.
pub(crate) fn scatter_pictures(group: &Group) -> Vec<Picture> {
    let kinds = [Items::Terms, Items::Sites].into_iter();
    let pictures = kinds.filter_map(|items| {
        let of = group.agreements_on(items).into_iter();
        let panels: Vec<ScatterPanel> = of.map(panel).collect();
        let title = format!(
            "{} after training each of the {items} alone, by the rank of its score, {}",
            group.metric,
            group.title()
        );
        let file = format!("scores_{}_{items}.svg", group.stem());
        scatter_picture(&title, "rank of the score", &group.metric, &panels, file)
    });
    pictures.collect()
}

fn panel(agreement: &Agreement) -> ScatterPanel {
    let scores: Vec<f64> = agreement.points.iter().map(|p| p.score).collect();
    let ranks = ranks(&scores).unwrap_or_default();
    let points = agreement.points.iter().zip(ranks);
    let correlation = agreement.correlation.map(|value| format!(", {value:+.2}"));
    ScatterPanel {
        title: format!("{}{}", agreement.scorer, correlation.unwrap_or_default()),
        points: points
            .map(|(point, rank)| ScatterPoint {
                name: point.name.clone(),
                x: rank,
                y: point.outcome,
                hint: format!("{}, score {}", point.outcome, point.score),
            })
            .collect(),
    }
}
