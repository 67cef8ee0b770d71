"""Write what transformers computes of the fixtures with other heads: sequence classification on decoders, token
classification and question answering on both.

Run from the repository root, after the scripts that make the models:

    python xtask/python/make_head_fixtures.py --out crates/beft-fixtures/models [--only NAME]

Beside each model comes a file `head-KIND.safetensors`: the head, three batches, and what the model gives for them:
outputs, losses, gradients of all biases, and three AdamW steps. Names are those of HF's parameters for encoders, and
`{layer}.{term}` for decoders, as in their other fixtures. Everything is seeded.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedModel,
)
from transformers.utils import logging

import decoder_reference
import reference
from reference import save

CLASSES = {
    "sequence": AutoModelForSequenceClassification,
    "tokens": AutoModelForTokenClassification,
    "spans": AutoModelForQuestionAnswering,
}
#: Fixture -> kinds of heads that it gets.
HEADS: dict[str, tuple[str, ...]] = {
    "bert-tiny": ("tokens", "spans"),
    "roberta-tiny": ("tokens", "spans"),
    "distilbert-tiny": ("tokens", "spans"),
    "electra-tiny": ("tokens",),
    "mpnet-tiny": ("spans",),
    "modernbert-tiny": ("tokens", "spans"),
    "deberta-v3-tiny": ("tokens", "spans"),
    "opt-tiny": ("sequence", "spans"),
    "opt-post-tiny": ("sequence",),
    "llama-tiny": ("sequence", "tokens"),
    "llama-linear-tiny": ("sequence",),
    "qwen2-tiny": ("sequence", "tokens"),
    "mistral-tiny": ("sequence", "tokens", "spans"),
    "gptj-tiny": ("sequence", "spans"),
    "gpt2-tiny": ("sequence", "tokens", "spans"),
}
LABELS = 3
#: Modules that heads consist of, or that lie in front of them and are trained along.
HEAD_MODULES = ("score.", "classifier.", "qa_outputs.")
Batch = dict[str, Tensor]


def make_batches(vocabulary: int, pad: int, kind: str, seed: int) -> list[Batch]:
    """Three batches of four inputs; of one length where transformers would count padding in the loss."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda low, high, *shape: torch.randint(low, high, shape, generator=generator)  # noqa: E731
    batches = []
    for index in range(3):
        lengths = [9] * 4 if kind == "spans" else [5 + index, 12, 7, 3]
        ids = draw(8, vocabulary, len(lengths), max(lengths))
        mask = torch.tensor([[1] * n + [0] * (max(lengths) - n) for n in lengths])
        ids = torch.where(mask == 1, ids, torch.full_like(ids, pad))
        batch = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
        if kind == "sequence":
            batch["labels"] = draw(0, LABELS, len(lengths))
        elif kind == "tokens":
            labels = draw(0, LABELS, *ids.shape)
            known = (mask == 1) & (draw(0, 3, *ids.shape) > 0)
            batch["labels"] = torch.where(known, labels, torch.full_like(labels, -100))
        else:
            batch["start_positions"], batch["end_positions"] = draw(0, 9, 4), draw(0, 9, 4)
        batches.append(batch)
    return batches


class Reference:
    """A float64 copy of a model with all its sites, of either kind of model."""

    def __init__(self, model: PreTrainedModel, mode: str) -> None:
        decoder = model.config.model_type in decoder_reference.ARCHITECTURES
        if decoder:
            self.model = decoder_reference.exact_copy(model)
            sites = decoder_reference.attach(self.model, mode)
            self.parameters = {site.name: site.parameter for site in sites if site.name != "head"}
            self.values = {site.name: (lambda site=site: site.value) for site in sites if site.name != "head"}
            for name, parameter in self.model.named_parameters():
                if name.startswith(HEAD_MODULES):
                    parameter.requires_grad_(True)
                    self.parameters[name] = parameter
                    self.values[name] = parameter.detach
        else:
            self.model, sites = reference.exact_copy(model)
            self.parameters = sites.train(mode)
            # Question answering has another name for its head.
            for name, parameter in self.model.named_parameters():
                if name.startswith(HEAD_MODULES):
                    parameter.requires_grad_(True)
                    self.parameters[name] = parameter
            self.values = {name: (lambda name=name: sites.value(name)) for name in self.parameters}

    def run(self, batch: Batch) -> Any:
        return run(self.model, batch)


