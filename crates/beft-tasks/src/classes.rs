//! How the classes of a model stand to the labels of a task, whatever either calls them.

use std::collections::HashMap;

use crate::shown::listed;
use crate::{DataError, LabelledTask, TaskKind};

/// A model's classes under the names that a task gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassNames {
    /// A name for each output of the model, in the order of the outputs.
    pub names: Vec<String>,
    /// Notes for the user if the names had to be chosen.
    pub note: Option<String>,
}

impl LabelledTask {
    /// Names the classes of a model, of which `model` are its own names, in the order of its outputs.
    ///
    /// Names that the task knows stay as they are, whatever their letter case and order. Hugging
    /// Face's default names (`LABEL_0`) and numbers become the task's names: number `i` is its
    /// `i`-th class. A task without labels of its own leaves all names as they are.
    ///
    /// # Errors
    ///
    /// [`DataError::OtherClasses`] when the names are none of these.
    pub fn name_classes(&self, model: &[String]) -> Result<ClassNames, DataError> {
        let same = ClassNames {
            names: model.to_vec(),
            note: None,
        };
        let known = match (self.target.kind(), self.label_names()) {
            (
                TaskKind::Classification | TaskKind::MultiLabel | TaskKind::TokenClassification,
                Some(known),
            ) if !model.is_empty() => known,
            _ => return Ok(same),
        };
        let classes = self.classes_of(model);
        let mut sorted = classes.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let unnamed = |name: &String| default_number(name).is_some() || name.parse::<u64>().is_ok();
        let unnamed = model.iter().all(unnamed);
        let fewer = unnamed && model.len() != known.len();
        if fewer || sorted.len() != model.len() || sorted.contains(&None) {
            return Err(DataError::OtherClasses {
                task: self.name.clone(),
                model: model.to_vec(),
                labels: known,
            });
        }
        if !unnamed {
            return Ok(same);
        }
        let names = classes.iter().flatten();
        let names: Vec<String> = names.map(|class| known[*class].clone()).collect();
        let note = (names != model).then(|| {
            format!(
                "the model does not name its classes ({}): they are taken as {} of task {}",
                listed(model),
                listed(&names),
                self.name
            )
        });
        Ok(ClassNames { names, note })
    }

    /// Of each name of a class the index of the label that the task knows by it; `None` where there
    /// is no such label. Without labels of its own each stays at its place.
    pub fn classes_of(&self, names: &[String]) -> Vec<Option<usize>> {
        let Some(labels) = self.classes() else {
            return (0..names.len()).map(Some).collect();
        };
        let mut known = KnownLabels::default();
        for (index, label) in labels.iter().enumerate() {
            known.add(&label.name, index);
        }
        for (index, label) in labels.iter().enumerate() {
            label.spellings.iter().for_each(|s| known.add(s, index));
        }
        let by_name: Vec<_> = names.iter().map(|name| known.index(name)).collect();
        if by_name.iter().all(Option::is_some) || names.len() != labels.len() {
            return by_name;
        }
        // Not by name: numbers are those of the classes, if they number all of them.
        let defaults: Option<Vec<usize>> = names.iter().map(|n| default_number(n)).collect();
        let counted = || names.iter().map(|name| name.parse().ok()).collect();
        match defaults.or_else(counted) {
            Some(numbers) if numbers.iter().all(|number| *number < labels.len()) => {
                numbers.into_iter().map(Some).collect()
            }
            _ => by_name,
        }
    }
}

/// The number in a name that transformers gives where nobody named a class: `LABEL_3`.
pub(crate) fn default_number(name: &str) -> Option<usize> {
    let digits = name.strip_prefix("LABEL_")?;
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// The whole number that a label such as `1.0` is; `None` for all other labels.
pub(crate) fn whole_number(label: &str) -> Option<&str> {
    let (number, zeros) = label.split_once('.')?;
    let digits = number.strip_prefix('-').unwrap_or(number);
    let all = |text: &str, of: fn(u8) -> bool| !text.is_empty() && text.bytes().all(of);
    (all(digits, |b| b.is_ascii_digit()) && all(zeros, |b| b == b'0')).then_some(number)
}

/// A label set, and all that stands for its labels in files.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownLabels {
    exact: HashMap<String, usize>,
    /// In lower case; `None` where labels differ in case alone.
    folded: HashMap<String, Option<usize>>,
}

impl KnownLabels {
    /// The labels `names`, with the spellings that `task` has for them. `own` are the names that
    /// the model has for the same classes.
    pub(crate) fn of(task: &LabelledTask, names: &[String], own: &[String]) -> Self {
        let mut known = Self::default();
        for (index, name) in names.iter().enumerate() {
            known.add(name, index);
        }
        for (index, name) in own.iter().enumerate() {
            if default_number(name).is_some() {
                known.add(name, index);
            }
        }
        match task.classes() {
            Some(labels) => {
                for (index, class) in task.classes_of(names).into_iter().enumerate() {
                    let label = class.and_then(|class| labels.get(class));
                    let spellings = label.iter().flat_map(|label| &label.spellings);
                    spellings.for_each(|spelling| known.add(spelling, index));
                }
            }
            None => {
                for (index, name) in names.iter().enumerate() {
                    if let Some(number) = default_number(name) {
                        known.add(&number.to_string(), index);
                    }
                }
            }
        }
        known
    }

