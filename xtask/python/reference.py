"""Shared parts of the Python references: trainable sets, seeded weights, expected values.

Imported by the scripts beside it; nothing to run. Everything expected is computed by a float64
copy of the model in eval mode (no dropout) and stored as float32, so that a difference seen by the
Rust side is the rounding of its own float32 arithmetic and not of two implementations.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

Batch = dict[str, Tensor]
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


@dataclass(frozen=True)
class Architecture:
    """Where the bias sites of an encoder are."""

    #: What stands before the number of the layer in the names of its parameters.
    layers: str
    #: Term -> module inside the layer that has the bias, or would have it.
    terms: dict[str, str]
    #: Beginnings of the names of the head, which is always trained.
    head: tuple[str, ...] = ("classifier.",)
    #: A bias outside the layers that is trained with any other.
    pooler: str | None = None
    #: Module of a fused projection whose bias is q, k and v in this order.
    fused: str | None = None
    #: Biases inside the layers that no term stands for.
    untuned: tuple[str, ...] = ()


BERT = Architecture(
    layers="bert.encoder.layer.",
    terms={
        "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
        "m1": "attention.output.dense", "ln1": "attention.output.LayerNorm",
        "m2": "intermediate.dense", "m3": "output.dense", "ln2": "output.LayerNorm",
    },
    pooler="bert.pooler.dense.bias",
)  # fmt: skip


def _like_bert(prefix: str, **terms: str) -> Architecture:
    return Architecture(layers=f"{prefix}.encoder.layer.", terms=BERT.terms | terms)


ARCHITECTURES: dict[str, Architecture] = {
    "bert": BERT,
    "roberta": _like_bert("roberta"),
    "xlm-roberta": _like_bert("roberta"),
    "camembert": _like_bert("roberta"),
    "electra": _like_bert("electra"),
    "distilbert": Architecture(
        layers="distilbert.transformer.layer.",
        terms={
            "q": "attention.q_lin", "k": "attention.k_lin", "v": "attention.v_lin", "m1": "attention.out_lin",
            "ln1": "sa_layer_norm", "m2": "ffn.lin1", "m3": "ffn.lin2", "ln2": "output_layer_norm",
        },
        head=("pre_classifier.", "classifier."),
    ),
    "mpnet": _like_bert(
        "mpnet", q="attention.attn.q", k="attention.attn.k", v="attention.attn.v", m1="attention.attn.o",
        ln1="attention.LayerNorm",
    ),
    "modernbert": Architecture(
        layers="model.layers.",
        terms={"m1": "attn.Wo", "ln1": "attn_norm", "m2": "mlp.Wi", "m3": "mlp.Wo", "ln2": "mlp_norm"},
        pooler="head.dense.bias",
        fused="attn.Wqkv",
    ),
    "deberta-v2": Architecture(
        layers="deberta.encoder.layer.",
        terms=BERT.terms | {
            "q": "attention.self.query_proj", "k": "attention.self.key_proj", "v": "attention.self.value_proj",
        },
        head=("pooler.", "classifier."),
        untuned=("attention.self.pos_key_proj.bias", "attention.self.pos_query_proj.bias"),
    ),
}  # fmt: skip

#: Short name of a bias term -> HF parameter inside `encoder.layer.{l}.` (post-LN encoder).
TERMS: dict[str, str] = {term: f"{module}.bias" for term, module in BERT.terms.items()}
HEAD = "classifier."


def _architecture(model: nn.Module) -> Architecture:
    return ARCHITECTURES[model.config.model_type]


def _inside(name: str, architecture: Architecture) -> str:
    """The part of a parameter's name behind the number of its layer; empty outside the layers."""
    _, layers, rest = name.partition(architecture.layers)
    return rest.partition(".")[2] if layers else ""


def term_of(name: str, architecture: Architecture = BERT) -> str | None:
    """The bias term a parameter stands for, if it is inside a layer; `...bias#1` is a part of a fused one."""
    inside = _inside(name, architecture)
    for part, term in enumerate("qkv"):
        if architecture.fused and inside == f"{architecture.fused}.bias#{part}":
            return term
    return next((term for term, module in architecture.terms.items() if inside == f"{module}.bias"), None)


