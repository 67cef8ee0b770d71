"""transformers' side of `cargo xtask bench generate`: greedy texts of so many tokens, timed.

    python benchmarks/peer_generate.py --model DIR --prompts prompts.json --tokens 64

Prints one JSON object: the new tokens of each prompt, and the seconds of the fastest round.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--prompts", type=Path, required=True)
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    prompts = json.loads(args.prompts.read_text(encoding="utf-8"))
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32, attn_implementation="sdpa").eval()
    longest = max(len(prompt) for prompt in prompts)
    # Padded at the left, as generate wants it.
    ids = torch.tensor([[1] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    best = float("inf")
    for _ in range(args.rounds):
        start = time.perf_counter()
        with torch.inference_mode():
            out = model.generate(
                input_ids=ids,
                attention_mask=mask,
                do_sample=False,
                min_new_tokens=args.tokens,
                max_new_tokens=args.tokens,
                pad_token_id=1,
            )
        best = min(best, time.perf_counter() - start)
    print(json.dumps({"seconds": best, "tokens": out[:, longest:].tolist()}))


if __name__ == "__main__":
    main()
