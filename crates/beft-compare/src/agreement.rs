//! Whether scores tell what training a bias alone brings.

use std::collections::BTreeMap;
use std::fmt;

use beft_core::{BiasSite, BiasTerm};
use beft_eval::{Bootstrap, interval, mean, spearman};
use beft_score::RankedTerm;

use crate::summary::RESAMPLES;
use crate::{TrialResult, distinct};

/// A correlation of two items is always 1 or -1.
const FEWEST: usize = 3;
/// The number of best items that are compared.
const TOP: usize = 3;

/// The biases whose scores are compared with what training each of them alone brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Items {
    /// A term in every layer.
    Terms,
    /// A term in one layer.
    Sites,
}

impl fmt::Display for Items {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Terms => "terms",
            Self::Sites => "sites",
        })
    }
}

/// How the scores of a scorer agree with what training each bias alone brought, over all seeds.
#[derive(Clone, Debug)]
pub struct Agreement {
    /// The scorer.
    pub scorer: String,
    /// What was scored and trained.
    pub items: Items,
    /// Each of them.
    pub points: Vec<Point>,
    /// Spearman's correlation of the means over seeds; `None` where all scores or all outcomes are equal.
    pub correlation: Option<f64>,
    /// The correlation in each draw of seeds and dev examples.
    pub draws: Vec<f64>,
    /// Number of seeds in which the item with the highest score was the best alone, and of those that have one best
    /// item and one highest score.
    pub best: (usize, usize),
    /// The share of the three best items that are among the three with the highest scores, the mean over seeds.
    /// Of ties at the border each counts in part.
    pub top: f64,
    /// What one loses by training the item with the highest score instead of the best one, the mean over seeds.
    pub lost: f64,
}

/// One bias with its means over seeds.
#[derive(Clone, Debug)]
pub struct Point {
    /// Its name: `v`, `v@3`.
    pub name: String,
    /// Its score.
    pub score: f64,
    /// The main metric after training it alone.
    pub outcome: f64,
}

impl Agreement {
    /// The 95 % interval of the correlation.
    pub fn interval(&self) -> Option<(f64, f64)> {
        self.correlation.map(|_| interval(&self.draws))
    }

    /// What [`top`](Self::top) is when scores are drawn at random.
    pub fn top_by_chance(&self) -> f64 {
        TOP.min(self.points.len()) as f64 / self.points.len() as f64
    }
}

/// A bias that a mode trains alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Item {
    Term(BiasTerm),
    Site(BiasSite),
}

impl Item {
    /// That of a mode; `None` if it trains anything else.
    pub(crate) fn of(mode: &str) -> Option<Self> {
        match mode.split_once('@') {
            None => mode.parse().ok().map(Self::Term),
            Some((term, layer)) => {
                let site = BiasSite::new(layer.parse().ok()?, term.parse().ok()?);
                Some(Self::Site(site))
            }
        }
    }

    fn kind(self) -> Items {
        match self {
            Self::Term(_) => Items::Terms,
            Self::Site(_) => Items::Sites,
        }
    }

    fn score(self, ranking: &[RankedTerm]) -> Option<f64> {
        let row = |term: BiasTerm| ranking.iter().find(|row| row.term == term);
        match self {
            Self::Term(term) => row(term)?.mean,
            Self::Site(site) => *row(site.term)?.layers.get(site.layer)?,
        }
    }
}

/// Whether a mode trains a term in one layer alone.
pub(crate) fn is_site(mode: &str) -> bool {
    matches!(Item::of(mode), Some(Item::Site(_)))
}

/// What an item has for each seed.
struct Column<'a> {
    name: &'a str,
    scores: Vec<f64>,
    outcomes: Vec<f64>,
    /// The outcome on each draw of the dev examples.
    resampled: Vec<&'a [f64]>,
}

