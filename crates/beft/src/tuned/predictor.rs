//! From texts to answers: a tuned model with the task that it does.

use beft_core::{OutputKind, Outputs, Prediction};
use beft_nn::Savings;
use beft_tasks::{Example, LabelTarget, LabelledTask, PromptExample, PromptTask, Task, TaskInput};

use super::tagged::{FoundEntity, spoken_entities};
use super::{OpenOptions, Tuned, open_tuned};
use crate::Error;
use crate::base::InputCounts;
use crate::data::Prompter;
use crate::evaluate::check_asked;

/// A tuned model with the task that it does.
///
/// # Examples
///
/// ```no_run
/// use beft::{OpenOptions, Predictor};
///
/// # fn main() -> Result<(), beft::Error> {
/// let predictor = Predictor::open(&OpenOptions {
///     adapter: Some("tuned/adapter".as_ref()),
///     ..OpenOptions::default()
/// })?;
/// for answer in predictor.predict(&["a warm , funny film".into()])?.answers {
///     println!("{}", answer.text());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Predictor {
    tuned: Tuned,
    task: Task,
    notes: Vec<String>,
}

/// What a model says of one input.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// One of several classes or candidates.
    Class {
        /// Its index.
        class: usize,
        /// Its name; of a choice between texts of the example, the text.
        label: String,
        /// The probability of each class: softmax of the logits.
        probabilities: Vec<f32>,
        /// The number of each class; of a decoder's candidates the mean log probability.
        logits: Vec<f32>,
    },
    /// Any number of labels.
    Labels {
        /// The names of those that hold.
        labels: Vec<String>,
        /// The probability of each label: the sigmoid of its logit.
        probabilities: Vec<f32>,
        /// The number of each label.
        logits: Vec<f32>,
    },
    /// A tag for each word.
    Tags {
        /// The entities, in the order of the text.
        entities: Vec<FoundEntity>,
        /// The tags, where the input is in words.
        tags: Option<Vec<String>>,
    },
    /// A number.
    Value(f32),
    /// A generated text.
    Text(String),
    /// A part of the context of a question.
    Span {
        /// The answer; empty where the context has none.
        text: String,
        /// Its characters (Unicode code points) in the context, the first and the one behind the last.
        characters: Option<(usize, usize)>,
        /// Its probability among the 20 best answers.
        probability: f32,
    },
}

impl Answer {
    /// The answer as a person writes it: the label, the number or the text.
    pub fn text(&self) -> String {
        match self {
            Self::Class { label, .. } => label.clone(),
            Self::Labels { labels, .. } => labels.join(","),
            Self::Tags { entities, .. } => spoken_entities(entities),
            Self::Value(value) => value.to_string(),
            Self::Text(text) | Self::Span { text, .. } => text.clone(),
        }
    }

    /// The probability of the answer, where it is one of several.
    pub fn probability(&self) -> Option<f32> {
        match self {
            Self::Class {
                class,
                probabilities,
                ..
            } => probabilities.get(*class).copied(),
            Self::Span { probability, .. } => Some(*probability),
            Self::Labels { .. } | Self::Tags { .. } | Self::Value(_) | Self::Text(_) => None,
        }
    }
}

/// Answers to inputs, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// One for each input.
    pub answers: Vec<Answer>,
    /// How the inputs fit the model.
    pub counts: InputCounts,
}

impl Predictor {
    /// Opens a tuned model with the task of `options`, or else with the one that it was trained on.
    ///
    /// # Errors
    ///
    /// As [`open_tuned`]; when no task is known, or it does not fit the model.
    pub fn open(options: &OpenOptions<'_>) -> Result<Self, Error> {
        let tuned = open_tuned(options)?.only_used();
        let task = task_of(&tuned, options)?;
        Self::new(tuned, task)
    }

    /// Gives a tuned model its task. Classes are named as the task names them.
    ///
    /// # Errors
    ///
    /// When the model has other classes than the task.
    pub fn new(mut tuned: Tuned, task: Task) -> Result<Self, Error> {
        tuned.base.check_task(&task)?;
        let mut notes = tuned.notes.clone();
        if let Task::Labelled(task) = &task {
            let fits = match (&task.target, &tuned.outputs) {
                (LabelTarget::Labels(_), outputs) => matches!(outputs, Outputs::Labels(_)),
                (LabelTarget::Tags(_), outputs) => matches!(outputs, Outputs::Tags(_)),
                (LabelTarget::Value(_), outputs) => matches!(outputs, Outputs::Value),
                (LabelTarget::Answer(_), outputs) => matches!(outputs, Outputs::Span),
                (LabelTarget::Similarity(_) | LabelTarget::Ranking, outputs) => {
                    matches!(outputs, Outputs::Embedding)
                }
                (LabelTarget::Classes(_), Outputs::Embedding) => false,
                (LabelTarget::Classes(_), Outputs::Span) => false,
                // What the user's own data are called where nothing else is known.
                (LabelTarget::Classes(_), outputs) => !matches!(outputs, Outputs::Tags(_)),
            };
            if !fits {
                return Err(Error::OtherOutput {
                    task: task.name.clone(),
                    kind: task.target.kind(),
                });
            }
        }
        match (&task, &mut tuned.outputs) {
            (
                Task::Labelled(task),
                Outputs::Classes(names) | Outputs::Labels(names) | Outputs::Tags(names),
            ) => {
                let classes = task.name_classes(names)?;
                notes.extend(classes.note);
                *names = classes.names;
            }
            (Task::Prompted(task), _) => check_asked(&tuned, task)?,
            (Task::Labelled(_), Outputs::Value | Outputs::Text | Outputs::Span) => {}
            (Task::Labelled(_), Outputs::Embedding) => {}
        }
        Ok(Self { tuned, task, notes })
    }

