use std::fmt;

use serde::{Deserialize, Serialize};

use crate::TaskKind;

/// What is measured on a task.
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
}

impl Metric {
    /// The name used in reports and files: `accuracy`, `f1`, `macro_f1`, `mcc`, `pearson`,
    /// `spearman`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::F1 => "f1",
            Self::MacroF1 => "macro_f1",
            Self::Matthews => "mcc",
            Self::Pearson => "pearson",
            Self::Spearman => "spearman",
        }
    }

    /// Whether a task of this kind can be measured so; `classes` is the number of labels if known.
    pub const fn suits(self, kind: TaskKind, classes: Option<usize>) -> bool {
        match self {
            Self::Pearson | Self::Spearman => matches!(kind, TaskKind::Regression),
            Self::F1 => matches!((kind, classes), (TaskKind::Classification, None | Some(2))),
            Self::Accuracy | Self::MacroF1 | Self::Matthews => {
                matches!(kind, TaskKind::Classification)
            }
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
        ] {
            let json = serde_json::to_string(&metric).unwrap();
            assert_eq!(json, format!("\"{}\"", metric.name()));
            assert_eq!(serde_json::from_str::<Metric>(&json).unwrap(), metric);
        }
    }
}