/// Compares every scorer's scores with the outcomes. `resampled` has the main metric of each mode and seed on each draw of dev
/// examples.
pub(crate) fn agreements(
    results: &[TrialResult],
    metric: &str,
    resampled: &BTreeMap<(String, u32), Vec<f64>>,
) -> Vec<Agreement> {
    let modes = distinct(results.iter().map(|r| &r.trial.mode));
    let items: Vec<(&String, Item)> = modes
        .into_iter()
        .filter_map(|mode| Some((mode, Item::of(mode)?)))
        .collect();
    let scorers = distinct(results.iter().flat_map(|r| r.ranking.keys()));
    let mut found = Vec::new();
    for scorer in scorers {
        let rankings: Vec<(u32, &Vec<RankedTerm>)> = results
            .iter()
            .filter_map(|r| Some((r.trial.seed, r.ranking.get(scorer)?)))
            .collect();
        for kind in [Items::Terms, Items::Sites] {
            let columns = items.iter().filter(|(_, item)| item.kind() == kind);
            let columns = columns.filter_map(|(mode, item)| {
                let outcome = |seed: u32| {
                    let mut results = results.iter();
                    let found = results.find(|r| r.trial.seed == seed && r.trial.mode == **mode);
                    found?.metrics.get(metric).copied()
                };
                let draws = |seed: u32| resampled.get(&((*mode).clone(), seed));
                let seeds = || rankings.iter();
                Some(Column {
                    name: mode.as_str(),
                    scores: seeds()
                        .map(|(_, ranking)| item.score(ranking))
                        .collect::<Option<_>>()?,
                    outcomes: seeds()
                        .map(|(seed, _)| outcome(*seed))
                        .collect::<Option<_>>()?,
                    resampled: seeds()
                        .map(|(seed, _)| draws(*seed).map(Vec::as_slice))
                        .collect::<Option<_>>()?,
                })
            });
            let columns: Vec<Column<'_>> = columns.collect();
            if columns.len() >= FEWEST {
                found.push(agreement(scorer, kind, &columns, rankings.len()));
            }
        }
    }
    found
}

