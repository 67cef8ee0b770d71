use beft::table::{Document, Picture};
use beft::{bars_picture, curves_picture, heatmap_picture, ranked_scores};
use beft_eval::{mean, standard_deviation};
use beft_plot::{Bar, Curve, CurveAxis, CurvePoint};

use crate::agreement_tables::scatter_pictures;
use crate::{Group, Sweep};

/// Adds the pictures of all groups to a report: what each mode reached, by epoch too, and the scores.
pub fn add_pictures(out: &mut Document, groups: &[Group]) {
    out.heading(2, "Pictures");
    for group in groups {
        out.pictures(pictures(group));
    }
}

fn pictures(group: &Group) -> Vec<Picture> {
    let (stem, title) = (group.stem(), group.title());
    let of_modes = format!(
        "{} of each mode, {title}, with 95 % intervals over dev examples{}",
        group.metric,
        match group.seeds.len() {
            1 => "",
            _ => " and a circle for each seed",
        }
    );
    let modes = bars_picture(
        &of_modes,
        &group.metric,
        &bars(group),
        format!("modes_{stem}.svg"),
    );
    let by_epoch = format!("{title}{}", spread(group));
    let file = format!("curves_{stem}.svg");
    let (axis, curves) = (CurveAxis::Epochs, curves(group));
    let curves = curves_picture(&by_epoch, &group.metric, &axis, &curves, file);
    let heatmaps = group.rankings.iter().map(|(scorer, rows)| {
        let file = format!("heatmap_{stem}_{scorer}.svg");
        heatmap_picture(&ranked_scores(scorer, rows), &title, file)
    });
    let scatters = scatter_pictures(group);
    let of_modes = modes.into_iter().chain(curves);
    of_modes.chain(scatters).chain(heatmaps).collect()
}

/// What lines and their bands are, of several seeds.
fn spread(group: &Group) -> &'static str {
    match group.seeds.len() {
        1 => "",
        _ => ", mean and standard deviation over seeds",
    }
}

/// The main metric of each mode, the mean over seeds after the last epoch.
fn bars(group: &Group) -> Vec<Bar> {
    let bars = group.modes.iter().map(|mode| {
        let trials = group.results.iter().filter(|r| r.trial.mode == mode.mode);
        let points = trials.filter_map(|r| r.metrics.get(&group.metric).copied());
        Bar {
            name: mode.mode.clone(),
            value: mode
                .last
                .get(&group.metric)
                .map_or(f64::NAN, |(mean, _)| *mean),
            interval: mode.intervals.get(&group.metric).copied(),
            points: points.collect(),
            marked: false,
        }
    });
    bars.collect()
}

/// The main metric by epoch, the mean over seeds, one line per mode.
fn curves(group: &Group) -> Vec<Curve> {
    let curve = |mode: &str| {
        let trials = group.results.iter().filter(|r| r.trial.mode == mode);
        let trials: Vec<_> = trials.collect();
        let epochs = trials.iter().map(|t| t.epochs.len()).max().unwrap_or(0);
        let points = (0..epochs).filter_map(|epoch| {
            let values: Vec<f64> = trials
                .iter()
                .filter_map(|t| t.epochs.get(epoch)?.metrics.get(&group.metric).copied())
                .collect();
            (!values.is_empty()).then(|| CurvePoint {
                place: epoch + 1,
                value: mean(&values),
                deviation: match values.len() {
                    1 => 0.0,
                    _ => standard_deviation(&values),
                },
            })
        });
        Curve {
            name: mode.to_owned(),
            points: points.collect(),
        }
    };
    group.modes.iter().map(|mode| curve(&mode.mode)).collect()
}

/// Adds to the report of sweeps what each mode reached by learning rate.
pub fn add_sweep_pictures(out: &mut Document, sweeps: &[Sweep]) {
    out.heading(2, "Pictures");
    out.pictures(sweeps.iter().filter_map(sweep_picture));
}

fn sweep_picture(sweep: &Sweep) -> Option<Picture> {
    let first = &sweep.rates[0].1;
    let mut rates: Vec<f64> = sweep.rates.iter().map(|(rate, _)| *rate).collect();
    rates.sort_by(f64::total_cmp);
    let curve = |mode: &str| {
        let points = sweep.of(mode).filter_map(|(rate, found)| {
            let (value, deviation) = *found.last.get(&first.metric)?;
            let place = 1 + rates.iter().position(|one| *one == rate)?;
            Some(CurvePoint {
                place,
                value,
                deviation: if deviation.is_finite() {
                    deviation
                } else {
                    0.0
                },
            })
        });
        let mut points: Vec<CurvePoint> = points.collect();
        points.sort_by_key(|point| point.place);
        Curve {
            name: mode.to_owned(),
            points,
        }
    };
    let curves: Vec<Curve> = sweep.modes().into_iter().map(curve).collect();
    let title = format!(
        "{} by learning rate, {}{}",
        first.metric,
        first.title(),
        spread(first)
    );
    let file = format!("rates_{}.svg", first.stem());
    let axis = CurveAxis::LearningRates(rates);
    curves_picture(&title, &first.metric, &axis, &curves, file)
}

impl Group {
    /// `minilm on sst2, low`
    pub fn title(&self) -> String {
        format!("{} on {}, {}", self.label, self.task, self.regime)
    }

    /// What its files are named after: `minilm_sst2_low`.
    pub fn stem(&self) -> String {
        file_name(&format!("{}_{}_{}", self.label, self.task, self.regime))
    }
}

/// The last part of a model's path or name.
pub(crate) fn short(model: &str) -> &str {
    let model = model.trim_end_matches('/');
    model.rsplit('/').next().unwrap_or(model)
}

/// Letters, digits, `-` and `_` only.
pub fn file_name(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.chars()
        .map(|c| if plain(c) { c } else { '-' })
        .collect()
}
