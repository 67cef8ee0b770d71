"""Seconds of a value-bias training step of a BERT or OPT shape in PyTorch, eager and compiled.

    python benchmarks/pytorch_step.py --device cuda --shapes base,large --precisions f32,bf16 --steps 20

Prints one JSON object a line: {"what": "eager" | "compile", "shape", "precision", "seconds"}, and
{"what": "matmul", "precision", "flops"}: operations a second of a large product. Shapes, inputs and
measure are those of `crates/beft-parity/src/timing.rs`. bf16 keeps the frozen matrices of the layers
in bf16, as `--precision bf16` does: autocast around an f32 model would convert them at every step.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification, OPTConfig, OPTForCausalLM

SHAPES = {  # layers, hidden, heads, batch, length
    "base": (12, 768, 12, 16, 128),
    "large": (24, 1024, 16, 16, 128),
    "tiny": (2, 128, 2, 4, 32),
    "opt-1.3b": (24, 2048, 32, 8, 128),
    "opt-tiny": (2, 128, 2, 4, 32),
}
WARM_UP = 5


class LowerLinear(nn.Module):
    """A frozen bf16 matrix with an f32 bias, between f32 activations."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = nn.Parameter(linear.weight.detach().bfloat16(), requires_grad=False)
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x.bfloat16(), self.weight).float() + self.bias


def lower(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, LowerLinear(child))
        else:
            lower(child)


def synchronize(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


class LastToken(nn.Module):
    """The loss of each input's last token: the head runs nowhere else."""

    def __init__(self, model: OPTForCausalLM) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        hidden = self.model.model(input_ids=ids[:, :-1]).last_hidden_state[:, -1]
        return nn.functional.cross_entropy(self.model.lm_head(hidden).float(), ids[:, -1])


class Classes(nn.Module):
    """The loss of each input's class."""

    def __init__(self, model: BertForSequenceClassification) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        labels = torch.arange(len(ids), device=ids.device) % 2
        return self.model(input_ids=ids, labels=labels).loss


def make_model(shape: str, precision: str, device: str) -> nn.Module:
    """The model with its loss, only what is trained with gradients."""
    layers, hidden, heads, _, _ = SHAPES[shape]
    torch.manual_seed(0)
    if shape.startswith("opt"):
        config = OPTConfig(
            hidden_size=hidden, word_embed_proj_dim=hidden, num_hidden_layers=layers, num_attention_heads=heads,
            ffn_dim=4 * hidden, dropout=0.1,
        )  # fmt: skip
        model = OPTForCausalLM(config).to(device).train()
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.endswith("v_proj.bias"))
        if precision == "bf16":
            lower(model.model.decoder.layers)
        return LastToken(model)
    config = BertConfig(
        vocab_size=28996, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=4 * hidden, num_labels=2,
    )  # fmt: skip
    model = BertForSequenceClassification(config).to(device).train()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(
            name.endswith("attention.self.value.bias") or name.startswith("classifier.") or name == "bert.pooler.dense.bias"
        )
    if precision == "bf16":
        lower(model.bert.encoder)
    return Classes(model)


def step_seconds(shape: str, precision: str, compiled: bool, args: argparse.Namespace) -> float:
    _, _, _, batch, length = SHAPES[shape]
    model = make_model(shape, precision, args.device)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, eps=1e-6, weight_decay=0.0)
    forward = torch.compile(model) if compiled else model
    rows = [[1000 + (i * 7919 + j * 104_729) % 20_000 for j in range(length)] for i in range(batch)]
    inputs = torch.tensor(rows, device=args.device)
    seconds = []
    for step in range(args.steps + WARM_UP):
        synchronize(args.device)
        begin = time.perf_counter()
        optimizer.zero_grad()
        loss = forward(inputs)
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        loss.item()
        synchronize(args.device)
        if step >= WARM_UP:
            seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def matmul_flops(precision: str, size: int, device: str) -> float:
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = (torch.rand(size, size, device=device).to(dtype) for _ in range(2))
    best = 0.0
    for _ in range(10):
        synchronize(device)
        begin = time.perf_counter()
        a @ b
        synchronize(device)
        best = max(best, 2 * size**3 / (time.perf_counter() - begin))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--shapes", type=lambda text: text.split(","), default=["base", "large", "opt-1.3b"])
    parser.add_argument("--precisions", type=lambda text: text.split(","), default=["f32", "bf16"])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--matmul-size", type=int, default=8192)
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    args = parser.parse_args()
    for precision in args.precisions:
        flops = matmul_flops(precision, args.matmul_size, args.device)
        print(json.dumps({"what": "matmul", "precision": precision, "flops": flops}), flush=True)
        for shape in args.shapes:
            for compiled in (False,) if args.no_compile else (False, True):
                row = {"what": "compile" if compiled else "eager", "shape": shape, "precision": precision}
                try:
                    row["seconds"] = step_seconds(shape, precision, compiled, args)
                except Exception as error:  # the row says why; the others still count
                    row["error"] = str(error).splitlines()[0][:200]
                print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
