//! One file as a train and a dev split.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crate::{DataError, Example, HeldOut, Label, Place, Split, numpy_permutation};

/// Why one file cannot be split into train and dev.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// Another split is asked for.
    #[error("{}: is split into train and dev: there is no {split} split", .path.display())]
    OnlyTrainAndDev {
        /// The file.
        path: PathBuf,
        /// The split.
        split: Split,
    },
    /// Too few examples.
    #[error("{}: no label has two examples, so none can be kept to measure on: give more examples", .path.display())]
    TooFewToSplit {
        /// The file.
        path: PathBuf,
    },
}

/// What the split of an example depends on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stratum {
    /// The classes or labels.
    Labels(Vec<usize>),
    /// The tags that its words have.
    Tags(Vec<usize>),
    /// The value.
    Value(f64),
}

impl From<&Label> for Stratum {
    fn from(label: &Label) -> Self {
        match label {
            Label::Class(class) => Self::Labels(vec![*class]),
            Label::Labels(labels) => Self::Labels(labels.clone()),
            Label::Tags(tags) => {
                let kinds: BTreeSet<usize> = tags.iter().copied().collect();
                Self::Tags(kinds.into_iter().collect())
            }
            Label::Value(value) => Self::Value(*value),
            // Of questions only those of one context are alike.
            Label::Answers(_) => Self::Labels(Vec::new()),
            Label::Negative(_) => Self::Labels(Vec::new()),
        }
    }
}

impl Stratum {
    fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Labels(a), Self::Labels(b)) | (Self::Tags(a), Self::Tags(b)) => a.cmp(b),
            (Self::Value(a), Self::Value(b)) => a.total_cmp(b),
            // Of one task all are of one kind.
            (Self::Labels(_) | Self::Tags(_) | Self::Value(_), _) => Ordering::Equal,
        }
    }
}

impl HeldOut {
    /// Says of each example whether it is held out: whole groups in random order, to the group with which the share is
    /// reached. At least one group is, and one is not.
    pub(crate) fn choose_groups(&self, groups: &[&str]) -> Vec<bool> {
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let mut sizes: Vec<usize> = Vec::new();
        for group in groups {
            let number = *numbers.entry(group).or_insert(sizes.len());
            match sizes.get_mut(number) {
                Some(size) => *size += 1,
                None => sizes.push(1),
            }
        }
        let wanted = self.share * groups.len() as f64;
        let mut held = vec![false; sizes.len()];
        let mut taken = 0;
        let order = numpy_permutation(self.seed, sizes.len()).into_iter();
        for number in order.take(sizes.len().saturating_sub(1)) {
            if taken as f64 >= wanted {
                break;
            }
            held[number] = true;
            taken += sizes[number];
        }
        groups.iter().map(|group| held[numbers[group]]).collect()
    }

    /// Says of each example whether it is held out: of examples with like labels the same share, to one. At least
    /// one is, and of every label one is not.
    pub(crate) fn choose(&self, strata: &[Stratum]) -> Vec<bool> {
        let count = strata.len();
        let most = count.saturating_sub(1);
        let wanted = ((self.share * count as f64).round() as usize).clamp(most.min(1), most);
        // In random order within each stratum, of which every so many-th is taken.
        let mut order = numpy_permutation(self.seed, count);
        order.sort_by(|a, b| strata[*a].order(&strata[*b]));
        let mut held = vec![false; count];
        for turn in 0..wanted {
            let position = (2 * turn + 1) * count / (2 * wanted);
            held[order[position]] = true;
        }
        // Nothing could be learned of a label that is in no other example.
        for like in order.chunk_by(|a, b| strata[*a] == strata[*b]) {
            let class = matches!(strata[like[0]], Stratum::Labels(_));
            if class && like.iter().all(|index| held[*index]) {
                held[like[0]] = false;
            }
        }
        held
    }
}

/// The examples of a split in `data`: those that were read, or where that is one file, the split's part of them.
///
/// # Errors
///
/// When the split has no example.
pub(crate) fn of_split<T>(
    held_out: Option<HeldOut>,
    data: &Path,
    split: Split,
    examples: Vec<T>,
    stratum: impl Fn(&T) -> Stratum,
) -> Result<Vec<T>, DataError> {
    let Some(held_out) = held_out.filter(|_| data.is_file()) else {
        return Ok(examples);
    };
    let held = held_out.choose(&examples.iter().map(stratum).collect::<Vec<_>>());
    match part(split, examples, held) {
        chosen if chosen.is_empty() => Err(SplitError::TooFewToSplit {
            path: data.to_owned(),
        }
        .into()),
        chosen => Ok(chosen),
    }
}

