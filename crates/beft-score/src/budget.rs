use std::fmt;
use std::str::FromStr;

use beft_core::{BiasPart, BiasTerm, TermSet};

use crate::ScorerKind;

/// What a budget is spent on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parts {
    /// Terms in every layer.
    #[default]
    Terms,
    /// Whole biases of single layers.
    Sites,
    /// Single heads of q, k and v, and whole biases of the other terms.
    Heads,
}

impl Parts {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Terms, Self::Sites, Self::Heads];

    /// How it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Terms => "terms",
            Self::Sites => "sites",
            Self::Heads => "heads",
        }
    }
}

impl FromStr for Parts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|known| known.name().eq_ignore_ascii_case(text.trim()));
        let known = Self::ALL.map(Self::name).join(", ");
        found.ok_or_else(|| format!("`{text}` is none of {known}"))
    }
}

/// A number of values to train, and who says which: `budget:2304:fisher` for whole terms, `budget:2304:fisher:sites`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Values to train at most, those of the head not counted.
    pub values: usize,
    /// Whose scores decide.
    pub scorer: ScorerKind,
    /// What it is spent on.
    pub parts: Parts,
}

/// The word before a budget.
const BUDGET: &str = "budget";

/// A text that is no budget.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no budget: write budget:NUMBER:SCORER, such as budget:2304:fisher, with :sites behind it to choose single layers, or :heads to choose single heads too"
)]
pub struct BudgetError(String);

impl Budget {
    /// Whether a text is meant to be one.
    pub fn is_meant(text: &str) -> bool {
        let (word, _) = text.trim().split_once(':').unwrap_or((text.trim(), ""));
        word.eq_ignore_ascii_case(BUDGET)
    }
}

impl FromStr for Budget {
    type Err = BudgetError;

    fn from_str(text: &str) -> Result<Self, BudgetError> {
        let bad = || BudgetError(text.trim().to_owned());
        let words: Vec<&str> = text.split(':').map(str::trim).collect();
        let (values, scorer, parts) = match words[..] {
            [_, values, scorer] => (values, scorer, Parts::default()),
            [_, values, scorer, parts] => (values, scorer, parts.parse().map_err(|_| bad())?),
            _ => return Err(bad()),
        };
        match Self::is_meant(text) {
            true => Ok(Self {
                values: values.parse().ok().filter(|n| *n > 0).ok_or_else(bad)?,
                scorer: scorer.parse().map_err(|_| bad())?,
                parts,
            }),
            false => Err(bad()),
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{BUDGET}:{}:{}", self.values, self.scorer)?;
        match self.parts {
            Parts::Terms => Ok(()),
            Parts::Sites | Parts::Heads => write!(f, ":{}", self.parts.name()),
        }
    }
}

/// A part of the biases that a budget can be spent on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The part.
    pub part: Part,
    /// Number of its values.
    pub values: usize,
    /// Its score for each value.
    pub per_value: f64,
}

/// What a [`Candidate`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A term in every layer.
    Term(BiasTerm),
    /// A bias in one layer, or one head's part of it.
    Bias(BiasPart),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Term(term) => term.fmt(f),
            Self::Bias(part) => part.fmt(f),
        }
    }
}

/// What a budget was spent on.
#[derive(Clone, Debug, PartialEq)]
pub struct Spent {
    /// The parts, the one with the highest score for each value first.
    pub chosen: Vec<Candidate>,
    /// The part with the highest score for each value that was passed over, because it has more values than were left.
    pub passed_over: Option<Candidate>,
    /// Whether all candidates had the same score for each value, so that the order of layers and terms decided.
    pub tied: bool,
}

impl Spent {
    /// Number of values.
    pub fn values(&self) -> usize {
        self.chosen.iter().map(|candidate| candidate.values).sum()
    }

