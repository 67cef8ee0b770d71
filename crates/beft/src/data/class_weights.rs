//! Classes of very different size.

use beft_core::Targets;

/// How often each class occurs among training examples, and what it would have to count.
pub(super) struct ClassWeights {
    counts: Vec<usize>,
    /// What each class counts so that all count alike; empty where there are no classes.
    pub(super) balanced: Vec<f32>,
}

/// The most frequent class has so many times the examples of the rarest, and that is said.
const SKEWED: usize = 10;

impl ClassWeights {
    /// Of classes the inverse of their share of the examples, by the number of classes that occur (scikit-learn's
    /// `balanced`); of labels the number of examples in which they do not hold for each in which they do.
    pub(super) fn of(targets: &Targets, classes: usize) -> Self {
        let mut counts = vec![0; classes];
        let mut count = |class: usize| {
            if let Some(count) = counts.get_mut(class) {
                *count += 1;
            }
        };
        match targets {
            Targets::Classes(classes) => classes.iter().for_each(|class| count(*class)),
            Targets::Labels(sets) => sets.iter().flatten().for_each(|label| count(*label)),
            Targets::Tags(tags) => tags.iter().flatten().flatten().for_each(|tag| count(*tag)),
            Targets::Values(_) | Targets::Tokens(_) | Targets::Spans(_) => counts.clear(),
            Targets::Similarities(_) | Targets::Ranked(_) => counts.clear(),
        }
        let all = match targets {
            // A tag is one of a word's.
            Targets::Tags(_) => counts.iter().sum(),
            Targets::Classes(_) | Targets::Labels(_) | Targets::Values(_) => targets.len(),
            Targets::Tokens(_) | Targets::Spans(_) => targets.len(),
            Targets::Similarities(_) | Targets::Ranked(_) => targets.len(),
        };
        let occurring = counts.iter().filter(|count| **count > 0).count();
        let weight = |count: &usize| match (targets, *count) {
            (_, 0) => 1.0,
            (Targets::Labels(_), count) => (all - count) as f32 / count as f32,
            (_, count) => all as f32 / (occurring * count) as f32,
        };
        Self {
            balanced: counts.iter().map(weight).collect(),
            counts,
        }
    }

    /// What to say of classes of very different size in the file `of`.
    pub(super) fn note(&self, names: &[String], balanced: bool, of: &str) -> Option<String> {
        let named = || {
            self.counts
                .iter()
                .zip(names)
                .filter(|(count, _)| **count > 0)
        };
        let (most, frequent) = named().max_by_key(|(count, _)| **count)?;
        let (least, rare) = named().min_by_key(|(count, _)| **count)?;
        (*most >= SKEWED * least).then(|| {
            let counts = format!("{of}: {most} training examples of `{frequent}`, {least} of `{rare}`");
            match balanced {
                true => format!("{counts}; all classes count alike in the loss"),
                false => format!(
                    "{counts}: accuracy says little then; macro_f1 as the metric and balanced classes may help"
                ),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_scikit_learns() {
        // compute_class_weight("balanced", classes=[0, 1, 2], y=[0, 0, 0, 1, 2, 2])
        let weights = ClassWeights::of(&Targets::Classes(vec![0, 0, 0, 1, 2, 2]), 4);
        assert_eq!(weights.balanced, [2.0 / 3.0, 2.0, 1.0, 1.0]);
        let sets = Targets::Labels(vec![vec![0], vec![0], vec![0, 1], vec![]]);
        assert_eq!(ClassWeights::of(&sets, 2).balanced, [1.0 / 3.0, 3.0]);
        assert!(
            ClassWeights::of(&Targets::Values(vec![1.0]), 0)
                .balanced
                .is_empty()
        );
    }

    #[test]
    fn skewed_classes_are_told_of() {
        let note = |few: usize, balanced| {
            let targets = Targets::Classes([vec![0; 50], vec![1; few]].concat());
            let names = ["a", "b"].map(str::to_owned);
            ClassWeights::of(&targets, 2).note(&names, balanced, "train.csv")
        };
        assert_eq!(note(6, false), None);
        let said = note(1, false).unwrap();
        assert!(
            said.starts_with("train.csv: 50 training examples of `a`, 1 of `b`"),
            "{said}"
        );
        assert!(note(1, true).unwrap().ends_with("count alike in the loss"));
    }
}
