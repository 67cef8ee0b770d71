use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::OutputKind;

/// A measure of how well a model does a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Share of examples predicted right; of embeddings, share of texts to which the right text is the nearest.
    Accuracy,
    /// F1 of the second label (index 1), for two labels.
    F1,
    /// Mean of the F1 of each label.
    MacroF1,
    /// F1 over the decisions about all labels together, where several may hold.
    MicroF1,
    /// Share of examples with exactly the right labels, where several may hold.
    SubsetAccuracy,
    /// Matthews correlation coefficient.
    #[serde(rename = "mcc")]
    Matthews,
    /// Pearson correlation of predicted and true values.
    Pearson,
    /// Spearman rank correlation of predicted and true values.
    Spearman,
    /// Mean over texts of one divided by the place of the right text among all, by the distance of embeddings.
    #[serde(rename = "mrr")]
    ReciprocalRank,
    /// F1 of the words of an answer, for the right answer that gives the highest value (as in
    /// SQuAD).
    TokenF1,
    /// Share of answers that equal a right answer (as in SQuAD).
    ExactMatch,
    /// Share of the predicted entities that are right, in type and extent (as seqeval).
    Precision,
    /// Share of the entities that are found, in type and extent (as seqeval).
    Recall,
    /// F1 over all entities together, in type and extent (seqeval's micro average).
    EntityF1,
    /// Share of words with the right tag.
    TokenAccuracy,
    /// Mean over texts of the mean log probability of their tokens: minus the loss of language modelling.
    LogLikelihood,
}

/// No metric of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown metric `{name}`: expected one of {}", Metric::ALL.map(Metric::name).join(", "))]
pub struct UnknownMetric {
    /// The name as written.
    pub name: String,
}

impl FromStr for Metric {
    type Err = UnknownMetric;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL
            .into_iter()
            .find(|metric| metric.name() == name.trim());
        found.ok_or_else(|| UnknownMetric {
            name: name.trim().to_owned(),
        })
    }
}

impl Metric {
    /// All metrics.
    pub const ALL: [Self; 16] = [
        Self::Accuracy,
        Self::F1,
        Self::MacroF1,
        Self::MicroF1,
        Self::SubsetAccuracy,
        Self::Matthews,
        Self::Pearson,
        Self::Spearman,
        Self::ReciprocalRank,
        Self::TokenF1,
        Self::ExactMatch,
        Self::Precision,
        Self::Recall,
        Self::EntityF1,
        Self::TokenAccuracy,
        Self::LogLikelihood,
    ];

    /// The name used in reports and files: `accuracy`, `f1`, `macro_f1`, `micro_f1`,
    /// `subset_accuracy`, `mcc`, `pearson`, `spearman`, `mrr`, `token_f1`, `exact_match`, `precision`,
    /// `recall`, `entity_f1`, `token_accuracy`, `log_likelihood`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::F1 => "f1",
            Self::MacroF1 => "macro_f1",
            Self::MicroF1 => "micro_f1",
            Self::SubsetAccuracy => "subset_accuracy",
            Self::Matthews => "mcc",
            Self::Pearson => "pearson",
            Self::Spearman => "spearman",
            Self::ReciprocalRank => "mrr",
            Self::TokenF1 => "token_f1",
            Self::ExactMatch => "exact_match",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::EntityF1 => "entity_f1",
            Self::TokenAccuracy => "token_accuracy",
            Self::LogLikelihood => "log_likelihood",
        }
    }

    /// Whether it measures this kind of output.
    pub const fn measures(self, output: OutputKind) -> bool {
        match self {
            Self::Accuracy => matches!(output, OutputKind::Classes | OutputKind::Rank),
            Self::F1 | Self::Matthews => matches!(output, OutputKind::Classes),
            Self::ReciprocalRank => matches!(output, OutputKind::Rank),
            Self::MacroF1 => matches!(output, OutputKind::Classes | OutputKind::Labels),
            Self::MicroF1 | Self::SubsetAccuracy => matches!(output, OutputKind::Labels),
            Self::Pearson | Self::Spearman => matches!(output, OutputKind::Value),
            Self::TokenF1 | Self::ExactMatch => matches!(output, OutputKind::Answer),
            Self::Precision | Self::Recall | Self::EntityF1 | Self::TokenAccuracy => {
                matches!(output, OutputKind::Tags)
            }
            Self::LogLikelihood => matches!(output, OutputKind::Tokens),
        }
    }

    /// Whether it is defined for two classes only.
    pub const fn needs_two_classes(self) -> bool {
        match self {
            Self::F1 => true,
            Self::Accuracy | Self::MacroF1 | Self::Matthews => false,
            Self::MicroF1 | Self::SubsetAccuracy => false,
            Self::Pearson | Self::Spearman | Self::ReciprocalRank => false,
            Self::Precision | Self::Recall | Self::EntityF1 | Self::TokenAccuracy => false,
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
        for metric in Metric::ALL {
            assert_eq!(metric.to_string(), metric.name());
            assert_eq!(metric.name().parse(), Ok(metric));
            let json = serde_json::to_string(&metric).unwrap();
            assert_eq!(json, format!("\"{}\"", metric.name()));
            assert_eq!(serde_json::from_str::<Metric>(&json).unwrap(), metric);
        }
    }
}
