//! The table of all scorers. One that compares the biases before and after training is a file here, its two
//! lines `mod` and `pub use`, and its line in the table.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use beft_core::{BiasSite, GradientMoments};

use crate::{Scorer, Scores};

mod angle;
mod beft;
mod gradients;
mod l2;
mod magnitude;
mod random;

pub use angle::Angle;
pub use beft::Beft;
pub use gradients::{fisher, gradient_norm, signal_to_noise, slope};
pub use l2::L2;
pub use magnitude::Magnitude;
pub use random::random;

/// The input of a score, and how the score is computed from it.
#[derive(Clone, Copy)]
pub enum Needs {
    /// The biases before and after all of them were trained.
    TrainedRun(&'static dyn Scorer),
    /// Gradients of the model before training, over these mini-batches.
    Gradients(Batches, fn(&GradientMoments) -> f64),
    /// Nothing but the sites and a seed.
    Nothing(fn(&BTreeSet<BiasSite>, u64) -> Scores),
}

/// How the score of a bias grows with the number of its values, if all of them are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Not at all: it is a mean, or the share or angle by which the bias changed.
    Mean,
    /// As the number does.
    Sum,
    /// As its square root does.
    Norm,
}

/// The mini-batches whose gradients a score is computed from. Dropout is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Batches {
    /// All training examples in mini-batches of 8, whose gradients over all biases and the head are clipped to the norm 1
    /// (protocol, section 2).
    Every,
    /// The first step of training, not clipped.
    First,
}

/// Makes [`ScorerKind`]: of each score its name and what it needs.
macro_rules! scorers {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $extent:ident, $needs:expr;)*) => {
        /// Every importance score there is, by name.
        ///
        /// | name | score of a bias | needs |
        /// |---|---|---|
        /// | `beft` | [`Beft`](crate::Beft), the paper's | a trained run |
        /// | `magnitude` | [`Magnitude`](crate::Magnitude), mean absolute change | a trained run |
        /// | `angle` | [`Angle`](crate::Angle), degrees | a trained run |
        /// | `l2` | [`L2`](crate::L2), length of the change | a trained run |
        /// | `fisher` | [`fisher`], mean squared gradient over the training examples | gradients |
        /// | `gradnorm` | [`gradient_norm`], length of the first step's gradient | gradients |
        /// | `snr` | [`signal_to_noise`] of the gradient over mini-batches | gradients |
        /// | `slope` | [`slope`] of the loss, sum of absolute mean gradients | gradients |
        /// | `random` | [`random`](crate::random()) numbers | nothing |
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum ScorerKind {
            $($(#[$doc])* $kind,)*
        }

        impl ScorerKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The name used on the command line, in reports and in files.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// How the score of a bias grows with the number of its values.
            pub const fn extent(self) -> Extent {
                match self {
                    $(Self::$kind => Extent::$extent,)*
                }
            }

            /// The input of the score.
            pub const fn needs(self) -> Needs {
                match self {
                    $(Self::$kind => $needs,)*
                }
            }
        }
    };
}

scorers! {
    /// The paper's score.
    Beft = "beft", Mean, Needs::TrainedRun(&Beft);
    /// Mean absolute change.
    Magnitude = "magnitude", Mean, Needs::TrainedRun(&Magnitude);
    /// Angle of the change.
    Angle = "angle", Mean, Needs::TrainedRun(&Angle);
    /// Length of the change.
    L2 = "l2", Norm, Needs::TrainedRun(&L2);
    /// Empirical Fisher information before training.
    Fisher = "fisher", Mean, Needs::Gradients(Batches::Every, fisher);
    /// Gradient norm at the first step.
    GradNorm = "gradnorm", Norm, Needs::Gradients(Batches::First, gradient_norm);
    /// Signal-to-noise ratio of the gradient over mini-batches, before training.
    Snr = "snr", Mean, Needs::Gradients(Batches::Every, signal_to_noise);
    /// How fast the loss falls at first.
    Slope = "slope", Sum, Needs::Gradients(Batches::Every, slope);
    /// Random numbers.
    Random = "random", Mean, Needs::Nothing(|sites, seed| random(sites.iter().copied(), seed));
}

/// The name is not the name of a scorer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scorer `{0}`: expected all, or some of {known}", known = known())]
pub struct UnknownScorer(pub String);

fn known() -> String {
    let names: Vec<&str> = ScorerKind::ALL.iter().map(|kind| kind.name()).collect();
    names.join(", ")
}

impl ScorerKind {
    /// The score that says most of what training a term alone brings, among those that need no training (docs/results.md).
    pub const BEFORE: Self = Self::Slope;

    /// The score of a bias of so many values, for each of them.
    pub fn per_value(self, score: f64, values: usize) -> f64 {
        match self.extent() {
            Extent::Mean => score,
            Extent::Sum => score / values as f64,
            Extent::Norm => score / (values as f64).sqrt(),
        }
    }

    /// Whether it needs a trained run.
    pub fn needs_training(self) -> bool {
        match self.needs() {
            Needs::TrainedRun(_) => true,
            Needs::Gradients(..) | Needs::Nothing(_) => false,
        }
    }

    /// Reads a list such as `beft,fisher`, or `all`. Each scorer comes once, in the order of
    /// [`ALL`](Self::ALL).
    ///
    /// # Errors
    ///
    /// If a name is not the name of a scorer.
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
        let mut all = Self::ALL.iter().copied();
        all.find(|kind| kind.name() == plain)
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
        assert_eq!(list("all").unwrap().len(), 9);
        let error = list("beft,taylor").unwrap_err().to_string();
        assert!(
            error.contains("`taylor`") && error.contains("gradnorm"),
            "{error}"
        );
    }

    #[test]
    fn a_scorer_has_the_name_of_its_kind() {
        for kind in ScorerKind::ALL {
            if let Needs::TrainedRun(scorer) = kind.needs() {
                assert_eq!(scorer.name(), kind.name());
            }
        }
    }
}
