use std::fmt;
use std::str::FromStr;

use beft_core::TermSet;
use beft_modes::{Makes, Mode};
use beft_score::Budget;

use crate::CompareError;

/// What one training of a comparison trains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrialMode {
    /// A mode.
    Of(Mode),
    /// The biases that a budget is spent on, which are known when the scores are.
    Budget(Budget),
}

impl TrialMode {
    /// The mode whose settings the training has.
    pub fn settings(&self) -> Mode {
        match self {
            Self::Of(mode) => mode.clone(),
            Self::Budget(_) => Mode::Biases(TermSet::all()),
        }
    }

    /// The term set, if it trains biases that are known.
    pub fn terms(&self) -> Option<&TermSet> {
        match self {
            Self::Of(mode) => mode.terms(),
            Self::Budget(_) => None,
        }
    }

    /// What it makes.
    pub fn makes(&self) -> Makes {
        self.settings().makes()
    }

    /// Whether it trains all biases: what scorers compare.
    pub fn trains_all(&self) -> bool {
        self.terms().is_some_and(TermSet::is_all)
    }
}

impl FromStr for TrialMode {
    type Err = CompareError;

    fn from_str(text: &str) -> Result<Self, CompareError> {
        match Budget::is_meant(text) {
            true => Ok(Self::Budget(text.parse()?)),
            false => Ok(Self::Of(text.parse()?)),
        }
    }
}

impl fmt::Display for TrialMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(mode) => mode.fmt(f),
            Self::Budget(budget) => f.pad(&budget.to_string()),
        }
    }
}
