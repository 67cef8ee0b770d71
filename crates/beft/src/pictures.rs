//! Pictures of reports, each with its numbers.

use beft_core::BiasTerm;
use beft_plot::{
    Bar, Curve, CurveAxis, ReliabilityStep, ScatterPanel, bars_svg, confusion_svg, curves_svg,
    heads_heatmap_svg, heatmap_svg, reliability_svg, scatter_svg,
};
use beft_score::Scores;

use crate::table::{Align, Cell, Picture, Table};
use crate::{Details, HeadScores, Ranking};

/// The scores by layer of each scorer, as `heatmap_<scorer>.svg`.
pub fn heatmaps(ranking: &Ranking, model: &str) -> Vec<Picture> {
    let scores = ranking.scores.iter();
    let pictures = scores.map(|scores| {
        let file = format!("heatmap_{}.svg", scores.scorer());
        heatmap_picture(scores, model, file)
    });
    pictures.collect()
}

/// Scores by layer; `of` says of what.
pub fn heatmap_picture(scores: &Scores, of: &str, file: String) -> Picture {
    let layers = (0..scores.layers()).map(|layer| (layer.to_string(), Align::Right));
    let mean = [("mean".to_owned(), Align::Right)];
    let first = [("term".to_owned(), Align::Left)];
    let mut numbers = Table::new(first.into_iter().chain(layers).chain(mean));
    for row in scores.to_ranking() {
        let values = row.layers.iter().chain([&row.mean]);
        let values = values.map(|value| value.map_or("-".to_owned(), |value| value.to_string()));
        let name = Cell::default().code(row.term);
        let cells = values.map(Cell::from);
        numbers.rows.push([name].into_iter().chain(cells).collect());
    }
    let title = format!("{} score by layer, {of}", scores.scorer());
    Picture {
        file,
        svg: heatmap_svg(scores, &title),
        shows: title,
        numbers: Some(numbers),
    }
}

/// The scores of single heads, a picture for each of q, k and v, as `heads_<scorer>_<term>.svg`.
pub fn heads_pictures(scores: &HeadScores, of: &str) -> Vec<Picture> {
    let scorer = scores.scorer;
    let scored = |term: &&BiasTerm| scores.heads.iter().any(|heads| heads.has(**term));
    let pictures = BiasTerm::QKV.iter().filter(scored).map(|term| {
        let title = format!("{scorer} score of each head's part of {term} by layer, {of}");
        Picture {
            file: format!("heads_{scorer}_{term}.svg"),
            svg: heads_heatmap_svg(&scores.heads, *term, &title),
            shows: title,
            numbers: None,
        }
    });
    pictures.collect()
}

/// Learning curves, where there is anything to draw.
pub fn curves_picture(
    title: &str,
    metric: &str,
    axis: &CurveAxis,
    curves: &[Curve],
    file: String,
) -> Option<Picture> {
    let points = curves.iter().flat_map(|curve| &curve.points);
    let last = points.map(|point| point.place).max().unwrap_or(0);
    let name = |place| format!("{} {}", axis.name(), axis.label(place));
    let places = (1..=last).map(|place| (name(place), Align::Numbers));
    let first = [("mode".to_owned(), Align::Left)];
    let mut numbers = Table::new(first.into_iter().chain(places));
    for curve in curves {
        let mut row = vec![Cell::default().code(&curve.name)];
        for place in 1..=last {
            let found = curve.points.iter().find(|p| p.place == place);
            let text = match found {
                None => "-".to_owned(),
                Some(p) if p.deviation > 0.0 => format!("{:.3} ± {:.3}", p.value, p.deviation),
                Some(p) => format!("{:.3}", p.value),
            };
            row.push(text.into());
        }
        numbers.rows.push(row);
    }
    Some(Picture {
        file,
        svg: curves_svg(title, metric, axis, curves)?,
        shows: match axis {
            CurveAxis::Epochs => format!("{metric} by epoch, {title}"),
            CurveAxis::LearningRates(_) => title.to_owned(),
        },
        numbers: Some(numbers),
    })
}

/// Bars with intervals, where there are any. Their numbers are expected in a table of the report.
pub fn bars_picture(title: &str, axis: &str, bars: &[Bar], file: String) -> Option<Picture> {
    Some(Picture {
        file,
        svg: bars_svg(title, axis, bars)?,
        shows: title.to_owned(),
        numbers: None,
    })
}

/// Panels of points, where there are any: `up` by `across`.
pub fn scatter_picture(
    title: &str,
    across: &str,
    up: &str,
    panels: &[ScatterPanel],
    file: String,
) -> Option<Picture> {
    let columns = [("panel", Align::Left), ("point", Align::Left)];
    let mut numbers = Table::new(columns);
    let across_and_up = [across, up].map(|name| (name.to_owned(), Align::Right));
    numbers.columns.extend(across_and_up);
    for panel in panels {
        let rows = panel.points.iter().map(|point| {
            let name = Cell::default().code(&point.name);
            let y = format!("{:.4}", point.y);
            vec![Cell::from(&panel.title), name, point.x.into(), y.into()]
        });
        numbers.rows.extend(rows);
    }
    Some(Picture {
        file,
        svg: scatter_svg(title, across, panels)?,
        shows: title.to_owned(),
        numbers: Some(numbers),
    })
}

/// The confusion matrix and the calibration of an evaluation on `task`, where it has them; `suffix` tells the
/// files of several splits apart.
pub fn pictures(details: &Details, task: &str, suffix: &str) -> Vec<Picture> {
    let mut pictures = Vec::new();
    if !details.confusion.is_empty() {
        let names: Vec<String> = details.classes.iter().map(|c| c.label.clone()).collect();
        let title = format!(
            "{task}: {} examples by true and predicted class",
            details.examples
        );
        pictures.push(Picture {
            file: format!("confusion{suffix}.svg"),
            svg: confusion_svg(&names, &details.confusion, &title),
            shows: title,
            numbers: None,
        });
    }
    if let Some(calibration) = &details.calibration {
        let bins = calibration.bins.iter();
        let steps = bins.map(|bin| (bin.count, bin.probability, bin.right));
        let steps: Vec<ReliabilityStep> = steps.collect();
        let title = format!("{task}: calibration error {:.3}", calibration.ece);
        let mut numbers = Table::new(
            ["examples", "mean probability", "share that is right"]
                .map(|name| (name, Align::Right)),
        );
        let filled = steps.iter().filter(|(count, ..)| *count > 0);
        numbers.rows = filled
            .map(|(count, probability, right)| {
                let number = |value: &f64| Cell::from(format!("{value:.3}"));
                vec![count.into(), number(probability), number(right)]
            })
            .collect();
        let svg = reliability_svg(&steps, &title);
        pictures.extend(svg.map(|svg| Picture {
            file: format!("reliability{suffix}.svg"),
            svg,
            shows: title,
            numbers: Some(numbers),
        }));
    }
    pictures
}
