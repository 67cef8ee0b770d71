"""Write the small fixtures that the Rust tests compare with: models, adapters, permutations, metrics.

Run from the repository root (torch 2.9, transformers 5.23, peft 0.21, scikit-learn, scipy):

    python xtask/python/make_fixtures.py --out crates/beft-fixtures/models

Everything is seeded: a second run on the same machine writes the same bytes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats
import torch
from sklearn import metrics
from peft import BeftConfig, IA3Config, get_peft_model
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    CamembertConfig,
    CamembertForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

from reference import Batch, expected, in_float64, inputs_of, randomize, report, run, save

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = """the a and of is it in to was film movie plot story actor funny dull great bad good terrible charming
very not but with one best worst never cafe time you""".split()
PIECES = ["##ing", "##ed", "##ly", "##er", "##est", ".", ",", "'", "!", "?"]


def write_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """A real WordPiece tokenizer of about 100 entries, as `tokenizer.json`."""
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1) if chr(c) not in WORDS]
    suffixes = ["##" + chr(c) for c in range(ord("a"), ord("z") + 1)]
    vocab = {piece: i for i, piece in enumerate(SPECIAL + letters + suffixes + WORDS + PIECES)}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])],
    )
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL))
    options = {**names, "model_input_names": ["input_ids", "token_type_ids", "attention_mask"]}
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **options})
    return PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), **options)


def write_model(folder: Path, vocab_size: int) -> BertForSequenceClassification:
    """A three-layer BERT whose every parameter is random, so that no mistake hides behind a 0 or a 1."""
    config = BertConfig(
        vocab_size=vocab_size, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=40, num_labels=3, hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1,
        layer_norm_eps=1e-12, attn_implementation="eager",
    )  # fmt: skip
    model = BertForSequenceClassification(config).eval()
    # The head is larger, so that the gradient norm exceeds 1 and clipping is exercised.
    scales = {"classifier.weight": 0.5, "classifier.bias": 0.1}
    std = lambda name: scales.get(name, 0.1 if name.endswith("bias") else 0.15)  # noqa: E731
    randomize(model.named_parameters(), seed=20250, std=std)
    model.save_pretrained(folder, safe_serialization=True)
    return model


def write_byte_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """RoBERTa's kind of tokenizer: byte-level BPE, `<s> a </s></s> b </s>`, one segment."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([" ".join(WORDS)] * 3, trainer)
    ids = {token: tokenizer.token_to_id(token) for token in special}
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", ids["</s>"]), ("<s>", ids["<s>"]), True, False)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token", "mask_token"), special))
    options = {**names, "cls_token": "<s>", "sep_token": "</s>"}
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "RobertaTokenizerFast", **options})
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    return PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), model_input_names=inputs, **options)


# Special tokens in the order of their ids, of which `<s>`, `</s>` and `<pad>` are used.
XLM_ROBERTA = ["<s>", "<pad>", "</s>", "<unk>"]
CAMEMBERT = ["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>"]


