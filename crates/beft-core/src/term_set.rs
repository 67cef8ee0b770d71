use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::{BiasSite, BiasTerm, UnknownTerm};

/// Which bias terms to train, as a user writes it.
///
/// | written | meaning |
/// |---|---|
/// | `v` | the value bias of every layer |
/// | `q,k,v` | three terms, every layer |
/// | `v@6-11`, `v@3` | the value bias of layers 6 to 11, of layer 3 (layers count from 0) |
/// | `q,v@0-2` | the query bias of every layer, the value bias of layers 0 to 2 |
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
    Entries(BTreeSet<(BiasTerm, Layers)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layers {
    Every,
    /// First and last layer, both included.
    Range(usize, usize),
}

/// A term set that cannot be read, or that does not fit the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TermSetError {
    /// A name that is no bias term.
    #[error(transparent)]
    UnknownTerm(#[from] UnknownTerm),
    /// The part after `@` is not a layer or a range of layers.
    #[error("cannot read the layers in `{0}`: write `v@3` for one layer or `v@6-11` for a range")]
    BadLayers(String),
    /// `all` or `frozen` together with other terms, or an empty part between commas.
    #[error(
        "cannot read the term set `{0}`: write terms separated by commas (`q,k,v`), or `all` or `frozen` alone"
    )]
    BadSet(String),
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
        let entries = terms.into_iter().map(|t| (t, Layers::Every)).collect();
        Self {
            selection: Selection::Entries(entries),
        }
    }

    /// Whether this is [`TermSet::all`].
    pub fn is_all(&self) -> bool {
        self.selection == Selection::All
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
        for &(term, span) in entries {
            let (first, last) = match span {
                Layers::Every => (0, layers.saturating_sub(1)),
                Layers::Range(first, last) => (first, last),
            };
            if span != Layers::Every && last >= layers {
                return Err(TermSetError::NoSuchLayer {
                    entry: entry_name(term, span),
                    layer: last,
                    layers,
                });
            }
            sites.extend(
                (first..=last)
                    .filter(|l| *l < layers)
                    .map(|l| BiasSite::new(l, term)),
            );
        }
        Ok(sites)
    }
}

fn entry_name(term: BiasTerm, layers: Layers) -> String {
    match layers {
        Layers::Every => term.to_string(),
        Layers::Range(a, b) if a == b => format!("{term}@{a}"),
        Layers::Range(a, b) => format!("{term}@{a}-{b}"),
    }
}

impl fmt::Display for TermSet {
    /// The canonical spelling: parsing it gives the same set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.selection {
            Selection::All => f.pad("all"),
            Selection::Entries(entries) if entries.is_empty() => f.pad("frozen"),
            Selection::Entries(entries) => {
                let names: Vec<_> = entries.iter().map(|(t, l)| entry_name(*t, *l)).collect();
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
            let (term, layers) = match part.split_once('@') {
                None => (part, Layers::Every),
                Some((term, span)) => (term, parse_layers(part, span)?),
            };
            entries.insert((term.parse::<BiasTerm>()?, layers));
        }
        Ok(Self {
            selection: Selection::Entries(entries),
        })
    }
}

fn parse_layers(part: &str, span: &str) -> Result<Layers, TermSetError> {
    let bad = || TermSetError::BadLayers(part.to_owned());
    let number = |s: &str| s.trim().parse::<usize>().map_err(|_| bad());
    let (first, last) = match span.split_once('-') {
        None => (number(span)?, number(span)?),
        Some((first, last)) => (number(first)?, number(last)?),
    };
    if first > last {
        return Err(bad());
    }
    Ok(Layers::Range(first, last))
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
    fn refuses_what_it_cannot_mean() {
        assert!(matches!(parse("w"), Err(TermSetError::UnknownTerm(_))));
        assert!(matches!(parse(""), Err(TermSetError::BadSet(_))));
        assert!(matches!(parse("q,,v"), Err(TermSetError::BadSet(_))));
        assert!(matches!(parse("q,all"), Err(TermSetError::BadSet(_))));
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
