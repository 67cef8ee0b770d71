use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One of the eight bias vectors of a transformer layer, named as in the BEFT paper (section 3).
///
/// The order is the order of a forward pass and of every table in the reports. Lengths: `m2` has
/// the intermediate size, all others the hidden size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BiasTerm {
    /// Query projection.
    Q,
    /// Key projection.
    K,
    /// Value projection.
    V,
    /// Attention output projection.
    M1,
    /// First layer norm (after attention in BERT).
    Ln1,
    /// First feed-forward projection (hidden to intermediate size).
    M2,
    /// Second feed-forward projection (intermediate to hidden size).
    M3,
    /// Second layer norm (after the feed-forward block in BERT).
    Ln2,
}

impl BiasTerm {
    /// All eight terms, in table order.
    pub const ALL: [Self; 8] = [
        Self::Q,
        Self::K,
        Self::V,
        Self::M1,
        Self::Ln1,
        Self::M2,
        Self::M3,
        Self::Ln2,
    ];

    /// The three terms the paper chooses among.
    pub const QKV: [Self; 3] = [Self::Q, Self::K, Self::V];

    /// The short name used on the command line, in reports and in files: `q`, `k`, `v`, `m1`,
    /// `ln1`, `m2`, `m3`, `ln2`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Q => "q",
            Self::K => "k",
            Self::V => "v",
            Self::M1 => "m1",
            Self::Ln1 => "ln1",
            Self::M2 => "m2",
            Self::M3 => "m3",
            Self::Ln2 => "ln2",
        }
    }
}

impl fmt::Display for BiasTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The name is not one of the eight bias terms.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown bias term `{0}`: expected one of q, k, v, m1, ln1, m2, m3, ln2")]
pub struct UnknownTerm(pub String);

impl FromStr for BiasTerm {
    type Err = UnknownTerm;

    fn from_str(s: &str) -> Result<Self, UnknownTerm> {
        let lower = s.trim().to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|t| t.name() == lower)
            .ok_or_else(|| UnknownTerm(s.trim().to_owned()))
    }
}

/// A bias term in one layer. Layers count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BiasSite {
    /// Layer index, from 0.
    pub layer: usize,
    /// The term within the layer.
    pub term: BiasTerm,
}

impl BiasSite {
    /// The site of `term` in `layer`.
    pub const fn new(layer: usize, term: BiasTerm) -> Self {
        Self { layer, term }
    }

    /// Every site of a model with `layers` layers, layer by layer.
    pub fn all(layers: usize) -> impl Iterator<Item = Self> {
        (0..layers).flat_map(|layer| BiasTerm::ALL.map(|term| Self { layer, term }))
    }
}

/// A bias in one layer, or one head's part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BiasPart {
    /// The bias.
    pub site: BiasSite,
    /// The head, from 0; `None` for the whole bias.
    pub head: Option<usize>,
}

impl From<BiasSite> for BiasPart {
    fn from(site: BiasSite) -> Self {
        Self { site, head: None }
    }
}

/// Numbers of attention heads of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadCounts {
    /// Those of queries.
    pub query: usize,
    /// Those of keys and values, which may be fewer.
    pub key_value: usize,
}

impl HeadCounts {
    /// Number of heads that the bias of a term is divided among; 1 if it is not.
    pub const fn of(self, term: BiasTerm) -> usize {
        match term {
            BiasTerm::Q => self.query,
            BiasTerm::K | BiasTerm::V => self.key_value,
            BiasTerm::M1 | BiasTerm::Ln1 | BiasTerm::M2 | BiasTerm::M3 | BiasTerm::Ln2 => 1,
        }
    }
}

impl fmt::Display for BiasPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.head {
            None => self.site.fmt(f),
            Some(head) => write!(f, "{}.h{head}", self.site),
        }
    }
}

impl fmt::Display for BiasSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.term, self.layer)
    }
}