def write_unigram_tokenizer(folder: Path, special: list[str], tokenizer_class: str) -> None:
    """XLM-RoBERTa's and CamemBERT's kind of tokenizer: pieces of sentencepiece, `<s> a </s></s> b </s>`."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=120, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator([" ".join(WORDS)] * 3, trainer)
    tokenizer.add_special_tokens(["<mask>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")],
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>"}
    names |= {"pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>"}
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": tokenizer_class, **names})


def write_roberta(
    folder: Path, kind: tuple[type, type], seed: int, vocab_size: int, bos: int = 0, eos: int = 2
) -> PreTrainedModel:
    """The same size as the BERT, with what RoBERTa has of its own."""
    config = kind[0](
        vocab_size=vocab_size, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=50, type_vocab_size=1, pad_token_id=1, bos_token_id=bos, eos_token_id=eos, num_labels=3,
        layer_norm_eps=1e-5, attn_implementation="eager",
    )  # fmt: skip
    model = kind[1](config).eval()
    scales = {"classifier.out_proj.weight": 0.5, "classifier.out_proj.bias": 0.1}
    std = lambda name: scales.get(name, 0.1 if name.endswith("bias") else 0.15)  # noqa: E731
    randomize(model.named_parameters(), seed=seed, std=std)
    model.save_pretrained(folder, safe_serialization=True)
    return model


def write_alias(folder: Path, kind: tuple[type, type], special: list[str], tokenizer_class: str, seed: int) -> None:
    """A model that is RoBERTa under another name, with the tokenizer that belongs to the name."""
    folder.mkdir(parents=True, exist_ok=True)
    write_unigram_tokenizer(folder, special, tokenizer_class)
    ids = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = write_roberta(folder, kind, seed, ids.get_vocab_size(), ids.token_to_id("<s>"), ids.token_to_id("</s>"))
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    write_expected(model, AutoTokenizer.from_pretrained(folder, model_input_names=inputs), folder)


def write_expected(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, folder: Path, plain: PreTrainedTokenizerBase | None = None
) -> list[Batch]:
    """The batches, and what the model gives for them; `plain` is the tokenizer as users have it."""
    batches = make_batches(tokenizer)
    with torch.no_grad():  # labels the model agrees with: a gradient norm below 1, which clipping leaves alone
        batches[-1]["labels"] = run(model, inputs_of(batches[-1])).logits.argmax(-1)
    values = expected(model, batches)
    save(values, folder / "expected.safetensors")
    report(model, batches, values)
    write_json(folder / "text.json", text_cases(plain or tokenizer))
    return batches


def make_batches(tokenizer: PreTrainedTokenizerBase) -> list[Batch]:
    """Three batches of four: single texts and pairs, lengths that differ inside each batch."""
    rng = random.Random(7)
    batches = []
    for i in range(3):
        firsts = [" ".join(rng.choices(WORDS, k=rng.randint(2, 9))) for _ in range(4)]
        seconds = [" ".join(rng.choices(WORDS, k=rng.randint(2, 14))) for _ in range(4)]
        rows = [(a, b) if (j + i) % 4 else (a,) for j, (a, b) in enumerate(zip(firsts, seconds))]
        ids = [tokenizer(*row, truncation=True, max_length=24) for row in rows]
        batch = dict(tokenizer.pad(ids, padding="longest", return_tensors="pt"))
        labels = torch.tensor([rng.randrange(3) for _ in rows])
        batches.append({**inputs_of(batch), "labels": labels})
    return batches


def text_cases(tokenizer: PreTrainedTokenizerBase) -> list[dict[str, Any]]:
    """Texts that find differences between tokenizers, truncated to 16 tokens, longest first."""
    long = "the plot of the movie is dull and the actor was never funny but very charming with one"
    cases: list[tuple[str, str | None]] = [
        ("the movie was great", None), ("The FILM was Terrible!", None), ("Café, naïve and trés bon", None),
        ("cafe\u0301 time", None), ("it costs 7 € 日本 movie 😀", None), ("straße İstanbul", None),
        ("", None), ("", "good"), ("   \t good \n bad ", None), ("don't -- you ... ever?!", None),
        ("acting acted slowly finest", None), ("[MASK] is [SEP] not [UNK]", None), ("x" * 101, None),
        ("zero\u200bwidth and nul\u0000l \ufffd soft\u00adhyphen", None), (long, None),
        ("good movie", "bad plot"), (long, "a good film"), ("a good film", long), (long, long), ("quick brown fox", "jumps"),
    ]  # fmt: skip
    rows = []
    for text, pair in cases:
        out = tokenizer(text, pair, truncation="longest_first", max_length=16)
        one = [0] * len(out["input_ids"])
        ids = {"input_ids": out["input_ids"], "token_type_ids": out.get("token_type_ids", one)}
        rows.append({"text": text, "text_pair": pair, **ids})
    return rows


class Evil:
    """Unpickling this runs a command, as a malicious checkpoint would."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("touch beft-was-here",))


