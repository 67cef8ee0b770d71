use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::{BiasPart, BiasSite, BiasTerm, UnknownTerm};

/// Which bias terms to train, as a user writes it.
///
/// | written | meaning |
/// |---|---|
/// | `v` | the value bias of every layer |
/// | `q,k,v` | three terms, every layer |
/// | `v@6-11`, `v@3` | the value bias of layers 6 to 11, of layer 3 (layers count from 0) |
/// | `q,v@0-2` | the query bias of every layer, the value bias of layers 0 to 2 |
/// | `v@3.h5`, `v.h0-3` | the value bias of head 5 of layer 3, of heads 0 to 3 of every layer (of q, k and v; heads count from 0) |
/// | `all` | every bias of the model (BitFit), those outside the layers included |
/// | `frozen` | no bias: the head alone |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TermSet {
    selection: Selection,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Selection {
    All,
    /// Empty: frozen.
    Entries(BTreeSet<Entry>),
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

/// A term set that cannot be read, or that does not fit the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TermSetError {
    /// A name that is no bias term.
    #[error(transparent)]
    UnknownTerm(#[from] UnknownTerm),
    /// The part after `.` is not a head or a range of heads.
    #[error(
        "cannot read the heads in `{0}`: write `v@3.h5` for one head or `v@3.h0-3` for a range"
    )]
    BadHeads(String),
    /// A term whose bias is not divided among heads.
    #[error("`{0}` names heads, and only the biases q, k and v are divided among heads")]
    NoHeads(String),
    /// A head the model does not have.
    #[error("`{entry}` names head {head}, but the model has {heads} heads of {} (0 to {})", .entry.split(['@', '.']).next().unwrap_or_default(), .heads.saturating_sub(1))]
    NoSuchHead {
        /// The entry as written.
        entry: String,
        /// The missing head.
        head: usize,
        /// Number of heads of that term.
        heads: usize,
    },
    /// The part after `@` is not a layer or a range of layers.
    #[error("cannot read the layers in `{0}`: write `v@3` for one layer or `v@6-11` for a range")]
    BadLayers(String),
    /// `all` or `frozen` together with other terms, or an empty part between commas.
    #[error(
        "cannot read the term set `{0}`: write terms separated by commas (`q,k,v`), or `all` or `frozen` alone"
    )]
    BadSet(String),
    /// A part that is written twice.
    #[error("the term set `{set}` names `{entry}` twice: leave one out")]
    Twice {
        /// The set as written.
        set: String,
        /// The entry.
        entry: String,
    },
    /// A term that the model's layers do not have.
    #[error("the model's layers have no bias `{0}`")]
    NoSuchTerm(BiasTerm),
    /// A layer the model does not have.
    #[error("`{entry}` names layer {layer}, but the model has {layers} layers (0 to {})", .layers.saturating_sub(1))]
    NoSuchLayer {
        /// The entry as written.
        entry: String,
        /// The missing layer.
        layer: usize,
        /// Number of layers of the model.
        layers: usize,
    },
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
            selection: Selection::Entries(BTreeSet::new()),
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
            selection: Selection::Entries(terms.into_iter().map(entry).collect()),
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
            selection: Selection::Entries(parts.into_iter().map(entry).collect()),
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
            Selection::Entries(entries) => Some(entries),
        };
        entries.into_iter().flatten()
    }

    /// Whether this is [`TermSet::frozen`].
    pub fn is_frozen(&self) -> bool {
        matches!(&self.selection, Selection::Entries(e) if e.is_empty())
    }

    /// The sites of this set in a model with `layers` layers, by layer and then by term.
    ///
    /// # Errors
    ///
    /// [`TermSetError::NoSuchLayer`] when a range reaches past the last layer.
    pub fn sites(&self, layers: usize) -> Result<BTreeSet<BiasSite>, TermSetError> {
        let Selection::Entries(entries) = &self.selection else {
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
        let Selection::Entries(entries) = &self.selection else {
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
        let mut all = BTreeSet::new();
        for set in sets {
            match set.selection {
                Selection::All => return Self::all(),
                Selection::Entries(entries) => all.extend(entries),
            }
        }
        Self {
            selection: Selection::Entries(all),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.term)?;
        for (mark, span) in [("@", self.layers), (".h", self.heads)] {
            match span {
                Span::Every => {}
                Span::Range(a, b) if a == b => write!(f, "{mark}{a}")?,
                Span::Range(a, b) => write!(f, "{mark}{a}-{b}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for TermSet {
    /// The canonical spelling: parsing it gives the same set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.selection {
            Selection::All => f.pad("all"),
            Selection::Entries(entries) if entries.is_empty() => f.pad("frozen"),
            Selection::Entries(entries) => {
                let names: Vec<_> = entries.iter().map(Entry::to_string).collect();
                f.pad(&names.join(","))
            }
        }
    }
}

impl FromStr for TermSet {
    type Err = TermSetError;

    fn from_str(s: &str) -> Result<Self, TermSetError> {
        match s.trim().to_ascii_lowercase().as_str() {
            "all" => return Ok(Self::all()),
            "frozen" | "none" => return Ok(Self::frozen()),
            _ => {}
        }
        let mut entries = BTreeSet::new();
        for part in s.split(',').map(str::trim) {
            if part.is_empty()
                || matches!(
                    part.to_ascii_lowercase().as_str(),
                    "all" | "frozen" | "none"
                )
            {
                return Err(TermSetError::BadSet(s.to_owned()));
            }
            let (site, heads) = match part.split_once('.') {
                None => (part, Span::Every),
                Some((site, heads)) => {
                    let bad = || TermSetError::BadHeads(part.to_owned());
                    let span = heads.trim().strip_prefix(['h', 'H']).ok_or_else(bad)?;
                    (site, parse_span(span).ok_or_else(bad)?)
                }
            };
            let (term, layers) = match site.split_once('@') {
                None => (site, Span::Every),
                Some((term, span)) => {
                    let bad = || TermSetError::BadLayers(part.to_owned());
                    (term, parse_span(span).ok_or_else(bad)?)
                }
            };
            let term: BiasTerm = term.parse()?;
            if heads != Span::Every && !BiasTerm::QKV.contains(&term) {
                return Err(TermSetError::NoHeads(part.to_owned()));
            }
            let entry = Entry {
                term,
                layers,
                heads,
            };
            if !entries.insert(entry) {
                return Err(TermSetError::Twice {
                    set: s.to_owned(),
                    entry: entry.to_string(),
                });
            }
        }
        Ok(Self {
            selection: Selection::Entries(entries),
        })
    }
}

/// `3`, `6-11`
fn parse_span(span: &str) -> Option<Span> {
    // No model has so many that one more would overflow.
    let number = |s: &str| s.trim().parse::<u32>().ok().map(|n| n as usize);
    let (first, last) = match span.split_once('-') {
        None => (number(span)?, number(span)?),
        Some((first, last)) => (number(first)?, number(last)?),
    };
    (first <= last).then_some(Span::Range(first, last))
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
