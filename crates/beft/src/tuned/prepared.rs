//! Prediction in two halves: texts become inputs of the model, and its numbers become answers. What is between them can
//! be computed together with the inputs of other models.

use std::sync::Arc;

use beft_core::{Encoding, OutputKind, Outputs, Prediction};
use beft_eval::{argmax, predicted_labels, sigmoid, softmax};
use beft_tasks::{LabelTarget, PromptKind, Task, TaskInput};

use super::tagged::{TaggedInput, Words};
use super::{Answer, Answers, Predictor, check_finite, predictions};
use crate::Error;
use crate::base::InputCounts;
use crate::data::SpanQuestions;

/// Inputs of a model, in tokens, and what its answers are made of beside its numbers.
#[derive(Clone, Debug)]
pub struct Prepared {
    inputs: Inputs,
    counts: InputCounts,
}

#[derive(Clone, Debug)]
enum Inputs {
    /// Texts.
    Texts(Vec<Encoding>),
    /// Texts whose words have tags.
    Tagged(Vec<Encoding>, Vec<Words>, Vec<TaggedInput>),
    /// Both texts of each pair.
    Compared(Vec<Encoding>),
    /// Questions with their contexts, in windows.
    Spans(SpanQuestions),
    /// Prompts, with the names of their candidates.
    Choices(Vec<Encoding>, Vec<Vec<String>>),
}

impl Prepared {
    /// The inputs whose numbers are asked for: one or several for each text.
    pub fn encodings(&self) -> &[Encoding] {
        match &self.inputs {
            Inputs::Texts(encodings) | Inputs::Compared(encodings) => encodings,
            Inputs::Tagged(encodings, ..) | Inputs::Choices(encodings, _) => encodings,
            Inputs::Spans(questions) => &questions.windows,
        }
    }

    /// How the texts fit the model.
    pub fn counts(&self) -> InputCounts {
        self.counts
    }
}

impl Predictor {
    /// Whether texts become the same inputs as `other` makes of them: what one has prepared, both may
    /// [`finish`](Self::finish).
    pub fn prepares_as(&self, other: &Self) -> bool {
        let plain = |own: &Self| {
            let outputs = &own.tuned().outputs;
            matches!(own.task(), Task::Labelled(_))
                && matches!(
                    outputs,
                    Outputs::Classes(_) | Outputs::Labels(_) | Outputs::Value
                )
        };
        let (own, others) = (self.tuned(), other.tuned());
        Arc::ptr_eq(&own.base, &others.base)
            && own.text_pairs == others.text_pairs
            && plain(self)
            && plain(other)
    }

    /// Makes inputs of the model from texts or prompts.
    ///
    /// # Errors
    ///
    /// When tokenising fails, inputs are of another form than in training, or the task's answers are written texts.
    pub fn prepare(&self, inputs: &[&TaskInput]) -> Result<Prepared, Error> {
        let task = match self.task() {
            Task::Labelled(task) => task,
            Task::Prompted(task) => {
                if matches!(task.output(), OutputKind::Tokens | OutputKind::Answer) {
                    return Err(Error::NothingToPredict {
                        task: task.name.clone(),
                    });
                }
                let (prompter, examples) = self.prompts(task, inputs)?;
                let set = prompter.choices(&examples)?.set;
                let (labels, named) = (task.label_names(), task.kind());
                let names = examples.into_iter().map(|example| match named {
                    PromptKind::Classification => labels.clone(),
                    PromptKind::MultipleChoice | PromptKind::Generation => {
                        let candidates = example.candidates.iter();
                        candidates.map(|text| text.trim().to_owned()).collect()
                    }
                });
                return Ok(Prepared {
                    counts: prompter.counts(set.encodings.len()),
                    inputs: Inputs::Choices(set.encodings, names.collect()),
                });
            }
        };
        let (tuned, texts) = (self.tuned(), self.texts(task, inputs)?);
        if let LabelTarget::Answer(answerable) = task.target {
            if texts.iter().any(|example| example.text_pair.is_none()) {
                return Err(Error::Pairs { trained: true });
            }
            let questions = SpanQuestions::new(&tuned.base, answerable, texts, "inputs")?;
            return Ok(Prepared {
                counts: questions.counts(),
                inputs: Inputs::Spans(questions),
            });
        }
        let encoded = match &tuned.outputs {
            Outputs::Embedding => tuned.encode_pairs(&texts)?,
            Outputs::Tags(_) => {
                let (words, counts) = tuned.base.encode_words(&texts)?;
                let mut encodings = Vec::with_capacity(words.len());
                let words = words.into_iter().map(|words| {
                    encodings.push(words.encoding);
                    (words.spans, words.first)
                });
                let words = words.collect();
                let texts = texts.into_iter().map(|example| TaggedInput {
                    text: example.text.clone(),
                    in_words: example.words.is_some(),
                });
                return Ok(Prepared {
                    inputs: Inputs::Tagged(encodings, words, texts.collect()),
                    counts,
                });
            }
            Outputs::Classes(_) | Outputs::Labels(_) => tuned.encode(&texts)?,
            Outputs::Value | Outputs::Text | Outputs::Span => tuned.encode(&texts)?,
        };
        Ok(Prepared {
            counts: encoded.counts,
            inputs: match &tuned.outputs {
                Outputs::Embedding => Inputs::Compared(encoded.encodings),
                _ => Inputs::Texts(encoded.encodings),
            },
        })
    }

