//! Prompts and what may follow them, as token ids.

use std::cell::Cell;
use std::collections::BTreeMap;

use beft_core::{EncodedSet, Encoding, OutputKind, Targets};
use beft_tasks::{Candidates, PromptExample, PromptKind, PromptTask, Template};

use crate::base::InputCounts;
use crate::{Base, Error};

/// What a decoder is trained with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Objective {
    /// As the protocol has it for the task: cross entropy over the candidates where they are the same words
    /// for all examples, else the language-model loss of the right text.
    #[default]
    Task,
    /// The language-model loss of the right text.
    Text,
}

/// Turns examples of a prompt task into token ids.
pub(crate) struct Prompter<'a> {
    base: &'a Base,
    task: &'a PromptTask,
    /// Longest input in tokens.
    max_length: usize,
    /// How many inputs were cut.
    cut: Cell<usize>,
    /// Worked examples in front of each question, with a blank line behind; empty for none.
    shots: String,
}

/// Questions that are answered by generated text.
#[derive(Clone, Debug)]
pub struct Questions {
    /// Prompts.
    pub prompts: Vec<Vec<u32>>,
    /// Right answers of each.
    pub answers: Vec<Vec<String>>,
    /// Longest answer in tokens.
    pub max_new_tokens: usize,
}

/// What candidates are worth behind a prompt without content.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// The prompts, each once with all candidates.
    pub(crate) encodings: Vec<Encoding>,
    /// For each example, its prompt's number.
    pub(crate) of: Vec<usize>,
}

/// Questions with all candidates behind each.
#[derive(Clone, Debug)]
pub struct Choices {
    /// The inputs, with the first right candidate of each.
    pub set: EncodedSet,
    /// For each example, all of its right candidates.
    pub right: Vec<Vec<usize>>,
}

/// A text with what follows it.
struct Pair<'a> {
    prompt: String,
    target: &'a str,
}

impl<'a> Prompter<'a> {
    /// With these examples in front of each question, and with so many positions left free, for a prefix.
    pub(crate) fn new(
        base: &'a Base,
        task: &'a PromptTask,
        shots: &[PromptExample],
        reserved: usize,
    ) -> Self {
        let shots = shots.iter();
        let shots = shots.map(|example| example.demonstration().trim().to_owned() + BETWEEN);
        let positions = base.config().longest_input();
        let room = positions.saturating_sub(reserved).max(2);
        let most = task.defaults.max_length.unwrap_or(usize::MAX);
        Self {
            base,
            task,
            max_length: most.min(base.max_length()).min(room),
            cut: Cell::new(0),
            shots: shots.collect(),
        }
    }

    /// What to say of inputs that were cut, from the left, so far.
    pub(crate) fn cut_note(&self, of: &str) -> Option<String> {
        let cut = self.cut.get();
        (cut > 0).then(|| {
            format!(
                "{of}: {cut} inputs are longer than {} tokens and were cut from the left",
                self.max_length
            )
        })
    }

    /// How many of so many examples were cut so far.
    pub(crate) fn counts(&self, examples: usize) -> InputCounts {
        InputCounts {
            all: examples,
            cut: self.cut.get(),
            ..InputCounts::default()
        }
    }

    /// What a model says of its questions.
    pub(crate) fn output(&self) -> OutputKind {
        self.task.output()
    }

    /// What training learns from.
    pub(crate) fn train(
        &self,
        examples: &[PromptExample],
        objective: Objective,
    ) -> Result<EncodedSet, Error> {
        if self.task.kind() == PromptKind::Classification && objective == Objective::Task {
            return Ok(self.choices(examples)?.set);
        }
        let targets: Vec<String> = examples.iter().map(|e| e.training_target()).collect();
        let pairs = examples.iter().zip(&targets).map(|(example, target)| Pair {
            prompt: self.question(&example.prompt),
            target,
        });
        let texts = self.encode_pairs(&pairs.collect::<Vec<_>>())?;
        let encodings: Vec<Encoding> = texts
            .into_iter()
            .map(|text| self.packed(&[text]))
            .collect::<Result<_, _>>()?;
        Ok(EncodedSet {
            class_weights: Vec::new(),
            targets: Targets::Tokens(encodings.iter().map(|e| e.branches[0].scored).collect()),
            encodings,
        })
    }

