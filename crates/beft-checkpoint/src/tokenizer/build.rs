//! Tokenizers as `AutoTokenizer` of transformers 5 makes them (`tokenization_auto.py`,
//! `tokenization_utils_tokenizers.py`): its classes build their parts anew from tokenizer_config.json, and take the
//! vocabulary alone from the other files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use beft_core::guarded;
use tokenizers::models::bpe::BPE;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, ModelWrapper, PostProcessorWrapper, Tokenizer, TruncationDirection};

use super::checks;
use super::class::Class;
use super::kept::{kept, other_part};
use super::parts::{changed_part, is_byte_level};
use super::pieces::{decoder, normalizer, pre_tokenizer, unigram};
use super::settings::TokenizerSettings;
use crate::CheckpointError;

pub(super) const TOKENIZER: &str = "tokenizer.json";
const WORD_PIECES: &str = "vocab.txt";
const VOCABULARY: &str = "vocab.json";
const MERGES: &str = "merges.txt";
/// Names under which models of sentencepiece are saved.
const SENTENCEPIECE: [&str; 4] = [
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "spm.model",
];

/// Characters of a word above which WordPiece calls it unknown.
const LONGEST_WORD: usize = 100;

/// A tokenizer and what the user should hear about its files.
pub(super) struct Built {
    pub(super) tokenizer: Tokenizer,
    /// Whether it tells the texts of a pair apart.
    pub(super) segments: bool,
    /// Whether tokenizer.json cuts long texts at their beginning.
    pub(super) cut_left: bool,
    pub(super) notes: Vec<String>,
}

/// Makes the tokenizer of a model folder. `declared` is the class that config.json names.
pub(super) fn build(
    dir: &Path,
    model_type: &str,
    declared: Option<&str>,
    settings: &TokenizerSettings,
) -> Result<Built, CheckpointError> {
    let json = dir.join(TOKENIZER);
    let declared = settings.class.as_deref().or(declared);
    let mut notes = settings.notes.clone();
    if json.is_file() {
        let bytes = fs::read(&json).map_err(CheckpointError::io("read", &json))?;
        let found = parse(&bytes, &json)?;
        let byte_level = is_byte_level(&bytes);
        let cut = found.get_truncation();
        let cut_left = cut.is_some_and(|cut| cut.direction == TruncationDirection::Left);
        // transformers' classes would replace what somebody made on purpose, where no config file asks for it.
        let (class, unknown) = match settings.found {
            true => Class::choose(model_type, declared, byte_level),
            false => (Class::Generic, false),
        };
        if let Some(name) = declared.filter(|_| unknown) {
            notes.push(format!(
                "{}: the tokenizer class `{name}` is not known here; {TOKENIZER} is used as it is",
                dir.display()
            ));
        }
        if class != Class::Generic && !class.takes(found.get_model()) {
            notes.push(format!(
                "{}: {TOKENIZER} is of another kind than the tokenizer class {} builds; it is used as it is",
                dir.display(),
                class.name()
            ));
        }
        if !class.takes(found.get_model()) {
            let generic = class == Class::Generic && settings.found && !unknown;
            let segments = gives_segments(settings, !generic && class.gives_segments());
            let (usual, _) = Class::choose(model_type, declared, byte_level);
            let other = match !settings.found && usual.takes(found.get_model()) {
                true => rebuilt(usual, &found, settings, false, dir).ok(),
                false => None,
            };
            let tokenizer = kept(class, found, settings, &json)?;
            notes.extend(other.and_then(|other| other_part(&tokenizer, usual, &other, dir)));
            return Ok(Built {
                tokenizer,
                segments,
                cut_left,
                notes,
            });
        }
        let segments = gives_segments(settings, class.gives_segments());
        let tokenizer = rebuilt(class, &found, settings, false, dir)?;
        if let Some(part) = changed_part(&found, &tokenizer) {
            notes.push(format!(
                "{}: tokenizer_config.json and {TOKENIZER} do not agree about the {part}; the first is followed, \
                 as transformers does",
                dir.display()
            ));
        }
        return Ok(Built {
            tokenizer,
            segments,
            cut_left,
            notes,
        });
    }
    let (class, _) = Class::choose(model_type, declared, false);
    let fail = |path: &Path, reason: String| CheckpointError::Tokenizer {
        path: path.to_owned(),
        reason,
    };
    let model: ModelWrapper = match class {
        Class::Bert | Class::DistilBert | Class::Mpnet if dir.join(WORD_PIECES).is_file() => {
            let path = dir.join(WORD_PIECES);
            let builder = WordPiece::from_file(&path.display().to_string());
            builder
                .build()
                .map_err(|e| fail(&path, e.to_string()))?
                .into()
        }
        Class::Roberta | Class::Gpt2 | Class::Qwen2 if dir.join(VOCABULARY).is_file() => {
            let (path, merges) = (dir.join(VOCABULARY), dir.join(MERGES));
            if !merges.is_file() {
                return Err(CheckpointError::MissingFile {
                    path: merges,
                    needed: "vocab.json with merges.txt, or tokenizer.json",
                });
            }
            let files = (path.display().to_string(), merges.display().to_string());
            let builder = BPE::from_file(&files.0, &files.1);
            builder
                .build()
                .map_err(|e| fail(&path, e.to_string()))?
                .into()
        }
        _ => return Err(missing(dir, &json)),
    };
    let tokenizer = rebuilt(class, &Tokenizer::new(model), settings, true, dir)?;
    Ok(Built {
        tokenizer,
        segments: gives_segments(settings, class.gives_segments()),
        cut_left: false,
        notes,
    })
}

