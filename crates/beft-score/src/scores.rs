use std::cmp::Ordering;
use std::collections::BTreeMap;

use beft_core::{BiasSite, BiasTerm};
use serde::{Deserialize, Serialize};

use crate::Note;

/// The score of one bias.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cell {
    /// The score; `None` where the formula has no value.
    pub value: Option<f64>,
    /// What is unusual about it.
    pub note: Option<Note>,
}

impl Cell {
    /// A cell with the given value; without a value and with [`Note::NotFinite`] if it is NaN or
    /// infinite.
    pub fn of(value: f64) -> Self {
        if value.is_finite() {
            Self {
                value: Some(value),
                note: None,
            }
        } else {
            Self {
                value: None,
                note: Some(Note::NotFinite),
            }
        }
    }
}

/// The importance of biases: one cell per layer and term, all from one scorer.
///
/// Every value is finite. A term's score is the mean over its layers; a larger score means a more
/// important term.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    scorer: String,
    cells: BTreeMap<BiasSite, Cell>,
}

/// One term of a ranking, as written to JSON:
/// `{"term": "v", "mean": 0.35, "layers": [0.31, null, 0.39]}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankedTerm {
    /// The term.
    pub term: BiasTerm,
    /// Mean over the layers that have a value; `None` if none has.
    pub mean: Option<f64>,
    /// The score of each layer, from layer 0; `None` where there is none.
    pub layers: Vec<Option<f64>>,
}

impl Scores {
    /// Makes scores with the name of their scorer. A value that is not finite is replaced, as in
    /// [`Cell::of`].
    pub fn new(scorer: impl Into<String>, mut cells: BTreeMap<BiasSite, Cell>) -> Self {
        for cell in cells.values_mut() {
            if let Some(value) = cell.value.filter(|value| !value.is_finite()) {
                *cell = Cell::of(value);
            }
        }
        Self {
            scorer: scorer.into(),
            cells,
        }
    }

    /// Scores from plain values, for a score that no [`Scorer`](crate::Scorer) computes. Values
    /// that are not finite become undefined, as in [`Cell::of`].
    pub fn from_values(
        scorer: impl Into<String>,
        values: impl IntoIterator<Item = (BiasSite, f64)>,
    ) -> Self {
        let cells = values.into_iter().map(|(site, x)| (site, Cell::of(x)));
        Self::new(scorer, cells.collect())
    }

    /// The name of the scorer: `beft`, `magnitude`.
    pub fn scorer(&self) -> &str {
        &self.scorer
    }

    /// All cells, by layer and then by term.
    pub fn cells(&self) -> &BTreeMap<BiasSite, Cell> {
        &self.cells
    }

    /// The score of one bias; `None` if it was not scored or has no value.
    pub fn value(&self, site: BiasSite) -> Option<f64> {
        self.cells.get(&site).and_then(|cell| cell.value)
    }

    /// Whether a bias of the term was scored, with a value or without.
    pub fn has(&self, term: BiasTerm) -> bool {
        self.cells.keys().any(|site| site.term == term)
    }

    /// Number of layers: one more than the last layer that was scored.
    pub fn layers(&self) -> usize {
        self.cells
            .last_key_value()
            .map_or(0, |(site, _)| site.layer + 1)
    }

    /// The cells that have a note, by layer and then by term.
    pub fn notes(&self) -> impl Iterator<Item = (BiasSite, Note)> {
        self.cells
            .iter()
            .filter_map(|(site, cell)| Some((*site, cell.note?)))
    }

    /// The score of a term: the mean over the layers that have a value; `None` if none has.
    pub fn term_mean(&self, term: BiasTerm) -> Option<f64> {
        let (mut sum, mut count) = (0.0, 0_usize);
        for (site, cell) in &self.cells {
            if let Some(value) = cell.value.filter(|_| site.term == term) {
                sum += value;
                count += 1;
            }
        }
        (count > 0).then(|| sum / count as f64)
    }

    /// Every scored term with its [`term_mean`](Self::term_mean), in table order (q, k, v, m1, ln1,
    /// m2, m3, ln2).
    pub fn means(&self) -> Vec<(BiasTerm, Option<f64>)> {
        BiasTerm::ALL
            .into_iter()
            .filter(|term| self.has(*term))
            .map(|term| (term, self.term_mean(term)))
            .collect()
    }

