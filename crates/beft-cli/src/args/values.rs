//! How the values of options are read.

use beft::Objective;
use beft_compare::TrialMode;
use beft_core::{Metric, UnknownMetric};
use beft_modes::Mode;
use beft_nn::Savings;
use beft_score::{ScorerKind, UnknownScorer};

/// A list of scorers; a type of its own, since clap would take a `Vec` for a repeated option.
#[derive(Clone, Debug)]
pub(crate) struct Scorers(pub(crate) Vec<ScorerKind>);

pub(super) fn scorers(list: &str) -> Result<Scorers, UnknownScorer> {
    ScorerKind::parse_list(list).map(Scorers)
}

/// What one training trains. A comparison also takes budgets.
pub(super) fn mode(text: &str) -> Result<Mode, String> {
    match text.parse() {
        Ok(TrialMode::Of(mode)) => Ok(mode),
        Ok(TrialMode::Budget(_)) => Err(
            "a budget is for `beft compare --mode` and `beft run --budget`; \
             `beft rank --budget` says which terms to name here"
                .to_owned(),
        ),
        Err(error) => Err(error.to_string()),
    }
}

/// Names of columns; a type of its own, as [`Scorers`].
#[derive(Clone, Debug)]
pub(crate) struct Columns(pub(crate) Vec<String>);

pub(super) fn columns(list: &str) -> Result<Columns, String> {
    let names: Vec<String> = list.split(',').map(|name| name.trim().to_owned()).collect();
    match names.iter().any(String::is_empty) {
        true => Err("a column needs a name".to_owned()),
        false => Ok(Columns(names)),
    }
}

/// Names of metrics; a type of its own, as [`Scorers`].
#[derive(Clone, Debug)]
pub(crate) struct MetricList(pub(crate) Vec<Metric>);

pub(super) fn metrics(list: &str) -> Result<MetricList, UnknownMetric> {
    let metrics = list.split(',').map(str::parse);
    metrics.collect::<Result<_, _>>().map(MetricList)
}

/// A part of a whole that is neither nothing nor all of it.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|e| format!("{e}"))?;
    let part = share > 0.0 && share < 1.0;
    part.then_some(share)
        .ok_or_else(|| "it must be above 0 and below 1, such as 0.2".to_owned())
}

pub(super) fn objective(name: &str) -> Result<Objective, String> {
    match name {
        "task" => Ok(Objective::Task),
        "text" => Ok(Objective::Text),
        _ => Err("expected task or text".to_owned()),
    }
}

pub(super) fn savings(names: &str) -> Result<Savings, String> {
    let mut names = names.split(',').map(str::trim).filter(|n| !n.is_empty());
    names.try_fold(Savings::default(), |savings, name| {
        savings
            .without(name)
            .ok_or_else(|| format!("`{name}` is none of {}", Savings::NAMES.join(", ")))
    })
}

/// The shortest input has three special tokens and one token of each text of a pair.
pub(super) fn max_length() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(5..)
}

/// A learning rate that f32 can hold and that moves something.
pub(super) fn learning_rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|e| format!("{e}"))?;
    let usable = rate > 0.0 && (rate as f32).is_finite();
    usable
        .then_some(rate)
        .ok_or_else(|| "it must be positive and finite".to_owned())
}
