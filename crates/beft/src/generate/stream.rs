use beft_checkpoint::{CheckpointError, TextTokenizer};

/// What decoding makes of bytes that are no whole character.
const INCOMPLETE: char = '\u{FFFD}';

/// Tokens at most whose text is held back because it ends within a character. A character has up to four bytes, and
/// another may begin in its last token.
const MOST_HELD: usize = 16;

/// The text of tokens as they come, up to a text to stop at.
///
/// A token alone has no text: it may be a part of a character, and the space in front of a word depends on what is before
/// it. What is given is whole characters, and never a part of a text to stop at.
// `step_decode_stream` of the crate tokenizers fails where bytes turn out to be no text (`InvalidPrefix`), which a model
// that is drawn from writes now and then, and keeps for itself what is incomplete at the end.
#[derive(Clone, Debug)]
pub struct TextStream {
    /// The last tokens whose text was read, and those since.
    ids: Vec<u32>,
    /// How many of them were read.
    read: usize,
    stop: Vec<String>,
    /// Text that may be the beginning of one to stop at.
    held: String,
    /// Number of characters that were read.
    characters: usize,
    stopped: bool,
}

impl TextStream {
    /// The text that follows a prompt, up to the first of the texts `stop`; empty ones count for nothing.
    pub fn new(prompt: &[u32], stop: impl IntoIterator<Item = String>) -> Self {
        Self {
            ids: prompt.to_vec(),
            read: prompt.len(),
            stop: stop.into_iter().filter(|text| !text.is_empty()).collect(),
            held: String::new(),
            characters: 0,
            stopped: false,
        }
    }

    /// Whether a text to stop at has come. Nothing follows.
    pub fn has_stopped(&self) -> bool {
        self.stopped
    }

    /// Number of characters of the text before the next token, those that are held back among them.
    pub fn characters(&self) -> usize {
        self.characters
    }

    /// Takes the next token, and gives the text that is certain by now.
    ///
    /// # Errors
    ///
    /// When the tokenizer fails.
    pub fn push(&mut self, tokenizer: &TextTokenizer, id: u32) -> Result<String, CheckpointError> {
        if self.stopped {
            return Ok(String::new());
        }
        self.ids.push(id);
        let text = self.behind(tokenizer, &self.ids)?;
        let incomplete = text.ends_with(INCOMPLETE) && self.ids.len() - self.read < MOST_HELD;
        // What is before stays as long as nothing follows it: a special token has no text, and is no context.
        if text.is_empty() || incomplete {
            return Ok(String::new());
        }
        self.ids.drain(..self.read);
        self.read = self.ids.len();
        self.characters += text.chars().count();
        Ok(self.certain(&text))
    }

    /// Ends the text, and gives the rest of it.
    ///
    /// # Errors
    ///
    /// When the tokenizer fails.
    pub fn finish(&mut self, tokenizer: &TextTokenizer) -> Result<String, CheckpointError> {
        if self.stopped {
            return Ok(String::new());
        }
        let text = self.behind(tokenizer, &self.ids)?;
        let mut text = self.certain(&text);
        if !self.stopped {
            text.push_str(&self.held);
        }
        self.stopped = true;
        Ok(text)
    }

    /// The text that a token would add here. Bytes that are no whole character are U+FFFD.
    ///
    /// # Errors
    ///
    /// When the tokenizer fails.
    pub fn text_of(&self, tokenizer: &TextTokenizer, id: u32) -> Result<String, CheckpointError> {
        match self.read == self.ids.len() {
            true => {
                let mut ids = self.ids.clone();
                ids.push(id);
                self.behind(tokenizer, &ids)
            }
            // Within a character.
            false => tokenizer.decode(&[id]),
        }
    }

    /// The text of those tokens that were not read.
    fn behind(&self, tokenizer: &TextTokenizer, ids: &[u32]) -> Result<String, CheckpointError> {
        let (before, all) = (tokenizer.decode(&ids[..self.read])?, tokenizer.decode(ids)?);
        match all.strip_prefix(&before) {
            Some(text) => Ok(text.to_owned()),
            // Bytes that were a character are none behind others that are not (`ByteFallback`).
            None => tokenizer.decode(&ids[self.read..]),
        }
    }