/// Whether the tokenizer tells the texts of a pair apart, as its files say or else as is usual for it.
fn gives_segments(settings: &TokenizerSettings, usual: bool) -> bool {
    let names = settings.input_names.as_ref();
    names.map_or(usual, |names| {
        names.iter().any(|name| name == "token_type_ids")
    })
}

/// What to do about a folder without a tokenizer that can be read.
fn missing(dir: &Path, json: &Path) -> CheckpointError {
    let lone = SENTENCEPIECE
        .into_iter()
        .find(|name| dir.join(name).is_file());
    match lone {
        Some(name) => CheckpointError::Tokenizer {
            path: dir.join(name),
            reason: format!(
                "a sentencepiece model alone is not read here; convert it once: python -c \"from transformers import \
                 AutoTokenizer as T; T.from_pretrained('{0}').save_pretrained('{0}')\"",
                dir.display()
            ),
        },
        None => CheckpointError::MissingFile {
            path: json.to_owned(),
            needed: "tokenizer.json, or vocab.txt (BERT, DistilBERT, ELECTRA, MPNet), or vocab.json and merges.txt (RoBERTa, OPT, GPT-2, Qwen2)",
        },
    }
}

pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Tokenizer, CheckpointError> {
    let bad = |reason| CheckpointError::Tokenizer {
        path: path.to_owned(),
        reason,
    };
    checks::check(bytes).map_err(bad)?;
    // The library panics where values are nested very deep.
    let parsed = guarded(|| Tokenizer::from_bytes(bytes));
    let parsed = parsed.ok_or_else(|| bad("it is damaged".to_owned()))?;
    parsed.map_err(|e| bad(e.to_string()))
}