def _add(module: nn.Module, width: int, parts: int = 1) -> list[nn.Parameter]:
    """Zero biases added to the output of a module; several make up the width together."""
    device = next(module.parameters()).device if list(module.parameters()) else torch.device("cpu")
    shifts = [nn.Parameter(torch.zeros(width // parts, dtype=torch.float64, device=device)) for _ in range(parts)]
    module.register_forward_hook(lambda _module, _inputs, output: output + torch.cat(shifts).to(output))
    return shifts


class Sites:
    """The parameters of a model by name, with the biases that it lacks, and parts of those that are fused."""

    def __init__(self, model: nn.Module) -> None:
        self.architecture = _architecture(model)
        self.parameters = dict(model.named_parameters())
        #: What a parameter is added to: the native bias of which only a part is trained.
        self.bases: dict[str, Tensor] = {}
        layers = model.get_submodule(self.architecture.layers.removesuffix("."))
        for index, layer in enumerate(layers):
            for module in self.architecture.terms.values():
                name = f"{self.architecture.layers}{index}.{module}.bias"
                if name not in self.parameters:
                    part = layer.get_submodule(module)
                    # A layer without a norm has none to ask for the width.
                    width = part.weight.shape[0] if hasattr(part, "weight") else model.config.hidden_size
                    self.parameters[name] = _add(part, width)[0]
            if self.architecture.fused:
                name = f"{self.architecture.layers}{index}.{self.architecture.fused}.bias"
                fused = layer.get_submodule(self.architecture.fused)
                native = self.parameters.pop(name, None)
                for part, shift in enumerate(_add(fused, fused.weight.shape[0], parts=3)):
                    self.parameters[f"{name}#{part}"] = shift
                    if native is not None:
                        self.bases[f"{name}#{part}"] = native.detach().clone().chunk(3)[part]

    def value(self, name: str) -> Tensor:
        own = self.parameters[name].detach()
        return own + self.bases[name] if name in self.bases else own

    def trainable(self, mode: str) -> list[str]:
        """Parameters trained in `mode`: `frozen`, `all`, or terms joined by `+` such as `v` or `q+v`."""
        architecture = self.architecture
        head = [n for n in self.parameters if n.startswith(architecture.head)]
        if mode == "all":
            biases = [n for n in self.parameters if n.partition("#")[0].endswith("bias")]
            biases = [n for n in biases if _inside(n, architecture) not in architecture.untuned]
            return [n for n in self.parameters if n in biases or n in head]
        terms = set() if mode == "frozen" else set(mode.split("+"))
        if unknown := terms - TERMS.keys():
            raise ValueError(f"unknown bias terms {sorted(unknown)}, choose from {list(TERMS)}")
        along = {architecture.pooler} if terms else set()
        return [n for n in self.parameters if n in head or term_of(n, architecture) in terms or n in along]

    def train(self, mode: str) -> dict[str, nn.Parameter]:
        """Freeze everything outside the set of `mode`; the trained parameters by name."""
        wanted = set(self.trainable(mode))
        for name, parameter in self.parameters.items():
            parameter.requires_grad_(name in wanted)
        return {n: p for n, p in self.parameters.items() if n in wanted}


def set_trainable(model: nn.Module, mode: str) -> dict[str, nn.Parameter]:
    """Freeze everything outside the set of `mode`; the trained parameters by name, in model order."""
    return Sites(model).train(mode)


def randomize(
    parameters: Iterable[tuple[str, nn.Parameter]],
    seed: int,
    std: Callable[[str], float],
    norms: tuple[str, ...] = ("LayerNorm.weight",),
) -> None:
    """Overwrite every parameter by seeded normals; weights of norms are 1 + 0.1 * normal."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in parameters:
            value = torch.randn(parameter.shape, generator=generator)
            if name.endswith(norms):
                parameter.copy_(1.0 + 0.1 * value)
            else:
                parameter.copy_(std(name) * value)


def inputs_of(batch: Batch) -> Batch:
    """What a model takes, without the labels."""
    return {name: batch[name] for name in INPUTS}


def run(model: nn.Module, batch: Batch):  # noqa: ANN201
    """What the model gives for a batch; without segments where it knows none."""
    known = inspect.signature(getattr(model, "get_base_model", lambda: model)().forward).parameters
    return model(**{name: value for name, value in batch.items() if name in known})


def exact_copy(model: nn.Module) -> tuple[nn.Module, Sites]:
    """A float64 copy in eval mode, and its sites."""
    exact = in_float64(copy.deepcopy(model)).eval()
    return exact, Sites(exact)


def in_float64(model: nn.Module) -> nn.Module:
    """The model in float64, ModernBERT without the detour through float32, where masked padding becomes NaN."""
    if model.config.model_type == "modernbert":
        import decoder_reference  # noqa: F401  (registers this kind of attention)

        getattr(model, "get_base_model", lambda: model)().set_attn_implementation("exact")
    return model.double()


def adamw_steps(model: nn.Module, batches: list[Batch], mode: str) -> dict[str, Tensor]:
    """One AdamW step per batch on the set of `mode`: the trained parameters, losses and norms."""
    model, sites = exact_copy(model)
    trained = sites.train(mode)
    optimizer = torch.optim.AdamW(trained.values(), lr=1e-3, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.0)
    losses, norms = [], []
    for batch in batches:
        optimizer.zero_grad()
        loss = run(model, batch).loss
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(trained.values(), 1.0))
        losses.append(loss.detach())
        optimizer.step()
    out = {f"step{len(batches)}.{mode}.{n}": sites.value(n) for n in trained}
    return out | {f"step.losses.{mode}": torch.stack(losses), f"grad_norm.{mode}": torch.stack(norms)}


def fisher(model: nn.Module, batches: list[Batch]) -> dict[str, Tensor]:
    """Empirical Fisher information of the biases of all terms but k, in the order of layers and terms: mean square of
    the clipped gradient, mean over batches."""
    model, sites = exact_copy(model)
    trained = sites.train("all")
    sums = {name: torch.zeros(()).double() for name in trained}
    for batch in batches:
        for parameter in trained.values():
            parameter.grad = None
        run(model, batch).loss.backward()
        nn.utils.clip_grad_norm_(trained.values(), 1.0)
        for name, parameter in trained.items():
            sums[name] += parameter.grad.square().mean()
    terms = list(TERMS)
    place = {}
    for name in trained:
        term = term_of(name, sites.architecture)
        if term not in (None, "k"):
            layer = int(name.removeprefix(sites.architecture.layers).split(".")[0])
            place[name] = (layer, terms.index(term))
    names = sorted(place, key=place.__getitem__)
    return {"fisher": torch.stack([sums[name] / len(batches) for name in names])}


def expected(model: nn.Module, batches: list[Batch], modes: tuple[str, ...] = ("all", "v")) -> dict[str, Tensor]:
    """Inputs, logits, losses, gradients of the first batch and parameters after the AdamW steps."""
    exact, sites = exact_copy(model)
    trained = sites.train("all")
    out: dict[str, Tensor] = {}
    for i, batch in enumerate(batches):
        with torch.no_grad():
            result = run(exact, batch)
        out |= {f"batch{i}.{name}": value for name, value in batch.items()}
        out |= {f"batch{i}.logits": result.logits, f"batch{i}.loss": result.loss.reshape(1)}
    run(exact, batches[0]).loss.backward()
    out |= {f"grad.{name}": parameter.grad for name, parameter in trained.items()}
    out |= fisher(model, batches)
    for mode in modes:
        out |= adamw_steps(model, batches, mode)
    return out


def report(model: nn.Module, batches: list[Batch], values: dict[str, Tensor]) -> None:
    """Print what a reader of the fixtures wants to know: norms, the k gradient, float32 rounding."""
    architecture = _architecture(model)
    for name, value in values.items():
        if name.startswith(("grad_norm", "step.losses")):
            print(f"{name} = {value.tolist()}")
    keys = [v for n, v in values.items() if n.startswith("grad.") and term_of(n, architecture) == "k"]
    print(f"max |gradient of a k bias| = {max(v.abs().max().item() for v in keys):.3e} (float64)")
    with torch.no_grad():
        rounding = max(
            (run(model, inputs_of(b)).logits.double() - values[f"batch{i}.logits"]).abs().max().item()
            for i, b in enumerate(batches)
        )
    print(f"max |float32 - float64 logits| = {rounding:.3e}")


def save(values: dict[str, Tensor], path: Path) -> None:
    """Write tensors by name: floats as f32, integers as i64."""
    path.parent.mkdir(parents=True, exist_ok=True)
    typed = {n: v.detach().to(torch.float32 if v.is_floating_point() else torch.int64) for n, v in values.items()}
    save_file({n: v.contiguous().clone() for n, v in sorted(typed.items())}, path)
    path.chmod(0o644)
