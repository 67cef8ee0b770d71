"""Write `crates/beft-checkpoint/tests/tokenizers/added.json`: model folders that name tokens beyond the vocabulary in
every file and key where they can stand, with properties that disagree, and the ids that AutoTokenizer gives to texts.
Those of XLM-RoBERTa and CamemBERT also have a normalizer of which their classes take the table of characters alone.

    python xtask/python/make_added_token_fixtures.py
"""

from __future__ import annotations

import base64
import json
import os
import random
import sys
import tempfile
import zlib
from pathlib import Path

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer

sys.path.insert(0, str(Path(__file__).parent))
from interop.tokenizers_ import ROBERTA, SENTENCES, byte_pairs, word_pieces

OUT = Path("crates/beft-checkpoint/tests/tokenizers/added.json")
CASES = 150
CONTENTS = ["NEW1", "<new2>", "Café", "[NEW3]", "movie", "<extra>", "new one", "UPPER", "say", "<|im_end|>"]
TEXTS = [
    "the NEW1 movie new1 x",
    "a<new2>b  <new2>  c",
    "Café café CAFÉ not[NEW3]bad [NEW3] [new3]",
    "[CLS] a [SEP] [MASK]  b <s> </s> <mask> <pad> [PAD]",
    " the <extra> story<extra> newone new one",
    "<|endoftext|> the <|im_end|>x say say.say UPPER upper",
    "ﬁlm Ⅷ ａ\u3000bad ½ <s>NOTUSED a  <mask>",
]
# A table of characters that sentencepiece made of the rules ﬁ = fi, Ⅷ = VIII, ａ = a, ideographic space = space.
TABLE = (
    "eNod02WQ1lUUB+D/vMKgnwgXZAAJ6e6UBoGlRLqblSUVkI5dupVGkFS6O1Ua6W4kpbs7ntc788zvzrmf7pxzgjhBEMR8EgwaGgquJA0FVyNCwby4QRBSjYkTCm"
    "KKBeETs/jTUBCr/pl7OOPJ+B4ezA8FCWUCPicRiYngC5LwZ81QkFQmJxlfkoJUpCQNqUnLV6QnHRnJQGYykZUsZCcbOclBbnKRlzzkJx8FKUBhCvE1RQh/qSgl"
    "KE4pSlKG0nxDWcpTjkgqUImKVKEy31KV76hGDapTi5rUoTb1qEsD6tOIhjShMc1oSgua04qWfE8U0bSmLW1oTzs60oEf+YHOdOInutCNrvSgO73oSR9604++xI"
    "YbzAD6M4iBDGEwwxjKCIYzipH8zGjG8AvjGMsExjOJifzKZKYyhWn8xgymM4uZ/M5s5vAH85jLAuaziIUsYTHLWMoKlrOKlaxhNetYywbWs4mN4XlkM3/zF1vZ"
    "wna2sZMd7GYXe/iHfezlAPs5xEGOcJhjHOUExznFSc5wmnOc5V/Oc5ELXOYSV7nCNf7jBte5xU3ucJt73A3vHvd5xEOe8JhnPOUFz3nFS97wmne85QPv/9+92p"
    "GRkcYwKjr4CKFyjXo="
)
# The class of each, its model type, and its usual names.
BERT = {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]", "pad_token": "[PAD]", "unk_token": "[UNK]"}
BYTES = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
PAIRS = BYTES | {"cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}
KINDS = [
    ("bert", "BertTokenizer", BERT),
    ("bert", "PreTrainedTokenizerFast", BERT),
    ("mpnet", "MPNetTokenizer", BERT),
    ("roberta", "RobertaTokenizer", PAIRS),
    ("xlm-roberta", "XLMRobertaTokenizer", PAIRS),
    ("camembert", "CamembertTokenizer", PAIRS),
    ("gpt2", "GPT2Tokenizer", BYTES),
    ("qwen2", "Qwen2Tokenizer", BYTES),
    ("llama", "PreTrainedTokenizerFast", BYTES),
]


def sentence_pieces() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    table = normalizers.Precompiled(zlib.decompress(base64.b64decode(TABLE)))
    tokenizer.normalizer = normalizers.Sequence([table, normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=90, special_tokens=ROBERTA, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def token(rng: random.Random, content: str, all_keys: bool = True) -> dict:
    made = {"content": content}
    for key, share in (("single_word", 0.3), ("lstrip", 0.3), ("rstrip", 0.3), ("normalized", 0.5), ("special", 0.5)):
        if all_keys or rng.random() < 0.7:
            made[key] = rng.random() < share
    return made


def some(rng: random.Random) -> list[str]:
    return rng.sample(CONTENTS, rng.choice([1, 2]))


def make(rng: random.Random, bases: dict) -> tuple[str, dict]:
    """The base of a folder and the content of its files."""
    model_type, tokenizer_class, usual = rng.choice(KINDS)
    base = {"bert": rng.choice(["words", "Words"]), "mpnet": "words", "xlm-roberta": "pieces", "camembert": "pieces"}
    base = base.get(model_type, "bytes")
    tokenizer = json.loads(bases[base])
    config = {"tokenizer_class": tokenizer_class}
    vocabulary = tokenizer["model"]["vocab"]
    if base == "pieces":
        vocabulary = {piece: id_ for id_, (piece, _) in enumerate(vocabulary)}
        if rng.random() < 0.3:
            config["add_prefix_space"] = rng.random() < 0.5
    size = free = len(vocabulary)
    for name, content in usual.items():
        roll = rng.random()
        if roll < 0.6:
            config[name] = content
        elif roll < 0.75:
            config[name] = {"__type": "AddedToken"} | token(rng, content, all_keys=False)
    if rng.random() < 0.15:
        config[rng.choice(list(usual))] = rng.choice(CONTENTS)
    added = tokenizer["added_tokens"]
    for content in rng.sample(CONTENTS, rng.choice([0, 1, 2, 3])):
        id_ = vocabulary.get(content, free)
        free = max(free, id_ + 1)
        added.append({"id": id_} | token(rng, content))
    added.sort(key=lambda one: one["id"])
    files = {}
    if rng.random() < 0.5:
        listed = {}
        for one in added:
            roll = rng.random()
            if roll > 0.15:
                again = {key: value for key, value in one.items() if key != "id"}
                listed[one["id"]] = token(rng, one["content"], all_keys=False) if roll < 0.45 else again
        for content in some(rng):
            id_ = vocabulary.get(content, free + rng.choice([0, 0, 3]))
            if id_ not in listed and content not in [one["content"] for one in listed.values()]:
                listed[id_] = token(rng, content)
                free = max(free, id_ + 1)
        config["added_tokens_decoder"] = listed
    else:
        if rng.random() < 0.5:
            older = {one["content"]: one["id"] for one in added if one["id"] >= size and rng.random() < 0.6}
            for content in some(rng):
                id_ = vocabulary.get(content, free)
                older.setdefault(content, id_)
                free = max(free, id_ + 1)
            files["added_tokens.json"] = older
        if rng.random() < 0.5:
            names = {}
            for name, content in usual.items():
                roll = rng.random()
                if roll < 0.8:
                    names[name] = content if roll < 0.4 else token(rng, content, all_keys=False)
            if rng.random() < 0.5:
                names[rng.choice(["additional_special_tokens", "extra_special_tokens"])] = some(rng)
            files["special_tokens_map.json"] = names
    roll = rng.random()
    if roll < 0.15:
        config["additional_special_tokens"] = some(rng)
    elif roll < 0.3:
        config["extra_special_tokens"] = rng.choice([some(rng), {"x_token": rng.choice(CONTENTS)}])
    elif roll < 0.4:
        config["additional_special_tokens"] = [{"__type": "AddedToken"} | token(rng, one, False) for one in some(rng)]
    if rng.random() < 0.1:
        config["split_special_tokens"] = True
    if rng.random() < 0.15:
        config["image_token"] = rng.choice(CONTENTS)
    if model_type == "qwen2" and rng.random() < 0.3:
        # Which transformers does not believe.
        config["tokenizer_class"] = "LlamaTokenizer"
    files |= {"config.json": {"model_type": model_type}, "tokenizer_config.json": config}
    if model_type in ("gpt2", "qwen2", "roberta") and rng.random() < 0.3:
        config |= {key: rng.random() < 0.7 for key in ("add_bos_token", "add_eos_token")}
    else:
        files["added_tokens"] = added
    return base, files


def save(folder: str, base: dict, files: dict) -> None:
    """Writes tokenizer.json with the added tokens; without a list of them vocab.json and merges.txt."""
    if "added_tokens" in files:
        Path(folder, "tokenizer.json").write_text(json.dumps(base | {"added_tokens": files["added_tokens"]}))
    else:
        Path(folder, "vocab.json").write_text(json.dumps(base["model"]["vocab"]))
        merges = "".join(f"{a} {b}\n" for a, b in base["model"]["merges"])
        Path(folder, "merges.txt").write_text(f"#version: 0.2\n{merges}")
    for name, content in files.items():
        if name != "added_tokens":
            Path(folder, name).write_text(json.dumps(content))


def main() -> None:
    bases = {"words": word_pieces(True), "Words": word_pieces(False), "bytes": byte_pairs(False), "pieces": sentence_pieces()}
    bases = {name: tokenizer.to_str() for name, tokenizer in bases.items()}
    rng = random.Random(22)
    cases = []
    while len(cases) < CASES:
        base, files = make(rng, bases)
        with tempfile.TemporaryDirectory() as folder:
            save(folder, json.loads(bases[base]), files)
            try:
                reference = AutoTokenizer.from_pretrained(folder)
                ids = [reference(text)["input_ids"] for text in TEXTS]
            except Exception as error:
                print(f"left out, the reference fails: {error}")
                continue
        cases.append({"base": base, "files": files, "ids": ids})
    made = {"texts": TEXTS, "bases": {name: json.loads(text) for name, text in bases.items()}}
    lines = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases)
    head = json.dumps(made, ensure_ascii=False, separators=(",", ":"))[:-1]
    OUT.write_text(f'{head},"cases":[\n{lines}\n]}}\n', encoding="utf-8")
    print(f"{OUT}: {len(cases)} cases, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
