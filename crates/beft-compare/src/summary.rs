use std::collections::{BTreeMap, BTreeSet};

use beft_core::{BiasTerm, OutputKind};
use beft_eval::{
    Bootstrap, Difference, Outcomes, difference, interval, mcnemar, mean, standard_deviation,
};
use beft_score::RankedTerm;
use beft_tasks::Metric;

use crate::agreement::{Agreement, agreements, is_site};
use crate::picks::{ScorerPicks, picks, tied};
use crate::pictures::short;
use crate::{CompareError, Sample, TrialResult, distinct};

/// Resamples behind intervals, p values and standard errors.
pub(crate) const RESAMPLES: usize = 1000;

/// The modes of one model, task and regime, over all seeds.
#[derive(Clone, Debug)]
pub struct Group {
    /// Model.
    pub model: String,
    /// The last part of the model's path or name, or all of it where another model has the same.
    pub label: String,
    /// Task's name.
    pub task: String,
    /// Regime.
    pub regime: String,
    /// Training and dev examples.
    pub sizes: (usize, usize),
    /// The metric that decides.
    pub metric: String,
    /// All metrics in the task's order, those of a second dev split behind.
    pub metrics: Vec<String>,
    /// Seeds.
    pub seeds: Vec<u32>,
    /// One per mode, in the order given.
    pub modes: Vec<ModeSummary>,
    /// Every two modes compared on the same examples, but those that each train a term in one layer.
    pub pairs: Vec<Pair>,
    /// Whether the scorers picked the best of q, k and v.
    pub picks: Vec<ScorerPicks>,
    /// Whether the scores tell what training a bias alone brings.
    pub agreements: Vec<Agreement>,
    /// Per seed in which several of q, k and v share the highest main metric, these terms. Such a seed
    /// says nothing of a pick.
    pub tied: BTreeMap<u32, Vec<BiasTerm>>,
    /// Mean over seeds of every scorer's scores: term, mean, per layer.
    pub rankings: BTreeMap<String, Vec<RankedTerm>>,
    /// What is unusual about scores.
    pub notes: Vec<String>,
    /// The trials behind it.
    pub results: Vec<TrialResult>,
}

/// A mode over all seeds.
#[derive(Clone, Debug)]
pub struct ModeSummary {
    /// The mode.
    pub mode: String,
    /// Number of trained values, and of all.
    pub trainable: usize,
    /// Number of values of the model.
    pub parameters: usize,
    /// Seeds whose training diverged; they count with the metrics of their last good epoch, or not
    /// at all if there is none.
    pub diverged: usize,
    /// Per metric, mean and standard deviation over seeds after the last epoch.
    pub last: BTreeMap<String, (f64, f64)>,
    /// Per metric, the mean over seeds of the best epoch.
    pub best: BTreeMap<String, f64>,
    /// Per metric, the 95 % interval of the mean over seeds, over resamples of the examples.
    pub intervals: BTreeMap<String, (f64, f64)>,
    /// Per metric, the standard error over examples (bootstrap of the mean over seeds).
    pub stderr: BTreeMap<String, f64>,
}

/// Two modes compared on the same examples.
#[derive(Clone, Debug)]
pub struct Pair {
    /// First mode.
    pub a: String,
    /// Second mode.
    pub b: String,
    /// Paired bootstrap over examples of the main metric's mean over seeds.
    pub bootstrap: Difference,
    /// McNemar's exact test, one p value per seed; none for a regression.
    pub mcnemar: Vec<f64>,
}

/// Groups results by model, task and regime, in the order of their first appearance, and compares
/// the modes of each.
///
/// # Errors
///
/// When a task cannot be found again.
pub fn summarize(results: Vec<TrialResult>) -> Result<Vec<Group>, CompareError> {
    let mut groups: Vec<Vec<TrialResult>> = Vec::new();
    for result in results {
        let key = |r: &TrialResult| {
            (
                r.trial.model.clone(),
                r.task_name.clone(),
                r.trial.regime.clone(),
            )
        };
        match groups.iter_mut().find(|g| key(&g[0]) == key(&result)) {
            Some(group) => group.push(result),
            None => groups.push(vec![result]),
        }
    }
    let models: Vec<String> = groups.iter().map(|g| g[0].trial.model.clone()).collect();
    let label = |model: &str| {
        let same = |other: &String| other != model && short(other) == short(model);
        match models.iter().any(same) {
            true => model.to_owned(),
            false => short(model).to_owned(),
        }
    };
    let groups = groups.into_iter().map(|results| {
        let label = label(&results[0].trial.model);
        group(results, label)
    });
    groups.collect()
}

