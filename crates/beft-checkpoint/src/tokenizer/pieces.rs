//! The parts that transformers' classes of tokenizers are made of: normalizer, splitting of words, decoder.

use std::collections::BTreeMap;

use tokenizers::models::unigram::Unigram;
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::normalizers::{BertNormalizer, Lowercase, NFC, Replace, Strip};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::punctuation::Punctuation;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::pre_tokenizers::whitespace::WhitespaceSplit;
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, SplitDelimiterBehavior, decoders, normalizers,
};

use super::class::Class;
use super::settings::TokenizerSettings;

/// One word of text in Qwen2 (`PRETOKENIZE_REGEX` in `tokenization_qwen2.py`).
const QWEN2_WORD: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Spaces that DeBERTa's tokenizer takes for one (`tokenization_deberta_v2.py`).
const SPACES: &str = r"\s{2,}|[\n\r\t]";

/// What sentencepiece writes for a space.
const SPACE: char = '\u{2581}';

/// What is done with texts before they are split. `found` is what tokenizer.json says.
pub(super) fn normalizer(
    class: Class,
    settings: &TokenizerSettings,
    found: Option<&NormalizerWrapper>,
) -> Option<NormalizerWrapper> {
    match class {
        // They take the table of characters of their model of sentencepiece and nothing else.
        Class::XlmRoberta | Class::Camembert => {
            let parts = match found? {
                NormalizerWrapper::Sequence(parts) => parts.as_ref(),
                one => std::slice::from_ref(one),
            };
            let is_table =
                |part: &&NormalizerWrapper| matches!(part, NormalizerWrapper::Precompiled(_));
            parts.iter().find(is_table).cloned()
        }
        Class::Bert | Class::DistilBert | Class::Mpnet => {
            let [chinese, lower] = [settings.chinese_chars, settings.lower_case];
            let (chinese, lower) = (chinese.unwrap_or(true), lower.unwrap_or(true));
            Some(BertNormalizer::new(true, chinese, settings.strip_accents, lower).into())
        }
        Class::DebertaV2 => {
            let lower = settings.lower_case == Some(true);
            let lower = lower.then(|| Lowercase.into());
            let spaces = Replace::new(ReplacePattern::Regex(SPACES.to_owned()), " ")
                .unwrap_or_else(|_| unreachable!("the expression is a constant"));
            let rest = [spaces.into(), NFC.into(), Strip::new(false, true).into()];
            let all: Vec<NormalizerWrapper> = lower.into_iter().chain(rest).collect();
            Some(normalizers::Sequence::new(all).into())
        }
        Class::Qwen2 => Some(NFC.into()),
        Class::Roberta | Class::Gpt2 | Class::Llama | Class::Generic => None,
    }
}

/// The pieces of a model of sentencepiece as transformers' classes take them. An unknown word is number 3 for
/// `XLMRobertaTokenizer`, and else the piece that has its name; without one it is number 0 for `CamembertTokenizer`, and for
/// `DebertaV2Tokenizer` what tokenizer_config.json says (`unk_id`), or number 1.
pub(super) fn unigram(
    class: Class,
    pieces: &Unigram,
    special: &BTreeMap<String, AddedToken>,
    unk_id: Option<usize>,
) -> Result<Unigram, String> {
    let all: Vec<(String, f64)> = pieces.iter().cloned().collect();
    let unknown = special.get("unk_token").map(|token| token.content.as_str());
    let is_named = |piece: &str| Some(piece) == unknown;
    let unknown = match class {
        Class::XlmRoberta => 3,
        Class::Camembert => { all.iter().position(|(piece, _)| is_named(piece)) }.unwrap_or(0),
        _ => {
            let found = { all.iter() }.position(|(piece, score)| is_named(piece) && *score == 0.0);
            found.or(unk_id).unwrap_or(1)
        }
    };
    Unigram::from(all, Some(unknown), false).map_err(|e| e.to_string())
}

/// How texts are split into words.
pub(super) fn pre_tokenizer(class: Class, settings: &TokenizerSettings) -> PreTokenizerWrapper {
    let (prefix_space, legacy) = (settings.prefix_space, settings.legacy);
    let prefixed = prefix_space.unwrap_or(false);
    match class {
        Class::Bert | Class::DistilBert | Class::Mpnet => BertPreTokenizer.into(),
        Class::XlmRoberta | Class::Camembert => {
            let metaspace = metaspace(class, prefix_space).into();
            Sequence::new(vec![WhitespaceSplit.into(), metaspace]).into()
        }
        Class::DebertaV2 => {
            let punctuation = (settings.split_by_punct == Some(true))
                .then(|| Punctuation::new(SplitDelimiterBehavior::Isolated).into());
            let metaspace = metaspace(class, prefix_space).into();
            Sequence::new(punctuation.into_iter().chain([metaspace]).collect()).into()
        }
        Class::Llama => {
            let scheme = match (prefix_space.unwrap_or(true), legacy.unwrap_or(false)) {
                (false, _) => PrependScheme::Never,
                (true, true) => PrependScheme::Always,
                (true, false) => PrependScheme::First,
            };
            Metaspace::new(SPACE, scheme, false).into()
        }
        Class::Qwen2 => {
            let words = SplitPattern::Regex(QWEN2_WORD.to_owned());
            let split = Split::new(words, SplitDelimiterBehavior::Isolated, false)
                .unwrap_or_else(|_| unreachable!("the expression is a constant"));
            let bytes = ByteLevel::new(prefixed, true, false);
            Sequence::new(vec![split.into(), bytes.into()]).into()
        }
        Class::Roberta | Class::Gpt2 | Class::Generic => {
            ByteLevel::new(prefixed, true, true).into()
        }
    }
}

/// What sentencepiece's spaces are for the classes that read its pieces.
fn metaspace(class: Class, prefix_space: Option<bool>) -> Metaspace {
    let scheme = match (prefix_space.unwrap_or(true), class) {
        (true, _) => PrependScheme::Always,
        (false, Class::DebertaV2) => PrependScheme::First,
        (false, _) => PrependScheme::Never,
    };
    Metaspace::new(SPACE, scheme, true)
}

/// How tokens become text again.
pub(super) fn decoder(class: Class, prefix_space: bool) -> DecoderWrapper {
    match class {
        Class::DebertaV2 | Class::XlmRoberta | Class::Camembert => {
            metaspace(class, Some(prefix_space)).into()
        }
        Class::Bert | Class::DistilBert | Class::Mpnet => {
            decoders::wordpiece::WordPiece::new("##".to_owned(), true).into()
        }
        Class::Llama => {
            let replace = Replace::new(SPACE.to_string(), " ")
                .unwrap_or_else(|_| unreachable!("the pattern is a constant"));
            let mut parts: Vec<DecoderWrapper> = vec![
                replace.into(),
                decoders::byte_fallback::ByteFallback::new().into(),
                decoders::fuse::Fuse::new().into(),
            ];
            if prefix_space {
                parts.push(decoders::strip::Strip::new(' ', 1, 0).into());
            }
            decoders::sequence::Sequence::new(parts).into()
        }
        _ => ByteLevel::default().into(),
    }
}
