"""Shared parts of the decoder references: bias sites, exact forward passes, expected values.

Imported by `make_decoder_fixtures.py`; nothing to run. As in `reference.py`, what is expected is
computed in float64 and stored as float32. Transformers rounds to float32 inside RMSNorm and inside
the softmax even when a model is float64 (and a row of a left-padded batch that sees nothing becomes
NaN there), so the float64 copy has those two replaced; only the angles of RoPE keep its float32.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel

Rows = list[list[int]]


class Example(TypedDict):
    """A prompt, the continuations that are scored after it, and the index of the right one."""

    prompt: list[int]
    candidates: Rows
    right: int


@dataclass(frozen=True)
class Architecture:
    """Where the bias sites of a model are; a path is relative to the layer, or to the model."""

    layers: str
    #: Term -> module that has the bias, or would have it.
    terms: dict[str, str]
    #: Module of a fused projection whose bias is q, k and v in this order (GPT-2).
    fused: str | None = None
    final_norm: str | None = None
    head: str | None = None


_LLAMA = Architecture(
    layers="model.layers",
    terms={
        "q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj", "m1": "self_attn.o_proj",
        "ln1": "input_layernorm", "m2": "mlp.up_proj", "m3": "mlp.down_proj", "ln2": "post_attention_layernorm",
    },
)  # fmt: skip
ARCHITECTURES: dict[str, Architecture] = {
    "opt": Architecture(
        layers="model.decoder.layers",
        terms={
            "q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj", "m1": "self_attn.out_proj",
            "ln1": "self_attn_layer_norm", "m2": "fc1", "m3": "fc2", "ln2": "final_layer_norm",
        },
        final_norm="model.decoder.final_layer_norm",
    ),
    "llama": _LLAMA,
    "qwen2": _LLAMA,
    "mistral": _LLAMA,
    "gptj": Architecture(
        layers="transformer.h",
        terms={
            "q": "attn.q_proj", "k": "attn.k_proj", "v": "attn.v_proj", "m1": "attn.out_proj",
            "ln1": "ln_1", "m2": "mlp.fc_in", "m3": "mlp.fc_out",
        },
        final_norm="transformer.ln_f",
        head="lm_head",
    ),
    "gpt2": Architecture(
        layers="transformer.h",
        terms={"m1": "attn.c_proj", "ln1": "ln_1", "m2": "mlp.c_fc", "m3": "mlp.c_proj", "ln2": "ln_2"},
        fused="attn.c_attn",
        final_norm="transformer.ln_f",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Site:
    """One trainable bias vector: `{layer}.{term}`, `final_norm` or `head`."""

    name: str
    parameter: nn.Parameter
    #: What the parameter is added to: the native bias where only a part of it is trained.
    base: Tensor

    @property
    def value(self) -> Tensor:
        return self.base + self.parameter.detach()


def _exact_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    **_: object,
) -> tuple[Tensor, Tensor]:
    """Eager attention without the detour through float32."""
    groups = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(groups, dim=1) for x in (key, value))
    scores = query @ key.transpose(-1, -2) * scaling
    weights = torch.softmax(scores if attention_mask is None else scores + attention_mask, dim=-1)
    return (weights @ value).transpose(1, 2).contiguous(), weights


AttentionInterface.register("exact", _exact_attention)
AttentionMaskInterface.register("exact", AttentionMaskInterface()["eager"])


def exact_copy(model: PreTrainedModel) -> PreTrainedModel:
    """A float64 copy in eval mode that computes everything but the angles of RoPE in float64."""
    exact = copy.deepcopy(model).double().eval()
    exact.set_attn_implementation("exact")
    for path, module in list(exact.named_modules()):
        if type(module).__name__.endswith("RMSNorm"):
            norm = nn.RMSNorm(module.weight.shape, eps=module.variance_epsilon, dtype=torch.float64)
            norm.weight = module.weight
            exact.set_submodule(path, norm)
    return exact


def _shift(module: nn.Module, width: int, parts: int = 1) -> list[nn.Parameter]:
    """Zero biases added to the output of a module; several make up the width together."""
    shifts = [nn.Parameter(torch.zeros(width // parts, dtype=module.weight.dtype)) for _ in range(parts)]
    module.register_forward_hook(lambda _module, _inputs, output: output + torch.cat(shifts))
    return shifts


def _site(name: str, module: nn.Module) -> Site:
    """The site of a module: its own bias, or a zero added to what it gives."""
    bias = getattr(module, "bias", None)
    parameter = bias if bias is not None else _shift(module, module.weight.shape[0])[0]
    return Site(name, parameter, torch.zeros_like(parameter.detach()))


def attach(model: PreTrainedModel, mode: str) -> list[Site]:
    """Freeze `model` except for the sites of `mode`, `all` or the name of a term; adds missing biases."""
    architecture = ARCHITECTURES[model.config.model_type]
    model.requires_grad_(False)
    sites: list[Site] = []
    for index, layer in enumerate(model.get_submodule(architecture.layers)):
        if architecture.fused:
            fused = layer.get_submodule(architecture.fused)
            thirds = fused.bias.detach().clone().chunk(3)
            shifts = _shift(fused, fused.bias.shape[0], parts=3)
            sites += [Site(f"{index}.{t}", s, b) for t, s, b in zip("qkv", shifts, thirds)]
        sites += [_site(f"{index}.{term}", layer.get_submodule(path)) for term, path in architecture.terms.items()]
    for name, path in (("final_norm", architecture.final_norm), ("head", architecture.head)):
        module = model
        for part in path.split(".") if path else ():
            module = getattr(module, part, None)  # None where the model has no such module
        if path and module is not None:
            sites.append(_site(name, module))
    sites = [site for site in sites if mode == "all" or site.name.endswith(f".{mode}")]
    for site in sites:
        site.parameter.requires_grad_(True)
    return sites


def left_pad(rows: Rows, pad: int) -> tuple[Tensor, Tensor]:
    """Ids and attention mask of a batch, padded in front."""
    width = max(map(len, rows))
    ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return ids, mask


def logits_of(model: PreTrainedModel, rows: Rows, pad: int) -> list[Tensor]:
    """Logits of the real tokens of a left-padded batch, one tensor per row."""
    ids, mask = left_pad(rows, pad)
    positions = {} if model.config.model_type == "opt" else {"position_ids": (mask.cumsum(1) - 1).clamp(min=0)}
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False, **positions).logits
    return [row[-len(tokens) :] for row, tokens in zip(logits, rows)]


def log_probabilities(model: PreTrainedModel, rows: Rows, pad: int) -> list[Tensor]:
    """Log probability of every token after the first of each row, given the tokens before it."""
    logits = logits_of(model, rows, pad)
    picked = []
    for row, tokens in zip(logits, rows):
        picked.append(row[:-1].log_softmax(-1).gather(1, torch.tensor(tokens[1:])[:, None])[:, 0])
    return picked


def next_token_loss(model: PreTrainedModel, rows: Rows, pad: int) -> Tensor:
    """Cross entropy of the next token, averaged over all predicted tokens of the batch."""
    return -torch.cat(log_probabilities(model, rows, pad)).mean()


def scores(model: PreTrainedModel, group: list[Example], pad: int) -> Tensor:
    """Mean log probability of the tokens of every candidate: [examples, candidates]."""
    rows = [example["prompt"] + candidate for example in group for candidate in example["candidates"]]
    lengths = [len(candidate) for example in group for candidate in example["candidates"]]
    means = [p[-n:].mean() for p, n in zip(log_probabilities(model, rows, pad), lengths)]
    return torch.stack(means).reshape(len(group), -1)


def class_loss(model: PreTrainedModel, group: list[Example], pad: int) -> Tensor:
    """Training as classification: cross entropy over the candidates' scores."""
    right = torch.tensor([example["right"] for example in group])
    return nn.functional.cross_entropy(scores(model, group, pad), right)