fn group(results: Vec<TrialResult>, label: String) -> Result<Group, CompareError> {
    let first = &results[0];
    let task = first.trial.find_task()?;
    let modes = distinct(results.iter().map(|r| r.trial.mode.clone()));
    let seeds: BTreeSet<u32> = results.iter().map(|r| r.trial.seed).collect();
    let metrics: Vec<(Metric, String)> = first
        .samples
        .keys()
        .flat_map(|suffix| task.metrics.iter().map(move |m| (*m, suffix.clone())))
        .collect();
    let main = metrics
        .first()
        .cloned()
        .unwrap_or((Metric::Accuracy, String::new()));
    let main_name = format!("{}{}", main.0, main.1);
    let of = |mode: &str| -> Vec<&TrialResult> {
        results.iter().filter(|r| r.trial.mode == mode).collect()
    };

    let mut summaries = Vec::new();
    let mut distributions = Vec::new();
    // The main metric of each mode and seed.
    let mut by_seed = BTreeMap::new();
    for mode in &modes {
        let trials = of(mode);
        let mut resampled = Vec::new();
        for (metric, suffix) in &metrics {
            let each = resample(&trials, task.output(), *metric, suffix);
            resampled.push(means(&each));
            // The main metric is the first.
            if resampled.len() == 1 {
                let seeds = trials.iter().map(|trial| (mode.clone(), trial.trial.seed));
                by_seed.extend({ seeds.zip(each) }.filter_map(|(key, of)| Some((key, of?))));
            }
        }
        summaries.push(summary(mode, &trials, &metrics, &resampled));
        distributions.push(resampled.into_iter().next().unwrap_or_default());
    }
    let mut pairs = Vec::new();
    for (i, a) in modes.iter().enumerate() {
        for (j, b) in modes.iter().enumerate().skip(i + 1) {
            // There can be thousands of these, and nobody asks which of two single layers is better.
            if is_site(a) && is_site(b) {
                continue;
            }
            let mean = |k: usize| summaries[k].last.get(&main_name).map(|(mean, _)| *mean);
            if let (Some(mean_a), Some(mean_b)) = (mean(i), mean(j)) {
                pairs.push(Pair {
                    a: a.clone(),
                    b: b.clone(),
                    bootstrap: difference(mean_a - mean_b, &distributions[i], &distributions[j]),
                    mcnemar: mcnemar_by_seed(&of(a), &of(b), task.output(), &main.1),
                });
            }
        }
    }
    let samples: usize = first.samples.values().map(Vec::len).sum();
    let notes: BTreeSet<String> = results.iter().flat_map(|r| r.notes.clone()).collect();
    Ok(Group {
        model: first.trial.model.clone(),
        label,
        task: first.task_name.clone(),
        regime: first.trial.regime.clone(),
        sizes: (first.train_size, samples),
        metric: main_name.clone(),
        metrics: metrics
            .iter()
            .map(|(m, suffix)| format!("{m}{suffix}"))
            .collect(),
        seeds: seeds.iter().copied().collect(),
        modes: summaries,
        pairs,
        picks: picks(&results, &main_name),
        agreements: agreements(&results, &main_name, &by_seed),
        tied: tied(&results, &main_name),
        rankings: mean_rankings(&results),
        notes: notes.into_iter().collect(),
        results,
    })
}

fn summary(
    mode: &str,
    trials: &[&TrialResult],
    metrics: &[(Metric, String)],
    resampled: &[Vec<f64>],
) -> ModeSummary {
    let mut out = ModeSummary {
        mode: mode.to_owned(),
        trainable: trials[0].trainable,
        parameters: trials[0].parameters,
        diverged: trials.iter().filter(|c| c.failure.is_some()).count(),
        last: BTreeMap::new(),
        best: BTreeMap::new(),
        stderr: BTreeMap::new(),
        intervals: BTreeMap::new(),
    };
    for ((metric, suffix), resampled) in metrics.iter().zip(resampled) {
        let name = format!("{metric}{suffix}");
        let last: Vec<f64> = trials
            .iter()
            .filter_map(|c| c.metrics.get(&name).copied())
            .collect();
        if last.is_empty() {
            continue;
        }
        let best: Vec<f64> = trials
            .iter()
            .map(|c| c.epochs.iter().filter_map(|e| e.metrics.get(&name)))
            .map(|values| values.fold(f64::NEG_INFINITY, |best, v| best.max(*v)))
            .filter(|best| best.is_finite())
            .collect();
        out.last
            .insert(name.clone(), (mean(&last), standard_deviation(&last)));
        out.best.insert(name.clone(), mean(&best));
        if last.len() == trials.len() {
            out.intervals.insert(name.clone(), interval(resampled));
        }
        out.stderr.insert(name, standard_deviation(resampled));
    }
    out
}

