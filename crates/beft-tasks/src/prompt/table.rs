//! The built-in prompt tasks.
//!
//! Prompts, candidates and settings are those of the protocol's decoder experiments (arXiv
//! 2509.15974, which takes the prompts from MeZO, arXiv 2305.17333); so is the white space that is
//! cut off some fields. Labels and columns are those of the encoder tasks' table where a task is in
//! both, and otherwise of SuperGLUE's files and the hub's.

use beft_core::Metric;

use super::{Candidates, Form, PromptTask, Template, TemplateError};
use crate::table::{BOOLEAN, CB, ENTAILMENT, SENTIMENT, Spellings, owned};
use crate::target::class_labels;
use crate::{Defaults, Hub, LabelledTask, Regimes, TaskInfo};

pub(super) const DEFAULTS: Defaults = Defaults {
    learning_rate: 1e-3,
    epochs: 5,
    epochs_large: None,
    epochs_roberta: None,
    train_size: Some(1000),
    batch_size: 8,
    max_length: Some(2048),
};

/// Number of examples to measure on.
pub(super) const DEV_SIZE: usize = 1000;
/// Longest generated answer in tokens.
pub(super) const MAX_NEW_TOKENS: usize = 50;

/// Tasks of SuperGLUE that decoders alone have; GLUE's and the others are where their labelled form is.
const SUPER_GLUE: [&str; 4] = ["copa", "multirc", "record", "wsc"];

/// Where the data set of a prompt task is on the hub.
pub(super) fn hub(name: &str) -> Option<Hub> {
    match LabelledTask::named(name) {
        Ok(task) => task.info.hub,
        Err(_) => SUPER_GLUE.contains(&name).then(|| Hub {
            repo: "aps/super_glue".to_owned(),
            config: Some(name.to_owned()),
        }),
    }
}

/// One built-in task; see [`PromptTask`] for the fields.
pub(super) struct Row {
    pub(super) name: &'static str,
    title: &'static str,
    template: &'static str,
    candidates: Texts,
    labels: &'static [Spellings],
    form: Form,
    metrics: &'static [Metric],
    learning_rate: f64,
    max_length: Option<usize>,
}

/// [`Candidates`] as they are written.
enum Texts {
    Classes(&'static [&'static str]),
    Choices(&'static [&'static str]),
    Each(&'static str),
    Answer(&'static str),
}

const YES_NO: Row = Row {
    name: "",
    title: "",
    template: "",
    candidates: Texts::Classes(&["No", "Yes"]),
    labels: BOOLEAN,
    form: Form::Flat,
    metrics: &[Metric::Accuracy],
    learning_rate: DEFAULTS.learning_rate,
    max_length: DEFAULTS.max_length,
};

const CHOICE: Row = Row {
    labels: &[],
    learning_rate: 1e-4,
    ..YES_NO
};

const ANSWER: Row = Row {
    candidates: Texts::Answer("{answers}"),
    labels: &[],
    metrics: &[Metric::TokenF1, Metric::ExactMatch],
    ..YES_NO
};

pub(super) const TABLE: [Row; 11] = [
    Row {
        name: "sst2",
        title: "SST-2",
        template: "{sentence|trim} It was",
        candidates: Texts::Classes(&[" terrible", " great"]),
        labels: SENTIMENT,
        ..YES_NO
    },
    // SuperGLUE's names of the columns, or GLUE's.
    Row {
        name: "rte",
        title: "RTE",
        template: "{premise/sentence1}\nDoes this mean that \"{hypothesis/sentence2}\" is true? Yes or No?\n",
        candidates: Texts::Classes(&["Yes", "No"]),
        labels: ENTAILMENT,
        ..YES_NO
    },
    Row {
        name: "cb",
        title: "CB",
        template: "Suppose {premise} Can we infer that \"{hypothesis}\"? Yes, No, or Maybe?\n",
        candidates: Texts::Classes(&["Yes", "No", "Maybe"]),
        labels: CB,
        metrics: &[Metric::MacroF1, Metric::Accuracy],
        learning_rate: 1e-2,
        ..YES_NO
    },
    Row {
        name: "boolq",
        title: "BoolQ",
        template: "{passage} {question|capital|nomark}?\n",
        ..YES_NO
    },
    Row {
        name: "wsc",
        title: "WSC",
        template: "{text}\nIn the previous sentence, does the pronoun \
                   \"{span2_text/target.span2_text|lower}\" refer to \
                   {span1_text/target.span1_text}? Yes or No?\n",
        learning_rate: 1e-2,
        ..YES_NO
    },
    Row {
        name: "wic",
        title: "WiC",
        template: "Does the word \"{word}\" have the same meaning in these two sentences? Yes, No?\n\
                   {sentence1}\n{sentence2}\n",
        ..YES_NO
    },
    Row {
        name: "multirc",
        title: "MultiRC",
        template: "{paragraph}\nQuestion: {question}\nI found this answer \"{answer}\". \
                   Is that correct? Yes or No?\n",
        form: Form::MultiRc,
        ..YES_NO
    },
    Row {
        name: "copa",
        title: "COPA",
        template: "{premise|nodot} {question: effect=so, cause=because} ",
        candidates: Texts::Choices(&["{choice1|midsentence}", "{choice2|midsentence}"]),
        ..CHOICE
    },
    Row {
        name: "record",
        title: "ReCoRD",
        template: "{passage|highlights}\n-",
        candidates: Texts::Each(" {filled}"),
        form: Form::Record,
        ..CHOICE
    },
    Row {
        name: "squad",
        title: "SQuAD",
        template: "Title: {title|spaces}\nContext: {context}\nQuestion: {question|trim}\nAnswer:",
        form: Form::Squad,
        ..ANSWER
    },
    Row {
        name: "drop",
        title: "DROP",
        template: "Passage: {passage}\nQuestion: {question|trim}\nAnswer:",
        form: Form::Drop,
        max_length: Some(1536),
        ..ANSWER
    },
];

impl Row {
    pub(super) fn task(&self) -> Result<PromptTask, TemplateError> {
        let candidates = match self.candidates {
            Texts::Classes(texts) => Candidates::Classes(owned(texts)),
            Texts::Choices(texts) => {
                let templates = texts.iter().map(|text| Template::parse(text));
                Candidates::Choices(templates.collect::<Result<_, _>>()?)
            }
            Texts::Each(text) => Candidates::Each(Template::parse(text)?),
            Texts::Answer(text) => Candidates::Answer(Template::parse(text)?),
        };
        let labels = class_labels(self.labels.iter().map(|names| owned(names)).collect());
        let defaults = Defaults {
            learning_rate: self.learning_rate,
            max_length: self.max_length,
            ..DEFAULTS
        };
        Ok(PromptTask {
            info: TaskInfo {
                name: self.name.to_owned(),
                title: self.title.to_owned(),
                label_columns: owned(&["label"]),
                no_label: None,
                headerless: Vec::new(),
                skip_malformed: false,
                files: Default::default(),
                hub: hub(self.name),
                metrics: self.metrics.to_vec(),
                regimes: only_low(&defaults),
                held_out: None,
                balanced: false,
                defaults,
            },
            template: Template::parse(self.template)?,
            candidates,
            labels: (!labels.is_empty()).then_some(labels),
            form: self.form,
            dev_size: DEV_SIZE,
            max_new_tokens: MAX_NEW_TOKENS,
        })
    }
}

/// The regimes of a prompt task: its default size alone.
pub(super) fn only_low(defaults: &Defaults) -> Regimes {
    Regimes {
        low: defaults.train_size,
        ..Regimes::default()
    }
}