def answer_loss(model: PreTrainedModel, group: list[Example], pad: int) -> Tensor:
    """Minus the log probability of the right candidates' tokens, averaged over those of the batch."""
    answers = [example["candidates"][example["right"]] for example in group]
    rows = [example["prompt"] + answer for example, answer in zip(group, answers)]
    return -torch.cat([p[-len(a) :] for p, a in zip(log_probabilities(model, rows, pad), answers)]).mean()


Loss = Callable[[PreTrainedModel, list[Example], int], Tensor]


def gradients(model: PreTrainedModel, group: list[Example], pad: int, loss: Loss) -> dict[str, Tensor]:
    """Gradient of the loss with respect to every site."""
    exact = exact_copy(model)
    sites = attach(exact, "all")
    loss(exact, group, pad).backward()
    return {site.name: site.parameter.grad for site in sites}


def adamw_steps(model: PreTrainedModel, groups: list[list[Example]], pad: int, mode: str) -> dict[str, Tensor]:
    """One AdamW step per group on the sites of `mode`: their values, losses and gradient norms."""
    exact = exact_copy(model)
    sites = attach(exact, mode)
    parameters = [site.parameter for site in sites]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.0)
    losses, norms = [], []
    for group in groups:
        optimizer.zero_grad()
        loss = class_loss(exact, group, pad)
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(parameters, 1.0))
        losses.append(loss.detach())
        optimizer.step()
    out = {f"step{len(groups)}.{mode}.{site.name}": site.value for site in sites}
    return out | {f"step.losses.{mode}": torch.stack(losses), f"grad_norm.{mode}": torch.stack(norms)}