/// The metric of each trial, for every resample of the examples of one split; `None` if the trial has no samples of it.
fn resample(
    trials: &[&TrialResult],
    kind: OutputKind,
    metric: Metric,
    suffix: &str,
) -> Vec<Option<Vec<f64>>> {
    let of = |trial: &&TrialResult| {
        let column = outcomes(trial.samples.get(suffix)?, kind);
        // The same seed for every trial: that is what makes the comparison a paired one.
        let bootstrap = Bootstrap::new(column.len(), RESAMPLES, 0);
        (!column.is_empty()).then(|| {
            bootstrap.distribution(|chosen| column.measure_some(metric, chosen.iter().copied()))
        })
    };
    trials.iter().map(of).collect()
}

/// The mean over trials of every resample; zeros if no trial has samples.
fn means(trials: &[Option<Vec<f64>>]) -> Vec<f64> {
    let resample = |r: usize| {
        let values: Vec<f64> = trials.iter().flatten().map(|trial| trial[r]).collect();
        match values.is_empty() {
            true => 0.0,
            false => mean(&values),
        }
    };
    (0..RESAMPLES).map(resample).collect()
}

/// The outcomes that samples record.
fn outcomes(samples: &[Sample], kind: OutputKind) -> Outcomes {
    let samples = samples.iter().map(|s| (s.target.clone(), s.scores.clone()));
    Outcomes::from_scores(kind, samples, &[])
}

fn mcnemar_by_seed(
    a: &[&TrialResult],
    b: &[&TrialResult],
    kind: OutputKind,
    suffix: &str,
) -> Vec<f64> {
    let mut found = Vec::new();
    match kind {
        OutputKind::Classes | OutputKind::Labels | OutputKind::Rank => {}
        // Not right or wrong.
        OutputKind::Value | OutputKind::Tags | OutputKind::Tokens | OutputKind::Answer => {
            return found;
        }
    }
    for first in a {
        let Some(second) = b.iter().find(|c| c.trial.seed == first.trial.seed) else {
            continue;
        };
        let (Some(x), Some(y)) = (first.samples.get(suffix), second.samples.get(suffix)) else {
            continue;
        };
        if x.len() != y.len() {
            continue;
        }
        let right = |s: &Sample| s.prediction(kind) == s.target;
        let only = |yes: &[Sample], no: &[Sample]| {
            let both = yes.iter().zip(no);
            both.filter(|(yes, no)| right(yes) && !right(no)).count()
        };
        found.push(mcnemar(only(x, y), only(y, x)));
    }
    found
}

/// Every scorer's scores, averaged over seeds trial by trial.
fn mean_rankings(results: &[TrialResult]) -> BTreeMap<String, Vec<RankedTerm>> {
    let mut all: BTreeMap<String, BTreeMap<BiasTerm, Vec<&RankedTerm>>> = BTreeMap::new();
    for (scorer, ranking) in results.iter().flat_map(|r| &r.ranking) {
        for row in ranking {
            let terms = all.entry(scorer.clone()).or_default();
            terms.entry(row.term).or_default().push(row);
        }
    }
    let mean_of = |values: Vec<f64>| (!values.is_empty()).then(|| mean(&values));
    all.into_iter()
        .map(|(scorer, terms)| {
            let rows = terms.into_iter().map(|(term, rows)| RankedTerm {
                term,
                mean: mean_of(rows.iter().filter_map(|r| r.mean).collect()),
                layers: (0..rows[0].layers.len())
                    .map(|l| mean_of(rows.iter().filter_map(|r| r.layers[l]).collect()))
                    .collect(),
            });
            let mut rows: Vec<RankedTerm> = rows.collect();
            let key = |r: &RankedTerm| r.mean.unwrap_or(f64::NEG_INFINITY);
            rows.sort_by(|a, b| key(b).total_cmp(&key(a)));
            (scorer, rows)
        })
        .collect()
}
