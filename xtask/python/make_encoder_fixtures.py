"""Write the fixtures of the encoders that are neither BERT nor RoBERTa: tiny random models with what transformers
computes of them, and a PEFT adapter of each.

Run from the repository root:

    python xtask/python/make_encoder_fixtures.py --out crates/beft-fixtures/models [--only NAME]

Everything is seeded: a second run on the same machine writes the same bytes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, DebertaV2Tokenizer, MPNetTokenizer, PreTrainedModel

from make_fixtures import PIECES, WORDS, write_adapter, write_expected, write_json, write_tokenizer
from reference import randomize

#: Endings of the names of norms' weights.
NORMS = ("LayerNorm.weight", "layer_norm.weight", "norm.weight")


@dataclass(frozen=True)
class Model:
    """One fixture."""

    model_type: str
    #: Writes tokenizer.json and tokenizer_config.json.
    tokenizer: Callable[[Path], None]
    #: What config.json has beside the sizes.
    config: dict[str, Any]
    seed: int
    #: Modules that the adapter of PEFT tunes.
    targets: list[str]
    #: Modules that it saves whole beside the classifier.
    saved: list[str] = field(default_factory=list)
    #: Terms of our own that the config's names of sizes replace.
    sizes: tuple[str, str, str, str] = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")


def word_pieces(tokenizer_class: str) -> Callable[[Path], None]:
    """BERT's kind of tokenizer under another class's name."""

    def write(folder: Path) -> None:
        write_tokenizer(folder)
        names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
        names |= {"mask_token": "[MASK]", "tokenizer_class": tokenizer_class}
        write_json(folder / "tokenizer_config.json", names)

    return write


def mpnet_pieces(folder: Path) -> None:
    """MPNet's kind of tokenizer: BERT's pieces, `<s> a </s></s> b </s>`, and `<pad>` with the id 1."""
    special = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1) if chr(c) not in WORDS]
    suffixes = ["##" + chr(c) for c in range(ord("a"), ord("z") + 1)]
    vocabulary = {piece: i for i, piece in enumerate(special + letters + suffixes + WORDS + PIECES)}
    made = MPNetTokenizer(vocab=vocabulary)
    made.save_pretrained(folder)


def byte_pieces(folder: Path) -> None:
    """ModernBERT's kind of tokenizer: pieces of bytes, `[CLS] a [SEP] b [SEP]`."""
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([" ".join(WORDS)] * 3, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    names = dict(zip(("unk_token", "cls_token", "sep_token", "pad_token", "mask_token"), special))
    names |= {"model_input_names": ["input_ids", "attention_mask"], "tokenizer_class": "PreTrainedTokenizerFast"}
    write_json(folder / "tokenizer_config.json", names)


def sentence_pieces(folder: Path) -> None:
    """DeBERTa's kind of tokenizer: pieces of sentencepiece, `[CLS] a [SEP] b [SEP]`."""
    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=120, special_tokens=special, unk_token="[UNK]", show_progress=False)
    tokenizer.train_from_iterator([" ".join(WORDS)] * 3, trainer)
    pieces = [(piece, score) for piece, score in json.loads(tokenizer.to_str())["model"]["vocab"]]
    DebertaV2Tokenizer(vocab=pieces).save_pretrained(folder)


