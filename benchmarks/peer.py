"""PyTorch's side of `cargo xtask bench peers`: one training by a plan, timed.

    python benchmarks/peer.py --plan DIR --recipe best-practice|compiled|bf16|authors --terms v --lr 4e-4

DIR holds plan.json (texts, labels, the order of each epoch) and model/ (weights with the head that
all sides start from), written by `beft-benchmarks plan`. Prints one JSON object.

* authors: as published: every input padded to 128 tokens, tokenised when it is asked for, one trained
  bias term by `requires_grad`, evaluation after each epoch in batches of 16.
* best-practice: HF PEFT's BeftConfig on transformers (attention by SDPA, its default), tokenised once, batches padded
  to their longest input, evaluation in inference mode in length-sorted batches of 64.
* compiled: the same under torch.compile. Compiling is counted as loading: every shape is shown to it before.
* bf16: the same under bfloat16 autocast.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "xtask" / "python"))
from reference import set_trainable  # noqa: E402

TARGETS = {"q": "query", "k": "key", "v": "value"}


class Inputs:
    """Tokenised texts, made into batches as the recipe does."""

    def __init__(self, texts: list[list[str | None]], labels: list[float], tokenizer: Any, plan: dict, fixed: bool) -> None:
        self.texts, self.tokenizer, self.fixed = texts, tokenizer, fixed
        self.max_length = plan["max_length"]
        self.labels = torch.tensor(labels).long()
        self.encoded = None if fixed else [self.encode(text) for text in texts]

    def encode(self, text: list[str | None], **options: Any) -> Any:
        return self.tokenizer(*[t for t in text if t is not None], truncation=True, max_length=self.max_length, **options)

    def __len__(self) -> int:
        return len(self.texts)

    def length(self, index: int) -> int:
        return len(self.encoded[index]["input_ids"])

    def batch(self, chosen: list[int]) -> tuple[dict[str, Tensor], Tensor]:
        if self.encoded is None:
            rows = [self.encode(self.texts[i], padding="max_length", return_tensors="pt") for i in chosen]
            inputs = {name: torch.cat([row[name] for row in rows]) for name in rows[0]}
        else:
            rows = [self.encoded[i] for i in chosen]
            inputs = dict(self.tokenizer.pad(rows, padding="longest", return_tensors="pt"))
        return inputs, self.labels[chosen]


def evaluate(model: nn.Module, dev: Inputs, recipe: str) -> float:
    """Accuracy."""
    model.eval()
    order = list(range(len(dev)))
    size = 16
    guard: Any = torch.no_grad()
    if recipe != "authors":
        order.sort(key=dev.length)
        size, guard = 64, torch.inference_mode()
    right = 0
    with guard:
        for start in range(0, len(order), size):
            inputs, labels = dev.batch(order[start : start + size])
            right += int((model(**inputs).logits.argmax(-1) == labels).sum())
    return right / len(order)


def warm_up(model: nn.Module, train: Inputs, dev: Inputs, batch_size: int) -> None:
    """Shows the compiler what it will be given: steps and evaluations of several lengths."""
    by_length = sorted(range(len(train)), key=train.length)
    starts = range(0, len(by_length) - batch_size + 1, max(1, len(by_length) // 4))
    chosen = [by_length[first : first + batch_size] for first in starts]
    rest = len(train) % batch_size
    model.train()
    for some in [*chosen, by_length[:rest]]:
        if some:
            inputs, labels = train.batch(some)
            model(**inputs, labels=labels).loss.backward()
    model.zero_grad()
    evaluate(model, dev, "compiled")


def peak_bytes() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def build(args: argparse.Namespace) -> tuple[nn.Module, list[nn.Parameter]]:
    options = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0} if args.no_dropout else {}
    model = AutoModelForSequenceClassification.from_pretrained(args.plan / "model", dtype=torch.float32, **options)
    trained = set_trainable(model, args.terms)
    if args.recipe != "authors" and args.terms in TARGETS:
        from peft import BeftConfig, get_peft_model

        names = [name for name in trained if not name.startswith("classifier.")]
        modules = [name.removesuffix(".bias") for name in names]
        model = get_peft_model(model, BeftConfig(task_type="SEQ_CLS", target_modules=modules))
        return model, [p for p in model.parameters() if p.requires_grad]
    return model, list(trained.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plan", type=Path, required=True)
    parser.add_argument("--recipe", choices=("authors", "best-practice", "compiled", "bf16"), required=True)
    parser.add_argument("--terms", default="v")
    parser.add_argument("--lr", type=float, default=4e-4)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-dropout", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)

    begin = time.perf_counter()
    plan = json.loads((args.plan / "plan.json").read_text(encoding="utf-8"))
    model, trained = build(args)
    load = time.perf_counter() - begin

    begin = time.perf_counter()
    tokenizer = AutoTokenizer.from_pretrained(args.plan / "model")
    fixed = args.recipe == "authors"
    train = Inputs(plan["train"], plan["train_labels"], tokenizer, plan, fixed)
    dev = Inputs(plan["dev"], plan["dev_labels"], tokenizer, plan, fixed)
    read = time.perf_counter() - begin
    if args.recipe == "compiled":
        start = time.perf_counter()
        model.compile(dynamic=True)
        warm_up(model, train, dev, args.batch_size)
        load += time.perf_counter() - start
    if args.recipe == "bf16":
        torch.autocast("cpu", dtype=torch.bfloat16).__enter__()
    optimizer = torch.optim.AdamW(trained, lr=args.lr, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.0)
    losses, training, evaluating, accuracy = [], 0.0, 0.0, 0.0
    for order in plan["orders"]:
        start = time.perf_counter()
        model.train()
        for first in range(0, len(order), args.batch_size):
            inputs, labels = train.batch(order[first : first + args.batch_size])
            optimizer.zero_grad()
            loss = model(**inputs, labels=labels).loss
            loss.backward()
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            losses.append(loss.item())
        training += time.perf_counter() - start
        start = time.perf_counter()
        accuracy = evaluate(model, dev, args.recipe)
        evaluating += time.perf_counter() - start
    print(
        json.dumps(
            {
                "losses": losses,
                "metrics": {"accuracy": accuracy},
                "trainable": sum(p.numel() for p in trained),
                "load_seconds": load,
                "read_seconds": read,
                "train_seconds": training,
                "eval_seconds": evaluating,
                "seconds": read + training + evaluating,
                "peak_bytes": peak_bytes(),
            }
        )
    )


if __name__ == "__main__":
    main()
