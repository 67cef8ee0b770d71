//! The built-in tasks: GLUE, three of SuperGLUE, SQuAD, STS-B by embeddings, and the user's own.
//!
//! Learning rates, epochs and sizes are those of the protocol (arXiv 2509.15974). Columns are those
//! of GLUE's TSV files, of SuperGLUE's JSON Lines files, and of the hub's Parquet files, whose order
//! of the labels is taken too.

use beft_core::Metric;

use crate::target::class_labels;
use crate::{Answerable, Defaults, Hub, LabelTarget, LabelledTask, Regimes, TaskInfo, TextColumns};

const GLUE: Option<&str> = Some("nyu-mll/glue");
const SUPER_GLUE: Option<&str> = Some("aps/super_glue");

/// What stands for a label in files, the first being its name.
pub(crate) type Spellings = &'static [&'static str];

const NLI: &[Spellings] = &[&["entailment"], &["neutral"], &["contradiction"]];
pub(crate) const CB: &[Spellings] = &[&["entailment"], &["contradiction"], &["neutral"]];
pub(crate) const ENTAILMENT: &[Spellings] = &[&["entailment"], &["not_entailment"]];
pub(crate) const SENTIMENT: &[Spellings] = &[&["0", "negative"], &["1", "positive"]];
pub(crate) const BOOLEAN: &[Spellings] = &[&["0", "false", "False"], &["1", "true", "True"]];

pub(crate) const DEFAULTS: Defaults = Defaults {
    learning_rate: 4e-4,
    epochs: 16,
    epochs_large: None,
    epochs_roberta: None,
    train_size: None,
    batch_size: 16,
    max_length: None,
};

/// Longest input in tokens of the protocol's tasks (section 3).
const PROTOCOL_LENGTH: Option<usize> = Some(128);

/// What labels are.
#[derive(Clone, Copy)]
enum RowTarget {
    Classes,
    Tags,
    Value(f64, f64),
    Answer(Answerable),
    Similarity(f64, f64),
    Ranking,
}

/// One built-in task; see [`LabelledTask`] for the fields.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    title: &'static str,
    hub: Option<&'static str>,
    /// The configuration there, where it has another name than the task.
    config: Option<&'static str>,
    text: &'static [&'static str],
    pair: &'static [&'static str],
    pair_required: bool,
    label: &'static [&'static str],
    /// Of classes; none are those of the training file.
    labels: &'static [Spellings],
    no_label: Option<&'static str>,
    target: RowTarget,
    headerless: &'static [&'static str],
    skip_malformed: bool,
    mismatched: bool,
    metrics: &'static [Metric],
    learning_rate: f64,
    epochs: usize,
    /// Of large models and of RoBERTa, where the protocol has another number for them.
    epochs_others: Option<usize>,
    max_length: Option<usize>,
    /// Low, medium, high; as many as there are.
    sizes: &'static [usize],
}

/// Most of GLUE: pairs, labelled in a column `label`.
const PAIRS: Row = Row {
    name: "",
    title: "",
    hub: GLUE,
    config: None,
    text: &["sentence1"],
    pair: &["sentence2"],
    pair_required: true,
    label: &["label"],
    labels: &[],
    no_label: None,
    target: RowTarget::Classes,
    headerless: &[],
    skip_malformed: false,
    mismatched: false,
    metrics: &[Metric::Accuracy],
    learning_rate: DEFAULTS.learning_rate,
    epochs: DEFAULTS.epochs,
    epochs_others: None,
    max_length: PROTOCOL_LENGTH,
    sizes: &[],
};

const SINGLE: Row = Row {
    text: &["sentence"],
    pair: &[],
    pair_required: false,
    ..PAIRS
};

/// Questions about a context (`run_qa.py` of transformers); not in the protocol's encoder experiments.
const QUESTIONS: Row = Row {
    text: &["question"],
    pair: &["context"],
    label: &["answers"],
    target: RowTarget::Answer(Answerable::Always),
    metrics: &[Metric::TokenF1, Metric::ExactMatch],
    learning_rate: 1e-3,
    epochs: 5,
    max_length: Some(384),
    sizes: &[1000],
    ..PAIRS
};

/// Pairs of texts whose embeddings are compared, as sentence-transformers trains them; not in the protocol.
const EMBEDDED: Row = Row {
    hub: None,
    text: &["text", "sentence1", "anchor"],
    pair: &["text_pair", "sentence2", "positive"],
    target: RowTarget::Similarity(0.0, 1.0),
    label: &["score", "label"],
    metrics: &[Metric::Spearman, Metric::Pearson],
    learning_rate: 1e-3,
    epochs: 4,
    max_length: None,
    ..PAIRS
};

