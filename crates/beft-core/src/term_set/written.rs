//! How a term set is written.

use std::fmt;
use std::str::FromStr;

use super::{Entry, Named, Selection, Span, TermSet, TermSetError};
use crate::{BiasTerm, OuterTerm};

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
            Selection::Named(_) if self.is_frozen() => f.pad("frozen"),
            Selection::Named(Named { entries, outer }) => {
                let inner = entries.iter().map(Entry::to_string);
                let names: Vec<_> = inner
                    .chain(outer.iter().map(OuterTerm::to_string))
                    .collect();
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
        let mut named = Named::default();
        let twice = |entry: String| TermSetError::Twice {
            set: s.to_owned(),
            entry,
        };
        for part in s.split(',').map(str::trim) {
            if part.is_empty()
                || matches!(
                    part.to_ascii_lowercase().as_str(),
                    "all" | "frozen" | "none"
                )
            {
                return Err(TermSetError::BadSet(s.to_owned()));
            }
            let name = part.split(['@', '.']).next().unwrap_or_default().trim();
            if let Some(outer) = OuterTerm::named(name) {
                if name != part {
                    return Err(TermSetError::Outside(part.to_owned()));
                }
                if !named.outer.insert(outer) {
                    return Err(twice(outer.to_string()));
                }
                continue;
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
            if !named.entries.insert(entry) {
                return Err(twice(entry.to_string()));
            }
        }
        Ok(Self {
            selection: Selection::Named(named),
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
