"""Small tokenizers trained on a few sentences, saved in the ways in which model folders hold them."""

from __future__ import annotations

import json
import random
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SENTENCES = [
    "the movie was good and the film was not bad",
    "a dull and boring story with nothing to say , really",
    "Caf\u00e9 na\u00efve \u4e2d\u6587 \u6620\u753b 123 4567 don't we'll it's",
    "UPPER lower MiXed \U0001f600 \u00df \u0130stanbul",
] * 3
ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


WORDS = {
    "bert": "BertTokenizer",
    "electra": "ElectraTokenizer",
    "distilbert": "DistilBertTokenizer",
    "mpnet": "MPNetTokenizer",
}
PIECES = {"deberta-v2": "DebertaV2Tokenizer", "xlm-roberta": "XLMRobertaTokenizer", "camembert": "CamembertTokenizer"}


def sentence_pieces(kind: str) -> tuple[Tokenizer, dict]:
    """A tokenizer as sentencepiece's become, and its special tokens by name."""
    deberta = kind == "deberta-v2"
    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"] if deberta else ROBERTA
    first, second, unknown = special[1 if deberta else 0], special[2], special[3]
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=90, special_tokens=special, unk_token=unknown, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    pair = f"{first} $A {second} $B:1 {second}:1" if deberta else f"{first} $A {second} {second} $B {second}"
    ends = [(token, tokenizer.token_to_id(token)) for token in (first, second)]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{first} $A {second}", pair=pair, special_tokens=ends)
    pad, mask = ("[PAD]", "[MASK]") if deberta else ("<pad>", "<mask>")
    names = {"cls_token": first, "sep_token": second, "unk_token": unknown, "pad_token": pad, "mask_token": mask}
    return tokenizer, names | {"bos_token": first, "eos_token": second}


def word_pieces(lower: bool, like_roberta: bool = False) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    if like_roberta:
        special = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]
    tokenizer.train_from_iterator(SENTENCES, trainers.WordPieceTrainer(vocab_size=200, special_tokens=special))
    if like_roberta:
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
        return tokenizer
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def byte_pairs(roberta: bool, prefix_space: bool = False) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=330, special_tokens=ROBERTA, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    if roberta:
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=prefix_space)
    return tokenizer


def save(rng: random.Random, kind: str, folder: Path) -> tuple[int, str, bool]:
    """Writes a tokenizer for an architecture; returns its size, what it is, and whether AutoTokenizer is the
    reference (else tokenizer.json as it is)."""
    if kind in WORDS:
        lower = rng.random() < 0.5
        tokenizer = word_pieces(lower, kind == "mpnet")
        config = {"tokenizer_class": WORDS[kind] + rng.choice(["", "Fast"]), "do_lower_case": lower}
        style = rng.choice(["json", "json and config", "json and config", "disagree", "vocabulary", "vocabulary", "generic"])
        if style == "disagree":
            config["do_lower_case"] = not lower
            config |= rng.choice([{}, {"strip_accents": False}, {"tokenize_chinese_chars": False}])
        if style == "generic":
            config = {"tokenizer_class": "PreTrainedTokenizerFast"}
            config |= {} if kind == "mpnet" else {"cls_token": "[CLS]", "sep_token": "[SEP]"}
        if style == "vocabulary":
            words = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
            (folder / "vocab.txt").write_text("".join(f"{word}\n" for word, _ in words), encoding="utf-8")
    elif kind in PIECES:
        tokenizer, special = sentence_pieces(kind)
        config = {"tokenizer_class": PIECES[kind] + rng.choice(["", "Fast"])} | special
        style = rng.choice(["json", "json and config", "json and config", "disagree"])
        if style == "disagree":
            config |= rng.choice([{"add_prefix_space": False}, {"do_lower_case": True}, {"tokenizer_class": "PreTrainedTokenizerFast"}])
    else:
        prefix_space = rng.random() < 0.3
        tokenizer = byte_pairs(kind in ("roberta", "modernbert"), prefix_space)
        names = {"roberta": "RobertaTokenizer", "qwen2": "Qwen2Tokenizer"}
        names |= dict.fromkeys(["llama", "mistral", "modernbert"], "PreTrainedTokenizerFast")
        special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
        config = {"tokenizer_class": names.get(kind, "GPT2Tokenizer"), "add_prefix_space": prefix_space} | special
        if kind in ("roberta", "modernbert"):
            config |= {"cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}
        styles = ["json", "json and config", "json and config", "disagree"]
        styles += ["vocabulary"] * 3 if kind in ("roberta", "opt", "gpt2", "gptj", "qwen2") else []
        style = rng.choice(styles)
        if style == "disagree":
            config["add_prefix_space"] = not prefix_space
        if style == "vocabulary":
            tokenizer.model.save(str(folder))
            if kind in ("opt", "gpt2"):
                config["add_bos_token"] = rng.random() < 0.5
    if rng.random() < 0.2:
        config["model_max_length"] = rng.choice([8, 16, 1000000000000000019884624838656])
    if rng.random() < 0.1 and style != "json":
        config["truncation_side"] = "left"
    if style != "vocabulary":
        tokenizer.save(str(folder / "tokenizer.json"))
    if style != "json":
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return tokenizer.get_vocab_size(), style, style != "json"