pub(crate) const TABLE: [Row; 19] = [
    Row {
        name: "cola",
        title: "CoLA",
        labels: &[&["0", "unacceptable"], &["1", "acceptable"]],
        headerless: &["source", "label", "mark", "sentence"],
        metrics: &[Metric::Matthews],
        learning_rate: 7e-4,
        sizes: &[1710, 3420, 4275],
        ..SINGLE
    },
    Row {
        name: "mnli",
        title: "MNLI",
        text: &["sentence1", "premise"],
        pair: &["sentence2", "hypothesis"],
        label: &["gold_label", "label"],
        labels: NLI,
        no_label: Some("-"),
        mismatched: true,
        learning_rate: 1e-4,
        epochs: 30,
        sizes: &[1000, 5000, 9000],
        ..PAIRS
    },
    Row {
        name: "mrpc",
        title: "MRPC",
        text: &["#1 String", "sentence1"],
        pair: &["#2 String", "sentence2"],
        label: &["Quality", "label"],
        labels: &[&["0", "not_equivalent"], &["1", "equivalent"]],
        metrics: &[Metric::Accuracy, Metric::F1],
        learning_rate: 7e-4,
        epochs: 60,
        sizes: &[367, 1191, 1835],
        ..PAIRS
    },
    Row {
        name: "qnli",
        title: "QNLI",
        text: &["question"],
        pair: &["sentence"],
        labels: ENTAILMENT,
        learning_rate: 1e-4,
        epochs: 30,
        sizes: &[1000, 5000, 9000],
        ..PAIRS
    },
    Row {
        name: "qqp",
        title: "QQP",
        text: &["question1"],
        pair: &["question2"],
        label: &["is_duplicate", "label"],
        labels: &[&["0", "not_duplicate"], &["1", "duplicate"]],
        skip_malformed: true,
        metrics: &[Metric::Accuracy, Metric::F1],
        epochs: 30,
        sizes: &[1000, 5000, 9000],
        ..PAIRS
    },
    // GLUE's and SuperGLUE's RTE: the same pairs under other column names.
    Row {
        name: "rte",
        title: "RTE",
        text: &["sentence1", "premise"],
        pair: &["sentence2", "hypothesis"],
        labels: ENTAILMENT,
        learning_rate: 1e-3,
        epochs: 30,
        sizes: &[300, 900, 1200],
        ..PAIRS
    },
    Row {
        name: "sst2",
        title: "SST-2",
        labels: SENTIMENT,
        epochs_others: Some(30),
        sizes: &[1000, 5000, 11000],
        ..SINGLE
    },
    Row {
        name: "stsb",
        title: "STS-B",
        label: &["score", "label"],
        target: RowTarget::Value(0.0, 5.0),
        metrics: &[Metric::Spearman, Metric::Pearson],
        learning_rate: 1e-4,
        epochs: 60,
        sizes: &[287, 1150, 2300],
        ..PAIRS
    },
    // Not in the protocol: as RTE, of half its 635 examples.
    Row {
        name: "wnli",
        title: "WNLI",
        labels: &[&["0", "not_entailment"], &["1", "entailment"]],
        learning_rate: 1e-3,
        epochs: 30,
        sizes: &[300],
        ..PAIRS
    },
    Row {
        name: "cb",
        title: "CB",
        hub: SUPER_GLUE,
        text: &["premise"],
        pair: &["hypothesis"],
        labels: CB,
        metrics: &[Metric::MacroF1, Metric::Accuracy],
        learning_rate: 1e-3,
        epochs: 60,
        // The whole training file.
        sizes: &[250],
        ..PAIRS
    },
    Row {
        name: "wic",
        title: "WiC",
        hub: SUPER_GLUE,
        labels: BOOLEAN,
        learning_rate: 1e-3,
        epochs_others: Some(30),
        sizes: &[1000],
        ..PAIRS
    },
    // Not in the protocol's encoder experiments: as QNLI, with room for the passages.
    Row {
        name: "boolq",
        title: "BoolQ",
        hub: SUPER_GLUE,
        text: &["question"],
        pair: &["passage"],
        labels: BOOLEAN,
        learning_rate: 1e-4,
        epochs: 30,
        max_length: Some(256),
        sizes: &[1000],
        ..PAIRS
    },
    Row {
        name: "squad",
        title: "SQuAD",
        hub: Some("rajpurkar/squad"),
        config: Some("plain_text"),
        ..QUESTIONS
    },
    Row {
        name: "squadv2",
        title: "SQuAD-v2",
        hub: Some("rajpurkar/squad_v2"),
        config: Some("squad_v2"),
        target: RowTarget::Answer(Answerable::Sometimes),
        ..QUESTIONS
    },
    // The user's own data.
    Row {
        name: "sts",
        title: "STS",
        hub: GLUE,
        config: Some("stsb"),
        target: RowTarget::Similarity(0.0, 5.0),
        sizes: &[1000],
        ..EMBEDDED
    },
    Row {
        name: "similarity",
        title: "similarity",
        ..EMBEDDED
    },
    Row {
        name: "ranking",
        title: "ranking",
        text: &["anchor", "query", "text", "sentence1"],
        pair: &["positive", "text_pair", "sentence2"],
        label: &["negative"],
        target: RowTarget::Ranking,
        metrics: &[Metric::ReciprocalRank, Metric::Accuracy],
        ..EMBEDDED
    },
    Row {
        name: "text",
        title: "text",
        hub: None,
        text: &["text", "sentence"],
        pair: &["text_pair"],
        max_length: None,
        ..SINGLE
    },
    // The same with a tag for each word.
    Row {
        name: "ner",
        title: "ner",
        target: RowTarget::Tags,
        hub: None,
        text: &["tokens", "text"],
        label: &["ner_tags", "tags", "label"],
        metrics: &[Metric::EntityF1, Metric::Precision, Metric::Recall],
        max_length: None,
        ..SINGLE
    },
];

