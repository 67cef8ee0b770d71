use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::{BiasTerm, TermSet, TermSetError};

/// What is trained beside the task head: biases, or one of what the paper compares them with.
///
/// | written | meaning |
/// |---|---|
/// | `v`, `q,k,v`, `v@6-11`, `all`, `frozen` | a [`TermSet`] |
/// | `full` | every parameter |
/// | `random` | as many entries as there are biases, drawn over all parameters |
/// | `random-lines` | one row or column, drawn at random, of each weight matrix of the layers |
/// | `lora-v`, `lora-qv` | a low-rank update (LoRA) of the query, key or value weights |
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Biases.
    Biases(TermSet),
    /// Full fine-tuning.
    Full,
    /// A random mask over all parameters (the paper's random-uniform baseline).
    Random,
    /// A random row or column of each weight matrix.
    RandomLines,
    /// LoRA on the projections of these terms, of q, k and v; not empty.
    Lora(BTreeSet<BiasTerm>),
}

/// A mode that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModeError {
    /// `lora-` followed by anything but letters of q, k, v.
    #[error("cannot read `{0}`: write lora-q, lora-k, lora-v, or several as lora-qv")]
    Lora(String),
    /// Neither a mode nor a term set.
    #[error("{0}; other modes: full, random, random-lines, lora-v")]
    Terms(#[from] TermSetError),
}

const LORA: &str = "lora-";

impl Mode {
    /// The term set, where only biases are trained.
    pub fn terms(&self) -> Option<&TermSet> {
        match self {
            Self::Biases(terms) => Some(terms),
            _ => None,
        }
    }
}

impl From<TermSet> for Mode {
    fn from(terms: TermSet) -> Self {
        Self::Biases(terms)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Biases(terms) => terms.fmt(f),
            Self::Full => f.pad("full"),
            Self::Random => f.pad("random"),
            Self::RandomLines => f.pad("random-lines"),
            Self::Lora(terms) => {
                let letters: String = terms.iter().map(BiasTerm::to_string).collect();
                f.pad(&format!("{LORA}{letters}"))
            }
        }
    }
}

impl FromStr for Mode {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Self, ModeError> {
        let plain = text.trim().to_ascii_lowercase();
        match plain.as_str() {
            "full" => return Ok(Self::Full),
            "random" => return Ok(Self::Random),
            "random-lines" => return Ok(Self::RandomLines),
            _ => {}
        }
        let Some(letters) = plain.strip_prefix(LORA) else {
            return Ok(Self::Biases(text.parse()?));
        };
        let mut terms = BTreeSet::new();
        for letter in letters.chars().filter(|c| *c != ',') {
            let term = letter.to_string().parse::<BiasTerm>().ok();
            let term = term.filter(|term| BiasTerm::QKV.contains(term));
            terms.insert(term.ok_or_else(|| ModeError::Lora(text.to_owned()))?);
        }
        if terms.is_empty() {
            return Err(ModeError::Lora(text.to_owned()));
        }
        Ok(Self::Lora(terms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_as_they_are_written() {
        for text in [
            "v",
            "q,k,v",
            "v@6-11",
            "all",
            "frozen",
            "full",
            "random",
            "random-lines",
            "lora-v",
            "lora-qkv",
        ] {
            let mode: Mode = text.parse().unwrap();
            assert_eq!(mode.to_string(), text);
        }
        assert_eq!("LoRA-v,q".parse::<Mode>().unwrap().to_string(), "lora-qv");
        assert!("lora-v".parse::<Mode>().unwrap().terms().is_none());
    }

    #[test]
    fn errors_say_what_there_is() {
        for text in ["lora-", "lora-m1", "lora-x"] {
            let error = text.parse::<Mode>().unwrap_err().to_string();
            assert!(error.contains("lora-q"), "{error}");
        }
        let error = "bitfit".parse::<Mode>().unwrap_err().to_string();
        assert!(
            error.contains("bitfit") && error.contains("full"),
            "{error}"
        );
    }
}
