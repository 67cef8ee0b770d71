use std::fmt;
use std::str::FromStr;

use beft::Base;
use beft_core::{BiasSite, TermSet};
use beft_modes::Mode;

use crate::{CompareError, TrialMode};

/// What a comparison trains, as a user writes it: a mode, or a list of modes that depends on the model.
///
/// | written | modes |
/// |---|---|
/// | `terms` | every bias term of the model alone: `q`, `k`, `v`, `m1`, ... |
/// | `sites` | every bias term of every layer alone: `q@0`, `k@0`, ... |
/// | anything else | a [`TrialMode`] |
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ModeList {
    /// Each term alone.
    Terms,
    /// Each term of each layer alone.
    Sites,
    /// One mode.
    One(TrialMode),
}

impl ModeList {
    /// The modes for a model.
    pub(crate) fn modes(&self, base: &Base) -> Vec<TrialMode> {
        let config = base.config();
        let terms = config.terms();
        let sets: Vec<TermSet> = match self {
            Self::One(mode) => return vec![mode.clone()],
            Self::Terms => terms.iter().map(|term| TermSet::of([*term])).collect(),
            Self::Sites => {
                let sites = BiasSite::all(config.num_layers());
                let sites = sites.filter(|site| terms.contains(&site.term));
                sites.map(|site| TermSet::at([site.into()])).collect()
            }
        };
        let modes = sets.into_iter().map(Mode::from);
        modes.map(TrialMode::Of).collect()
    }
}

impl FromStr for ModeList {
    type Err = CompareError;

    fn from_str(text: &str) -> Result<Self, CompareError> {
        match text.trim().to_ascii_lowercase().as_str() {
            "terms" => Ok(Self::Terms),
            "sites" => Ok(Self::Sites),
            _ => text.parse().map(Self::One),
        }
    }
}

impl fmt::Display for ModeList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Terms => f.pad("terms"),
            Self::Sites => f.pad("sites"),
            Self::One(mode) => mode.fmt(f),
        }
    }
}