impl Row {
    pub(crate) fn task(&self) -> LabelledTask {
        let size = |index: usize| self.sizes.get(index).copied();
        let labels = self.labels.iter().map(|spellings| owned(spellings));
        let labels = class_labels(labels.collect());
        LabelledTask {
            info: TaskInfo {
                name: self.name.to_owned(),
                title: self.title.to_owned(),
                label_columns: owned(self.label),
                no_label: self.no_label.map(str::to_owned),
                headerless: owned(self.headerless),
                skip_malformed: self.skip_malformed,
                files: Default::default(),
                hub: self.hub.map(|repo| Hub {
                    repo: repo.to_owned(),
                    config: Some(self.config.unwrap_or(self.name).to_owned()),
                }),
                metrics: self.metrics.to_vec(),
                defaults: Defaults {
                    learning_rate: self.learning_rate,
                    epochs: self.epochs,
                    epochs_large: self.epochs_others,
                    epochs_roberta: self.epochs_others,
                    train_size: size(0),
                    max_length: self.max_length,
                    ..DEFAULTS
                },
                regimes: Regimes {
                    low: size(0),
                    medium: size(1),
                    high: size(2),
                },
                held_out: None,
                balanced: false,
            },
            text_columns: TextColumns::First(owned(self.text)),
            pair_columns: TextColumns::First(owned(self.pair)),
            pair_required: self.pair_required,
            mismatched: self.mismatched,
            target: match self.target {
                RowTarget::Classes => LabelTarget::Classes((!labels.is_empty()).then_some(labels)),
                RowTarget::Tags => LabelTarget::Tags(None),
                RowTarget::Value(low, high) => LabelTarget::Value(Some((low, high))),
                RowTarget::Answer(answerable) => LabelTarget::Answer(answerable),
                RowTarget::Similarity(low, high) => LabelTarget::Similarity((low, high)),
                RowTarget::Ranking => LabelTarget::Ranking,
            },
        }
    }
}