    /// The terms that have a score, from the most to the least important; equal ones in table
    /// order.
    pub fn ranking(&self) -> Vec<(BiasTerm, f64)> {
        let mut ranking: Vec<_> = self
            .means()
            .into_iter()
            .filter_map(|(term, mean)| Some((term, mean?)))
            .collect();
        // The sort is stable, and -0.0 must tie with 0.0.
        ranking.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap_or(Ordering::Equal));
        ranking
    }

    /// The term to fine-tune: the highest score among q, k and v (the paper's choice, arXiv
    /// 2509.15974).
    ///
    /// `None` if none of the three has a score, or if the best two are equal: BEFT gives 1 to every
    /// bias of a model that had none before, which tells nothing about the terms.
    pub fn recommended(&self) -> Option<BiasTerm> {
        let mut ranking = self.ranking();
        ranking.retain(|(term, _)| BiasTerm::QKV.contains(term));
        match ranking[..] {
            [(_, best), (_, second), ..] if best == second => None,
            [(term, _), ..] => Some(term),
            [] => None,
        }
    }

    /// Every scored term as written to JSON, in the order of [`ranking`](Self::ranking); terms
    /// without a score come last.
    pub fn to_ranking(&self) -> Vec<RankedTerm> {
        let unranked = self.means().into_iter().filter(|(_, mean)| mean.is_none());
        self.ranking()
            .into_iter()
            .map(|(term, mean)| (term, Some(mean)))
            .chain(unranked)
            .map(|(term, mean)| RankedTerm {
                term,
                mean,
                layers: (0..self.layers())
                    .map(|layer| self.value(BiasSite::new(layer, term)))
                    .collect(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use beft_core::BiasTerm::{K, Ln2, M1, Q, V};

    use super::*;

    fn scores(values: &[(usize, BiasTerm, f64)]) -> Scores {
        let values = values
            .iter()
            .map(|&(layer, term, x)| (BiasSite::new(layer, term), x));
        Scores::from_values("test", values)
    }

    #[test]
    fn means_skip_layers_without_a_value() {
        let scores = scores(&[
            (0, V, 0.25),
            (2, V, 0.75),
            (1, V, f64::NAN),
            (0, K, f64::INFINITY),
            (1, Q, 0.125),
        ]);
        assert_eq!(scores.layers(), 3);
        assert_eq!(scores.term_mean(V), Some(0.5));
        assert_eq!(scores.term_mean(K), None);
        assert_eq!(scores.term_mean(M1), None);
        assert_eq!(
            scores.means(),
            [(Q, Some(0.125)), (K, None), (V, Some(0.5))]
        );
        let noted: Vec<_> = scores.notes().collect();
        assert_eq!(
            noted,
            [
                (BiasSite::new(0, K), Note::NotFinite),
                (BiasSite::new(1, V), Note::NotFinite)
            ]
        );
    }

    #[test]
    fn ranks_by_mean_and_then_by_table_order() {
        let scores = scores(&[
            (0, Ln2, 0.5),
            (0, M1, 0.9),
            (0, V, 0.5),
            (0, Q, -0.0),
            (0, K, 0.0),
        ]);
        let order: Vec<_> = scores.ranking().into_iter().map(|(term, _)| term).collect();
        assert_eq!(order, [M1, V, Ln2, Q, K]);
        assert_eq!(scores.recommended(), Some(V));
    }

    #[test]
    fn nothing_to_recommend_without_a_best_of_q_k_and_v() {
        assert_eq!(scores(&[(0, Q, 1.0), (0, V, 1.0)]).recommended(), None);
        let clear = scores(&[(0, Q, 0.5), (0, K, 0.5), (0, V, 1.0)]);
        assert_eq!(clear.recommended(), Some(V));
        assert_eq!(scores(&[]).recommended(), None);
        assert_eq!(scores(&[]).layers(), 0);
        let scores = scores(&[(0, M1, 1.0), (0, V, f64::NAN)]);
        assert_eq!(scores.recommended(), None);
    }

    #[test]
    fn ranking_as_json() {
        let scores = scores(&[
            (0, V, 0.25),
            (1, V, f64::NAN),
            (0, M1, 0.5),
            (1, M1, 0.25),
            (0, K, f64::NAN),
        ]);
        let json = serde_json::to_string(&scores.to_ranking()).unwrap();
        assert_eq!(
            json,
            r#"[{"term":"m1","mean":0.375,"layers":[0.5,0.25]},"#.to_owned()
                + r#"{"term":"v","mean":0.25,"layers":[0.25,null]},"#
                + r#"{"term":"k","mean":null,"layers":[null,null]}]"#
        );
        let back: Vec<RankedTerm> = serde_json::from_str(&json).unwrap();
        assert_eq!(back, scores.to_ranking());
    }

    #[test]
    fn values_that_are_not_finite_never_get_in() {
        let site = BiasSite::new(0, V);
        let cell = Cell {
            value: Some(f64::NAN),
            note: None,
        };
        let scores = Scores::new("test", [(site, cell)].into());
        assert_eq!(scores.cells()[&site], Cell::of(f64::NAN));
        assert_eq!(scores.value(site), None);
    }
}
