"""Check that PEFT, with an adapter written by `beft`, gives the logits that `beft predict` wrote.

Run from the repository root:

    python xtask/python/peft_roundtrip.py --base DIR --adapter DIR --inputs FILE.tsv --predictions FILE.jsonl

The inputs are a TSV with a header and a column `sentence` or `text`; the predictions have one JSON
row per line: {"index": 0, "label": 1, "logits": [-0.3, 1.2]}. Exits 1 if they differ by more than --tolerance.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerBase

COLUMNS = ("sentence", "text")


def read_sentences(path: Path) -> list[str]:
    """The text column, exactly as it is in the file."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        column = next((name for name in COLUMNS if name in (rows.fieldnames or [])), None)
        if column is None:
            sys.exit(f"{path}: no column {' or '.join(COLUMNS)} in the header {rows.fieldnames}")
        return [row[column] for row in rows]


def read_predictions(path: Path, expected_rows: int, adapter: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Classes and logits in the order of the inputs; every index must be there exactly once."""
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = sorted((json.loads(line) for line in lines if line.strip()), key=lambda row: row["index"])
    if [row["index"] for row in rows] != list(range(expected_rows)):
        sys.exit(f"{path}: the {len(rows)} rows do not have the indexes 0..{expected_rows - 1} of the inputs once each")
    logits = torch.tensor([row["logits"] for row in rows], dtype=torch.float64)
    sidecar = adapter / "beft.json"
    names = json.loads(sidecar.read_text(encoding="utf-8"))["labels"] if sidecar.exists() else None
    classes = [names.index(row["label"]) if names else int(row["label"]) for row in rows]
    return torch.tensor(classes), logits


def peft_logits(
    model: torch.nn.Module, tokenizer: PreTrainedTokenizerBase, texts: list[str], size: int
) -> torch.Tensor:
    """Logits batch by batch, padded to the longest sentence of each batch."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(texts), size):
            batch = texts[start : start + size]
            inputs = tokenizer(batch, padding="longest", truncation=True, max_length=128, return_tensors="pt")
            parts.append(model(**inputs).logits)
    return torch.cat(parts).double()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True, help="folder of the base model and its tokenizer")
    parser.add_argument("--adapter", type=Path, required=True, help="folder of the PEFT adapter")
    parser.add_argument("--inputs", type=Path, required=True, help="TSV file with the sentences")
    parser.add_argument("--predictions", type=Path, required=True, help="JSONL file of `beft predict`")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="largest absolute difference allowed")
    parser.add_argument("--batch-size", type=int, default=32)
    args = parser.parse_args()
    texts = read_sentences(args.inputs)
    if not texts:
        sys.exit(f"{args.inputs}: no sentences")
    labels, ours = read_predictions(args.predictions, len(texts), args.adapter)
    base = AutoModelForSequenceClassification.from_pretrained(
        args.base,
        num_labels=ours.shape[1],
        ignore_mismatched_sizes=True,  # the head comes from the adapter
        dtype=torch.float32,
        attn_implementation="eager",
    )
    model = PeftModel.from_pretrained(base, args.adapter).eval()
    if (args.adapter / "apply_extra_biases.py").exists():
        # As docs/interop.md says: what PEFT's format has no place for.
        sys.path.insert(0, str(args.adapter))
        from apply_extra_biases import apply_extra_biases

        apply_extra_biases(model, args.adapter)
    theirs = peft_logits(model, AutoTokenizer.from_pretrained(args.base), texts, args.batch_size)
    difference = (ours - theirs).abs()
    relative = difference / theirs.abs().clamp_min(1e-12)
    argmax = (labels == theirs.argmax(-1)).sum().item() if ours.shape[1] > 1 else len(texts)
    print(f"{len(texts)} rows, {argmax} labels agree")
    print(f"max absolute difference {difference.max():.3e}, max relative difference {relative.max():.3e}")
    if not difference.max() <= args.tolerance or argmax != len(texts):
        sys.exit(f"FAILED: the logits differ by more than {args.tolerance:g}, or a label differs")


if __name__ == "__main__":
    main()
