//! Questions that are answered by a part of a context.

use std::ops::Range;

use beft_checkpoint::CheckpointError;
use beft_core::{Answerable, EncodedSet, Encoding, Prediction, Targets};
use beft_eval::{
    SpanChoice, WindowScores, best_span, exact_match, exact_match_or_none, token_f1,
    token_f1_or_none,
};
use beft_tasks::{Example, GoldAnswer, Label};

use crate::base::{InputCounts, OVERLAP};
use crate::{Base, Error};

/// Questions with their contexts, in windows of tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanQuestions {
    /// The windows of all questions, one question after another.
    pub windows: Vec<Encoding>,
    /// What the tokens of each window stand for.
    offsets: Vec<Vec<Option<(usize, usize)>>>,
    /// The windows of each question.
    of: Vec<Range<usize>>,
    contexts: Vec<String>,
    /// The right answers; none of a question without an answer, or of which none is known.
    golds: Vec<Vec<String>>,
    answerable: Answerable,
    /// The first and the last token of the first right answer in each window.
    spans: Vec<(usize, usize)>,
    counts: InputCounts,
    narrowed: usize,
}

/// What a model says of a question.
#[derive(Clone, Debug, PartialEq)]
pub struct ChosenSpan {
    /// The answer; empty where there is none.
    pub text: String,
    /// Its characters in the context, the first and the one behind the last.
    pub characters: Option<(usize, usize)>,
    /// Its probability among the 20 best answers.
    pub probability: f32,
    /// The text of the best answer, even if the model says that there is none.
    pub best: String,
    /// Where a question may have no answer: the score of that less the score of the best answer.
    pub no_answer: Option<f32>,
}

