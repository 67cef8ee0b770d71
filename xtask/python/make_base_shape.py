"""Write a BERT of BERT-base's shape with random weights and another model's tokenizer.

    python xtask/python/make_base_shape.py --tokenizer models/minilm --out models/bert-base-shape
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from transformers import BertConfig, BertModel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=30522)).save_pretrained(args.out)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if (args.tokenizer / name).exists():
            shutil.copyfile(args.tokenizer / name, args.out / name)


if __name__ == "__main__":
    main()