    /// Adds to the text, and gives what of it can be no part of a text to stop at.
    fn certain(&mut self, text: &str) -> String {
        self.held.push_str(text);
        let stops = self.stop.iter();
        if let Some(end) = stops.filter_map(|stop| self.held.find(stop)).min() {
            self.stopped = true;
            self.held.truncate(end);
            return std::mem::take(&mut self.held);
        }
        let begins_stop = |rest: &str| self.stop.iter().any(|stop| stop.starts_with(rest));
        let mut places = self.held.char_indices().map(|(place, _)| place);
        let end = places.find(|place| begins_stop(&self.held[*place..]));
        let rest = self.held.split_off(end.unwrap_or(self.held.len()));
        std::mem::replace(&mut self.held, rest)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Words with a space in front, and bytes, as LLaMA's tokenizer has.
    fn tokenizer() -> TextTokenizer {
        let mut vocab = vec![
            ("<s>".to_owned(), 0),
            ("\u{2581}a".to_owned(), 1),
            ("\u{2581}b".to_owned(), 2),
            ("c".to_owned(), 3),
            ("\u{2581}".to_owned(), 4),
        ];
        vocab.extend((0..256).map(|byte| (format!("<0x{byte:02X}>"), 5 + byte)));
        let vocab: serde_json::Map<String, serde_json::Value> = vocab
            .into_iter()
            .map(|(token, id)| (token, id.into()))
            .collect();
        let json = serde_json::json!({
            "version": "1.0",
            "added_tokens": [{"id": 0, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true}],
            "decoder": {"type": "Sequence", "decoders": [
                {"type": "Replace", "pattern": {"String": "\u{2581}"}, "content": " "},
                {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
            "model": {"type": "BPE", "vocab": vocab, "merges": [], "byte_fallback": true},
        });
        let json = json.to_string();
        TextTokenizer::from_bytes(json.as_bytes(), Path::new("tokenizer.json"), 64).unwrap()
    }

    fn byte(byte: u8) -> u32 {
        5 + u32::from(byte)
    }

    fn parts(prompt: &[u32], ids: &[u32], stop: &[&str]) -> (Vec<String>, bool) {
        let tokenizer = tokenizer();
        let stop = stop.iter().map(|text| (*text).to_owned());
        let mut stream = TextStream::new(prompt, stop);
        let parts = ids.iter().map(|id| stream.push(&tokenizer, *id).unwrap());
        let mut parts: Vec<String> = parts.collect();
        let stopped = stream.has_stopped();
        parts.push(stream.finish(&tokenizer).unwrap());
        (parts, stopped)
    }

    #[test]
    fn tokens_give_the_text_that_they_have_together() {
        assert_eq!(parts(&[0], &[1, 2, 3], &[]).0, ["a", " b", "c", ""]);
        // Behind a text a word keeps its space.
        assert_eq!(parts(&[0, 1], &[2, 0, 2, 4, 1], &[]).0.concat(), " b b  a");
        let tokenizer = tokenizer();
        for ids in [&[1, 4, 4, 1][..], &[4, 1, 0, 2], &[4, 4, 4]] {
            let whole = tokenizer.decode(&[&[0][..], ids].concat()).unwrap();
            assert_eq!(parts(&[0], ids, &[]).0.concat(), whole, "{ids:?}");
        }
    }

    #[test]
    fn characters_come_whole() {
        let smile = "\u{1F600}".as_bytes();
        let ids: Vec<u32> = smile.iter().map(|b| byte(*b)).chain([1]).collect();
        assert_eq!(
            parts(&[0], &ids, &[]).0,
            ["", "", "", "\u{1F600}", " a", ""]
        );
        // One that stays incomplete is shown at the end.
        assert_eq!(parts(&[1], &ids[..2], &[]).0, ["", "", "\u{FFFD}\u{FFFD}"]);
        // Bytes that were a character, and are none with those that follow.
        let (parts, _) = parts(&[1], &[byte(b'x'), byte(0xC3), 1, 2], &[]);
        assert_eq!(parts, ["x", "", "\u{FFFD} a", " b", ""]);
    }

    #[test]
    fn a_text_to_stop_at_is_no_part_of_the_text() {
        assert_eq!(
            parts(&[0], &[1, 2, 3, 1], &["b"]),
            (
                vec!["a".into(), " ".into(), "".into(), "".into(), "".into()],
                true
            )
        );
        // What may become one is held back until it is certain.
        let (text, stopped) = parts(&[0], &[1, 2, 2, 3, 1], &[" bc", "zz"]);
        assert_eq!(
            (text, stopped),
            (
                vec![
                    "a".into(),
                    "".into(),
                    " b".into(),
                    "".into(),
                    "".into(),
                    "".into()
                ],
                true
            )
        );
        let (text, stopped) = parts(&[0], &[1, 2], &[" bc"]);
        assert_eq!(
            (text, stopped),
            (vec!["a".into(), "".into(), " b".into()], false)
        );
        // The first of several counts, and an empty one does not.
        let (text, _) = parts(&[0], &[1, 2, 3], &["", "c", "b"]);
        assert_eq!(text.concat(), "a ");
        // One that the incomplete end completes.
        assert_eq!(parts(&[0], &[1, byte(0xE2)], &["\u{FFFD}"]).0.concat(), "a");
    }

    #[test]
    fn tokens_have_a_text_of_their_own() {
        let tokenizer = tokenizer();
        let mut stream = TextStream::new(&[0, 1], []);
        assert_eq!(stream.text_of(&tokenizer, 2).unwrap(), " b");
        stream.push(&tokenizer, 2).unwrap();
        assert_eq!(
            (stream.text_of(&tokenizer, 3).unwrap(), stream.characters()),
            ("c".into(), 2)
        );
        stream.push(&tokenizer, byte(0xE2)).unwrap();
        assert_eq!(stream.text_of(&tokenizer, byte(0x80)).unwrap(), "\u{FFFD}");
        assert_eq!(stream.characters(), 2);
    }
}
