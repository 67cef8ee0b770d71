use crate::{BiasTerm, OuterTerm, UnknownTerm};

/// A term set that cannot be read, or that does not fit the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TermSetError {
    /// A name that is no bias term.
    #[error("{}, or outside the layers {}", .0, names(&OuterTerm::ALL))]
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
    /// Layers or heads of a bias outside the layers.
    #[error("`{0}` names layers or heads, and this bias is outside the layers: leave them out")]
    Outside(String),
    /// A bias outside the layers that the model does not have.
    #[error("the model has no bias `{term}` outside its layers{}", listed(.has))]
    NoSuchOuter {
        /// The term.
        term: OuterTerm,
        /// Those that it has.
        has: Vec<OuterTerm>,
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

/// `embeddings, pooler`
fn names(terms: &[OuterTerm]) -> String {
    let names: Vec<&str> = terms.iter().map(|term| term.name()).collect();
    names.join(", ")
}

/// `; it has embeddings, pooler: name one of them`
fn listed(terms: &[OuterTerm]) -> String {
    match terms.is_empty() {
        true => ", which have all of its biases: name others".to_owned(),
        false => format!("; it has {}: name one of them", names(terms)),
    }
}
