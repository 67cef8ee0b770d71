use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use crate::{DataError, Example};

/// Turns labels as written into indices: of a known label set, or of one gathered on the way.
pub(crate) struct LabelIndex<'a> {
    known: Option<&'a [String]>,
    indices: HashMap<Cow<'a, str>, usize>,
}

impl<'a> LabelIndex<'a> {
    pub(crate) fn new(known: Option<&'a [String]>) -> Self {
        let indices = known
            .unwrap_or_default()
            .iter()
            .enumerate()
            .map(|(index, label)| (Cow::Borrowed(label.as_str()), index))
            .collect();
        Self { known, indices }
    }

    /// The index of `label`. Gathered labels are numbered as they come until [`Self::finish`].
    pub(crate) fn index(
        &mut self,
        label: &str,
        path: &Path,
        line: usize,
    ) -> Result<usize, DataError> {
        if let Some(&index) = self.indices.get(label) {
            return Ok(index);
        }
        if let Some(known) = self.known {
            return Err(DataError::UnknownLabel {
                path: path.to_owned(),
                line,
                label: label.to_owned(),
                labels: known.to_vec(),
            });
        }
        let index = self.indices.len();
        self.indices.insert(Cow::Owned(label.to_owned()), index);
        Ok(index)
    }

    /// The label set in index order. Gathered labels are sorted, and the examples numbered anew.
    pub(crate) fn finish(
        self,
        examples: &mut [Example],
        path: &Path,
    ) -> Result<Vec<String>, DataError> {
        if let Some(known) = self.known {
            return Ok(known.to_vec());
        }
        let mut found: Vec<(String, usize)> = self
            .indices
            .into_iter()
            .map(|(label, index)| (label.into_owned(), index))
            .collect();
        if let [(label, _)] = found.as_slice() {
            return Err(DataError::OneLabel {
                path: path.to_owned(),
                label: label.clone(),
            });
        }
        sort_labels(&mut found);
        let mut renumbered = vec![0; found.len()];
        for (new, (_, old)) in found.iter().enumerate() {
            renumbered[*old] = new;
        }
        for example in examples {
            example.label = example.label.map(|old| renumbered[old]);
        }
        Ok(found.into_iter().map(|(label, _)| label).collect())
    }
}

/// Sorts by number when every label is a non-negative integer, else by text.
fn sort_labels(labels: &mut [(String, usize)]) {
    let number = |label: &str| -> Option<u64> {
        // `parse` alone would take `+1`.
        let digits = label.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| label.parse().ok()).flatten()
    };
    if labels.iter().all(|(label, _)| number(label).is_some()) {
        labels.sort_by(|(a, _), (b, _)| number(a).cmp(&number(b)).then_with(|| a.cmp(b)));
    } else {
        labels.sort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(labels: &[&str]) -> (Vec<String>, Vec<usize>) {
        let path = Path::new("train.tsv");
        let mut index = LabelIndex::new(None);
        let mut examples: Vec<Example> = labels
            .iter()
            .map(|label| Example {
                text: String::new(),
                text_pair: None,
                label: Some(index.index(label, path, 2).unwrap()),
                line: 2,
            })
            .collect();
        let set = index.finish(&mut examples, path).unwrap();
        (set, examples.iter().map(|e| e.label.unwrap()).collect())
    }

    #[test]
    fn gathered_labels_are_sorted() {
        let (set, labels) = gathered(&["pos", "neg", "pos", "neutral"]);
        assert_eq!(set, ["neg", "neutral", "pos"]);
        assert_eq!(labels, [2, 0, 2, 1]);
        let (set, labels) = gathered(&["10", "9", "0", "10"]);
        assert_eq!(set, ["0", "9", "10"]);
        assert_eq!(labels, [2, 1, 0, 2]);
        let (set, _) = gathered(&["10", "9", "-1"]);
        assert_eq!(set, ["-1", "10", "9"]);
    }

    #[test]
    fn a_known_set_keeps_its_order() {
        let known = ["pos".to_owned(), "neg".to_owned()];
        let mut index = LabelIndex::new(Some(&known));
        let path = Path::new("dev.tsv");
        assert_eq!(index.index("neg", path, 2).unwrap(), 1);
        assert_eq!(
            index.index("maybe", path, 7).unwrap_err().to_string(),
            "dev.tsv:7: label `maybe` is not one of `pos`, `neg`: \
             correct it, or use the labels of the training file"
        );
        assert_eq!(index.finish(&mut [], path).unwrap(), known);
    }

    #[test]
    fn one_label_cannot_be_trained_on() {
        let path = Path::new("train.tsv");
        let mut index = LabelIndex::new(None);
        index.index("1", path, 2).unwrap();
        assert_eq!(
            index.finish(&mut [], path).unwrap_err().to_string(),
            "train.tsv: every row has the label `1`: \
             at least two different labels are needed to train"
        );
    }
}