def expected(model: PreTrainedModel, texts: Rows, groups: list[list[Example]], pad: int) -> dict[str, Tensor]:
    """Everything stored beside a model, by name."""
    exact = exact_copy(model)
    out: dict[str, Tensor] = {}
    with torch.no_grad():
        out["text.logits"] = torch.cat(logits_of(exact, texts, pad))
        out["text.loss"] = next_token_loss(exact, texts, pad).reshape(1)
        for i, group in enumerate(groups):
            out[f"scores{i}"] = scores(exact, group, pad)
            out[f"loss{i}"] = class_loss(exact, group, pad).reshape(1)
            out[f"lm_loss{i}"] = answer_loss(exact, group, pad).reshape(1)
    out |= {f"grad.{name}": grad for name, grad in gradients(model, groups[0], pad, class_loss).items()}
    by_answer = gradients(model, groups[0], pad, answer_loss)
    out |= {f"lm_grad.{name}": grad for name, grad in by_answer.items() if name.split(".")[-1] in ("q", "k", "v")}
    for mode in ("v", "all"):
        out |= adamw_steps(model, groups, pad, mode)
    return out


def check(model: PreTrainedModel, texts: Rows, pad: int, values: dict[str, Tensor]) -> None:
    """What the expected values rest on: padding and added zeros change nothing, and the copy is the model."""
    exact = exact_copy(model)
    with torch.no_grad():
        alone = torch.cat([logits_of(exact, [text], pad)[0] for text in texts])
        plain = torch.cat([logits_of(model, [text], pad)[0] for text in texts])
        attach(exact, "all")
        with_sites = torch.cat(logits_of(exact, texts, pad))
    padding = (alone - values["text.logits"]).abs().max().item()
    rounding = (plain.double() - alone).abs().max().item()
    assert torch.equal(with_sites, values["text.logits"]), "an added zero bias changed the logits"
    assert padding < 1e-10, f"left padding changed the logits by {padding}"
    assert rounding < 1e-4, f"the float64 copy is not the model: {rounding}"
    print(f"  max |float32 - float64 logits| = {rounding:.1e}, max |padded - alone| = {padding:.1e}")