    /// Lets a spelling stand for a label, unless it stands for one already.
    fn add(&mut self, spelling: &str, index: usize) {
        if self.exact.contains_key(spelling) {
            return;
        }
        self.exact.insert(spelling.to_owned(), index);
        let folded = self.folded.entry(spelling.to_lowercase());
        let folded = folded.or_insert(Some(index));
        if *folded != Some(index) {
            *folded = None;
        }
    }

    /// The index of the label written so: exactly, or else in another letter case where that is one
    /// label's alone, or else as a whole number with a fraction of zeros.
    pub(crate) fn index(&self, label: &str) -> Option<usize> {
        let exact = self.exact.get(label).copied();
        let folded = || self.folded.get(&label.to_lowercase()).copied().flatten();
        let number = || self.exact.get(whole_number(label)?).copied();
        exact.or_else(folded).or_else(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn named(task: &str, model: &[&str]) -> Result<(Vec<String>, bool), String> {
        let found = LabelledTask::named(task)
            .unwrap()
            .name_classes(&names(model));
        let found = found.map(|found| (found.names, found.note.is_some()));
        found.map_err(|error| error.to_string())
    }

    #[test]
    fn classes_are_matched_by_name_or_numbered() {
        for (task, model, expected, note) in [
            ("rte", ["0", "1"], ["entailment", "not_entailment"], true),
            ("rte", ["1", "0"], ["not_entailment", "entailment"], true),
            (
                "rte",
                ["LABEL_0", "LABEL_1"],
                ["entailment", "not_entailment"],
                true,
            ),
            ("sst2", ["LABEL_1", "LABEL_0"], ["1", "0"], true),
            ("sst2", ["0", "1"], ["0", "1"], false),
            (
                "sst2",
                ["POSITIVE", "NEGATIVE"],
                ["POSITIVE", "NEGATIVE"],
                false,
            ),
            (
                "cb",
                ["Neutral", "ENTAILMENT"],
                ["Neutral", "ENTAILMENT"],
                false,
            ),
            (
                "text",
                ["LABEL_0", "LABEL_1"],
                ["LABEL_0", "LABEL_1"],
                false,
            ),
        ] {
            assert_eq!(
                named(task, &model),
                Ok((names(&expected), note)),
                "{task} {model:?}"
            );
        }
        assert_eq!(named("stsb", &[]), Ok((Vec::new(), false)));
        let task = LabelledTask::named("mnli").unwrap();
        let note = task.name_classes(&names(&["LABEL_0", "LABEL_1", "LABEL_2"]));
        assert_eq!(
            note.unwrap().note.unwrap(),
            "the model does not name its classes (`LABEL_0`, `LABEL_1`, `LABEL_2`): they are taken \
             as `entailment`, `neutral`, `contradiction` of task mnli"
        );
    }

    #[test]
    fn numbers_are_matched_with_numbered_labels_first() {
        let mut task = LabelledTask::named("text").unwrap();
        let set = |words: &[&str]| {
            crate::target::class_labels(words.iter().map(|w| names(&[w])).collect())
        };
        task.target = crate::LabelTarget::Classes(Some(set(&["1", "2", "3"])));
        let found = |model: &[&str]| task.name_classes(&names(model)).map(|found| found.names);
        assert_eq!(found(&["0", "1", "2"]).unwrap(), ["1", "2", "3"]);
        assert_eq!(found(&["3", "1", "2"]).unwrap(), ["3", "1", "2"]);
        assert!(found(&["1", "2", "5"]).is_err());
    }

    #[test]
    fn other_classes_are_refused() {
        for model in [
            &["yes", "no"][..],
            &["entailment", "no"],
            &["entailment", "Entailment"],
            &["LABEL_0", "LABEL_1", "LABEL_2"],
            &["LABEL_0", "LABEL_2"],
            &["0"],
            &["entailment", "0"],
        ] {
            let error = named("rte", model).unwrap_err();
            assert!(
                error.starts_with("the classes of the model are `"),
                "{error}"
            );
            assert!(error.contains("those of task rte are `entailment`, `not_entailment`: give"));
        }
    }

    #[test]
    fn letter_case_and_zero_fractions_do_not_matter_where_they_mean_nothing() {
        let task = LabelledTask::named("text").unwrap();
        let index =
            |labels: &[&str], label| KnownLabels::of(&task, &names(labels), &[]).index(label);
        assert_eq!(index(&["Neg", "Pos"], "POS"), Some(1));
        assert_eq!(index(&["\u{c9}t\u{e9}", "b"], "\u{e9}t\u{e9}"), Some(0));
        let alike = ["a", "A", "b"];
        assert_eq!((index(&alike, "A"), index(&alike, "B")), (Some(1), Some(2)));
        assert_eq!(index(&["ab", "AB"], "Ab"), None);
        assert_eq!(
            (index(&["0", "1"], "1.0"), index(&["0", "1"], "0.00")),
            (Some(1), Some(0))
        );
        assert_eq!(
            (index(&["1", "1.0"], "1.0"), index(&["0", "1"], "1.5")),
            (Some(1), None)
        );
        assert_eq!(index(&["LABEL_0", "LABEL_1"], "1"), Some(1));
        assert_eq!(index(&["LABEL_1", "LABEL_0"], "1.0"), Some(0));
        for no_number in ["1.", ".0", "-.0", "1e0", "1.0.0", "x.0"] {
            assert_eq!(whole_number(no_number), None, "{no_number}");
        }
        assert_eq!(whole_number("-1.0"), Some("-1"));
    }
}
