"""Write a model of a known shape with random weights and another model's tokenizer.

    python xtask/python/make_shape.py --shape opt-125m --tokenizer models/minilm --out models/opt-125m-shape
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from transformers import BertConfig, BertModel, OPTConfig, OPTForCausalLM, Qwen2Config, Qwen2ForCausalLM

SHAPES = {
    "bert-base": lambda: BertModel(BertConfig(vocab_size=30522)),
    "opt-125m": lambda: OPTForCausalLM(OPTConfig(vocab_size=50272)),
    "qwen2-0.5b": lambda: Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=151936,
            hidden_size=896,
            intermediate_size=4864,
            num_hidden_layers=24,
            num_attention_heads=14,
            num_key_value_heads=2,
            tie_word_embeddings=True,
        )
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.manual_seed(0)
    SHAPES[args.shape]().save_pretrained(args.out)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if (args.tokenizer / name).exists():
            shutil.copyfile(args.tokenizer / name, args.out / name)


if __name__ == "__main__":
    main()