    /// Makes answers from the numbers that the model gave each of the [`encodings`](Prepared::encodings).
    ///
    /// # Errors
    ///
    /// When the numbers are not finite: the model's weights are damaged.
    pub fn finish(&self, prepared: Prepared, numbers: Vec<Vec<f32>>) -> Result<Answers, Error> {
        let tuned = self.tuned();
        let answers = match prepared.inputs {
            Inputs::Texts(_) => {
                let predictions = tuned.predictions(numbers)?.into_iter();
                predictions.map(|said| self.said(said)).collect()
            }
            Inputs::Tagged(_, words, texts) => tuned.entities_of(words, &texts, &numbers)?,
            Inputs::Compared(_) => {
                let cosines = tuned.cosines_of(numbers)?.into_iter();
                cosines.map(Answer::Value).collect()
            }
            Inputs::Spans(questions) => self.spans(&questions, &numbers)?,
            Inputs::Choices(_, names) => {
                let said = predictions(OutputKind::Classes, numbers);
                check_finite(&tuned.base, &said)?;
                let said = said.into_iter().zip(names);
                said.map(|(said, names)| chosen(said.scores().to_vec(), &names))
                    .collect()
            }
        };
        Ok(Answers {
            answers,
            counts: prepared.counts,
        })
    }

    /// What a text's numbers say.
    fn said(&self, said: Prediction) -> Answer {
        let names = self.tuned().outputs.names();
        match said {
            Prediction::Classes(logits) => chosen(logits, names),
            Prediction::Labels(logits) => {
                let holds = predicted_labels(&logits, &self.tuned().thresholds);
                let named = names.iter().zip(holds).filter(|(_, holds)| *holds);
                Answer::Labels {
                    labels: named.map(|(name, _)| name.clone()).collect(),
                    probabilities: logits.iter().map(|logit| sigmoid(*logit)).collect(),
                    logits,
                }
            }
            other => Answer::Value(other.scores()[0]),
        }
    }

    fn spans(&self, questions: &SpanQuestions, numbers: &[Vec<f32>]) -> Result<Vec<Answer>, Error> {
        let chosen = questions.choose(numbers, self.tuned().no_answer_threshold);
        if chosen.iter().any(|chosen| chosen.probability.is_nan()) {
            return Err(Error::NotFinite {
                model: self.tuned().base.name().to_owned(),
            });
        }
        let answers = chosen.into_iter().map(|chosen| Answer::Span {
            text: chosen.text,
            characters: chosen.characters,
            probability: chosen.probability,
        });
        Ok(answers.collect())
    }
}

/// The class with the highest number.
fn chosen(mut logits: Vec<f32>, names: &[String]) -> Answer {
    // Behind the candidates of a prompt that has fewer of them than another stands nothing.
    logits.truncate(names.len().max(1));
    let class = argmax(&logits);
    Answer::Class {
        class,
        label: names.get(class).cloned().unwrap_or_default(),
        probabilities: softmax(&logits),
        logits,
    }
}