pub(crate) fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ProtocolColumn, Regime, Split, Task, TaskKind};

    #[test]
    fn every_row_is_found_and_sound() {
        for name in LabelledTask::names() {
            let task = LabelledTask::named(name).unwrap();
            assert_eq!(task.name, name);
            assert_eq!(task, LabelledTask::named(&task.title).unwrap());
            assert!(!task.text_columns.is_empty() && !task.label_columns.is_empty());
            assert!(!task.metrics.is_empty());
            assert!(!task.pair_columns.is_empty() || !task.pair_required);
            let classes = task.classes().map(<[_]>::len);
            assert!(classes.is_none_or(|classes| classes >= 2));
            for metric in &task.metrics {
                assert!(
                    task.target.kind().suits(*metric, classes),
                    "{name}: {metric}"
                );
            }
            let labels = task.classes().into_iter().flatten();
            let mut all: Vec<_> = labels.flat_map(|label| &label.spellings).collect();
            let spellings = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), spellings, "{name}");
            // The hub's integers.
            for (index, label) in task.classes().into_iter().flatten().enumerate() {
                assert!(label.spellings.contains(&index.to_string()), "{name}");
                assert_eq!(label.name, label.spellings[0]);
            }
        }
    }

    #[test]
    fn settings_are_those_of_the_protocol() {
        // Name, metrics, rate, epochs base and others, sizes, labels.
        type Expected = (
            &'static str,
            &'static str,
            f64,
            [usize; 2],
            [usize; 3],
            usize,
        );
        let expected: [Expected; 10] = [
            ("CoLA", "mcc", 7e-4, [16, 16], [1710, 3420, 4275], 2),
            ("MNLI", "accuracy", 1e-4, [30, 30], [1000, 5000, 9000], 3),
            ("MRPC", "accuracy f1", 7e-4, [60, 60], [367, 1191, 1835], 2),
            ("QNLI", "accuracy", 1e-4, [30, 30], [1000, 5000, 9000], 2),
            ("QQP", "accuracy f1", 4e-4, [30, 30], [1000, 5000, 9000], 2),
            ("RTE", "accuracy", 1e-3, [30, 30], [300, 900, 1200], 2),
            ("SST-2", "accuracy", 4e-4, [16, 30], [1000, 5000, 11000], 2),
            (
                "STS-B",
                "spearman pearson",
                1e-4,
                [60, 60],
                [287, 1150, 2300],
                0,
            ),
            ("CB", "macro_f1 accuracy", 1e-3, [60, 60], [250, 0, 0], 3),
            ("WiC", "accuracy", 1e-3, [16, 30], [1000, 0, 0], 2),
        ];
        for (title, metrics, rate, epochs, sizes, labels) in expected {
            let task = LabelledTask::named(title).unwrap();
            assert_eq!(task.title, title);
            let names: Vec<_> = task.metrics.iter().map(|m| m.name()).collect();
            assert_eq!(names.join(" "), metrics, "{title}");
            assert_eq!(task.defaults.learning_rate, rate, "{title}");
            assert_eq!(
                (task.defaults.batch_size, task.defaults.max_length),
                (16, Some(128))
            );
            assert_eq!(task.defaults.train_size, Some(sizes[0]), "{title}");
            assert_eq!(task.epochs_for(ProtocolColumn::Base), epochs[0], "{title}");
            assert_eq!(task.epochs_for(ProtocolColumn::Large), epochs[1], "{title}");
            assert_eq!(
                task.epochs_for(ProtocolColumn::Roberta),
                epochs[1],
                "{title}"
            );
            for (regime, size) in Regime::ALL.into_iter().zip(sizes) {
                assert_eq!(task.regime_size(regime).unwrap_or(0), size, "{title}");
            }
            assert_eq!(task.label_names().unwrap().len(), labels, "{title}");
            assert_eq!(
                task.target.kind() == TaskKind::Regression,
                labels == 0,
                "{title}"
            );
        }
    }

    #[test]
    fn labels_are_in_the_order_of_the_hub() {
        let names = |task: &str| LabelledTask::named(task).unwrap().label_names().unwrap();
        assert_eq!(names("mnli"), ["entailment", "neutral", "contradiction"]);
        assert_eq!(names("cb"), ["entailment", "contradiction", "neutral"]);
        for task in ["rte", "qnli"] {
            assert_eq!(names(task), ["entailment", "not_entailment"]);
        }
        for task in ["cola", "sst2", "mrpc", "qqp", "wnli", "wic", "boolq"] {
            assert_eq!(names(task), ["0", "1"]);
        }
        assert_eq!(LabelledTask::named("text").unwrap().label_names(), None);
    }

    #[test]
    fn files_of_the_hub() {
        let file =
            |task: &str, split| Task::from(LabelledTask::named(task).unwrap()).hub_file(split);
        let some = |name: &str| Some(format!("{name}-00000-of-00001.parquet"));
        assert_eq!(file("sst2", Split::Train), some("sst2/train"));
        assert_eq!(file("cb", Split::Dev), some("cb/validation"));
        assert_eq!(file("mnli", Split::Dev), some("mnli/validation_matched"));
        assert_eq!(
            file("mnli", Split::TestMismatched),
            some("mnli/test_mismatched")
        );
        assert_eq!(file("text", Split::Train), None);
    }
}