def run(model: PreTrainedModel, batch: Batch) -> Any:
    """What a model gives; GPT-2 would take segments for tokens."""
    decoder = model.config.model_type in decoder_reference.ARCHITECTURES
    return reference.run(model, {n: v for n, v in batch.items() if not (decoder and n == "token_type_ids")})


def outputs_of(result: Any, batch: Batch) -> Tensor:
    """What our model gives: a row for each input, or for each of its tokens."""
    if "start_positions" in batch:
        rows = torch.stack([result.start_logits, result.end_logits], dim=-1)
    else:
        rows = result.logits
    return rows[batch["attention_mask"] == 1] if rows.dim() == 3 else rows


def expected(model: PreTrainedModel, batches: list[Batch]) -> dict[str, Tensor]:
    out: dict[str, Tensor] = {}
    for index, batch in enumerate(batches):
        out |= {f"batch{index}.{name}": value for name, value in batch.items()}
    full = Reference(model, "all")
    out |= {f"head.{n}": p.detach().clone() for n, p in full.parameters.items() if n.startswith(HEAD_MODULES)}
    for index, batch in enumerate(batches):
        result = full.run(batch)
        out[f"batch{index}.outputs"] = outputs_of(result, batch)
        out[f"batch{index}.loss"] = result.loss.reshape(1)
    full.run(batches[0]).loss.backward()
    out |= {f"grad.{name}": p.grad for name, p in full.parameters.items()}
    for mode in ("v", "all"):
        steps = Reference(model, mode)
        parameters = list(steps.parameters.values())
        optimizer = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.0)
        losses = []
        for batch in batches:
            optimizer.zero_grad()
            loss = steps.run(batch).loss
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            losses.append(loss.detach())
            optimizer.step()
        out[f"step.losses.{mode}"] = torch.stack(losses)
        if mode == "v":
            out |= {f"step3.{mode}.{name}": value() for name, value in steps.values.items()}
    return out


def check(model: PreTrainedModel, batches: list[Batch], values: dict[str, Tensor]) -> None:
    """The float64 copy is the model."""
    with torch.no_grad():
        plain = outputs_of(run(model, batches[0]), batches[0])
    rounding = (plain - values["batch0.outputs"]).abs().max().item()
    assert rounding < 1e-4, rounding
    print(f"  max |float32 - float64| = {rounding:.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("crates/beft-fixtures/models"), help="model fixtures")
    parser.add_argument("--only", choices=HEADS, help="one fixture")
    args = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    warnings.filterwarnings("ignore")
    for number, (name, kinds) in enumerate(HEADS.items()):
        if args.only not in (None, name):
            continue
        folder = args.out / name
        for kind in kinds:
            print(name, kind)
            config = AutoConfig.from_pretrained(folder)
            labels = {"num_labels": 2 if kind == "spans" else LABELS}
            pad = config.pad_token_id if config.pad_token_id is not None else 0
            model = CLASSES[kind].from_pretrained(
                folder, attn_implementation="eager", pad_token_id=pad, ignore_mismatched_sizes=True, **labels
            )
            generator = torch.Generator().manual_seed(number)
            with torch.no_grad():
                for parameter_name, parameter in model.named_parameters():
                    if parameter_name.startswith(HEAD_MODULES):
                        parameter.copy_(0.4 * torch.randn(parameter.shape, generator=generator))
            model.eval()
            batches = make_batches(config.vocab_size, pad, kind, 100 + number)
            values = expected(model, batches)
            check(model, batches, values)
            save(values, folder / f"head-{kind}.safetensors")


if __name__ == "__main__":
    main()
