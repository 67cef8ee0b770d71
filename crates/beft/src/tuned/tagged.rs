//! Entities in texts.

use std::borrow::Cow;
use std::ops::Range;

use beft_eval::entities;
use beft_tasks::Example;
use serde::Serialize;

use super::{Answer, Tuned, check_finite_rows};
use crate::Error;
use crate::base::InputCounts;
use crate::data::{tag_name, tags_of};
use crate::evaluate::spoken;

/// An entity that a model finds in a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FoundEntity {
    /// Its first character, counted from 0.
    pub start: usize,
    /// The character behind its last one.
    pub end: usize,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The characters between.
    pub text: String,
    /// The mean probability of its words' tags.
    pub score: f32,
}

/// The tags of a text's words.
pub(crate) struct TaggedText {
    /// The characters of each word.
    spans: Vec<Range<usize>>,
    /// Its tag, and the probability of that.
    pub(crate) tags: Vec<(usize, f32)>,
}

impl Tuned {
    /// The tags of the words of texts.
    ///
    /// # Errors
    ///
    /// When tokenising fails, or the model's numbers are not finite.
    pub(crate) fn tagged(
        &self,
        examples: &[&Example],
    ) -> Result<(Vec<TaggedText>, InputCounts), Error> {
        let (words, counts) = self.base.encode_words(examples)?;
        let inputs: Vec<_> = words.iter().map(|words| words.encoding.clone()).collect();
        let words = words.into_iter().map(|words| (words.spans, words.first));
        let texts = self.tagged_of(words.collect(), &self.compute(&inputs))?;
        Ok((texts, counts))
    }

    /// The same of words, given by their characters and their first tokens, from the numbers that the model gave.
    fn tagged_of(&self, words: Vec<Words>, scores: &[Vec<f32>]) -> Result<Vec<TaggedText>, Error> {
        check_finite_rows(&self.base, scores)?;
        let names = self.outputs.names();
        let texts = words.into_iter().zip(scores);
        let texts = texts.map(|((spans, first), scores)| TaggedText {
            tags: tags_of(scores, &first, names),
            spans,
        });
        Ok(texts.collect())
    }

    /// The entities in texts, from the numbers that the model gave.
    pub(super) fn entities_of(
        &self,
        words: Vec<Words>,
        texts: &[TaggedInput],
        scores: &[Vec<f32>],
    ) -> Result<Vec<Answer>, Error> {
        let tagged = self.tagged_of(words, scores)?;
        let names = self.outputs.names();
        let answers = tagged.iter().zip(texts).map(|(tagged, input)| {
            let tags: Vec<&str> = { tagged.tags.iter() }
                .map(|(tag, _)| tag_name(names, *tag))
                .collect();
            // A tag without a prefix is inside of an entity, as in transformers' pipeline.
            let prefixed: Vec<Cow<'_, str>> = tags.iter().copied().map(prefixed).collect();
            let prefixed: Vec<&str> = prefixed.iter().map(Cow::as_ref).collect();
            let found = entities(&prefixed).into_iter();
            Answer::Tags {
                entities: found.map(|e| tagged.entity(e, &input.text)).collect(),
                tags: input
                    .in_words
                    .then(|| tags.iter().map(|tag| (*tag).to_owned()).collect()),
            }
        });
        Ok(answers.collect())
    }
}

/// The characters of a text's words, and the number of each word's first token.
pub(super) type Words = (Vec<Range<usize>>, Vec<Option<usize>>);

/// A text whose words have tags.
#[derive(Clone, Debug)]
pub(super) struct TaggedInput {
    /// The text.
    pub(super) text: String,
    /// Whether it was given in words.
    pub(super) in_words: bool,
}

fn prefixed(tag: &str) -> Cow<'_, str> {
    match tag == "O" || tag.contains('-') {
        true => tag.into(),
        false => format!("I-{tag}").into(),
    }
}

impl TaggedText {
    fn entity(&self, entity: beft_eval::Entity<'_>, text: &str) -> FoundEntity {
        let words = entity.first..entity.last + 1;
        let (start, end) = (self.spans[entity.first].start, self.spans[entity.last].end);
        let scores = self.tags[words.clone()]
            .iter()
            .map(|(_, score)| f64::from(*score));
        FoundEntity {
            start,
            end,
            kind: entity.kind.to_owned(),
            text: text.chars().skip(start).take(end - start).collect(),
            score: (scores.sum::<f64>() / words.len() as f64) as f32,
        }
    }
}

/// Entities as a person writes them.
pub(super) fn spoken_entities(found: &[FoundEntity]) -> String {
    let found = found
        .iter()
        .map(|entity| spoken(&entity.text, &entity.kind));
    found.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::prefixed;

    #[test]
    fn tags_without_a_prefix_keep_their_whole_name() {
        let tags = ["LABEL_0", "O", "B-PER", "PER"].map(prefixed);
        assert_eq!(tags, ["I-LABEL_0", "O", "B-PER", "I-PER"]);
    }
}