    /// Questions with all candidates behind each.
    pub(crate) fn choices(&self, examples: &[PromptExample]) -> Result<Choices, Error> {
        let mut pairs = Vec::new();
        for example in examples {
            for target in &example.candidates {
                pairs.push(Pair {
                    prompt: self.question(&example.prompt),
                    target,
                });
            }
        }
        let mut texts = self.encode_pairs(&pairs)?.into_iter();
        let encodings = examples.iter().map(|example| {
            let own: Vec<_> = texts.by_ref().take(example.candidates.len()).collect();
            self.packed(&own)
        });
        let encodings = encodings.collect::<Result<_, _>>()?;
        let first = |e: &PromptExample| e.right.first().copied().unwrap_or(0);
        Ok(Choices {
            set: EncodedSet {
                class_weights: Vec::new(),
                encodings,
                targets: Targets::Classes(examples.iter().map(first).collect()),
            },
            right: examples.iter().map(|e| e.right.clone()).collect(),
        })
    }

    /// The same candidates behind prompts without content.
    pub(crate) fn calibration(&self, examples: &[PromptExample]) -> Result<Calibration, Error> {
        let mut numbers: BTreeMap<(&str, &[String]), usize> = BTreeMap::new();
        let (mut distinct, mut of) = (Vec::new(), Vec::new());
        for example in examples {
            let key = (example.content_free.as_str(), example.candidates.as_slice());
            let next = numbers.len();
            let number = *numbers.entry(key).or_insert(next);
            if number == next {
                distinct.push(PromptExample {
                    prompt: example.content_free.clone(),
                    ..example.clone()
                });
            }
            of.push(number);
        }
        // Nothing stands in front of them.
        let bare = Prompter {
            shots: String::new(),
            cut: Cell::new(0),
            ..*self
        };
        Ok(Calibration {
            encodings: bare.choices(&distinct)?.set.encodings,
            of,
        })
    }

    /// Questions to be answered in the model's own words.
    pub(crate) fn questions(&self, examples: &[PromptExample]) -> Result<Questions, Error> {
        let texts = examples.iter().map(|e| self.question(&e.prompt));
        let texts: Vec<String> = texts.map(|t| t.trim_matches(' ').to_owned()).collect();
        let room = self.task.max_new_tokens;
        let most = self.max_length.saturating_sub(room);
        if most < SHORTEST_QUESTION {
            return Err(Error::NoRoom {
                max_length: self.max_length,
                answer: room,
            });
        }
        let ids = self
            .base
            .tokenizer()
            .encode_ids(texts.iter().map(String::as_str))?;
        let prompts = ids.into_iter().map(|ids| match ids.len() {
            0 => Ok(vec![self.needed_start()?]),
            length => {
                self.cut.set(self.cut.get() + usize::from(length > most));
                Ok(self.cut_to(ids, most))
            }
        });
        Ok(Questions {
            prompts: prompts.collect::<Result<_, Error>>()?,
            answers: examples.iter().map(|e| e.answers.clone()).collect(),
            max_new_tokens: room,
        })
    }

    fn question(&self, prompt: &str) -> String {
        match self.shots.is_empty() {
            true => prompt.to_owned(),
            false => format!("{}{}", self.shots, prompt.trim_start()),
        }
    }