/// The questions of a split in `data`, as [`of_split`]: those of one context are in one split.
pub(crate) fn of_split_by_context(
    held_out: Option<HeldOut>,
    data: &Path,
    split: Split,
    examples: Vec<Example>,
) -> Result<Vec<Example>, DataError> {
    let Some(held_out) = held_out.filter(|_| data.is_file()) else {
        return Ok(examples);
    };
    let contexts = examples
        .iter()
        .map(|e| e.text_pair.as_deref().unwrap_or_default());
    let held = held_out.choose_groups(&contexts.collect::<Vec<_>>());
    match part(split, examples, held) {
        chosen if chosen.is_empty() => Err(DataError::BadField {
            path: data.to_owned(),
            at: Place::File,
            field: "context".to_owned(),
            message: "all questions have the same one, so none can be kept to measure on: give more contexts".to_owned(),
        }),
        chosen => Ok(chosen),
    }
}

/// The examples of a split, of which dev has those that are held out.
fn part<T>(split: Split, examples: Vec<T>, held: Vec<bool>) -> Vec<T> {
    // There are only these two, see `whole_file`.
    let wanted = split == Split::Dev;
    let examples = examples.into_iter().zip(held);
    let chosen = examples.filter(|(_, held)| *held == wanted);
    chosen.map(|(example, _)| example).collect()
}

/// The file that has a split, where the data are one file; an error without a share to hold out, or for another
/// split than train and dev.
pub(crate) fn whole_file(
    held_out: Option<HeldOut>,
    file: &Path,
    split: Split,
) -> Result<Vec<PathBuf>, DataError> {
    match (held_out, split) {
        (Some(_), Split::Train | Split::Dev) => Ok(vec![file.to_owned()]),
        (Some(_), _) => Err(SplitError::OnlyTrainAndDev {
            path: file.to_owned(),
            split,
        }
        .into()),
        (None, _) => Err(DataError::NotAFolder {
            path: file.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strata(counts: &[usize]) -> Vec<Stratum> {
        let classes = counts.iter().enumerate();
        let classes = classes.flat_map(|(class, count)| vec![class; *count]);
        classes.map(|class| Stratum::Labels(vec![class])).collect()
    }

    fn held(counts: &[usize], share: f64, seed: u32) -> Vec<usize> {
        let strata = strata(counts);
        let chosen = HeldOut { share, seed }.choose(&strata);
        let mut held = vec![0; counts.len()];
        for (stratum, chosen) in strata.iter().zip(chosen) {
            if let Stratum::Labels(classes) = stratum {
                held[classes[0]] += usize::from(chosen);
            }
        }
        held
    }

    #[test]
    fn each_label_gives_its_share() {
        for seed in 0..20 {
            assert_eq!(held(&[100, 50, 10], 0.2, seed), [20, 10, 2]);
            let found = held(&[500, 10, 1], 0.1, seed);
            assert!(found[0] >= 49 && found[1] <= 2, "{found:?}");
            // The only example of a label is learned from.
            assert_eq!(found[2], 0);
            assert_eq!(held(&[1, 1], 0.5, seed), [0, 0]);
        }
    }

    #[test]
    fn questions_of_one_context_stay_together() {
        let groups = ["a", "a", "a", "b", "c", "c", "d", "d", "d", "d"];
        for seed in 0..20 {
            let held = HeldOut { share: 0.3, seed }.choose_groups(&groups);
            for (group, chosen) in groups.iter().zip(&held) {
                let first = groups.iter().position(|g| g == group).unwrap();
                assert_eq!(held[first], *chosen);
            }
            let count = held.iter().filter(|held| **held).count();
            assert!((3..10).contains(&count), "{held:?}");
        }
        // One context cannot be split; of two one is held out.
        let half = HeldOut {
            share: 0.5,
            seed: 0,
        };
        assert_eq!(half.choose_groups(&["a", "a"]), [false, false]);
        assert_eq!(
            half.choose_groups(&["a", "b"])
                .iter()
                .filter(|h| **h)
                .count(),
            1
        );
    }

    #[test]
    fn the_seed_chooses() {
        let strata = strata(&[30, 30]);
        let chosen = |seed| HeldOut { share: 0.3, seed }.choose(&strata);
        assert_eq!(chosen(1), chosen(1));
        assert_ne!(chosen(1), chosen(2));
        let values: Vec<Stratum> = (0..50).map(|i| Stratum::Value(f64::from(i))).collect();
        let held = HeldOut {
            share: 0.2,
            seed: 0,
        }
        .choose(&values);
        // Of every fifth of the values two.
        assert!(
            held.chunks(10)
                .all(|part| part.iter().filter(|h| **h).count() == 2)
        );
    }
}
