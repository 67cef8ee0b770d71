use beft_eval::mean;
use beft_plot::{Curve, curves_svg};

use crate::Group;

/// Draws the main metric by epoch, the mean over seeds, one line per mode, as SVG. `None` when there is
/// nothing to draw.
pub fn group_curves(group: &Group) -> Option<String> {
    let curve = |mode: &str| {
        let trials = group.results.iter().filter(|r| r.trial.mode == mode);
        let trials: Vec<_> = trials.collect();
        let epochs = trials.iter().map(|t| t.epochs.len()).max().unwrap_or(0);
        let points = (0..epochs).filter_map(|epoch| {
            let values: Vec<f64> = trials
                .iter()
                .filter_map(|t| t.epochs.get(epoch)?.metrics.get(&group.metric).copied())
                .collect();
            (!values.is_empty()).then(|| ((epoch + 1) as f64, mean(&values)))
        });
        Curve {
            name: mode.to_owned(),
            points: points.collect(),
        }
    };
    let curves: Vec<Curve> = group.modes.iter().map(|mode| curve(&mode.mode)).collect();
    let title = format!("{} on {}, {}", group.model, group.task, group.regime);
    curves_svg(&title, &group.metric, &curves)
}
