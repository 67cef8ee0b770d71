mod error;
mod written;

use std::collections::BTreeSet;

use crate::{BiasPart, BiasSite, BiasTerm, OuterTerm};

pub use error::TermSetError;

/// Which bias terms to train, as a user writes it.
///
/// | written | meaning |
/// |---|---|
/// | `v` | the value bias of every layer |
/// | `q,k,v` | three terms, every layer |
/// | `v@6-11`, `v@3` | the value bias of layers 6 to 11, of layer 3 (layers count from 0) |
/// | `q,v@0-2` | the query bias of every layer, the value bias of layers 0 to 2 |
/// | `v@3.h5`, `v.h0-3` | the value bias of head 5 of layer 3, of heads 0 to 3 of every layer (of q, k and v; heads count from 0) |
/// | `pooler`, `v,embeddings` | a bias outside the layers ([`OuterTerm`]) |
/// | `all` | every bias of the model (BitFit), those outside the layers included |
/// | `frozen` | no bias: the head alone |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TermSet {
    selection: Selection,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Selection {
    All,
    Named(Named),
}

/// What is named; nothing where the set is frozen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Named {
    /// In the layers.
    entries: BTreeSet<Entry>,
    /// Outside the layers.
    outer: BTreeSet<OuterTerm>,
}

