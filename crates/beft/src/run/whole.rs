//! The whole job: train all biases, rank, pick, compare, write the report.

use std::path::Path;

use beft_core::{BiasTerm, TermSet};
use beft_modes::Mode;
use beft_score::{Parts, ScorerKind};
use beft_train::{Event, TrainSettings};

use super::names;
use crate::{
    About, Base, Error, ModeResult, Ranker, Ranking, RunResults, TaskData, TuneOutcome,
    check_budget, report, rows_of, save_report, settings, tune, write_json,
};

/// How to run the whole job.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// How each mode is tuned.
    pub tune: TrainSettings,
    /// The scores to rank by; BEFT's picks where it is among them, else the first.
    pub scorers: Vec<ScorerKind>,
    /// The terms to pick from and compare (the paper: q, k, v).
    pub candidates: Vec<BiasTerm>,
    /// Instead of picking a candidate, spend so many values on the biases with the highest scores.
    pub budget: Option<(usize, Parts)>,
    /// The data folder and the device as the user wrote them, for the record.
    pub data: String,
    /// See `data`.
    pub device: String,
    /// The command that does the same again, for the report.
    pub command: Option<String>,
    /// Whether the report's tables are also written for LaTeX.
    pub latex: bool,
}

/// Progress of a run.
#[derive(Clone, Copy, Debug)]
pub enum RunEvent<'a> {
    /// A mode's training begins.
    Mode {
        /// The mode.
        mode: &'a Mode,
        /// From 1.
        number: usize,
        /// Number of modes.
        of: usize,
    },
    /// Within a mode.
    Train(Event<'a>),
    /// A batch of gradients for a score is done.
    Gradients,
}

/// What a run gave.
#[derive(Debug)]
pub struct RunOutcome {
    /// The content of `results.json`.
    pub results: RunResults,
    /// The scores behind the ranking.
    pub ranking: Ranking,
    /// The picked term's tuning.
    pub picked: TuneOutcome,
}

/// The whole job: trains all biases and ranks the terms by how they changed, picks the best
/// candidate, tunes every candidate and the head alone for comparison, and writes `results.json`,
/// `report.md`, its pictures and the picked term's `adapter/` into `out`.
///
/// # Errors
///
/// When the model or the settings do not fit, no candidate can be ranked, or `out` cannot be
/// written. When a mode diverges, its last good adapter is saved first.
pub fn run(
    base: &Base,
    data: &TaskData,
    options: &RunOptions,
    out: &Path,
    mut on_event: impl FnMut(RunEvent<'_>),
) -> Result<RunOutcome, Error> {
    let modes = modes(base, options);
    if let Some((values, parts)) = options.budget {
        check_budget(base.config(), &TermSet::all(), values, parts)?;
    }
    let of = modes.len() + usize::from(options.budget.is_some());
    type OnEvent<'a> = &'a mut dyn FnMut(RunEvent<'_>);
    let train = |mode: &Mode, number: usize, state: &str, on_event: OnEvent<'_>| {
        on_event(RunEvent::Mode { mode, number, of });
        let mut settings = options.tune.clone();
        if let Some(checkpoint) = &mut settings.checkpoint {
            checkpoint.path = checkpoint.path.join(format!("{state}.state"));
        }
        let outcome = tune(base, data, mode, &settings, |event| {
            on_event(RunEvent::Train(event))
        })?;
        if outcome.failure.is_some() {
            outcome.save(base, out)?;
        }
        Ok::<_, Error>(outcome)
    };
    let mut outcomes = Vec::new();
    for (mode, number) in modes.iter().zip(1..) {
        outcomes.push(train(mode, number, &mode.to_string(), &mut on_event)?);
    }
    // All biases are the first of the modes.
    let all = outcomes.first().ok_or(Error::NothingRanked)?;
    let (scorers, terms) = (&options.scorers, TermSet::all());
    let mut ranker = Ranker::new(base, data, &terms, Some(all), &options.tune)?;
    let ranking = ranker.ranking(scorers, || on_event(RunEvent::Gradients))?;
    let (picked_mode, budget) = match options.budget {
        None => {
            let pick = ranking.pick(&options.candidates);
            let pick = pick.ok_or(Error::NothingRanked)?;
            (Mode::Biases(TermSet::of([pick])), None)
        }
        Some(spending) => {
            let on_batch = || on_event(RunEvent::Gradients);
            let (spent, mut budget) = ranker.spend_by(&ranking, scorers, spending, on_batch)?;
            let mode = Mode::Biases(spent.terms());
            let known = outcomes.iter().any(|outcome| outcome.mode == mode);
            if !known {
                // Not named after its terms, which can be many.
                outcomes.push(train(&mode, of, "budget", &mut on_event)?);
                budget.trained_alone = true;
            }
            (mode, Some(budget))
        }
    };
    let (all, others) = outcomes.split_first().ok_or(Error::NothingRanked)?;
    let mut details = Vec::new();
    let results = others.iter().chain([all]).map(|outcome| {
        let splits = outcome.details(data);
        let intervals = splits.iter().flat_map(|split| split.intervals.clone());
        let intervals = intervals.collect();
        if outcome.mode == picked_mode {
            details = splits;
        }
        ModeResult {
            intervals,
            ..ModeResult::of(outcome)
        }
    });
    let modes = results.collect();
    let results = RunResults {
        details,
        class_weights: data.train.class_weights.clone(),
        beft_version: env!("CARGO_PKG_VERSION").to_owned(),
        settings: settings(base, data, &options.tune, &options.data, &options.device),
        ranking: ranking.by_scorer(),
        recommended: ranking.recommended(),
        notes: ranking.notes(),
        metric: data
            .task
            .metrics
            .first()
            .map_or("", |metric| metric.name())
            .to_owned(),
        picked: picked_mode.to_string(),
        budget,
        modes,
        scorers: names(scorers),
        trainings: outcomes.iter().map(|o| o.record.clone()).collect(),
    };
    let picked = outcomes
        .into_iter()
        .find(|outcome| outcome.mode == picked_mode)
        .ok_or(Error::NothingRanked)?;
    picked.save(base, out)?;
    save_run_report(&results, &ranking, options, out)?;
    write_json(&out.join("results.json"), &results)?;
    Ok(RunOutcome {
        results,
        ranking,
        picked,
    })
}

/// What a run trains, in its order.
pub(super) fn modes(base: &Base, options: &RunOptions) -> Vec<Mode> {
    let mut sets = vec![TermSet::all()];
    if base.has_head() {
        sets.push(TermSet::frozen());
    }
    sets.extend(options.candidates.iter().map(|term| TermSet::of([*term])));
    sets.into_iter().map(Mode::Biases).collect()
}

/// Writes the report of a run into `out`: `report.md`, `report.html`, its pictures, and `report.tex` where that is asked for.
///
/// # Errors
///
/// When a file cannot be written.
pub fn save_run_report(
    results: &RunResults,
    ranking: &Ranking,
    options: &RunOptions,
    out: &Path,
) -> Result<(), Error> {
    let about = About {
        title: String::new(),
        configuration: rows_of(&results.settings),
        command: options.command.clone(),
        latex: options.latex,
    };
    save_report(out, "report", &report(results, ranking), &about)
}
