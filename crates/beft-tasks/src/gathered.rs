//! Label sets that are those of the training file.

use std::collections::HashMap;
use std::path::Path;

use crate::TaskKind;
use crate::classes::whole_number;
use crate::tags::without_prefix;

/// Gathered labels of which all are whole numbers, without the fractions of zeros that a program
/// gave some of them: a column of integers with gaps is written as one of floats.
pub(crate) fn without_fractions(mut found: Vec<(String, usize)>) -> Vec<(String, usize)> {
    let integer = |label: &str| label.parse::<i64>().is_ok() || whole_number(label).is_some();
    if found.iter().all(|(label, _)| integer(label)) {
        for (label, _) in &mut found {
            if let Some(number) = whole_number(label) {
                *label = number.to_owned();
            }
        }
    }
    found
}

impl TaskKind {
    /// What to say of gathered labels that look like something else.
    pub(crate) fn doubts(self, names: &[String], separator: &str, path: &Path) -> Option<String> {
        let path = path.display();
        let numbers = names.iter().all(|name| name.parse::<f64>().is_ok());
        match self {
            Self::Classification if numbers && names.len() > MANY_NUMBERS => Some(format!(
                "{path}: {} different numbers are taken as classes; for numbers write a task file with kind = \"regression\"",
                names.len()
            )),
            Self::MultiLabel if numbers && names.len() <= 2 => Some(format!(
                "{path}: the labels are {}; columns of 0 and 1 are one for each label",
                names.join(" and ")
            )),
            Self::MultiLabel => {
                let others = [',', ';', '|']
                    .into_iter()
                    .filter(|by| !separator.contains(*by));
                let held =
                    others.filter_map(|by| Some((by, names.iter().find(|n| n.contains(by))?)));
                let (by, name) = { held }.next()?;
                Some(format!(
                    "{path}: the label `{name}` has a `{by}` in it; if that stands between labels, it is the separator"
                ))
            }
            Self::TokenClassification => without_prefix(names).map(|tag| {
                format!(
                    "{path}: the tag `{tag}` does not begin with B-, I-, E- or S-: entities are neighbours with equal \
                     tags then; token_accuracy as the metric suits tags that are no entities"
                )
            }),
            Self::Classification | Self::Regression | Self::QuestionAnswering => None,
            Self::Similarity | Self::Ranking => None,
        }
    }
}

/// So many different numbers are hardly classes.
const MANY_NUMBERS: usize = 20;

/// What to say where gathered labels differ in letter case alone.
pub(crate) fn alike(names: &[String], path: &Path) -> Option<String> {
    let mut folded: HashMap<String, &String> = HashMap::new();
    let pair = names.iter().find_map(|name| {
        let other = folded.insert(name.to_lowercase(), name);
        other.map(|other| (other, name))
    });
    let (one, other) = pair?;
    Some(format!(
        "{}: the labels `{one}` and `{other}` differ in letter case alone, and are two classes",
        path.display()
    ))
}

/// Sorts by number when every label is a non-negative integer, else by text.
pub(crate) fn sort_labels(labels: &mut [String]) {
    let number = |label: &str| -> Option<u64> {
        // `parse` alone would take `+1`.
        let digits = label.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| label.parse().ok()).flatten()
    };
    if labels.iter().all(|label| number(label).is_some()) {
        labels.sort_by(|a, b| number(a).cmp(&number(b)).then_with(|| a.cmp(b)));
    } else {
        labels.sort();
    }
}
