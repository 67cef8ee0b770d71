//! Texts in words with a tag for each.

use beft_core::{EncodedSet, Prediction, Targets};
use beft_eval::{argmax, softmax, tag_counts};
use beft_tasks::{Example, Label};

use crate::{Base, Error};

/// Texts with the right tag of each word.
#[derive(Clone, Debug, PartialEq)]
pub struct TaggedSet {
    /// The texts in tokens, with the tag of each word on its first one.
    pub set: EncodedSet,
    /// The right tags, one for each word.
    pub tags: Targets,
    /// By text the number of each word's first token; `None` for a word that is cut off, or has no token.
    pub first: Vec<Vec<Option<usize>>>,
    /// The names of the tags.
    pub names: Vec<String>,
}

impl TaggedSet {
    /// Tokenises examples; `file` is theirs, for the notes, which come with it.
    pub(super) fn new(
        base: &Base,
        examples: &[&Example],
        names: &[String],
        file: &str,
    ) -> Result<(Self, Vec<String>), Error> {
        let (words, counts) = base.encode_words(examples)?;
        let mut notes = base.input_notes(file, counts);
        let mut encodings = Vec::with_capacity(words.len());
        let (mut of_tokens, mut of_words, mut first) = (Vec::new(), Vec::new(), Vec::new());
        let (mut lost, mut all) = (0, 0);
        for (words, example) in words.into_iter().zip(examples) {
            let tags = example
                .label
                .as_ref()
                .and_then(Label::tags)
                .unwrap_or_default();
            let mut tagged = vec![None; words.encoding.len()];
            for (token, tag) in words.first.iter().zip(tags) {
                match token {
                    Some(token) => tagged[*token] = Some(*tag),
                    None => lost += 1,
                }
            }
            all += tags.len();
            of_tokens.push(tagged);
            of_words.push(tags.iter().copied().map(Some).collect());
            first.push(words.first);
            encodings.push(words.encoding);
        }
        if lost > 0 {
            notes.push(format!(
                "{file}: {lost} of {all} words were cut off or have no token: nothing is learned of them, and they are \
                 measured as if the model said `{OUTSIDE}`"
            ));
        }
        let tagged = Self {
            set: EncodedSet::new(encodings, Targets::Tags(of_tokens)),
            tags: Targets::Tags(of_words),
            first,
            names: names.to_vec(),
        };
        Ok((tagged, notes))
    }

    /// The predictions of which these are the scores of all tokens, text by text.
    pub(crate) fn predictions(&self, scores: &[Vec<f32>]) -> Vec<Prediction> {
        let Targets::Tags(truths) = &self.tags else {
            return Vec::new();
        };
        let texts = scores.iter().zip(&self.first).zip(truths);
        let predictions = texts.map(|((scores, first), truth)| {
            let said = tags_of(scores, first, &self.names);
            let said = said.into_iter().map(|(tag, _)| tag).collect();
            compared(truth, said, &self.names)
        });
        predictions.collect()
    }
}

/// The tag of what is no entity.
const OUTSIDE: &str = "O";

/// The tag of each word and its probability, from the scores of all tokens of a text; a word without a token is
/// outside.
pub(crate) fn tags_of(
    scores: &[f32],
    first: &[Option<usize>],
    names: &[String],
) -> Vec<(usize, f32)> {
    let outside = names.iter().position(|name| name == OUTSIDE);
    let rows: Vec<&[f32]> = scores.chunks(names.len().max(1)).collect();
    let words = first
        .iter()
        .map(|token| match token.and_then(|token| rows.get(token)) {
            Some(row) => {
                let tag = argmax(row);
                (tag, softmax(row)[tag])
            }
            None => (outside.unwrap_or(names.len()), 1.0),
        });
    words.collect()
}

/// The name of a tag; what has no name is outside.
pub(crate) fn tag_name(names: &[String], tag: usize) -> &str {
    names.get(tag).map_or(OUTSIDE, String::as_str)
}

/// Predicted tags beside the right ones, one for each word.
pub(crate) fn compared(truth: &[Option<usize>], said: Vec<usize>, names: &[String]) -> Prediction {
    let named = |tag: usize| tag_name(names, tag);
    let right: Vec<&str> = truth.iter().flatten().map(|tag| named(*tag)).collect();
    let found: Vec<&str> = said.iter().map(|tag| named(*tag)).collect();
    Prediction::Tags {
        counts: tag_counts(&right, &found),
        tags: said,
    }
}

#[cfg(test)]
mod tests {
    use beft_core::TagCounts;

    use super::*;

    #[test]
    fn a_word_has_the_tag_of_its_first_token() {
        let names = ["B-x", "I-x", "O"].map(str::to_owned);
        let row = |tag: usize| (0..3).map(move |at| if at == tag { 3.0 } else { 0.0 });
        let scores: Vec<f32> = [2, 0, 2, 1].into_iter().flat_map(row).collect();
        let said = tags_of(&scores, &[Some(1), Some(3), None], &names);
        let tags: Vec<usize> = said.iter().map(|(tag, _)| *tag).collect();
        assert_eq!(tags, [0, 1, 2]);
        // torch.softmax([3, 0, 0])
        assert!((said[0].1 - 0.909_442_9).abs() < 1e-6);
        let truth = [Some(0), Some(1), Some(0)];
        let Prediction::Tags { counts, .. } = compared(&truth, tags, &names) else {
            unreachable!();
        };
        let expected = TagCounts {
            correct: 1,
            found: 1,
            right: 2,
            same: 2,
            words: 3,
        };
        assert_eq!(counts, expected);
    }
}