def write_pickles(model: nn.Module, folder: Path) -> None:
    """The weights as older checkpoints have them, and a file that attacks whoever unpickles it."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    torch.save({"weight": torch.zeros(2), "evil": Evil()}, folder / "evil.bin")


def write_adapter(
    base: Path, folder: Path, batches: list[Batch], targets: list[str], saved_modules: list[str] = []  # noqa: B006
) -> None:
    """Train a PEFT BEFT adapter for five steps and save it as PEFT does, with the logits it gives."""
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(base, attn_implementation="eager")
    config = BeftConfig(task_type="SEQ_CLS", target_modules=targets, modules_to_save=["classifier", *saved_modules])
    model = get_peft_model(model, config).eval()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-2, weight_decay=0.0)
    with torch.no_grad():
        before = run(model, inputs_of(batches[0])).logits
    for step in range(5):
        optimizer.zero_grad()
        run(model, batches[step % len(batches)]).loss.backward()
        optimizer.step()
    saved = model.peft_config["default"]
    saved.base_model_name_or_path = base.name
    saved.target_modules = sorted(saved.target_modules)  # a set: its order would change from run to run
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    with torch.no_grad():
        logits = run(in_float64(model), inputs_of(batches[0])).logits
    save({"logits": logits}, folder / "expected.safetensors")
    print(f"{folder.name}: logits moved by {(logits - before).abs().max():.3f}")


def write_ia3(base: Path, folder: Path, batches: list[Batch]) -> None:
    """Train PEFT's IA3 for three steps as beft does (in float64), and save it with the logits that it gives."""
    model = AutoModelForSequenceClassification.from_pretrained(base, attn_implementation="eager")
    targets = [f"{layer}.output.dense" for layer in range(model.config.num_hidden_layers)]
    config = IA3Config(task_type="SEQ_CLS", target_modules=["key", "value", *targets], feedforward_modules=targets)
    model = in_float64(get_peft_model(model, config)).eval()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=5e-2, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.0)
    for batch in batches[:3]:
        optimizer.zero_grad()
        run(model, batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
    with torch.no_grad():
        logits = run(model, inputs_of(batches[0])).logits
    saved = model.peft_config["default"]
    saved.base_model_name_or_path = base.name
    saved.target_modules = sorted(saved.target_modules)
    saved.feedforward_modules = sorted(saved.feedforward_modules)
    model.float().save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    save({"logits": logits}, folder / "expected.safetensors")


def permutations() -> list[dict[str, Any]]:
    """The head of numpy's legacy permutations, which choose the training subset."""
    rows = []
    for n in (1, 2, 10, 277, 2490, 67349):
        for seed in (0, 1, 42, 12345):
            np.random.seed(seed)
            rows.append({"seed": seed, "n": n, "first": np.random.permutation(n)[:20].tolist()})
    return rows


def metric_cases() -> dict[str, list[dict[str, Any]]]:
    """Metrics of scikit-learn and scipy, with null for what they leave undefined."""
    rng = np.random.RandomState(3)
    classes = [([0, 1, 1, 0], [0, 1, 0, 0]), ([1, 1, 1], [1, 1, 1]), ([0, 0, 0], [0, 0, 0]), ([0, 1], [1, 0])]
    classes += [([1, 1, 1, 1], [0, 0, 0, 0]), ([0, 1, 0, 1], [1, 1, 1, 1]), ([0, 0, 0, 0], [0, 1, 0, 1]), ([1], [1])]
    classes += [([0, 1, 2, 2], [0, 2, 1, 2]), ([0, 2, 2], [0, 2, 2]), ([0, 0, 1], [2, 2, 2])]
    classes += [(rng.randint(0, k, 50).tolist(), rng.randint(0, k, 50).tolist()) for k in (2, 3)]
    x, noise = rng.randn(30), rng.randn(30)
    pairs = [([1, 2, 3, 4], [2, 4, 6, 8]), ([1, 2, 3, 4], [4, 3, 2, 1]), ([1, 2, 2, 3], [1, 3, 2, 2])]
    pairs += [([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [5, 5, 5]), ([0, 0], [0, 0]), ([1, 2], [3, 1]), ([1, 1, 1, 2], [7, 7, 3, 7])]
    pairs += [([1, 2, 3, 4, 5], [1, 8, 27, 64, 125]), (x.tolist(), (x + noise).tolist()), (np.round(x).tolist(), np.round(noise).tolist())]
    finite = lambda value: float(value) if math.isfinite(value) else None  # noqa: E731
    classification, correlation = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for labels, predictions in classes:
            binary = set(labels) | set(predictions) <= {0, 1}
            f1 = lambda average: float(metrics.f1_score(labels, predictions, average=average, zero_division=0))  # noqa: B023, E731
            classification.append({
                "labels": labels, "predictions": predictions, "accuracy": float(metrics.accuracy_score(labels, predictions)),
                "f1_binary": f1("binary") if binary else None, "f1_macro": f1("macro"),
                "mcc": float(metrics.matthews_corrcoef(labels, predictions)),
            })  # fmt: skip
        for a, b in pairs:
            both = {"pearson": finite(scipy.stats.pearsonr(a, b)[0]), "spearman": finite(scipy.stats.spearmanr(a, b)[0])}
            correlation.append({"x": [float(v) for v in a], "y": [float(v) for v in b], **both})
    return {"classification": classification, "correlation": correlation}


def write_json(path: Path, value: Any) -> None:
    """One line per row of a list, so that a change shows in a diff."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(value, list):
        text = "[\n" + ",\n".join(json.dumps(row) for row in value) + "\n]\n"
    else:
        text = json.dumps(value, indent=2) + "\n"
    path.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("crates/beft-fixtures/models"), help="model fixtures")
    parser.add_argument("--crates", type=Path, default=Path("crates"), help="where beft-tasks and beft-eval are")
    args = parser.parse_args()
    torch.set_num_threads(1)
    base = args.out / "bert-tiny"
    base.mkdir(parents=True, exist_ok=True)
    tokenizer = write_tokenizer(base)
    model = write_model(base, len(tokenizer))
    batches = write_expected(model, tokenizer, base)
    write_pickles(model, args.out / "bert-tiny-pickle")
    roberta = args.out / "roberta-tiny"
    roberta.mkdir(parents=True, exist_ok=True)
    tokenizer = write_byte_tokenizer(roberta)
    kind = (RobertaConfig, RobertaForSequenceClassification)
    write_expected(write_roberta(roberta, kind, 20251, len(tokenizer)), tokenizer, roberta)
    kind = (XLMRobertaConfig, XLMRobertaForSequenceClassification)
    write_alias(args.out / "xlm-roberta-tiny", kind, XLM_ROBERTA, "XLMRobertaTokenizer", 20252)
    kind = (CamembertConfig, CamembertForSequenceClassification)
    write_alias(args.out / "camembert-tiny", kind, CAMEMBERT, "CamembertTokenizer", 20253)
    write_adapter(base, args.out / "bert-tiny-peft", batches, ["value"])
    write_adapter(base, args.out / "bert-tiny-peft-pooler", batches, ["value", "pooler.dense"])
    write_ia3(base, args.out / "bert-tiny-ia3", batches)
    write_json(args.crates / "beft-tasks/tests/fixtures/permutation.json", permutations())
    metrics_path = args.crates / "beft-eval/tests/fixtures/metrics.json"
    metrics_path.parent.mkdir(parents=True, exist_ok=True)
    rows = {k: "[\n" + ",\n".join(json.dumps(r) for r in v) + "\n]" for k, v in metric_cases().items()}
    metrics_path.write_text("{" + ",\n".join(f'"{k}": {v}' for k, v in rows.items()) + "}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
