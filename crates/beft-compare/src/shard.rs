use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One of the parts that a comparison is dealt into: `3/16` is the third of sixteen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Counted from 1.
    number: usize,
    /// All of them.
    count: usize,
}

/// More parts than anybody has machines for.
const MOST: usize = 65_536;

/// What is no part of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// Not two numbers.
    #[error("`{0}` is no part: write K/N, such as 3/16 for the third of sixteen")]
    Form(String),
    /// Not one of the parts.
    #[error(
        "there is no part {number} of {count}: there can be up to {MOST} parts, counted from 1 (a job array without gaps gives each task one)"
    )]
    Range {
        /// Of the part.
        number: usize,
        /// All of them.
        count: usize,
    },
    /// A scheduler says half of it.
    #[error("{given} is set and {missing} is not: set both, or say which part this is")]
    Half {
        /// The variable that is there.
        given: &'static str,
        /// The variable that is not.
        missing: &'static str,
    },
    /// A variable of a scheduler that holds no number.
    #[error("{variable} is `{value}`, which is no number")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// What it holds.
        value: String,
    },
}

/// The variables by which a scheduler tells a process its part.
struct Scheduler {
    index: &'static str,
    /// The index of the first part; 0 without the variable.
    first: Option<&'static str>,
    /// The distance of two parts' indices; 1 without the variable.
    step: Option<&'static str>,
    count: &'static str,
}

/// Slurm's job arrays, Kubernetes' Indexed Jobs (whose manifest sets the second variable), SkyPilot's nodes.
const SCHEDULERS: [Scheduler; 3] = [
    Scheduler {
        index: "SLURM_ARRAY_TASK_ID",
        first: Some("SLURM_ARRAY_TASK_MIN"),
        step: Some("SLURM_ARRAY_TASK_STEP"),
        count: "SLURM_ARRAY_TASK_COUNT",
    },
    Scheduler {
        index: "JOB_COMPLETION_INDEX",
        first: None,
        step: None,
        count: "JOB_COMPLETIONS",
    },
    Scheduler {
        index: "SKYPILOT_NODE_RANK",
        first: None,
        step: None,
        count: "SKYPILOT_NUM_NODES",
    },
];

impl Shard {
    /// The part `number` of `count`, counted from 1.
    ///
    /// # Errors
    ///
    /// When there is no such part.
    pub fn new(number: usize, count: usize) -> Result<Self, ShardError> {
        match (1..=count).contains(&number) && count <= MOST {
            true => Ok(Self { number, count }),
            false => Err(ShardError::Range { number, count }),
        }
    }

