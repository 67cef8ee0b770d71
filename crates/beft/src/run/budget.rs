//! What a budget was spent on, for people and for programs.

use beft_score::{Budget, Candidate, Spent};
use serde_json::{Value, json};

use crate::report::score;
use crate::table::{Align, Cell, Table};

/// What a budget was spent on, the best part first.
pub fn budget_table(budget: &Budget, spent: &Spent) -> Table {
    let per_value = format!("{} per value", budget.scorer);
    let mut table = Table::new([("part", Align::Left)]);
    for name in ["values".to_owned(), per_value] {
        table.columns.push((name, Align::Right));
    }
    let rows = spent.chosen.iter().map(|candidate| {
        let name = Cell::default().code(candidate.part);
        vec![
            name,
            candidate.values.into(),
            score(candidate.per_value).into(),
        ]
    });
    table.rows.extend(rows);
    table
}

/// What a budget was spent on, for programs.
pub fn budget_record(budget: &Budget, spent: &Spent) -> Value {
    let record = |candidate: &Candidate| {
        json!({"part": candidate.part.to_string(), "values": candidate.values,
            "score_per_value": candidate.per_value})
    };
    json!({
        "budget": budget.values, "scorer": budget.scorer.name(), "terms": spent.terms().to_string(),
        "values": spent.values(), "chosen": spent.chosen.iter().map(record).collect::<Vec<_>>(),
        "passed_over": spent.passed_over.as_ref().map(record),
    })
}
