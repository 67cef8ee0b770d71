use std::fmt;

use serde::{Deserialize, Serialize};

use crate::OutputKind;

/// A measure of how well a model does a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Share of examples predicted right.
    Accuracy,
    /// F1 of the second label (index 1), for two labels.
    F1,
    /// Mean of the F1 of each label.
    MacroF1,
    /// Matthews correlation coefficient.
    #[serde(rename = "mcc")]
    Matthews,
    /// Pearson correlation of predicted and true values.
    Pearson,
    /// Spearman rank correlation of predicted and true values.
    Spearman,
    /// F1 of the words of a generated answer, for the right answer that gives the highest value (as in
    /// SQuAD).
    TokenF1,
    /// Share of generated answers that equal a right answer (as in SQuAD).
    ExactMatch,
    /// Mean over texts of the mean log probability of their tokens: minus the loss of language modelling.
    LogLikelihood,
}

impl Metric {
    /// The name used in reports and files: `accuracy`, `f1`, `macro_f1`, `mcc`, `pearson`,
    /// `spearman`, `token_f1`, `exact_match`, `log_likelihood`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::F1 => "f1",
            Self::MacroF1 => "macro_f1",
            Self::Matthews => "mcc",
            Self::Pearson => "pearson",
            Self::Spearman => "spearman",
            Self::TokenF1 => "token_f1",
            Self::ExactMatch => "exact_match",
            Self::LogLikelihood => "log_likelihood",
        }
    }

    /// The kind of output that it measures.
    pub const fn output(self) -> OutputKind {
        match self {
            Self::Accuracy | Self::F1 | Self::MacroF1 | Self::Matthews => OutputKind::Classes,
            Self::Pearson | Self::Spearman => OutputKind::Value,
            Self::TokenF1 | Self::ExactMatch => OutputKind::Answer,
            Self::LogLikelihood => OutputKind::Tokens,
        }
    }

    /// Whether it is defined for two classes only.
    pub const fn needs_two_classes(self) -> bool {
        match self {
            Self::F1 => true,
            Self::Accuracy | Self::MacroF1 | Self::Matthews => false,
            Self::Pearson | Self::Spearman => false,
            Self::TokenF1 | Self::ExactMatch | Self::LogLikelihood => false,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serde_uses_the_same_names() {
        for metric in [
            Metric::Accuracy,
            Metric::F1,
            Metric::MacroF1,
            Metric::Matthews,
            Metric::Pearson,
            Metric::Spearman,
            Metric::TokenF1,
            Metric::ExactMatch,
            Metric::LogLikelihood,
        ] {
            assert_eq!(metric.to_string(), metric.name());
            let json = serde_json::to_string(&metric).unwrap();
            assert_eq!(json, format!("\"{}\"", metric.name()));
            assert_eq!(serde_json::from_str::<Metric>(&json).unwrap(), metric);
        }
    }
}