    /// The model.
    pub fn tuned(&self) -> &Tuned {
        &self.tuned
    }

    /// The task.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// What the user should hear about the files.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The names of the classes in the order of the logits; none for numbers and texts, and where every example
    /// has choices of its own.
    pub fn labels(&self) -> Vec<String> {
        match &self.task {
            Task::Labelled(_) => self.tuned.outputs.names().to_vec(),
            Task::Prompted(task) => task.label_names(),
        }
    }

    /// Answers inputs. They are computed together, those of like length side by side; memory grows with their
    /// number, so that many are better given in chunks ([`Predictor::stream`]).
    ///
    /// # Errors
    ///
    /// When tokenising fails, inputs are of another form than in training, or the model's numbers are not finite.
    pub fn predict(&self, inputs: &[TaskInput]) -> Result<Answers, Error> {
        self.answers(&inputs.iter().collect::<Vec<_>>())
    }

    pub(super) fn answers(&self, inputs: &[&TaskInput]) -> Result<Answers, Error> {
        if let Task::Prompted(task) = &self.task
            && task.output() == OutputKind::Answer
        {
            return self.write(task, inputs);
        }
        let prepared = self.prepare(inputs)?;
        let numbers = self.tuned.compute(prepared.encodings());
        self.finish(prepared, numbers)
    }

    /// Lets a decoder answer questions in its own words.
    fn write(&self, task: &PromptTask, inputs: &[&TaskInput]) -> Result<Answers, Error> {
        let (prompter, examples) = self.prompts(task, inputs)?;
        let tuned = &self.tuned;
        let set = prompter.dev_set(&examples, false)?;
        let said = set.predict(&tuned.base, &tuned.model, Savings::default(), |_| ())?;
        let answers = said.into_iter().filter_map(|prediction| match prediction {
            Prediction::Answer { text, .. } => Some(Answer::Text(text)),
            Prediction::Classes(_) | Prediction::Labels(_) | Prediction::Value(_) => None,
            Prediction::Tokens(_) | Prediction::Tags { .. } | Prediction::Rank(_) => None,
        });
        Ok(Answers {
            answers: answers.collect(),
            counts: prompter.counts(examples.len()),
        })
    }

    /// Prompts of a task, and what makes tokens of them.
    pub(super) fn prompts<'a>(
        &'a self,
        task: &'a PromptTask,
        inputs: &[&TaskInput],
    ) -> Result<(Prompter<'a>, Vec<PromptExample>), Error> {
        let examples = inputs.iter().filter_map(|input| as_prompt(input));
        let examples: Vec<PromptExample> = examples.cloned().collect();
        self.check_form(task, inputs.len() - examples.len())?;
        let tuned = &self.tuned;
        let reserved = tuned.model.generator().map_or(0, |m| m.prefix_len());
        Ok((Prompter::new(&tuned.base, task, &[], reserved), examples))
    }

    /// Texts of a task.
    pub(super) fn texts<'a>(
        &self,
        task: &LabelledTask,
        inputs: &[&'a TaskInput],
    ) -> Result<Vec<&'a Example>, Error> {
        let texts: Vec<&Example> = inputs.iter().filter_map(|input| as_text(input)).collect();
        self.check_form(task, inputs.len() - texts.len())?;
        Ok(texts)
    }

    /// Fails if inputs are of the form of another kind of task.
    fn check_form(&self, task: &beft_tasks::TaskInfo, others: usize) -> Result<(), Error> {
        match others {
            0 => Ok(()),
            _ => Err(Error::InputForm {
                task: task.name.clone(),
                prompted: matches!(self.task, Task::Prompted(_)),
            }),
        }
    }
}

fn as_text(input: &TaskInput) -> Option<&Example> {
    match input {
        TaskInput::Text(example) => Some(example),
        TaskInput::Prompt(_) => None,
    }
}

fn as_prompt(input: &TaskInput) -> Option<&PromptExample> {
    match input {
        TaskInput::Prompt(example) => Some(example),
        TaskInput::Text(_) => None,
    }
}

/// The task that is asked for, else the one that the model was trained on.
pub(crate) fn task_of(tuned: &Tuned, options: &OpenOptions<'_>) -> Result<Task, Error> {
    if let Some(name) = options.task {
        return tuned.base.find_task(name);
    }
    let carried = tuned.carried_task().map_err(|source| Error::CarriedTask {
        dir: options.folder(),
        source: Box::new(source),
    })?;
    if let Some(task) = carried {
        return Ok(task);
    }
    let name = match tuned.task.as_deref() {
        Some(name) => name,
        None if tuned.outputs == Outputs::Span => "squad",
        None if tuned.outputs == Outputs::Embedding => "similarity",
        None if matches!(tuned.outputs, Outputs::Tags(_)) => "ner",
        None if tuned.base.has_head() => "text",
        None => {
            return Err(Error::NoTask {
                model: tuned.base.name().to_owned(),
            });
        }
    };
    tuned
        .base
        .find_task(name)
        .map_err(|source| Error::TrainedOn {
            task: name.to_owned(),
            source: Box::new(source),
        })
}
