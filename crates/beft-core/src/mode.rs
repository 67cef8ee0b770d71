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
/// | `prefix` | keys and values in front of every input (prefix tuning), of a decoder |
/// | `zero-shot`, `icl`, `icl-8` | nothing: a decoder is asked, with 32, 8 or no examples in front |
/// | `zero-shot-sfc`, `icl-sfc` | the same, calibrated against a prompt without content |
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
    /// Prefix tuning.
    Prefix,
    /// Nothing is trained.
    Asked(Asked),
}

/// How a decoder that is not trained is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// Training examples in front of each question (in-context learning).
    pub shots: usize,
    /// Whether each candidate's likelihood is compared with that behind a prompt without content
    /// (surface form competition, SFC).
    pub calibrated: bool,
}

/// In-context learning's number of examples (protocol, section 4).
const SHOTS: usize = 32;

/// A mode that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModeError {
    /// `lora-` followed by anything but letters of q, k, v.
    #[error("cannot read `{0}`: write lora-q, lora-k, lora-v, or several as lora-qv")]
    Lora(String),
    /// Neither a mode nor a term set.
    #[error(
        "{0}; other modes: full, random, random-lines, lora-v, and for decoders prefix, zero-shot, icl"
    )]
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
            Self::Prefix => f.pad("prefix"),
            Self::Asked(Asked { shots, calibrated }) => {
                let sfc = if *calibrated { "-sfc" } else { "" };
                match shots {
                    0 => f.pad(&format!("zero-shot{sfc}")),
                    _ => f.pad(&format!("icl-{shots}{sfc}")),
                }
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
            "prefix" => return Ok(Self::Prefix),
            _ => {}
        }
        if let Some(asked) = asked(&plain) {
            return Ok(Self::Asked(asked));
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

/// `zero-shot`, `icl`, `icl-8`, each perhaps with `-sfc` behind.
fn asked(plain: &str) -> Option<Asked> {
    let (bare, calibrated) = match plain.strip_suffix("-sfc") {
        Some(bare) => (bare, true),
        None => (plain, false),
    };
    let shots = match bare {
        "zero-shot" => 0,
        "icl" => SHOTS,
        _ => bare.strip_prefix("icl-")?.parse().ok().filter(|n| *n > 0)?,
    };
    Some(Asked { shots, calibrated })
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
            "prefix",
            "zero-shot",
            "icl-8-sfc",
        ] {
            let mode: Mode = text.parse().unwrap();
            assert_eq!(mode.to_string(), text);
        }
        assert_eq!("LoRA-v,q".parse::<Mode>().unwrap().to_string(), "lora-qv");
        assert_eq!("ICL".parse::<Mode>().unwrap().to_string(), "icl-32");
        assert!("icl-0".parse::<Mode>().is_err());
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