impl SpanQuestions {
    /// Tokenises questions; `file` is theirs, for messages.
    ///
    /// # Errors
    ///
    /// When the tokenizer fails, or a question leaves no room for its context.
    pub(crate) fn new<'a>(
        base: &Base,
        answerable: Answerable,
        examples: impl IntoIterator<Item = &'a Example>,
        file: &str,
    ) -> Result<Self, Error> {
        let examples: Vec<&Example> = examples.into_iter().collect();
        let texts = examples.iter().map(|example| {
            let context = example.text_pair.as_deref().unwrap_or_default();
            (example.text.as_str(), context)
        });
        let encoded = base.encode_windows(texts).map_err(|error| match error {
            Error::Checkpoint(CheckpointError::LongQuestion {
                question,
                tokens,
                most,
            }) => Error::LongQuestion {
                file: file.to_owned(),
                line: examples[question].line,
                tokens,
                most,
            },
            other => other,
        })?;
        let mut questions = Self {
            windows: Vec::new(),
            offsets: Vec::new(),
            of: Vec::new(),
            contexts: Vec::new(),
            golds: Vec::new(),
            answerable,
            spans: Vec::new(),
            counts: encoded.counts,
            narrowed: encoded.narrowed,
        };
        for (example, windows) in examples.into_iter().zip(encoded.of) {
            let answers = example.label.as_ref().and_then(Label::answers);
            let answers = answers.unwrap_or_default();
            let first = questions.windows.len();
            for window in windows {
                let learned = answers.first().and_then(characters);
                let span = learned.map(|(start, end)| window.span_of(start, end));
                questions.spans.push(span.unwrap_or_default());
                questions.windows.push(window.encoding);
                questions.offsets.push(window.offsets);
            }
            questions.of.push(first..questions.windows.len());
            let context = example.text_pair.clone();
            questions.contexts.push(context.unwrap_or_default());
            let golds = answers.iter().map(|answer| answer.text.clone());
            questions.golds.push(golds.collect());
        }
        Ok(questions)
    }

    /// The windows as examples to learn from (`prepare_train_features` of `run_qa.py`).
    pub(crate) fn train_set(&self) -> EncodedSet {
        EncodedSet::new(self.windows.clone(), Targets::Spans(self.spans.clone()))
    }

    /// How the questions fit the model.
    pub(crate) fn counts(&self) -> InputCounts {
        self.counts
    }

    /// What the user should hear of the questions in the file `of`.
    pub(crate) fn notes(&self, base: &Base, of: &str) -> Vec<String> {
        let mut notes = base.input_notes(of, self.counts);
        if self.narrowed > 0 {
            notes.push(format!(
                "{of}: beside {} of the questions an input of {} tokens has so little room that windows of the context \
                 overlap by less than {OVERLAP} tokens",
                self.narrowed,
                base.max_length()
            ));
        }
        notes
    }

    /// The right answers of each question.
    pub fn golds(&self) -> &[Vec<String>] {
        &self.golds
    }

    /// What a model says of each question, which gives each window the start and the end score of each token, one token
    /// after another. A question that may have none is answered if the score of no answer is higher by `threshold` at most.
    pub(crate) fn choose(&self, scores: &[Vec<f32>], threshold: f32) -> Vec<ChosenSpan> {
        let chosen = self.of.iter().zip(&self.contexts).map(|(of, context)| {
            let pairs = scores[of.clone()].iter().map(|s| s.as_chunks().0);
            let windows = self.offsets[of.clone()].iter().zip(pairs);
            let windows = windows.map(|(offsets, scores)| WindowScores { offsets, scores });
            let windows: Vec<WindowScores<'_>> = windows.collect();
            let mut chosen = chosen(best_span(&windows, self.answerable), context, threshold);
            let finite = |window: &WindowScores<'_>| {
                window.scores.as_flattened().iter().all(|s| s.is_finite())
            };
            if !windows.iter().all(finite) {
                // Damaged weights are told by it.
                chosen.probability = f32::NAN;
            }
            chosen
        });
        chosen.collect()
    }

    /// What was said of each question beside what is right.
    pub(crate) fn compare(&self, said: Vec<ChosenSpan>) -> Vec<Prediction> {
        let compared = said.into_iter().zip(&self.golds).map(|(said, golds)| {
            let (f1, exact) = self.worth(&said.text, golds);
            Prediction::Answer {
                token_f1: match said.probability.is_nan() {
                    true => f32::NAN,
                    false => f1 as f32,
                },
                exact,
                text: said.text,
            }
        });
        compared.collect()
    }

    /// What it gives to answer each question with the best answer: the answer's F1, or 1 where it is right if `exact`
    /// counts; -1 where the right answer is none and there is an answer.
    pub(crate) fn gains(&self, chosen: &[ChosenSpan], exact: bool) -> Vec<f64> {
        let questions = chosen.iter().zip(&self.golds);
        let gains = questions.map(|(chosen, golds)| match golds.is_empty() {
            true => -f64::from(u8::from(!chosen.best.is_empty())),
            false => match (self.worth(&chosen.best, golds), exact) {
                ((f1, _), false) => f1,
                ((_, right), true) => f64::from(u8::from(right)),
            },
        });
        gains.collect()
    }

    /// F1 and whether it is right, of an answer to a question with these right answers.
    fn worth(&self, text: &str, golds: &[String]) -> (f64, bool) {
        match self.answerable {
            Answerable::Always => (token_f1(text, golds), exact_match(text, golds)),
            Answerable::Sometimes => (
                token_f1_or_none(text, golds),
                exact_match_or_none(text, golds),
            ),
        }
    }
}

/// The characters of an answer in its context.
fn characters(answer: &GoldAnswer) -> Option<(usize, usize)> {
    let start = answer.start?;
    Some((start, start + answer.text.chars().count()))
}

fn chosen(choice: SpanChoice, context: &str, threshold: f32) -> ChosenSpan {
    let text = |(start, end): (usize, usize)| -> String {
        let characters = context.chars().skip(start);
        characters.take(end.saturating_sub(start)).collect()
    };
    let best = choice.span.map(text).unwrap_or_default();
    let none = choice.no_answer.is_some_and(|score| score > threshold);
    ChosenSpan {
        text: if none { String::new() } else { best.clone() },
        characters: choice.span.filter(|_| !none),
        probability: match (none, choice.no_answer_probability) {
            (true, Some(probability)) => probability,
            (_, _) => choice.probability,
        },
        best,
        no_answer: choice.no_answer,
    }
}
