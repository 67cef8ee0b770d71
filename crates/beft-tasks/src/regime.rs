use std::fmt;
use std::str::FromStr;

/// How much training data a run of the protocol uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Regime {
    /// The smallest subset.
    Low,
    /// The one between.
    Medium,
    /// The largest subset.
    High,
}

impl Regime {
    /// All regimes, from small to large.
    pub const ALL: [Self; 3] = [Self::Low, Self::Medium, Self::High];

    /// The name used on the command line and in reports: `low`, `medium`, `high`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl fmt::Display for Regime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The name is not the name of a regime.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown regime `{0}`: expected one of low, medium, high")]
pub struct UnknownRegime(pub String);

impl FromStr for Regime {
    type Err = UnknownRegime;

    fn from_str(s: &str) -> Result<Self, UnknownRegime> {
        let lower = s.trim().to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|regime| regime.name() == lower)
            .ok_or_else(|| UnknownRegime(s.trim().to_owned()))
    }
}

/// Training examples of each regime; `None` where a task has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regimes {
    /// Size of [`Regime::Low`].
    pub low: Option<usize>,
    /// Size of [`Regime::Medium`].
    pub medium: Option<usize>,
    /// Size of [`Regime::High`].
    pub high: Option<usize>,
}

impl Regimes {
    /// The size of `regime`.
    pub const fn get(&self, regime: Regime) -> Option<usize> {
        match regime {
            Regime::Low => self.low,
            Regime::Medium => self.medium,
            Regime::High => self.high,
        }
    }
}

/// The kinds of model for which the protocol trains for different numbers of epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProtocolColumn {
    /// BERT of base size or smaller, and anything else.
    Base,
    /// BERT of large size.
    Large,
    /// RoBERTa.
    Roberta,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regimes_are_read_as_they_are_written() {
        for regime in Regime::ALL {
            assert_eq!(regime.to_string().parse(), Ok(regime));
        }
        assert_eq!(" High".parse(), Ok(Regime::High));
        assert_eq!(
            "huge".parse::<Regime>().unwrap_err().to_string(),
            "unknown regime `huge`: expected one of low, medium, high"
        );
    }
}