fn agreement(scorer: &str, items: Items, columns: &[Column<'_>], seeds: usize) -> Agreement {
    let points: Vec<Point> = columns
        .iter()
        .map(|column| Point {
            name: column.name.to_owned(),
            score: mean(&column.scores),
            outcome: mean(&column.outcomes),
        })
        .collect();
    let of = |value: fn(&Point) -> f64| -> Vec<f64> { points.iter().map(value).collect() };
    let correlation = correlate(&of(|p| p.score), &of(|p| p.outcome));
    let mut draw = 0;
    let draws = Bootstrap::new(seeds, RESAMPLES, 1).distribution(|chosen| {
        let over = |values: &dyn Fn(usize) -> f64| {
            let drawn: Vec<f64> = chosen.iter().map(|seed| values(*seed)).collect();
            mean(&drawn)
        };
        let columns = columns.iter();
        let drawn = columns.map(|column| {
            let score = over(&|seed| column.scores[seed]);
            (score, over(&|seed| column.resampled[seed][draw]))
        });
        let (scores, outcomes): (Vec<f64>, Vec<f64>) = drawn.unzip();
        draw += 1;
        correlate(&scores, &outcomes)
    });
    let (mut right, mut decided) = (0, 0);
    let (mut top, mut lost) = (Vec::new(), Vec::new());
    for seed in 0..seeds {
        let scores: Vec<f64> = columns.iter().map(|column| column.scores[seed]).collect();
        let outcomes: Vec<f64> = columns.iter().map(|column| column.outcomes[seed]).collect();
        let (picked, best) = (highest(&scores), highest(&outcomes));
        if let ([picked], [best]) = (&picked[..], &best[..]) {
            decided += 1;
            right += usize::from(picked == best);
        }
        let shares = members(&scores).into_iter().zip(members(&outcomes));
        let shared: f64 = shares.map(|(a, b)| a * b).sum();
        top.push(shared / TOP.min(columns.len()) as f64);
        let of_picked: Vec<f64> = picked.iter().map(|index| outcomes[*index]).collect();
        lost.push(outcomes[best[0]] - mean(&of_picked));
    }
    Agreement {
        scorer: scorer.to_owned(),
        items,
        points,
        correlation,
        draws,
        best: (right, decided),
        top: mean(&top),
        lost: mean(&lost),
    }
}

/// Spearman's correlation, in which values that differ by rounding alone are tied.
fn correlate(scores: &[f64], outcomes: &[f64]) -> Option<f64> {
    spearman(&tie(scores), &tie(outcomes))
}

/// The same values, those that differ by rounding alone made equal.
fn tie(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut tied = values.to_vec();
    for pair in order.windows(2) {
        let (low, high) = (tied[pair[0]], tied[pair[1]]);
        // Scores can be far below 1, so that only their ratio says what rounding is.
        if (high - low).abs() <= 1e-12 * low.abs().max(high.abs()) {
            tied[pair[1]] = low;
        }
    }
    tied
}

/// The places of the highest value.
fn highest(values: &[f64]) -> Vec<usize> {
    let values = tie(values);
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let places = values.iter().enumerate();
    let places = places.filter(|(_, value)| **value == highest);
    places.map(|(place, _)| place).collect()
}

/// How far each value belongs to the three highest: 1 or 0, or a part where ties share the last places.
fn members(values: &[f64]) -> Vec<f64> {
    let values = tie(values);
    let above = |value: f64| values.iter().filter(|other| **other > value).count();
    let same = |value: f64| values.iter().filter(|other| **other == value).count();
    let places = |value: &f64| {
        let left = TOP.saturating_sub(above(*value)) as f64;
        (left / same(*value) as f64).min(1.0)
    };
    values.iter().map(places).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::result;

    fn ranking(scores: &[(BiasTerm, f64)]) -> Vec<RankedTerm> {
        let row = |(term, score): &(BiasTerm, f64)| RankedTerm {
            term: *term,
            mean: Some(*score),
            layers: vec![Some(*score), Some(2.0 * *score)],
        };
        scores.iter().map(row).collect()
    }

    /// Two seeds of these terms with their accuracy, and two scorers: one right, one that gives all the same.
    fn compared(outcomes: &[(BiasTerm, f64)], scores: &[(BiasTerm, f64)]) -> Vec<Agreement> {
        let mut results = Vec::new();
        let mut resampled = BTreeMap::new();
        for seed in [0, 1] {
            for (term, accuracy) in outcomes {
                results.push(result(term.name(), seed, *accuracy));
                resampled.insert((term.name().to_owned(), seed), vec![*accuracy; RESAMPLES]);
            }
            let mut all = result("all", seed, 0.9);
            let same: Vec<(BiasTerm, f64)> = scores.iter().map(|(term, _)| (*term, 0.1)).collect();
            all.ranking = [
                ("fisher".to_owned(), ranking(scores)),
                ("flat".to_owned(), ranking(&same)),
            ]
            .into();
            results.push(all);
        }
        agreements(&results, "accuracy", &resampled)
    }

    #[test]
    fn a_scorer_that_knows_and_one_that_says_nothing() {
        use BiasTerm::{K, M2, Q, V};
        let outcomes = [(Q, 0.6), (K, 0.5), (V, 0.7), (M2, 0.8)];
        let scores = [(Q, 2e-20), (K, 1e-20), (V, 3e-20), (M2, 4e-20)];
        let found = compared(&outcomes, &scores);
        assert_eq!(found.len(), 2);
        let (fisher, flat) = (&found[0], &found[1]);
        assert_eq!((fisher.items, fisher.points.len()), (Items::Terms, 4));
        assert!(
            fisher
                .correlation
                .is_some_and(|rho| (rho - 1.0).abs() < 1e-12)
        );
        assert_eq!(fisher.best, (2, 2));
        assert_eq!((fisher.top, fisher.lost), (1.0, 0.0));
        // All equal: no correlation, no pick, a top three as good as chance.
        assert_eq!((flat.correlation, flat.best), (None, (0, 0)));
        assert!((flat.top - flat.top_by_chance()).abs() < 1e-12);
        assert!((flat.lost - (0.8 - 0.65)).abs() < 1e-12);
    }

    #[test]
    fn ties_count_in_part() {
        // 9 belongs to the best three, two of the three 5 do.
        let share = 2.0 / 3.0;
        assert_eq!(
            members(&[5.0, 1.0, 9.0, 5.0, 5.0]),
            [share, 0.0, 1.0, share, share]
        );
        assert_eq!(highest(&[0.1 + 0.2, 0.3, 0.1]), [0, 1]);
        // Tiny scores differ, although they are near each other.
        assert_eq!(highest(&[1e-20, 2e-20]), [1]);
    }

    #[test]
    fn sites_are_items_of_their_own() {
        let mut results = Vec::new();
        let mut resampled = BTreeMap::new();
        for (mode, accuracy) in [("v@0", 0.5), ("v@1", 0.6), ("q@0", 0.4), ("q@1", 0.5)] {
            results.push(result(mode, 0, accuracy));
            resampled.insert((mode.to_owned(), 0), vec![accuracy; RESAMPLES]);
        }
        let mut all = result("all", 0, 0.9);
        let scores = [(BiasTerm::V, 2.0), (BiasTerm::Q, 1.5)];
        all.ranking = [("beft".to_owned(), ranking(&scores))].into();
        results.push(all);
        let found = agreements(&results, "accuracy", &resampled);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].items, Items::Sites);
        assert!(is_site("v@1") && !is_site("v") && !is_site("v@1-2") && !is_site("v@1.h0"));
        let score = |name: &str| {
            found[0]
                .points
                .iter()
                .find(|p| p.name == name)
                .unwrap()
                .score
        };
        assert_eq!((score("v@1"), score("q@0")), (4.0, 1.5));
        assert_eq!(found[0].best, (1, 1));
        // Two items alone always have a correlation of 1 or -1.
        let two: Vec<TrialResult> = results.split_off(2);
        assert!(agreements(&two, "accuracy", &resampled).is_empty());
    }
}
