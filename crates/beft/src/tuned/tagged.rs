//! Entities in texts.

use std::borrow::Cow;

use beft_eval::{entities, predict};
use beft_nn::Savings;
use beft_tasks::Example;
use serde::Serialize;

use super::{Answer, EVAL_BATCH, Tuned, check_finite_rows};
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
    spans: Vec<std::ops::Range<usize>>,
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
        let scores = predict(&self.model, &inputs, EVAL_BATCH, Savings::default(), |_| ());
        check_finite_rows(&self.base, &scores)?;
        let names = self.outputs.names();
        let texts = words.into_iter().zip(&scores);
        let texts = texts.map(|(words, scores)| TaggedText {
            tags: tags_of(scores, &words.first, names),
            spans: words.spans,
        });
        Ok((texts.collect(), counts))
    }

    /// The entities in texts.
    pub(super) fn entities(
        &self,
        examples: &[&Example],
    ) -> Result<(Vec<Answer>, InputCounts), Error> {
        let (texts, counts) = self.tagged(examples)?;
        let names = self.outputs.names();
        let answers = texts.iter().zip(examples).map(|(tagged, example)| {
            let tags: Vec<&str> = { tagged.tags.iter() }
                .map(|(tag, _)| tag_name(names, *tag))
                .collect();
            // A tag without a prefix is inside of an entity, as in transformers' pipeline.
            let prefixed: Vec<Cow<'_, str>> = tags.iter().copied().map(prefixed).collect();
            let prefixed: Vec<&str> = prefixed.iter().map(Cow::as_ref).collect();
            let found = entities(&prefixed).into_iter();
            Answer::Tags {
                entities: found.map(|e| tagged.entity(e, &example.text)).collect(),
                tags: example
                    .words
                    .is_some()
                    .then(|| tags.iter().map(|tag| (*tag).to_owned()).collect()),
            }
        });
        Ok((answers.collect(), counts))
    }
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
