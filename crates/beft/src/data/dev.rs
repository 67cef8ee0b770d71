//! Dev splits, by how a model is asked.

use beft_core::{EncodedSet, Encoding, OutputKind, Targets};
use beft_tasks::{Example, Label, PromptExample, Split};

use crate::data::TaggedSet;
use crate::data::prompts::{Calibration, Choices, Prompter, Questions};
use crate::data::spans::SpanQuestions;
use crate::{Error, Objective};

/// A dev split.
#[derive(Clone, Debug)]
pub struct DevSet {
    /// Which one.
    pub split: Split,
    /// The texts.
    pub examples: Vec<Example>,
    /// The same in tokens, in the form that the task has.
    pub inputs: DevInputs,
}

/// What a model is given of a dev split.
#[derive(Clone, Debug)]
pub enum DevInputs {
    /// Texts with labels.
    Labelled(EncodedSet),
    /// Texts with a tag for each word.
    Tagged(TaggedSet),
    /// Prompts with candidates behind each.
    Choices(Choices, Option<Calibration>),
    /// Texts whose likelihood is measured.
    Texts(EncodedSet),
    /// Prompts that are answered in the model's own words.
    Questions(Questions),
    /// Questions that are answered by a part of their context.
    Spans(SpanQuestions),
    /// Texts whose embeddings are compared.
    Compared(EncodedSet),
}

impl DevInputs {
    /// The inputs that are scored; none where the answer is generated.
    pub fn encodings(&self) -> &[Encoding] {
        match self {
            Self::Labelled(set) | Self::Texts(set) | Self::Compared(set) => &set.encodings,
            Self::Tagged(tagged) => &tagged.set.encodings,
            Self::Choices(choices, _) => &choices.set.encodings,
            Self::Questions(_) => &[],
            Self::Spans(questions) => &questions.windows,
        }
    }

    /// Takes the tokens away that all prompts begin with, and returns them. At least one stays of each prompt.
    pub(crate) fn take_shared_prompt(&mut self) -> Vec<u32> {
        // Each with the length of what is in front of candidates.
        let mut prompts: Vec<(usize, &mut Vec<u32>)> = match self {
            Self::Choices(choices, calibration) => {
                let free = calibration.iter_mut().flat_map(|free| &mut free.encodings);
                let all = choices.set.encodings.iter_mut().chain(free);
                all.map(|encoding| (encoding.prompt_len(), &mut encoding.ids))
                    .collect()
            }
            Self::Questions(questions) => {
                let all = questions.prompts.iter_mut();
                all.map(|ids| (ids.len(), ids)).collect()
            }
            Self::Labelled(_)
            | Self::Tagged(_)
            | Self::Texts(_)
            | Self::Spans(_)
            | Self::Compared(_) => Vec::new(),
        };
        let Some((_, first)) = prompts.first() else {
            return Vec::new();
        };
        let first = (**first).clone();
        let shared = prompts.iter().map(|(len, ids)| {
            let same = ids.iter().zip(&first).take_while(|(a, b)| a == b).count();
            same.min(len.saturating_sub(1))
        });
        let shared = shared.min().unwrap_or(0);
        for (_, ids) in &mut prompts {
            ids.drain(..shared);
        }
        first[..shared].to_vec()
    }

    /// The inputs as a training takes them; none where the answer is generated.
    pub(super) fn into_set(self) -> EncodedSet {
        match self {
            Self::Labelled(set) | Self::Texts(set) | Self::Compared(set) => set,
            Self::Tagged(tagged) => tagged.set,
            Self::Choices(choices, _) => choices.set,
            Self::Spans(questions) => questions.train_set(),
            Self::Questions(_) => EncodedSet::new(Vec::new(), Targets::Tokens(Vec::new())),
        }
    }

    /// What is right for each input, or for each of its words; `None` where answers are texts, which are compared with
    /// the right ones at once.
    pub fn targets(&self) -> Option<&Targets> {
        match self {
            Self::Labelled(set) | Self::Texts(set) | Self::Compared(set) => Some(&set.targets),
            Self::Tagged(tagged) => Some(&tagged.tags),
            Self::Choices(choices, _) => Some(&choices.set.targets),
            Self::Questions(_) | Self::Spans(_) => None,
        }
    }

    /// What a model says of each input.
    pub fn output(&self) -> OutputKind {
        match self {
            Self::Labelled(set) | Self::Compared(set) => match set.targets {
                Targets::Values(_) | Targets::Similarities(_) => OutputKind::Value,
                Targets::Ranked(_) => OutputKind::Rank,
                Targets::Labels(_) => OutputKind::Labels,
                Targets::Tags(_) => OutputKind::Tags,
                Targets::Classes(_) | Targets::Tokens(_) => OutputKind::Classes,
                Targets::Spans(_) => OutputKind::Answer,
            },
            Self::Tagged(_) => OutputKind::Tags,
            Self::Choices(..) => OutputKind::Classes,
            Self::Texts(_) => OutputKind::Tokens,
            Self::Questions(_) | Self::Spans(_) => OutputKind::Answer,
        }
    }

    /// Whether predictions of it are those of `other`: the same inputs, scored and not generated.
    pub(crate) fn same_scores(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Spans(mine), Self::Spans(other)) => mine == other,
            (_, _) => {
                let scored = self.targets().zip(other.targets());
                scored.is_some_and(|(a, b)| a == b) && self.encodings() == other.encodings()
            }
        }
    }
}

impl Prompter<'_> {
    /// Makes a dev split of examples to measure on.
    pub(crate) fn dev_set(
        &self,
        examples: &[PromptExample],
        calibrated: bool,
    ) -> Result<DevSet, Error> {
        let output = self.output();
        if calibrated && output != OutputKind::Classes {
            return Err(Error::Calibrated);
        }
        let inputs = match output {
            OutputKind::Classes
            | OutputKind::Labels
            | OutputKind::Tags
            | OutputKind::Rank
            | OutputKind::Value => {
                let calibration = calibrated.then(|| self.calibration(examples)).transpose()?;
                DevInputs::Choices(self.choices(examples)?, calibration)
            }
            OutputKind::Tokens => DevInputs::Texts(self.train(examples, Objective::Text)?),
            OutputKind::Answer => DevInputs::Questions(self.questions(examples)?),
        };
        Ok(DevSet {
            split: Split::Dev,
            examples: examples.iter().map(plain).collect(),
            inputs,
        })
    }
}

/// A prompt as a text with its label.
pub fn plain(example: &PromptExample) -> Example {
    Example {
        text: example.prompt.clone(),
        words: None,
        text_pair: None,
        label: example.right.first().map(|right| Label::Class(*right)),
        line: example.line,
    }
}
