//! Whether the scorers picked the best of q, k and v.

use std::collections::BTreeMap;

use beft_core::BiasTerm;
use beft_eval::same_value;

use crate::TrialResult;
use crate::agreement::Item;

/// How often a scorer picked the best of q, k and v.
#[derive(Clone, Debug, PartialEq)]
pub struct ScorerPicks {
    /// The scorer.
    pub scorer: String,
    /// Per seed, the term with its highest score; `None` when all are equal.
    pub picks: Vec<Option<BiasTerm>>,
    /// How many of them reached the highest main metric of their seed alone.
    pub right: usize,
    /// How many of the seeds have a single best term. In the others a pick is neither right nor wrong.
    pub decided: usize,
}

/// The term of a mode that trains one of q, k and v alone, in every layer.
fn candidate(mode: &str) -> Option<BiasTerm> {
    match Item::of(mode)? {
        Item::Term(term) => BiasTerm::QKV.contains(&term).then_some(term),
        Item::Site(_) => None,
    }
}

/// What the candidates of a seed reached.
fn reached(results: &[TrialResult], metric: &str, seed: u32) -> Vec<(BiasTerm, f64)> {
    let same_seed = results.iter().filter(|r| r.trial.seed == seed);
    same_seed
        .filter_map(|r| Some((candidate(&r.trial.mode)?, *r.metrics.get(metric)?)))
        .collect()
}

/// The candidates with the highest metric.
fn best(reached: &[(BiasTerm, f64)]) -> Vec<BiasTerm> {
    let values = reached.iter().map(|(_, value)| *value);
    let highest = values.fold(f64::NEG_INFINITY, f64::max);
    let best = reached
        .iter()
        .filter(|(_, value)| same_value(*value, highest));
    best.map(|(term, _)| *term).collect()
}

/// Per seed in which several candidates share the highest metric, these.
pub(super) fn tied(results: &[TrialResult], metric: &str) -> BTreeMap<u32, Vec<BiasTerm>> {
    let seeds = results.iter().map(|r| r.trial.seed);
    let found = seeds.map(|seed| (seed, best(&reached(results, metric, seed))));
    found.filter(|(_, best)| best.len() > 1).collect()
}

/// What each scorer picked, and how often that was right.
pub(super) fn picks(results: &[TrialResult], metric: &str) -> Vec<ScorerPicks> {
    let mut picks: Vec<ScorerPicks> = Vec::new();
    for ranked in results.iter().filter(|r| !r.ranking.is_empty()) {
        let reached = reached(results, metric, ranked.trial.seed);
        if reached.len() < 2 {
            continue;
        }
        let best = best(&reached);
        for (scorer, ranking) in &ranked.ranking {
            let scored: Vec<(BiasTerm, f64)> = ranking
                .iter()
                .filter(|row| reached.iter().any(|(term, _)| *term == row.term))
                .filter_map(|row| Some((row.term, row.mean?)))
                .collect();
            let pick = match scored[..] {
                [(_, first), (_, second), ..] if first == second => None,
                [(term, _), ..] => Some(term),
                [] => None,
            };
            let index = picks.iter().position(|p| p.scorer == *scorer);
            let index = index.unwrap_or_else(|| {
                picks.push(ScorerPicks {
                    scorer: scorer.clone(),
                    picks: Vec::new(),
                    right: 0,
                    decided: 0,
                });
                picks.len() - 1
            });
            let found = &mut picks[index];
            found.picks.push(pick);
            if let [only] = best[..] {
                found.decided += 1;
                found.right += usize::from(pick == Some(only));
            }
        }
    }
    picks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::result;
    use beft_score::RankedTerm;

    fn ranking(terms: [BiasTerm; 3]) -> Vec<RankedTerm> {
        let means = terms.into_iter().zip([0.9, 0.5, 0.1]);
        let row = |(term, mean)| RankedTerm {
            term,
            mean: Some(mean),
            layers: Vec::new(),
        };
        means.map(row).collect()
    }

    #[test]
    fn a_tie_is_neither_right_nor_wrong() {
        use BiasTerm::{K, Q, V};
        let mut results = Vec::new();
        for (seed, [q, k, v]) in [
            // All three tie, two of them tie (to rounding), and one is the best alone.
            (0, [0.5, 0.5, 0.5]),
            (1, [0.1 + 0.2, 0.1, 0.3]),
            (2, [0.5, 0.4, 0.6]),
            (3, [0.7, 0.4, 0.6]),
        ] {
            for (mode, value) in [("q", q), ("k", k), ("v", v)] {
                results.push(result(mode, seed, value));
            }
            let mut all = result("all", seed, 0.9);
            all.ranking = [
                ("beft".to_owned(), ranking([V, Q, K])),
                ("random".to_owned(), ranking([K, V, Q])),
            ]
            .into();
            results.push(all);
        }
        let found = picks(&results, "accuracy");
        assert_eq!(found.len(), 2);
        for (picks, right) in found.iter().zip([1, 0]) {
            assert_eq!((picks.picks.len(), picks.decided), (4, 2));
            assert_eq!(picks.right, right, "{}", picks.scorer);
        }
        let ties = tied(&results, "accuracy");
        assert_eq!(ties, [(0, vec![Q, K, V]), (1, vec![Q, V])].into());
    }
}