    /// Token ids of each text with what follows it, and how many of them, from the end, count: as many as
    /// there are more than in the prompt alone, both without outer spaces
    /// (protocol, section 4).
    fn encode_pairs(&self, pairs: &[Pair<'_>]) -> Result<Vec<(Vec<u32>, usize)>, Error> {
        let full = |pair: &Pair<'_>| format!("{}{}", pair.prompt, pair.target);
        let texts: Vec<String> = pairs
            .iter()
            .map(|p| full(p).trim_matches(' ').to_owned())
            .collect();
        let prompts: Vec<&str> = pairs.iter().map(|p| p.prompt.trim_matches(' ')).collect();
        let tokenizer = self.base.tokenizer();
        let texts = tokenizer.encode_ids(texts.iter().map(String::as_str))?;
        // Candidates of one example share the prompt.
        let mut distinct: Vec<&str> = prompts.clone();
        distinct.dedup();
        let lengths = tokenizer.encode_ids(distinct.iter().copied())?;
        let mut lengths = distinct.iter().zip(lengths.iter().map(Vec::len));
        let mut current = lengths.next();
        let mut found = Vec::with_capacity(pairs.len());
        for (prompt, ids) in prompts.iter().zip(texts) {
            while current.is_some_and(|(text, _)| text != prompt) {
                current = lengths.next();
            }
            let before = current.map_or(0, |(_, length)| length);
            // A tokenizer may join a candidate with the prompt's end.
            let scored = ids.len().saturating_sub(before).max(1);
            found.push((ids, scored));
        }
        Ok(found)
    }

    /// Texts that begin alike, as one input: what they share, and then the rest of each.
    fn packed(&self, texts: &[(Vec<u32>, usize)]) -> Result<Encoding, Error> {
        // Something must come before what is predicted.
        let bare = texts.iter().any(|(ids, scored)| *scored >= ids.len());
        let start = bare.then(|| self.needed_start()).transpose()?;
        let begun = |ids: &[u32]| [start.as_slice(), ids].concat();
        let mut texts: Vec<(Vec<u32>, usize)> = texts
            .iter()
            .map(|(ids, scored)| (begun(ids), *scored))
            .collect();
        let longest = texts.iter().map(|(ids, _)| ids.len()).max().unwrap_or(0);
        // All are cut by the same number of tokens, so that they still begin alike.
        let over = longest.saturating_sub(self.max_length);
        self.cut.set(self.cut.get() + usize::from(over > 0));
        for (ids, scored) in &mut texts {
            let most = ids.len().saturating_sub(over).max(2);
            *ids = self.cut_to(std::mem::take(ids), most);
            *scored = (*scored).min(ids.len() - 1);
        }
        let Some((first, _)) = texts.first() else {
            return Ok(Encoding::default());
        };
        let unscored = texts.iter().map(|(ids, scored)| ids.len() - scored);
        let mut shared = unscored.min().unwrap_or(1);
        for (ids, _) in &texts {
            let same = ids.iter().zip(first).take_while(|(a, b)| a == b).count();
            shared = shared.min(same);
        }
        if shared == 0 {
            // Nothing in common: each begins by itself behind the same token.
            let start = self.needed_start()?;
            let branches = texts.iter().map(|(ids, scored)| (&ids[..], *scored));
            return Ok(Encoding::with_branches(&[start], branches));
        }
        let branches = texts.iter().map(|(ids, scored)| (&ids[shared..], *scored));
        Ok(Encoding::with_branches(&first[..shared], branches))
    }

    /// The last tokens, with the token that begins a text kept in front.
    fn cut_to(&self, ids: Vec<u32>, most: usize) -> Vec<u32> {
        if ids.len() <= most {
            return ids;
        }
        let first = self
            .start()
            .filter(|start| ids.first() == Some(start) && most > 1);
        let kept = most - usize::from(first.is_some());
        first
            .into_iter()
            .chain(ids[ids.len() - kept..].iter().copied())
            .collect()
    }

    /// The token that begins a text.
    fn needed_start(&self) -> Result<u32, Error> {
        self.start().ok_or_else(|| Error::NoStart {
            model: self.base.name().to_owned(),
        })
    }

    fn start(&self) -> Option<u32> {
        self.base.config().start()
    }
}

/// What a decoder was asked, for its adapter's record: the template, and what may follow.
pub(crate) fn prompt_facts(task: &PromptTask) -> String {
    let sources = |templates: &[Template]| -> Vec<String> {
        templates.iter().map(|t| t.source().to_owned()).collect()
    };
    let candidates = match &task.candidates {
        Candidates::Classes(texts) => texts.clone(),
        Candidates::Choices(templates) => sources(templates),
        Candidates::Each(template) | Candidates::Answer(template) => {
            sources(std::slice::from_ref(template))
        }
    };
    format!("{} -> {}", task.template.source(), candidates.join(" | "))
}

/// Tokens of a question at least.
const SHORTEST_QUESTION: usize = 4;

/// Between worked examples.
const BETWEEN: &str = "\n\n";
