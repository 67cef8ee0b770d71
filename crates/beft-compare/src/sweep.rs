use std::collections::BTreeMap;

use beft::table::{Align, Cell, Document, Table};
use beft_eval::same_value;

use crate::mode_list::ModeList;
use crate::spec::once;
use crate::tables::{or_zero, over_seeds};
use crate::{
    CompareError, CompareSpec, Group, ModeSummary, Overrides, Trial, TrialResult, distinct,
    summarize,
};

/// One comparison for each learning rate: every mode is trained with that rate, full fine-tuning and
/// the bare head too, over all seeds of `spec`. What `spec` says of learning rates is not used, and
/// nothing is scored.
///
/// # Errors
///
/// Those of [`CompareSpec::trials`], and when there is no learning rate.
pub fn sweep_trials(
    spec: &CompareSpec,
    learning_rates: &[f64],
    device: &str,
    precision: &str,
    limit: Option<usize>,
) -> Result<Vec<Trial>, CompareError> {
    if learning_rates.is_empty() {
        return Err(CompareError::NoRates);
    }
    once("learning rates", learning_rates)?;
    let mut trials: Vec<Trial> = Vec::new();
    for rate in learning_rates {
        let mut spec = spec.clone();
        for mode in &spec.modes {
            // A mode is what it means: `v` and `V` may both be written.
            let mode: ModeList = mode.parse()?;
            let own = spec.mode.entry(mode.to_string()).or_default();
            *own = Overrides {
                lr: Some(*rate),
                ..*own
            };
        }
        for mut trial in spec.trials(device, precision, limit)? {
            trial.scorers.clear();
            trials.push(trial);
        }
    }
    Ok(trials)
}

/// A model and task over all learning rates.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Learning rates, and what each gave, in the order of their first appearance.
    pub rates: Vec<(f64, Group)>,
    /// Per mode, the learning rate with the highest mean of the main metric after the last epoch (of
    /// two that tied the smaller); modes that have no result with any rate are left out.
    pub best: BTreeMap<String, f64>,
}

/// Groups results by model, task and regime, and within them by learning rate.
///
/// # Errors
///
/// When a task cannot be found again.
pub fn summarize_sweep(results: Vec<TrialResult>) -> Result<Vec<Sweep>, CompareError> {
    let mut rates: Vec<(f64, Vec<TrialResult>)> = Vec::new();
    for result in results {
        let rate = result.trial.learning_rate;
        match rates.iter_mut().find(|(other, _)| *other == rate) {
            Some((_, results)) => results.push(result),
            None => rates.push((rate, vec![result])),
        }
    }
    let mut sweeps: Vec<Sweep> = Vec::new();
    for (rate, results) in rates {
        for group in summarize(results)? {
            let key = |g: &Group| (g.model.clone(), g.task.clone(), g.regime.clone());
            let mine = sweeps
                .iter_mut()
                .find(|sweep| key(&sweep.rates[0].1) == key(&group));
            match mine {
                Some(sweep) => sweep.rates.push((rate, group)),
                None => sweeps.push(Sweep {
                    rates: vec![(rate, group)],
                    best: BTreeMap::new(),
                }),
            }
        }
    }
    for sweep in &mut sweeps {
        sweep.best = sweep.find_best();
    }
    Ok(sweeps)
}

impl Sweep {
    /// Modes in the order of their first appearance.
    pub fn modes(&self) -> Vec<&str> {
        let modes = self.rates.iter().flat_map(|(_, group)| &group.modes);
        distinct(modes.map(|mode| mode.mode.as_str()))
    }

