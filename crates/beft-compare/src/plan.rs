use std::path::{Path, PathBuf};

use beft_files::{write_atomic, write_new};
use beft_modes::Makes;
use serde::{Deserialize, Serialize};

use crate::joint::lowest_layer;
use crate::{CompareError, JointTrials, Journal, Planned, Shard, TrialMode, joint_trials};
use beft::{Error, differences};

/// A comparison as it is computed: trials that train together, and the part of them that is this process's.
#[derive(Debug)]
pub struct Plan {
    /// All trials, in the order of the comparison.
    pub trials: Vec<Planned>,
    /// Groups of them that train together, those of this part alone: the dearest first, so that none is left over at
    /// the end.
    pub passes: Vec<JointTrials>,
    /// The groups of the other parts.
    pub others: Vec<(Shard, Vec<JointTrials>)>,
    /// How much of the whole work this part's are.
    pub share: f64,
}

/// What all parts of a comparison must agree on, as it stands in the journal.
#[derive(Debug, Serialize, Deserialize)]
struct Agreed {
    /// How many train together at most.
    together: usize,
    trials: Vec<Planned>,
}

impl Plan {
    /// Deals trials out. At most `most` train together, and fewer if there would be less groups than parts. What trains
    /// together follows from the whole comparison, and neither from what is finished nor from the machine: a
    /// comparison that is interrupted, or dealt to several machines, gives the same bytes.
    ///
    /// # Errors
    ///
    /// When a model or data cannot be read.
    pub fn new(
        journal: &mut Journal,
        trials: Vec<Planned>,
        shard: Option<Shard>,
        most: usize,
    ) -> Result<Self, CompareError> {
        let shard = shard.unwrap_or(Shard::WHOLE);
        let most = most.min(trials.len().div_ceil(shard.count()));
        let of: Vec<_> = trials.iter().map(|planned| planned.trial.clone()).collect();
        let joint = joint_trials(&of, most)?;
        let mut costs = Vec::new();
        for group in &joint {
            let of = group.iter().map(|index| journal.cost(&trials[*index]));
            costs.push(of.sum::<Result<f64, _>>()?);
        }
        let mut found = Self {
            passes: Vec::new(),
            others: Vec::new(),
            share: 0.0,
            trials,
        };
        let all = costs.iter().fold(0.0, |sum, cost| sum + cost);
        for (part, dealt) in shard.all().zip(shard.deal(&costs)) {
            let load = dealt.iter().fold(0.0, |sum, index| sum + costs[*index]);
            let passes = dealt.into_iter().map(|index| JointTrials {
                trials: { joint[index].iter() }
                    .map(|i| found.trials[*i].clone())
                    .collect(),
            });
            let passes = passes.collect();
            match part == shard {
                true => (found.passes, found.share) = (passes, load / all),
                false => found.others.push((part, passes)),
            }
        }
        Ok(found)
    }

    /// The number of all groups, those of other parts too.
    pub fn all_passes(&self) -> usize {
        let others = self.others.iter().map(|(_, passes)| passes.len());
        self.passes.len() + others.sum::<usize>()
    }
}

impl Journal {
    /// The file that says what comparison the journal is of.
    fn plan_path(&self) -> PathBuf {
        self.dir().join("plan.json")
    }

    /// Says in the journal that it is of these trials. A part of a comparison must find the same there.
    ///
    /// # Errors
    ///
    /// When it is of others, or cannot be written.
    pub fn agree(
        &self,
        trials: &[Planned],
        together: usize,
        alone: bool,
    ) -> Result<(), CompareError> {
        let path = self.plan_path();
        let agreed = Agreed {
            together,
            trials: trials.to_vec(),
        };
        let text = serde_json::to_vec(&agreed).unwrap_or_default();
        let fail = |source| Error::Write {
            path: path.clone(),
            source,
        };
        if alone {
            return Ok(write_atomic(&path, &text).map_err(fail)?);
        }
        match write_new(&path, &text).map_err(fail)? {
            true => Ok(()),
            false => self.check_agreed(trials, Some(together)),
        }
    }

