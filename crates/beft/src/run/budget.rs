//! What a budget was spent on, for people and for programs.

use beft_score::{Budget, Candidate, Spent};
use serde::{Deserialize, Serialize};

use crate::table::{Align, Cell, Table};

/// What a budget was spent on, as JSON holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BudgetResult {
    /// Values to train at most.
    pub budget: usize,
    /// Whose scores decided.
    pub scorer: String,
    /// What it was spent on: `terms`, `sites` or `heads`.
    pub parts: String,
    /// The parts as a term set.
    pub terms: String,
    /// Number of values that are trained, those of the head not counted.
    pub values: usize,
    /// Whether all scores were equal, so that the order of layers and terms decided.
    #[serde(default)]
    pub tied: bool,
    /// Whether a run trained them for the budget: they can be one of the terms that it trains anyway.
    #[serde(default)]
    pub trained_alone: bool,
    /// The parts, the one with the highest score for each value first.
    pub chosen: Vec<BudgetPart>,
    /// The best part that has more values than were left.
    pub passed_over: Option<BudgetPart>,
}

/// A part that a budget can be spent on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BudgetPart {
    /// Its name, such as `v@3`.
    pub part: String,
    /// Number of its values.
    pub values: usize,
    /// Its score for each of them.
    pub score_per_value: f64,
}

impl BudgetResult {
    /// That of a budget.
    pub fn new(budget: &Budget, spent: &Spent) -> Self {
        let part = |candidate: &Candidate| BudgetPart {
            part: candidate.part.to_string(),
            values: candidate.values,
            score_per_value: candidate.per_value,
        };
        Self {
            budget: budget.values,
            scorer: budget.scorer.to_string(),
            parts: budget.parts.name().to_owned(),
            terms: spent.terms().to_string(),
            values: spent.values(),
            tied: spent.tied,
            trained_alone: false,
            chosen: spent.chosen.iter().map(part).collect(),
            passed_over: spent.passed_over.as_ref().map(part),
        }
    }

    /// The parts, the best one first.
    pub fn table(&self) -> Table {
        let per_value = format!("{} per value", self.scorer);
        let mut table = Table::new([("part", Align::Left)]);
        for name in ["values".to_owned(), per_value] {
            table.columns.push((name, Align::Right));
        }
        let rows = self.chosen.iter().map(|chosen| {
            let name = Cell::default().code(&chosen.part);
            let per_value = format!("{:.3e}", chosen.score_per_value);
            vec![name, chosen.values.into(), per_value.into()]
        });
        table.rows.extend(rows);
        table
    }

    /// How much was spent, in a sentence.
    pub fn summary(&self) -> String {
        let passed = self.passed_over.as_ref().map_or(String::new(), |part| {
            format!(
                "; {} has a higher score than what follows it, but its {} values did not fit",
                part.part, part.values
            )
        });
        let caution = Spent::caution(self.tied);
        format!(
            "{} of {} values are spent, on the biases with the highest {} score for each value{passed}{caution}.",
            self.values, self.budget, self.scorer
        )
    }
}
