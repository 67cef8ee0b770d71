"""PyTorch reference of the SST-2 experiment: accuracy, speed and bias ranking per trainable set.

Run from the repository root; --model is a BERT checkpoint, --data holds train.tsv and dev.tsv:

    python benchmarks/pytorch_modes.py --model DIR --data DIR --train-size 1000 --seeds 0,1,2 \\
        --modes frozen,q,k,v,all --epochs 16 --lr 4e-4 --batch-size 16 --out FILE.json

FILE.json is written after every finished (mode, seed); a second run continues it. A seed sets the
training subset (numpy's legacy permutation), the new head, the order of the examples and dropout.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerBase

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "xtask" / "python"))
from reference import TERMS, set_trainable, term_of  # noqa: E402

Example = tuple[list[int], int]  # token ids with the special tokens, label


def read_split(path: Path) -> list[tuple[str, int]]:
    """Sentence and label of every row of a GLUE SST-2 file."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [(row["sentence"], int(row["label"])) for row in rows]


def encode(tokenizer: PreTrainedTokenizerBase, rows: list[tuple[str, int]]) -> list[Example]:
    """Token ids of at most 128 tokens, not padded yet."""
    ids = tokenizer([text for text, _ in rows], truncation=True, max_length=128)["input_ids"]
    return [(tokens, label) for tokens, (_, label) in zip(ids, rows, strict=True)]


def subset(rows: list[tuple[str, int]], size: int, seed: int) -> list[tuple[str, int]]:
    """The training examples of the protocol: the head of numpy's legacy permutation."""
    np.random.seed(seed)
    return [rows[i] for i in np.random.permutation(len(rows))[:size]]


def collate(examples: list[Example], pad: int, device: str) -> dict[str, Tensor]:
    """One batch, padded to its longest example."""
    longest = max(len(ids) for ids, _ in examples)
    ids = torch.tensor([ids + [pad] * (longest - len(ids)) for ids, _ in examples])
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in examples])
    batch = {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([label for _, label in examples])}
    return {name: value.to(device) for name, value in batch.items()}


def accuracy(model: nn.Module, examples: list[Example], pad: int, device: str, size: int) -> float:
    """Share of right labels, in length-sorted batches so that little is padded."""
    model.eval()
    ordered = sorted(examples, key=lambda example: len(example[0]))
    right = 0
    with torch.inference_mode():
        for start in range(0, len(ordered), size):
            batch = collate(ordered[start : start + size], pad, device)
            labels = batch.pop("labels")
            right += int((model(**batch).logits.argmax(-1) == labels).sum())
    return right / len(ordered)


def train_epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, examples: list[Example], pad: int, args: argparse.Namespace
) -> float:
    """One pass over shuffled examples with dropout on; the mean training loss per example."""
    model.train()
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    order = torch.randperm(len(examples)).tolist()
    total = 0.0
    for start in range(0, len(order), args.batch_size):
        rows = [examples[i] for i in order[start : start + args.batch_size]]
        optimizer.zero_grad()
        loss = model(**collate(rows, pad, args.device)).loss
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        total += loss.item() * len(rows)
    return total / len(order)


def encoder_biases(model: nn.Module) -> dict[str, Tensor]:
    """A float64 copy of every bias term inside the layers, by HF name."""
    return {n: p.detach().cpu().double().clone() for n, p in model.named_parameters() if term_of(n)}


def ranking(before: dict[str, Tensor], after: dict[str, Tensor]) -> dict[str, Any]:
    """BEFT and Magnitude scores: per term a list over layers, and its mean; null where undefined."""
    cells: dict[str, dict[str, list[float | None]]] = {s: {t: [] for t in TERMS} for s in ("beft", "magnitude")}
    beyond_90 = []
    for name, b0 in before.items():
        b1, term = after[name], term_of(name)
        largest = max(b0.dot(b0).item(), b1.dot(b1).item())
        cells["beft"][term].append(1.0 - b1.dot(b0).item() / largest if largest > 0 else None)
        cells["magnitude"][term].append((b1 - b0).abs().mean().item())
        if b1.dot(b0) < 0:
            beyond_90.append(name)
    out: dict[str, Any] = {"layers": cells, "beyond_90_degrees": beyond_90}
    for score, terms in cells.items():
        out[score] = {t: sum(v) / len(v) if v and None not in v else None for t, v in terms.items()}
    return out


def run_cell(
    mode: str, seed: int, train: list[Example], dev: list[Example], pad: int, args: argparse.Namespace
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train one mode with one seed: its row and the ranking of the terms that moved."""
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(args.model, num_labels=2, dtype=torch.float32)
    model.to(args.device)
    trained = set_trainable(model, mode)
    before = encoder_biases(model)
    optimizer = torch.optim.AdamW(trained.values(), lr=args.lr, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.0)
    row = {"mode": mode, "seed": seed, "trainable": sum(p.numel() for p in trained.values()), "epochs": []}
    begin, training = time.perf_counter(), 0.0
    torch.manual_seed(seed)
    for epoch in range(1, args.epochs + 1):
        start = time.perf_counter()
        loss = train_epoch(model, optimizer, train, pad, args)
        training += time.perf_counter() - start
        skipped = args.eval_last and epoch < args.epochs
        score = math.nan if skipped else accuracy(model, dev, pad, args.device, 128)
        result = {"epoch": epoch, "train_loss": loss, "accuracy": None if skipped else score}
        row["epochs"].append(result)
        elapsed = time.perf_counter() - start
        print(f"{mode} seed {seed} epoch {epoch}: loss {loss:.4f} accuracy {score:.4f} ({elapsed:.1f} s)", flush=True)  # fmt: skip
    row |= {"seconds": time.perf_counter() - begin, "train_seconds": training}
    return row, ranking(before, encoder_biases(model))


def load_results(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The partial results of an earlier run with the same settings, or none."""
    if not path.exists():
        return {"settings": settings, "runs": [], "ranking": {}}
    results = json.loads(path.read_text(encoding="utf-8"))
    if results["settings"] != settings:
        sys.exit(f"{path} has other settings {results['settings']} than {settings}: choose another --out")
    return results


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train-size", type=int, default=1000)
    parser.add_argument("--seeds", type=lambda text: [int(s) for s in text.split(",")], default=[0, 1, 2])
    parser.add_argument("--modes", type=lambda text: text.split(","), default=["frozen", "q", "k", "v", "all"])
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--eval-last", action="store_true", help="evaluate after the last epoch only")
    parser.add_argument("--lr", type=float, default=4e-4)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    torch.set_num_threads(args.threads)
    names = ("train_size", "epochs", "lr", "batch_size", "threads", "device")
    settings = {"model": args.model.name, "torch": torch.__version__} | {n: getattr(args, n) for n in names}
    results = load_results(args.out, settings)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    train = read_split(args.data / "train.tsv")
    dev = encode(tokenizer, read_split(args.data / "dev.tsv"))
    done = {(row["mode"], row["seed"]) for row in results["runs"]}
    for seed in args.seeds:
        chosen = encode(tokenizer, subset(train, args.train_size, seed))
        for mode in args.modes:
            if (mode, seed) in done:
                print(f"{mode} seed {seed}: already in {args.out}")
                continue
            row, scores = run_cell(mode, seed, chosen, dev, tokenizer.pad_token_id, args)
            results["runs"].append(row)
            if mode == "all":
                results["ranking"][str(seed)] = scores
            partial = args.out.with_suffix(".partial")
            partial.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
            partial.replace(args.out)


if __name__ == "__main__":
    main()