    /// What a mode gave with each learning rate.
    pub fn of<'a>(&'a self, mode: &'a str) -> impl Iterator<Item = (f64, &'a ModeSummary)> {
        self.rates.iter().filter_map(move |(rate, group)| {
            let found = group.modes.iter().find(|m| m.mode == mode)?;
            Some((*rate, found))
        })
    }

    /// What a mode reached with each learning rate, where it reached anything.
    fn means(&self, mode: &str) -> Vec<(f64, f64)> {
        let metric = &self.rates[0].1.metric;
        let means = self.of(mode);
        let means = means.filter_map(|(rate, found)| Some((rate, found.last.get(metric)?.0)));
        means.collect()
    }

    /// The learning rates with which a mode is exactly as good as with its best one, which is among them.
    fn as_good(&self, mode: &str) -> Vec<f64> {
        let means = self.means(mode);
        let best = self.best.get(mode);
        let highest = means.iter().find(|(rate, _)| Some(rate) == best);
        let highest = highest.map(|(_, mean)| *mean);
        let good = |mean| highest.is_some_and(|highest| same_value(highest, mean));
        let good = means.into_iter().filter(|(_, mean)| good(*mean));
        good.map(|(rate, _)| rate).collect()
    }

    fn find_best(&self) -> BTreeMap<String, f64> {
        let mut best = BTreeMap::new();
        for mode in self.modes() {
            let means = self.means(mode).into_iter();
            let better = |a: &(f64, f64), b: &(f64, f64)| match same_value(a.1, b.1) {
                true => b.0.total_cmp(&a.0),
                false => a.1.total_cmp(&b.1),
            };
            if let Some((rate, _)) = means.max_by(better) {
                best.insert(mode.to_owned(), rate);
            }
        }
        best
    }
}

/// The sweep as people read it: a table of modes and learning rates each, the best rate of a mode in bold.
pub fn sweep_report(sweeps: &[Sweep]) -> Document {
    let mut out = Document::default();
    for sweep in sweeps {
        let first = &sweep.rates[0].1;
        out.heading(
            2,
            format!(
                "{} on {}, {}: {} by learning rate",
                first.model, first.task, first.regime, first.metric
            ),
        );
        let rates = sweep.rates.iter().map(|(rate, _)| format!("{rate:e}"));
        let names = rates.chain(["best".to_owned()]);
        let mut table = Table::new([("mode", Align::Left)]);
        table.columns.extend(names.map(|name| (name, Align::Right)));
        let mut ties = false;
        for mode in sweep.modes() {
            let best = sweep.best.get(mode);
            let as_good = sweep.as_good(mode);
            let mut row = vec![Cell::default().code(mode)];
            for (rate, group) in &sweep.rates {
                let found = group.modes.iter().find(|m| m.mode == mode);
                let Some((mean, deviation)) = found.and_then(|m| m.last.get(&group.metric)) else {
                    row.push("-".into());
                    continue;
                };
                let is_best = best == Some(rate);
                let tied = as_good.contains(rate);
                ties |= tied && !is_best;
                let (mean, cell) = (format!("{mean:.3}"), Cell::default());
                let cell = match (is_best, tied) {
                    (true, _) => cell.bold(mean),
                    (false, true) => cell.text("= ").text(mean),
                    (false, false) => cell.text(mean),
                };
                row.push(cell.text(" ± ").text(or_zero(*deviation)));
            }
            row.push(best.map_or_else(|| "-".into(), |best| format!("{best:e}").into()));
            table.rows.push(row);
        }
        out.table(table);
        let (train, dev) = first.sizes;
        out.paragraph(format!(
            "{}, {train} training and {dev} dev examples. The best rate is chosen on the dev split that these numbers are of: report it with other seeds.",
            over_seeds(first.seeds.len())
        ));
        if ties {
            out.paragraph(
                "`=`: exactly as good as the rate in bold, which is the smallest of them.",
            );
        }
        for mode in sweep.modes() {
            for (rate, found) in sweep.of(mode).filter(|(_, found)| found.diverged > 0) {
                out.paragraph(format!(
                    "`{mode}` with {rate:e} diverged with {} seed{}.",
                    found.diverged,
                    if found.diverged == 1 { "" } else { "s" }
                ));
            }
        }
        for (mode, rate) in at_the_edge(sweep) {
            out.paragraph(format!(
                "`{mode}` is best with {rate:e}, at the edge of what was tried: a rate beyond may be better."
            ));
        }
    }
    out
}

/// Modes whose best learning rate is the smallest or the largest of several.
fn at_the_edge(sweep: &Sweep) -> Vec<(&str, f64)> {
    let mut rates: Vec<f64> = sweep.rates.iter().map(|(rate, _)| *rate).collect();
    rates.sort_by(f64::total_cmp);
    let edge = |rate: &f64| rates.len() > 1 && [rates.first(), rates.last()].contains(&Some(rate));
    // Where another rate is as good, nothing says that those beyond are better.
    let alone = |mode: &str| sweep.as_good(mode).len() == 1;
    let modes = sweep.modes().into_iter();
    let best = modes.filter_map(|mode| Some((mode, *sweep.best.get(mode)?)));
    best.filter(|(mode, rate)| edge(rate) && alone(mode))
        .collect()
}