    /// What a reader must know of the choice; nothing where scores decided.
    pub const fn caution(tied: bool) -> &'static str {
        match tied {
            true => "; all scores are equal: the first ones by layer and term were taken",
            false => "",
        }
    }

    /// The parts as a term set.
    pub fn terms(&self) -> TermSet {
        let sets = self.chosen.iter().map(|candidate| match candidate.part {
            Part::Term(term) => TermSet::of([term]),
            Part::Bias(part) => TermSet::at([part]),
        });
        sets.collect()
    }
}

/// Spends `values` on candidates: takes the one with the highest score for each value that still fits, until none does. Of equal
/// ones the first in the order of layers and terms. Candidates without a score, or with one of 0 or less, are not taken.
pub fn spend(candidates: impl IntoIterator<Item = Candidate>, values: usize) -> Spent {
    let useful = candidates.into_iter();
    let mut useful: Vec<Candidate> = useful
        .filter(|candidate| candidate.per_value > 0.0)
        .collect();
    useful.sort_by(|a, b| {
        let order = b.per_value.total_cmp(&a.per_value);
        order.then(a.part.cmp(&b.part))
    });
    let mut left = values;
    let mut spent = Spent {
        chosen: Vec::new(),
        passed_over: None,
        tied: useful.len() > 1 && useful.iter().all(|c| c.per_value == useful[0].per_value),
    };
    for candidate in useful {
        if candidate.values <= left {
            left -= candidate.values;
            spent.chosen.push(candidate);
        } else if left > 0 && spent.passed_over.is_none() {
            spent.passed_over = Some(candidate);
        }
    }
    spent
}

#[cfg(test)]
mod tests {
    use beft_core::BiasSite;
    use beft_core::BiasTerm::{K, M2, Q, V};

    use super::*;

    fn candidate(part: Part, values: usize, per_value: f64) -> Candidate {
        Candidate {
            part,
            values,
            per_value,
        }
    }

    #[test]
    fn the_best_that_fits_is_taken() {
        let site = |layer, term| Part::Bias(BiasSite::new(layer, term).into());
        let candidates = [
            candidate(site(0, Q), 4, 0.2),
            candidate(site(0, K), 4, 0.0),
            candidate(site(1, M2), 16, 0.9),
            candidate(site(1, V), 4, 0.5),
            candidate(site(0, V), 4, 0.5),
        ];
        let spent = spend(candidates, 13);
        assert_eq!(spent.terms().to_string(), "q@0,v@0,v@1");
        assert_eq!(spent.values(), 12);
        assert_eq!(spent.chosen[0].part, site(0, V));
        assert_eq!(spent.passed_over.map(|c| c.part), Some(site(1, M2)));
        assert!(!spent.tied);
        let same = [1, 0].map(|layer| candidate(site(layer, V), 4, 1.0));
        let spent = spend(same, 4);
        assert_eq!(
            (spent.tied, spent.terms().to_string().as_str()),
            (true, "v@0")
        );
        // A bias that cannot learn is never taken.
        assert_eq!(spend(candidates, 1000).values(), 28);
        assert!(spend(candidates, 3).chosen.is_empty());
    }

    #[test]
    fn budgets_are_read_as_they_are_written() {
        for text in [
            "budget:2304:fisher",
            "budget:32:snr:heads",
            "budget:32:snr:sites",
        ] {
            assert_eq!(text.parse::<Budget>().unwrap().to_string(), text);
        }
        let spelled: Budget = " Budget: 8 :Fisher:terms".parse().unwrap();
        assert_eq!(spelled.to_string(), "budget:8:fisher");
        for text in [
            "budget",
            "budget:0:fisher",
            "budget:8:best",
            "budget:8",
            "v:8:fisher",
            "budget:8:fisher:x",
        ] {
            let error = text.parse::<Budget>().unwrap_err().to_string();
            assert!(error.contains("budget:2304:fisher"), "{text}: {error}");
        }
        assert!(Budget::is_meant("budget:x") && !Budget::is_meant("v"));
    }
}