/// The tokenizer that a class makes of a vocabulary. `plain` says that there was no tokenizer.json.
pub(super) fn rebuilt(
    class: Class,
    found: &Tokenizer,
    settings: &TokenizerSettings,
    plain: bool,
    dir: &Path,
) -> Result<Tokenizer, CheckpointError> {
    let prefix_space = settings.prefix_space;
    let special = special_tokens(class, settings);
    let model: ModelWrapper = match found.get_model() {
        ModelWrapper::WordPiece(words) => {
            let mut words = words.clone();
            words.continuing_subword_prefix = "##".to_owned();
            words.max_input_chars_per_word = LONGEST_WORD;
            if let Some(unknown) = special.get("unk_token") {
                words.unk_token = unknown.content.clone();
            }
            words.into()
        }
        ModelWrapper::Unigram(pieces) => {
            let made = unigram(class, pieces, &special, settings.unk_id);
            made.map_err(|reason| CheckpointError::Tokenizer {
                path: dir.join(TOKENIZER),
                reason,
            })?
            .into()
        }
        other => other.clone(),
    };
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_normalizer(normalizer(class, settings, found.get_normalizer()));
    tokenizer.with_pre_tokenizer(Some(pre_tokenizer(class, settings)));
    tokenizer.with_decoder(Some(decoder(class, prefix_space.unwrap_or(true))));
    let (known, of_file) = (BTreeMap::new(), added_tokens(found));
    let tokens = settings.tokens.all(class, &known, &special, &of_file);
    tokenizer.add_tokens(&tokens);
    tokenizer.set_encode_special_tokens(settings.split_special);

    let token = |name: &str| {
        let content = special
            .get(name)
            .map(|token| token.content.clone())
            .unwrap_or_default();
        let id = tokenizer.token_to_id(&content);
        (content, id.unwrap_or_default())
    };
    let template = |single: &str, pair: &str, tokens: Vec<(String, u32)>| {
        let mut builder = TemplateProcessing::builder();
        let made = builder
            .try_single(single)
            .and_then(|builder| builder.try_pair(pair))
            .map_err(|e| e.to_string())
            .and_then(|b| b.special_tokens(tokens).build().map_err(|e| e.to_string()));
        made.map_err(|reason| CheckpointError::Tokenizer {
            path: dir.to_owned(),
            reason: format!("its special tokens cannot be put around texts: {reason}"),
        })
    };
    let processor: Option<PostProcessorWrapper> = match class {
        Class::Bert | Class::DistilBert | Class::DebertaV2 => {
            let (cls, sep) = (token("cls_token"), token("sep_token"));
            let single = format!("{}:0 $A:0 {}:0", cls.0, sep.0);
            let pair = format!("{single} $B:1 {}:1", sep.0);
            Some(template(&single, &pair, vec![cls, sep])?.into())
        }
        Class::Roberta => {
            let processing = RobertaProcessing::new(token("sep_token"), token("cls_token"));
            Some(
                processing
                    .add_prefix_space(prefix_space.unwrap_or(false))
                    .into(),
            )
        }
        Class::XlmRoberta | Class::Camembert => {
            let (bos, eos) = (token("bos_token"), token("eos_token"));
            let single = format!("{} $A {}", bos.0, eos.0);
            let pair = format!("{single} {} $B {}", eos.0, eos.0);
            Some(template(&single, &pair, vec![bos, eos])?.into())
        }
        Class::Mpnet => {
            let processing = RobertaProcessing::new(token("sep_token"), token("cls_token"));
            Some(processing.add_prefix_space(false).into())
        }
        // transformers reads whether a token begins or ends texts only where tokenizer.json does not say.
        _ if plain => {
            let asked = |asked: Option<bool>, name: &str| {
                (asked == Some(true) && special.contains_key(name)).then(|| token(name))
            };
            let bos = asked(settings.add_bos, "bos_token");
            let eos = asked(settings.add_eos, "eos_token");
            let before = |n: u8| {
                bos.as_ref()
                    .map_or(String::new(), |(t, _)| format!("{t}:{n} "))
            };
            let behind = |n: u8| {
                eos.as_ref()
                    .map_or(String::new(), |(t, _)| format!(" {t}:{n}"))
            };
            let single = format!("{}$A:0{}", before(0), behind(0));
            let pair = format!("{single} {}$B:1{}", before(1), behind(1));
            let mut tokens: Vec<(String, u32)> = bos.into_iter().chain(eos).collect();
            tokens.dedup();
            Some(template(&single, &pair, tokens)?.into())
        }
        _ => found.get_post_processor().cloned(),
    };
    tokenizer.with_post_processor(processor);
    Ok(tokenizer)
}

/// The special tokens that have names, as the files say, else as the class does.
pub(super) fn special_tokens(
    class: Class,
    settings: &TokenizerSettings,
) -> BTreeMap<String, AddedToken> {
    let mut tokens = BTreeMap::new();
    for (name, mut token, string) in settings.tokens.named() {
        // The word that is guessed takes the space in front of it along.
        token.lstrip |= name == "mask_token" && string && class.mask_takes_space();
        tokens.insert(name.clone(), token);
    }
    for name in super::added::NAMED {
        if let Some(content) = class.default_token(name) {
            tokens.entry(name.to_owned()).or_insert_with(|| {
                let token = AddedToken::from(content.to_owned(), true);
                token.lstrip(name == "mask_token" && class.mask_takes_space())
            });
        }
    }
    tokens
}

pub(super) fn added_tokens(tokenizer: &Tokenizer) -> BTreeMap<u32, AddedToken> {
    tokenizer.get_added_tokens_decoder().into_iter().collect()
}
