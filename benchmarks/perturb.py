"""Makes adapters that differ from a trained one, for `cargo xtask bench serve`: a little noise on its biases.

    python benchmarks/perturb.py --adapter DIR --count 64 --out DIR     writes DIR/a0, DIR/a1, ...
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

FILE = "adapter_model.safetensors"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapter", type=Path, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with safe_open(args.adapter / FILE, framework="pt") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()
    random = torch.Generator().manual_seed(0)
    for number in range(args.count):
        folder = args.out / f"a{number}"
        shutil.copytree(args.adapter, folder, dirs_exist_ok=True)
        changed = {
            name: tensor + 0.01 * torch.randn(tensor.shape, generator=random) if tensor.dim() == 1 else tensor.clone()
            for name, tensor in tensors.items()
        }
        save_file(changed, folder / FILE, metadata=metadata)


if __name__ == "__main__":
    main()