    /// Makes sure that the journal is of these trials, if it says of which it is.
    ///
    /// # Errors
    ///
    /// When it is of others, or cannot be read.
    pub fn check_agreed(
        &self,
        trials: &[Planned],
        together: Option<usize>,
    ) -> Result<(), CompareError> {
        let path = self.plan_path();
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(Error::Read { path, source }.into()),
        };
        let damaged = |_| CompareError::DamagedPlan { path: path.clone() };
        let agreed: Agreed = serde_json::from_slice(&text).map_err(damaged)?;
        let keys = |trials: &[Planned]| -> Vec<String> {
            trials.iter().map(|planned| planned.key.clone()).collect()
        };
        let mut reasons = Vec::new();
        if let Some(ours) = together.filter(|ours| *ours != agreed.together) {
            reasons.push(format!(
                "up to {} train together there, {ours} here",
                agreed.together
            ));
        }
        if agreed.trials.len() != trials.len() {
            reasons.push(format!(
                "it has {} trainings, this one {}",
                agreed.trials.len(),
                trials.len()
            ));
            let (here, there) = (keys(trials), keys(&agreed.trials));
            let only = |all: &[Planned], others: &[String]| {
                let found = all.iter().find(|planned| !others.contains(&planned.key));
                found.map(|planned| planned.trial.to_string())
            };
            if let Some(trial) = only(&agreed.trials, &here) {
                reasons.push(format!("only that one has `{trial}`"));
            }
            if let Some(trial) = only(trials, &there) {
                reasons.push(format!("only this one has `{trial}`"));
            }
        } else {
            for (mine, other) in trials.iter().zip(&agreed.trials) {
                reasons.extend(difference(mine, other));
            }
        }
        if reasons.is_empty() {
            return Ok(());
        }
        let reasons = crate::distinct(reasons);
        Err(CompareError::OtherPlan {
            path,
            reason: shorten(&reasons),
        })
    }

    /// The finished trials in the journal that are not of these, but differ from one that is missing in some settings
    /// alone: what they are, and in what they differ.
    pub fn others(&self, trials: &[Planned]) -> Vec<(PathBuf, String)> {
        let missing: Vec<&Planned> = trials.iter().filter(|t| !self.is_done(&t.key)).collect();
        let known = |path: &Path| {
            let stem = path.file_stem().unwrap_or_default();
            trials.iter().any(|planned| stem == planned.key.as_str())
        };
        let mut found = Vec::new();
        for path in self.files("json") {
            if known(&path) || path == self.plan_path() {
                continue;
            }
            let Some(other) = std::fs::read(&path).ok().and_then(|text| {
                let planned: Option<Planned> = serde_json::from_slice(&text).ok();
                planned
            }) else {
                continue;
            };
            let same = |mine: &&&Planned| {
                let of =
                    |p: &Planned| (p.record.task.clone(), p.record.terms.clone(), p.trial.seed);
                of(mine) == of(&other)
            };
            let nearest = missing.iter().filter(same);
            let nearest = nearest.min_by_key(|mine| difference(mine, &other).len());
            if let Some(mine) = nearest {
                let reasons = difference(mine, &other);
                found.push((path, format!("{}: {}", other.trial, shorten(&reasons))));
            }
        }
        found
    }

    /// About how much work a trial is, in forward passes of examples times values of the model. Only ratios mean anything.
    ///
    /// # Errors
    ///
    /// When its model or data cannot be read.
    pub fn cost(&mut self, planned: &Planned) -> Result<f64, CompareError> {
        let trial = &planned.trial;
        let mode: TrialMode = trial.mode.parse()?;
        let (base, train, dev) = self.sizes(trial)?;
        let config = base.config();
        let layers = config.num_layers();
        // The share of the layers in which something learns, and forward passes that a step is worth: by measurement, of
        // MiniLM and of a smaller model on a processor.
        let (learning, step) = match (mode.terms(), mode.makes()) {
            (Some(terms), _) => {
                let lowest = lowest_layer(terms, layers, config.ignores_key_bias())?;
                let share = 1.0 - lowest as f64 / layers.max(1) as f64;
                (share, 1.0 + share)
            }
            (None, Makes::Adapter(_)) => (1.0, 3.0),
            (None, Makes::Model) => (1.0, 4.8),
            (None, Makes::Nothing) => (0.0, 0.0),
        };
        let steps = trial.epochs as f64 * train as f64 * step;
        // What the layers below make of the dev examples is computed once.
        let evaluations =
            { 1..=trial.epochs }.filter(|epoch| trial.evaluate.after(*epoch, trial.epochs));
        let again = evaluations.count().saturating_sub(1) as f64;
        let evaluated = 0.9 * dev as f64 * (1.0 + again * learning);
        Ok((steps + evaluated) * base.num_values() as f64)
    }
}

/// In what two trials differ, in words: `epochs is 3 there, 5 here`.
fn difference(mine: &Planned, other: &Planned) -> Vec<String> {
    let of = |planned: &Planned| [planned.record.clone()];
    let found = differences(&of(mine), &of(other));
    let words = found
        .iter()
        .map(|difference| match difference.name.as_str() {
            "model" => "the model's files are others".to_owned(),
            "data" => "the examples are others".to_owned(),
            "task_definition" => "the task is defined otherwise".to_owned(),
            _ => difference.there_and_here(),
        });
    let mut words: Vec<String> = words.collect();
    if mine.key != other.key && mine.trial.scorers != other.trial.scorers {
        words.push("the scorers are others".to_owned());
    }
    words
}

/// The first few of them.
fn shorten(reasons: &[String]) -> String {
    const MOST: usize = 3;
    match reasons.len() {
        0 => "the trainings are others".to_owned(),
        count if count > MOST => {
            format!(
                "{} and {} more differences",
                reasons[..MOST].join("; "),
                count - MOST
            )
        }
        _ => reasons.join("; "),
    }
}