impl From<BTreeSet<Entry>> for Selection {
    fn from(entries: BTreeSet<Entry>) -> Self {
        Self::Named(Named {
            entries,
            ..Named::default()
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    term: BiasTerm,
    layers: Span,
    heads: Span,
}

/// Layers or heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Span {
    Every,
    /// First and last one, both included.
    Range(usize, usize),
}

impl Span {
    const fn one(index: usize) -> Self {
        Self::Range(index, index)
    }

    /// Those of so many.
    fn of(self, count: usize) -> std::ops::Range<usize> {
        match self {
            Self::Every => 0..count,
            Self::Range(first, last) => first..(last + 1).min(count),
        }
    }

    fn contains(self, index: usize) -> bool {
        match self {
            Self::Every => true,
            Self::Range(first, last) => (first..=last).contains(&index),
        }
    }

    /// The last one, if it is not among so many.
    fn beyond(self, count: usize) -> Option<usize> {
        match self {
            Self::Range(_, last) if last >= count => Some(last),
            _ => None,
        }
    }
}

impl TermSet {
    /// Every bias of the model, embeddings norm and pooler included (BitFit).
    pub const fn all() -> Self {
        Self {
            selection: Selection::All,
        }
    }

    /// No bias at all: the head alone is trained.
    pub const fn frozen() -> Self {
        Self {
            selection: Selection::Named(Named {
                entries: BTreeSet::new(),
                outer: BTreeSet::new(),
            }),
        }
    }

    /// The given terms in every layer.
    pub fn of(terms: impl IntoIterator<Item = BiasTerm>) -> Self {
        let entry = |term| Entry {
            term,
            layers: Span::Every,
            heads: Span::Every,
        };
        Self {
            selection: terms.into_iter().map(entry).collect::<BTreeSet<_>>().into(),
        }
    }

    /// The given parts of biases.
    pub fn at(parts: impl IntoIterator<Item = BiasPart>) -> Self {
        let entry = |part: BiasPart| Entry {
            term: part.site.term,
            layers: Span::one(part.site.layer),
            heads: part.head.map_or(Span::Every, Span::one),
        };
        Self {
            selection: parts.into_iter().map(entry).collect::<BTreeSet<_>>().into(),
        }
    }

    /// Whether this is [`TermSet::all`].
    pub fn is_all(&self) -> bool {
        self.selection == Selection::All
    }

    /// Whether it names single layers.
    pub fn names_layers(&self) -> bool {
        self.entries().any(|entry| entry.layers != Span::Every)
    }

    /// Whether it names single heads.
    pub fn names_heads(&self) -> bool {
        self.entries().any(|entry| entry.heads != Span::Every)
    }

    /// Whether it names one of these terms, in any layer.
    pub fn names_any(&self, terms: &[BiasTerm]) -> bool {
        self.is_all() || self.entries().any(|entry| terms.contains(&entry.term))
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        let entries = match &self.selection {
            Selection::All => None,
            Selection::Named(named) => Some(&named.entries),
        };
        entries.into_iter().flatten()
    }

    /// The biases outside the layers that it names; none of `all`, which names no one.
    pub fn outer(&self) -> impl Iterator<Item = OuterTerm> {
        let outer = match &self.selection {
            Selection::All => None,
            Selection::Named(named) => Some(&named.outer),
        };
        outer.into_iter().flatten().copied()
    }

    /// Fails where it names a bias outside the layers that is not among those of a model.
    ///
    /// # Errors
    ///
    /// [`TermSetError::NoSuchOuter`].
    pub fn check_outer(&self, has: &[OuterTerm]) -> Result<(), TermSetError> {
        match self.outer().find(|term| !has.contains(term)) {
            None => Ok(()),
            Some(term) => Err(TermSetError::NoSuchOuter {
                term,
                has: has.to_vec(),
            }),
        }
    }

    /// Whether this is [`TermSet::frozen`].
    pub fn is_frozen(&self) -> bool {
        self.selection == Selection::Named(Named::default())
    }

    /// The sites of this set in a model with `layers` layers, by layer and then by term.
    ///
    /// # Errors
    ///
    /// [`TermSetError::NoSuchLayer`] when a range reaches past the last layer.
    pub fn sites(&self, layers: usize) -> Result<BTreeSet<BiasSite>, TermSetError> {
        let Selection::Named(Named { entries, .. }) = &self.selection else {
            return Ok(BiasSite::all(layers).collect());
        };
        let mut sites = BTreeSet::new();
        for entry in entries {
            if let Some(layer) = entry.layers.beyond(layers) {
                return Err(TermSetError::NoSuchLayer {
                    entry: entry.to_string(),
                    layer,
                    layers,
                });
            }
            let of = entry.layers.of(layers);
            sites.extend(of.map(|layer| BiasSite::new(layer, entry.term)));
        }
        Ok(sites)
    }

    /// The heads of a site that the set names; `None` if it names the whole site, or nothing of it. `heads` is the number of
    /// heads of its term.
    ///
    /// # Errors
    ///
    /// [`TermSetError::NoSuchHead`] when a range reaches past the last head.
    pub fn heads(
        &self,
        site: BiasSite,
        heads: usize,
    ) -> Result<Option<BTreeSet<usize>>, TermSetError> {
        let Selection::Named(Named { entries, .. }) = &self.selection else {
            return Ok(None);
        };
        let mut named = BTreeSet::new();
        let names = |entry: &&Entry| entry.term == site.term && entry.layers.contains(site.layer);
        for entry in entries.iter().filter(names) {
            if let Some(head) = entry.heads.beyond(heads) {
                return Err(TermSetError::NoSuchHead {
                    entry: entry.to_string(),
                    head,
                    heads,
                });
            }
            if entry.heads == Span::Every {
                return Ok(None);
            }
            named.extend(entry.heads.of(heads));
        }
        Ok((!named.is_empty()).then_some(named))
    }
}

/// All that one of the sets names.
impl FromIterator<TermSet> for TermSet {
    fn from_iter<I: IntoIterator<Item = TermSet>>(sets: I) -> Self {
        let mut all = Named::default();
        for set in sets {
            match set.selection {
                Selection::All => return Self::all(),
                Selection::Named(named) => {
                    all.entries.extend(named.entries);
                    all.outer.extend(named.outer);
                }
            }
        }
        Self {
            selection: Selection::Named(all),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BiasTerm::{K, Q, V};

    fn parse(s: &str) -> Result<TermSet, TermSetError> {
        s.parse()
    }

    #[test]
    fn parses_and_prints_back() {
        for (written, canonical) in [
            ("v", "v"),
            (" K , q ", "q,k"),
            ("all", "all"),
            ("frozen", "frozen"),
            ("none", "frozen"),
            ("v@6-11", "v@6-11"),
            ("LN2@3-3,q", "q,ln2@3"),
            ("Pooler, v,embeddings", "v,embeddings,pooler"),
            ("V@3.H5,v.h0-2, k@1-2.h1", "k@1-2.h1,v.h0-2,v@3.h5"),
        ] {
            let set = parse(written).unwrap();
            assert_eq!(set.to_string(), canonical);
            assert_eq!(parse(canonical).unwrap(), set);
        }
    }

    #[test]
    fn sites_follow_the_layers() {
        let sites = parse("q,v@1-2").unwrap().sites(3).unwrap();
        let expected = [(0, Q), (1, Q), (1, V), (2, Q), (2, V)];
        assert!(
            sites
                .into_iter()
                .eq(expected.map(|(l, t)| BiasSite::new(l, t)))
        );
        assert_eq!(TermSet::all().sites(2).unwrap().len(), 16);
        assert!(TermSet::frozen().sites(12).unwrap().is_empty());
        assert_eq!(TermSet::of([K]).sites(12).unwrap().len(), 12);
    }

    #[test]
    fn heads_are_parts_of_a_site() {
        let set = parse("v@1.h5,v.h0-1,k@1,k@1.h2").unwrap();
        let heads = |layer, term| set.heads(BiasSite::new(layer, term), 6).unwrap();
        assert_eq!(heads(1, V), Some([0, 1, 5].into()));
        assert_eq!(heads(0, V), Some([0, 1].into()));
        // Named whole too, and not at all.
        assert_eq!((heads(1, K), heads(0, K), heads(0, Q)), (None, None, None));
        assert_eq!(set.sites(2).unwrap().len(), 3);
        let error = set.heads(BiasSite::new(1, V), 4).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`v@1.h5` names head 5, but the model has 4 heads of v (0 to 3)"
        );
        let part = BiasPart {
            site: BiasSite::new(3, V),
            head: Some(5),
        };
        assert_eq!(TermSet::at([part]), parse("v@3.h5").unwrap());
        assert_eq!(part.to_string(), "v@3.h5");
    }

    #[test]
    fn refuses_what_it_cannot_mean() {
        assert!(matches!(parse("v@3.5"), Err(TermSetError::BadHeads(_))));
        assert!(matches!(parse("v@3.h"), Err(TermSetError::BadHeads(_))));
        assert!(matches!(parse("m3@3.h1"), Err(TermSetError::NoHeads(_))));
        assert!(matches!(parse("w"), Err(TermSetError::UnknownTerm(_))));
        assert!(matches!(parse(""), Err(TermSetError::BadSet(_))));
        assert!(matches!(parse("q,,v"), Err(TermSetError::BadSet(_))));
        assert!(matches!(parse("q,all"), Err(TermSetError::BadSet(_))));
        for text in ["pooler@1", "embeddings.h0"] {
            assert!(matches!(parse(text), Err(TermSetError::Outside(_))));
        }
        assert!(parse("pooler,v,pooler").is_err());
        let outer = parse("final_norm").unwrap();
        assert!(!outer.is_frozen());
        assert!(outer.sites(3).unwrap().is_empty());
        let error = parse("v@3,q,V@3-3").unwrap_err().to_string();
        assert_eq!(
            error,
            "the term set `v@3,q,V@3-3` names `v@3` twice: leave one out"
        );
        assert!(matches!(parse("v@"), Err(TermSetError::BadLayers(_))));
        assert!(matches!(parse("v@5-2"), Err(TermSetError::BadLayers(_))));
        assert!(matches!(parse("v@-1"), Err(TermSetError::BadLayers(_))));
        let error = parse("v@6-11").unwrap().sites(6).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`v@6-11` names layer 11, but the model has 6 layers (0 to 5)"
        );
    }
}