    /// The part that a scheduler gave this process, with the name of the variable that says so. `get` reads a
    /// variable of the environment.
    ///
    /// # Errors
    ///
    /// When the scheduler's variables say half of it, or no numbers.
    pub fn of_scheduler(
        get: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<(Self, &'static str)>, ShardError> {
        let number = |variable: &'static str| -> Result<Option<usize>, ShardError> {
            let Some(value) = get(variable).filter(|value| !value.is_empty()) else {
                return Ok(None);
            };
            let number = value.trim().parse();
            number
                .map(Some)
                .map_err(|_| ShardError::Variable { variable, value })
        };
        for scheduler in &SCHEDULERS {
            let Some(index) = number(scheduler.index)? else {
                continue;
            };
            let Some(count) = number(scheduler.count)? else {
                return Err(ShardError::Half {
                    given: scheduler.index,
                    missing: scheduler.count,
                });
            };
            let of = |variable: Option<&'static str>, usual: usize| match variable {
                Some(variable) => Ok(number(variable)?.unwrap_or(usual)),
                None => Ok(usual),
            };
            let (first, step) = (of(scheduler.first, 0)?, of(scheduler.step, 1)?);
            let shard = Self::new(index.saturating_sub(first) / step.max(1) + 1, count)?;
            return Ok(Some((shard, scheduler.index)));
        }
        Ok(None)
    }

    /// The whole work as its only part.
    pub const WHOLE: Self = Self {
        number: 1,
        count: 1,
    };

    /// The number of parts.
    pub fn count(self) -> usize {
        self.count
    }

    /// All parts of the same work, this one among them.
    pub fn all(self) -> impl Iterator<Item = Self> {
        let count = self.count;
        (1..=count).map(move |number| Self { number, count })
    }

    /// Deals pieces of work to all parts, by their costs. The dearest piece goes first, each to the part that has least;
    /// of equal parts to the first. Every part finds the same. The pieces of a part are in the order in which they are
    /// best done: the dearest first.
    pub fn deal(self, costs: &[f64]) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..costs.len()).collect();
        order.sort_by(|a, b| costs[*b].total_cmp(&costs[*a]));
        let mut loads = vec![0.0; self.count];
        let mut parts = vec![Vec::new(); self.count];
        for piece in order {
            let least = (0..self.count).min_by(|a, b| f64::total_cmp(&loads[*a], &loads[*b]));
            let least = least.unwrap_or(0);
            loads[least] += costs[piece];
            parts[least].push(piece);
        }
        parts
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let form = || ShardError::Form(text.to_owned());
        let (number, count) = text.split_once('/').ok_or_else(form)?;
        let parse = |text: &str| text.trim().parse().map_err(|_| form());
        Self::new(parse(number)?, parse(count)?)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_in_one_part_and_parts_are_even() {
        let costs = [5.0, 1.0, 4.0, 2.0, 3.0, 3.0, 1.0, 1.0];
        let parts = |count| Shard::new(1, count).unwrap().deal(&costs);
        assert_eq!(parts(2), [[0, 5, 1, 6], [2, 4, 3, 7]]);
        for count in [1, 3, 8, 20] {
            let mut all = parts(count).concat();
            all.sort_unstable();
            assert_eq!(all, (0..costs.len()).collect::<Vec<_>>());
        }
        let load = |part: &[usize]| part.iter().map(|piece| costs[*piece]).sum::<f64>();
        let loads: Vec<f64> = parts(4).iter().map(|part| load(part)).collect();
        assert_eq!(loads, [5.0; 4]);
    }

    #[test]
    fn parts_are_written_as_fractions() {
        let shard: Shard = "3/16".parse().unwrap();
        assert_eq!(shard, Shard::new(3, 16).unwrap());
        assert_eq!(shard.to_string(), "3/16");
        for wrong in [
            "3", "0/4", "5/4", "a/4", "1/0", "-1/4", "1/2/3", "", "1/65537",
        ] {
            let message = wrong.parse::<Shard>().unwrap_err().to_string();
            assert!(message.contains("part"), "{message}");
        }
    }

    #[test]
    fn schedulers_tell_the_part() {
        let found = |variables: &[(&str, &str)]| {
            let get = |name: &str| {
                let found = variables.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let found = Shard::of_scheduler(get);
            found.map(|found| found.map(|(shard, from)| (shard.to_string(), from)))
        };
        let slurm = |id, min, step, count| {
            found(&[
                ("SLURM_ARRAY_TASK_ID", id),
                ("SLURM_ARRAY_TASK_MIN", min),
                ("SLURM_ARRAY_TASK_STEP", step),
                ("SLURM_ARRAY_TASK_COUNT", count),
            ])
        };
        let of_slurm = |text: &str| Ok(Some((text.to_owned(), "SLURM_ARRAY_TASK_ID")));
        assert_eq!(slurm("0", "0", "1", "4"), of_slurm("1/4"));
        assert_eq!(slurm("4", "1", "1", "4"), of_slurm("4/4"));
        assert_eq!(slurm("7", "1", "3", "3"), of_slurm("3/3"));
        let kubernetes = [("JOB_COMPLETION_INDEX", "15"), ("JOB_COMPLETIONS", "16")];
        let expected = Ok(Some(("16/16".to_owned(), "JOB_COMPLETION_INDEX")));
        assert_eq!(found(&kubernetes), expected);
        let expected = Ok(Some(("2/2".to_owned(), "SKYPILOT_NODE_RANK")));
        let sky = [("SKYPILOT_NODE_RANK", "1"), ("SKYPILOT_NUM_NODES", "2")];
        assert_eq!(found(&sky), expected);
        assert_eq!(found(&[]), Ok(None));
        assert_eq!(found(&[("SLURM_ARRAY_TASK_ID", "")]), Ok(None));
        let half = found(&kubernetes[..1]).unwrap_err().to_string();
        assert!(half.contains("JOB_COMPLETIONS is not"), "{half}");
        assert!(slurm("x", "0", "1", "4").is_err());
        assert!(slurm("9", "0", "1", "4").is_err());
    }
}
