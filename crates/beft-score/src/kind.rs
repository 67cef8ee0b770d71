use std::fmt;
use std::str::FromStr;

/// Every importance score there is, by name.
///
/// | name | score of a bias | needs |
/// |---|---|---|
/// | `beft` | [`Beft`](crate::Beft), the paper's | a trained run |
/// | `magnitude` | [`Magnitude`](crate::Magnitude), mean absolute change | a trained run |
/// | `angle` | [`Angle`](crate::Angle), degrees | a trained run |
/// | `l2` | [`L2`](crate::L2), length of the change | a trained run |
/// | `fisher` | mean squared gradient over the training examples | gradients |
/// | `gradnorm` | length of the first step's gradient | gradients |
/// | `random` | [`random`](crate::random()) numbers | nothing |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScorerKind {
    /// The paper's score.
    Beft,
    /// Mean absolute change.
    Magnitude,
    /// Angle of the change.
    Angle,
    /// Length of the change.
    L2,
    /// Empirical Fisher information before training.
    Fisher,
    /// Gradient norm at the first step.
    GradNorm,
    /// Random numbers.
    Random,
}

/// What a score is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// The biases before and after all of them were trained.
    TrainedRun,
    /// Gradients of the model before training.
    Gradients,
    /// Nothing.
    Nothing,
}

/// A name that is no scorer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scorer `{0}`: expected all, or some of {known}", known = ScorerKind::ALL.map(ScorerKind::name).join(", "))]
pub struct UnknownScorer(pub String);

impl ScorerKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Beft,
        Self::Magnitude,
        Self::Angle,
        Self::L2,
        Self::Fisher,
        Self::GradNorm,
        Self::Random,
    ];

    /// The name used on the command line, in reports and in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Beft => "beft",
            Self::Magnitude => "magnitude",
            Self::Angle => "angle",
            Self::L2 => "l2",
            Self::Fisher => "fisher",
            Self::GradNorm => "gradnorm",
            Self::Random => "random",
        }
    }

    /// What it is computed from.
    pub const fn needs(self) -> Needs {
        match self {
            Self::Beft | Self::Magnitude | Self::Angle | Self::L2 => Needs::TrainedRun,
            Self::Fisher | Self::GradNorm => Needs::Gradients,
            Self::Random => Needs::Nothing,
        }
    }

    /// The scorers of a list such as `beft,fisher`, or `all`, each once, in the order of
    /// [`ALL`](Self::ALL).
    ///
    /// # Errors
    ///
    /// For a name that is none.
    pub fn parse_list(list: &str) -> Result<Vec<Self>, UnknownScorer> {
        if list.trim().eq_ignore_ascii_case("all") {
            return Ok(Self::ALL.to_vec());
        }
        let mut kinds = list
            .split(',')
            .map(str::parse)
            .collect::<Result<Vec<Self>, _>>()?;
        kinds.sort_unstable();
        kinds.dedup();
        Ok(kinds)
    }
}

impl fmt::Display for ScorerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ScorerKind {
    type Err = UnknownScorer;

    fn from_str(name: &str) -> Result<Self, UnknownScorer> {
        let plain = name.trim().to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == plain)
            .ok_or_else(|| UnknownScorer(name.trim().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_and_unique() {
        let list = |text| ScorerKind::parse_list(text);
        let expected = vec![ScorerKind::Beft, ScorerKind::Fisher];
        assert_eq!(list("fisher, BEFT,beft"), Ok(expected));
        assert_eq!(list("all").unwrap().len(), 7);
        let error = list("beft,taylor").unwrap_err().to_string();
        assert!(
            error.contains("`taylor`") && error.contains("gradnorm"),
            "{error}"
        );
    }
}
