"""Check that PEFT, with a decoder's adapter written by `beft`, generates the text that `beft generate` does.

Run from the repository root:

    python xtask/python/peft_generate.py --beft target/release/beft --base DIR --adapter DIR --inputs FILE.tsv

The first sentences of the TSV (column `sentence` or `text`) are prompts. Greedy on both sides; exits 1 if a text differs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import torch
from peft import PeftModel
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from peft_roundtrip import read_sentences


def greedy(model: torch.nn.Module, ids: list[int], tokens: int, stop: set[int]) -> list[int]:
    """Token after token by whole forward passes: `generate` leaves a prefix out (peft 0.21, transformers 5.24)."""
    for _ in range(tokens):
        inputs = torch.tensor([ids])
        with torch.inference_mode():
            best = model(input_ids=inputs, attention_mask=torch.ones_like(inputs)).logits[0, -1].argmax().item()
        if best in stop:
            break
        ids = [*ids, best]
    return ids


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beft", type=Path, required=True, help="the program")
    parser.add_argument("--base", type=Path, required=True, help="folder of the base model and its tokenizer")
    parser.add_argument("--adapter", type=Path, required=True, help="folder of the PEFT adapter")
    parser.add_argument("--inputs", type=Path, required=True, help="TSV file with the prompts")
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=30)
    args = parser.parse_args()
    base = AutoModelForCausalLM.from_pretrained(args.base, dtype=torch.float32, attn_implementation="eager")
    eos = base.config.eos_token_id
    stop = set(eos if isinstance(eos, list) else [eos])
    model = PeftModel.from_pretrained(base, args.adapter).eval()
    if (args.adapter / "apply_extra_biases.py").exists():
        # As docs/interop.md says: what PEFT's format has no place for.
        sys.path.insert(0, str(args.adapter))
        from apply_extra_biases import apply_extra_biases

        apply_extra_biases(model, args.adapter)
    tokenizer = Tokenizer.from_file(str(args.base / "tokenizer.json"))
    same, moved = 0, 0
    texts = [text.strip() for text in read_sentences(args.inputs)[: args.prompts]]
    for text in texts:
        ids = tokenizer.encode(text).ids
        found = greedy(model, ids, args.tokens, stop)
        with model.disable_adapter():
            without = greedy(model, ids, args.tokens, stop)
        theirs = tokenizer.decode(found, skip_special_tokens=True)
        command = [args.beft, "generate", "--model", args.base, "--adapter", args.adapter, "--prompt", text]
        ours = subprocess.run([*command, "--max-new-tokens", str(args.tokens)], capture_output=True, text=True, check=True)
        same += ours.stdout.removesuffix("\n") == theirs
        moved += found != without
        if ours.stdout.removesuffix("\n") != theirs:
            print(f"differs:\n  beft {ours.stdout!r}\n  PEFT {theirs!r}")
    print(f"{same} of {len(texts)} texts agree; the adapter changes {moved} of them")
    if same != len(texts):
        sys.exit("FAILED: a text differs")


if __name__ == "__main__":
    main()
