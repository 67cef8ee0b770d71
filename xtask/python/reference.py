"""Shared parts of the Python references: trainable sets, seeded weights, expected values.

Imported by the scripts beside it; nothing to run. Everything expected is computed by a float64
copy of the model in eval mode (no dropout) and stored as float32, so that a difference seen by the
Rust side is the rounding of its own float32 arithmetic and not of two implementations.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

Batch = dict[str, Tensor]

#: Short name of a bias term -> HF parameter inside `encoder.layer.{l}.` (post-LN encoder).
TERMS: dict[str, str] = {
    "q": "attention.self.query.bias",
    "k": "attention.self.key.bias",
    "v": "attention.self.value.bias",
    "m1": "attention.output.dense.bias",
    "ln1": "attention.output.LayerNorm.bias",
    "m2": "intermediate.dense.bias",
    "m3": "output.dense.bias",
    "ln2": "output.LayerNorm.bias",
}
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
HEAD = "classifier."


def term_of(name: str) -> str | None:
    """The bias term a HF parameter name stands for, if it is inside an encoder layer."""
    _, _, rest = name.partition(".encoder.layer.")
    _, _, inside = rest.partition(".")
    return next((term for term, hf in TERMS.items() if hf == inside), None)


def trainable_names(model: nn.Module, mode: str) -> list[str]:
    """Parameters trained in `mode`: `frozen`, `all`, or terms joined by `+` such as `v` or `q+v`."""
    names = [name for name, _ in model.named_parameters()]
    if mode == "all":
        return [n for n in names if n.endswith("bias") or n.startswith(HEAD)]
    terms = set() if mode == "frozen" else set(mode.split("+"))
    if unknown := terms - TERMS.keys():
        raise ValueError(f"unknown bias terms {sorted(unknown)}, choose from {list(TERMS)}")
    return [
        n
        for n in names
        if n.startswith(HEAD) or term_of(n) in terms or (terms and n.endswith("pooler.dense.bias"))
    ]


def set_trainable(model: nn.Module, mode: str) -> dict[str, nn.Parameter]:
    """Freeze everything outside the set of `mode`; the trained parameters by name, in model order."""
    wanted = set(trainable_names(model, mode))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in wanted)
    return {n: p for n, p in model.named_parameters() if n in wanted}


def randomize(parameters: Iterable[tuple[str, nn.Parameter]], seed: int, std: Callable[[str], float]) -> None:
    """Overwrite every parameter by seeded normals; LayerNorm weights are 1 + 0.1 * normal."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in parameters:
            value = torch.randn(parameter.shape, generator=generator)
            if name.endswith("LayerNorm.weight"):
                parameter.copy_(1.0 + 0.1 * value)
            else:
                parameter.copy_(std(name) * value)


def inputs_of(batch: Batch) -> Batch:
    """What the model takes, without the labels."""
    return {name: batch[name] for name in INPUTS}


def adamw_steps(model: nn.Module, batches: list[Batch], mode: str) -> dict[str, Tensor]:
    """One AdamW step per batch on the set of `mode`: the trained parameters, losses and norms."""
    model = copy.deepcopy(model).eval()
    trained = set_trainable(model, mode)
    optimizer = torch.optim.AdamW(trained.values(), lr=1e-3, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.0)
    losses, norms = [], []
    for batch in batches:
        optimizer.zero_grad()
        loss = model(**batch).loss
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(trained.values(), 1.0))
        losses.append(loss.detach())
        optimizer.step()
    out = {f"step{len(batches)}.{mode}.{n}": p.detach() for n, p in trained.items()}
    return out | {f"step.losses.{mode}": torch.stack(losses), f"grad_norm.{mode}": torch.stack(norms)}


def fisher(model: nn.Module, batches: list[Batch]) -> dict[str, Tensor]:
    """Empirical Fisher information of every trained parameter: mean square of the clipped gradient, mean over batches."""
    model = copy.deepcopy(model).eval()
    trained = set_trainable(model, "all")
    sums = {name: torch.zeros(()).double() for name in trained}
    for batch in batches:
        model.zero_grad()
        model(**batch).loss.backward()
        nn.utils.clip_grad_norm_(trained.values(), 1.0)
        for name, parameter in trained.items():
            sums[name] += parameter.grad.square().mean()
    names = [name for name in trained if term_of(name) not in (None, "k")]
    return {"fisher": torch.stack([sums[name] / len(batches) for name in names])}


def expected(model: nn.Module, batches: list[Batch], modes: tuple[str, ...] = ("all", "v")) -> dict[str, Tensor]:
    """Inputs, logits, losses, gradients of the first batch and parameters after the AdamW steps."""
    exact = copy.deepcopy(model).double().eval()
    trained = set_trainable(exact, "all")
    out: dict[str, Tensor] = {}
    for i, batch in enumerate(batches):
        with torch.no_grad():
            result = exact(**batch)
        out |= {f"batch{i}.{name}": value for name, value in batch.items()}
        out |= {f"batch{i}.logits": result.logits, f"batch{i}.loss": result.loss.reshape(1)}
    exact(**batches[0]).loss.backward()
    out |= {f"grad.{name}": parameter.grad for name, parameter in trained.items()}
    out |= fisher(exact, batches)
    for mode in modes:
        out |= adamw_steps(exact, batches, mode)
    return out


def report(model: nn.Module, batches: list[Batch], values: dict[str, Tensor]) -> None:
    """Print what a reader of the fixtures wants to know: norms, the k gradient, float32 rounding."""
    for name, value in values.items():
        if name.startswith(("grad_norm", "step.losses")):
            print(f"{name} = {value.tolist()}")
    largest = max(v.abs().max().item() for n, v in values.items() if n.startswith("grad.") and term_of(n) == "k")
    print(f"max |gradient of a k bias| = {largest:.3e} (float64)")
    with torch.no_grad():
        rounding = max(
            (model(**inputs_of(b)).logits.double() - values[f"batch{i}.logits"]).abs().max().item()
            for i, b in enumerate(batches)
        )
    print(f"max |float32 - float64 logits| = {rounding:.3e}")


def save(values: dict[str, Tensor], path: Path) -> None:
    """Write tensors by name: floats as f32, integers as i64."""
    path.parent.mkdir(parents=True, exist_ok=True)
    typed = {n: v.detach().to(torch.float32 if v.is_floating_point() else torch.int64) for n, v in values.items()}
    save_file({n: v.contiguous().clone() for n, v in sorted(typed.items())}, path)
    path.chmod(0o644)