MODELS: dict[str, Model] = {
    "distilbert-tiny": Model(
        "distilbert", word_pieces("DistilBertTokenizer"), {"max_position_embeddings": 40}, 20260, ["v_lin"],
        sizes=("dim", "n_layers", "n_heads", "hidden_dim"),
    ),
    "electra-tiny": Model(
        "electra", word_pieces("ElectraTokenizer"), {"max_position_embeddings": 40, "embedding_size": 16}, 20271, ["value"],
    ),
    # Positions begin behind 1, and inputs are longer than the buckets of single distances.
    "mpnet-tiny": Model(
        "mpnet", mpnet_pieces, {"max_position_embeddings": 42, "relative_attention_num_buckets": 32}, 20262,
        ["attn.v"],
    ),
    # Windows of 4 tokens in each direction in all layers but the first; no biases.
    "modernbert-tiny": Model(
        "modernbert", byte_pieces,
        {
            "max_position_embeddings": 40, "local_attention": 8, "pad_token_id": 3, "bos_token_id": 1, "eos_token_id": 2,
            "cls_token_id": 1, "sep_token_id": 2, "attention_dropout": 0.1, "mlp_dropout": 0.1,
            "rope_parameters": {
                "full_attention": {"rope_type": "default", "rope_theta": 1000.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
            },
        },
        20263, ["Wqkv", "Wi"],
    ),
    # The mean over tokens, layers in another order, and every bias that there can be.
    "modernbert-mean-tiny": Model(
        "modernbert", byte_pieces,
        {
            "max_position_embeddings": 40, "local_attention": 12, "pad_token_id": 3, "bos_token_id": 1, "eos_token_id": 2,
            "cls_token_id": 1, "sep_token_id": 2, "classifier_pooling": "mean", "attention_bias": True, "mlp_bias": True,
            "norm_bias": True, "classifier_bias": True, "attention_dropout": 0.1, "mlp_dropout": 0.1,
            "embedding_dropout": 0.1, "classifier_dropout": 0.1,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        },
        20264, ["Wqkv", "attn.Wo"],
    ),
    # As v3's: buckets, keys and queries of distances made like those of tokens, no positions and segments.
    "deberta-v3-tiny": Model(
        "deberta-v2", sentence_pieces,
        {
            "max_position_embeddings": 40, "relative_attention": True, "position_buckets": 8, "norm_rel_ebd": "layer_norm",
            "share_att_key": True, "pos_att_type": "p2c|c2p", "max_relative_positions": -1, "position_biased_input": False,
            "type_vocab_size": 0,
        },
        20265, ["key_proj", "value_proj"], ["pooler"],
    ),
    # What v2 can be beside: a row for each distance, projections of their own, positions, segments and a pooler's dropout.
    "deberta-v2-tiny": Model(
        "deberta-v2", sentence_pieces,
        {
            "max_position_embeddings": 40, "relative_attention": True, "pos_att_type": ["c2p", "p2c"],
            "max_relative_positions": 12, "position_biased_input": True, "type_vocab_size": 2, "pooler_dropout": 0.1,
            "cls_dropout": 0.2, "pooler_hidden_act": "tanh",
        },
        20266, ["value_proj"],
    ),
}  # fmt: skip


def write_model(folder: Path, model: Model) -> PreTrainedModel:
    """A model whose every parameter is random, so that no mistake hides behind a 0 or a 1."""
    vocabulary = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size()
    sizes = dict(zip(model.sizes, (32, 3, 4, 64)))
    config = AutoConfig.for_model(model.model_type, vocab_size=vocabulary, num_labels=3, **{**sizes, **model.config})
    made = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager").eval()
    # The head is larger, so that the gradient norm exceeds 1 and clipping is exercised.
    last = "classifier.out_proj" if hasattr(made.classifier, "out_proj") else "classifier"
    scales = {f"{last}.weight": 0.5, f"{last}.bias": 0.1}
    std = lambda name: scales.get(name, 0.1 if name.endswith("bias") else 0.15)  # noqa: E731
    randomize(made.named_parameters(), seed=model.seed, std=std, norms=NORMS)
    made.save_pretrained(folder, safe_serialization=True)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("crates/beft-fixtures/models"), help="model fixtures")
    parser.add_argument("--only", choices=MODELS, help="one fixture")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name, model in MODELS.items():
        if args.only not in (None, name):
            continue
        print(name)
        folder = args.out / name
        folder.mkdir(parents=True, exist_ok=True)
        model.tokenizer(folder)
        made = write_model(folder, model)
        inputs = ["input_ids", "token_type_ids", "attention_mask"]
        plain = AutoTokenizer.from_pretrained(folder)
        batches = write_expected(made, AutoTokenizer.from_pretrained(folder, model_input_names=inputs), folder, plain)
        write_adapter(folder, args.out / f"{name}-peft", batches, model.targets, model.saved)


if __name__ == "__main__":
    main()
