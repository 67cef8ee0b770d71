"""Write `crates/beft-checkpoint/tests/tokenizers`: 2,000 difficult lines, small tokenizers of every family, saved in the
ways in which model folders hold them, and a hash of the token ids that AutoTokenizer gives each line.

    python xtask/python/make_tokenizer_fixtures.py
"""

from __future__ import annotations

import json
import os
import random
import shutil
import unicodedata
from pathlib import Path

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer

ROOT = Path("crates/beft-checkpoint/tests/tokenizers")
LINES = 2000
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|endoftext|>"]
WORDS = "the movie was good , don't we'll I'M naïve Ünïcode film's 3.14 2,000 e-mail a_b C++ x=y (yes) [no] “quotes” …".split()
EMOJI = ["👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪🇫🇷", "❤️", "1️⃣", "🧑🏿‍🚀", "☺", "🤷‍♀️"]
ODD = ["\u0000", "\u0007", "\u001b[0m", "\u00a0", "\u200b", "\u200d", "\u2028", "\u3000", "\ufeff", "\ufffd", "\t", "\r", "\u0085", "\u00ad"]


def lines(rng: random.Random) -> list[str]:
    """A line from every block of 128 characters, and lines of everything mixed."""
    made = []
    for start in range(0, 0x110000, 0x80):
        block = [chr(c) for c in range(start, start + 0x80) if unicodedata.category(chr(c)) not in ("Cs", "Cn", "Co")]
        if block:
            made.append("".join(rng.choice([c, c + " "]) for c in rng.sample(block, min(12, len(block)))))
    parts = [*WORDS, *EMOJI, *ODD, *SPECIAL, "[CLS]", "[MASK]", "[SEP]", "中文", "日本語", "한국어", "العربية", "हिन्दी", "ไทย", "e\u0301", "ﬁ", "Ⅷ", "ß", "İ"]
    while len(made) < LINES:
        roll = rng.random()
        line = rng.choice([" ", "", "  "]).join(rng.choice(parts) for _ in range(rng.randint(0, 9)))
        if roll < 0.05:
            line += " " + rng.choice("aß中é") * rng.choice([99, 100, 101, 150])
        elif roll < 0.1:
            line = rng.choice([" ", "  ", "\t", "\u3000"]) + line + rng.choice([" ", "   "])
        made.append(line)
    return made[:LINES]


def hashed(ids: list[int]) -> str:
    """FNV-1a over the ids, four bytes each."""
    value = 0x811C9DC5
    for id_ in ids:
        for byte in id_.to_bytes(4, "little"):
            value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return f"{value:08x}"


def write(name: str, model_type: str, config: dict | None, save, texts: list[str]) -> None:
    folder = ROOT / name
    folder.mkdir(parents=True)
    save(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    if config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = [tokenizer(text)["input_ids"] for text in texts]
    (folder / "expected.txt").write_text("".join(f"{hashed(found)}\n" for found in ids))
    print(f"{name}: {type(tokenizer).__name__}, {sum(map(len, ids))} ids")
    write_words(folder, texts)


def write_words(folder: Path, texts: list[str]) -> None:
    """Hashes of the ids of lines in words, and of the word that each token begins, as run_ner.py asks for them: where
    texts are cut into bytes, with a space in front of every word."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    splits = str(tokenizer.backend_tokenizer.pre_tokenizer)
    spaced = "ByteLevel" in splits
    if splits.startswith("ByteLevel"):
        tokenizer = AutoTokenizer.from_pretrained(folder, add_prefix_space=True)
        # A generic class does not take the setting.
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        spaced = False
    lines_ = []
    for text in texts:
        words = text.split(" ")
        if spaced:
            # Qwen2's class would put one in front of every part of a word.
            words = [word and " " + word for word in words]
        found = tokenizer(words, is_split_into_words=True)
        pairs = zip(found.word_ids(), [None, *found.word_ids()])
        word_of = [2**32 - 1 if word in (None, before) else word for word, before in pairs]
        lines_.append(f"{hashed(found['input_ids'])} {hashed(word_of)}\n")
    (folder / "words.txt").write_text("".join(lines_))
    print(f"{folder.name}: words, {type(tokenizer).__name__}, {tokenizer.backend_tokenizer.pre_tokenizer}")


def word_pieces(folder: Path, texts: list[str], lower: bool) -> None:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=1200, special_tokens=special))
    words = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word, _ in words), encoding="utf-8")


def byte_pairs(folder: Path, texts: list[str], whole: bool = False) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=900, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(texts, trainer)
    if whole:
        tokenizer.save(str(folder / "tokenizer.json"))
    else:
        tokenizer.model.save(str(folder))


def sentence_pieces(folder: Path, texts: list[str]) -> None:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=True)
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=1100, special_tokens=["<unk>", "<s>", "</s>"] + bytes_, limit_alphabet=300)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.pre_tokenizer = None
    tokenizer.save(str(folder / "tokenizer.json"))
    # The bytes are part of the vocabulary, not special tokens.
    kept = json.loads((folder / "tokenizer.json").read_text())
    kept["added_tokens"] = kept["added_tokens"][:3]
    (folder / "tokenizer.json").write_text(json.dumps(kept))


def main() -> None:
    shutil.rmtree(ROOT, ignore_errors=True)
    ROOT.mkdir(parents=True)
    texts = lines(random.Random(0))
    (ROOT / "lines.json").write_text(json.dumps(texts, ensure_ascii=False), encoding="utf-8")
    usual = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    roberta = usual | {"cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}
    write("bert-uncased", "bert", None, lambda f: word_pieces(f, texts, True), texts)
    cased = {"do_lower_case": False, "strip_accents": False, "tokenize_chinese_chars": False}
    write("bert-cased", "bert", cased, lambda f: word_pieces(f, texts, False), texts)
    write("roberta", "roberta", roberta, lambda f: byte_pairs(f, texts), texts)
    spaced = roberta | {"add_prefix_space": True, "tokenizer_class": "RobertaTokenizer"}
    write("roberta-spaced", "roberta", spaced, lambda f: byte_pairs(f, texts, True), texts)
    write("opt", "opt", usual | {"bos_token": "</s>", "add_bos_token": True}, lambda f: byte_pairs(f, texts), texts)
    write("gpt2", "gpt2", None, lambda f: byte_pairs(f, texts), texts)
    write("qwen2", "qwen2", {"eos_token": "<|endoftext|>"}, lambda f: byte_pairs(f, texts), texts)
    llama = {"tokenizer_class": "LlamaTokenizerFast", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    write("llama", "llama", llama | {"legacy": False}, lambda f: sentence_pieces(f, texts), texts)
    legacy = llama | {"legacy": True, "add_prefix_space": True}
    write("llama-legacy", "llama", legacy, lambda f: sentence_pieces(f, texts), texts)
    # Its class is not believed.
    write("mistral", "mistral", legacy, lambda f: sentence_pieces(f, texts), texts)
    generic = {"tokenizer_class": "PreTrainedTokenizerFast"} | usual
    write("llama-bytes", "llama", generic, lambda f: byte_pairs(f, texts, True), texts)
    size = sum(file.stat().st_size for file in ROOT.rglob("*") if file.is_file())
    print(f"transformers {transformers.__version__}, {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
