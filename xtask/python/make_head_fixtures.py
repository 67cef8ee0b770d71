"""Write what transformers computes of the fixtures with other heads: sequence classification on decoders, token
classification and question answering on both; and what sentence-transformers computes of embeddings.

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
from sentence_transformers.losses import CosineSimilarityLoss, MultipleNegativesRankingLoss
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import logging

import decoder_reference
import reference
from reference import save

CLASSES = {
    "sequence": AutoModelForSequenceClassification,
    "tokens": AutoModelForTokenClassification,
    "spans": AutoModelForQuestionAnswering,
    "similarity": AutoModelForSequenceClassification,
    "ranking": AutoModelForSequenceClassification,
}
#: Texts of an example whose embeddings are compared.
VIEWS = {"similarity": 2, "ranking": 3}
#: Fixture -> kinds of heads that it gets.
HEADS: dict[str, tuple[str, ...]] = {
    "bert-tiny": ("tokens", "spans", "similarity", "ranking"),
    "roberta-tiny": ("tokens", "spans"),
    "distilbert-tiny": ("tokens", "spans"),
    "electra-tiny": ("tokens",),
    "mpnet-tiny": ("spans", "similarity"),
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
        lengths = [9] * 4 if kind == "spans" else [5 + index, 12, 7, 3] * VIEWS.get(kind, 1)
        ids = draw(8, vocabulary, len(lengths), max(lengths))
        mask = torch.tensor([[1] * n + [0] * (max(lengths) - n) for n in lengths])
        ids = torch.where(mask == 1, ids, torch.full_like(ids, pad))
        batch = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
        if kind == "similarity":
            batch["similarities"] = torch.rand(4, generator=generator).double()
        elif kind == "ranking":
            batch["examples"] = torch.tensor([4])
        elif kind == "sequence":
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

    def __init__(self, model: PreTrainedModel, mode: str, headless: bool = False) -> None:
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
            # Question answering has another name for its head, and embeddings have none.
            for name, parameter in self.model.named_parameters():
                head = name.startswith(HEAD_MODULES) or ".pooler." in name
                if head and headless:
                    parameter.requires_grad_(False)
                    self.parameters.pop(name, None)
                elif name.startswith(HEAD_MODULES):
                    parameter.requires_grad_(True)
                    self.parameters[name] = parameter
            self.values = {name: (lambda name=name: sites.value(name)) for name in self.parameters}

    def run(self, batch: Batch) -> Any:
        return run(self.model, batch)


def run(model: PreTrainedModel, batch: Batch) -> Any:
    """What a model gives; GPT-2 would take segments for tokens."""
    decoder = model.config.model_type in decoder_reference.ARCHITECTURES
    if "similarities" in batch or "examples" in batch:
        return embed(model, batch)
    return reference.run(model, {n: v for n, v in batch.items() if not (decoder and n == "token_type_ids")})


def embed(model: PreTrainedModel, batch: Batch) -> Any:
    """Mean-pooled embeddings with their loss; the texts of an example follow one another."""
    states = reference.run(model.base_model, reference.inputs_of(batch)).last_hidden_state
    mask = batch["attention_mask"][:, :, None].to(states)
    means = (states * mask).sum(1) / mask.sum(1)
    views = 2 if "similarities" in batch else 3
    texts = [means[view::views] for view in range(views)]
    if "similarities" in batch:
        right = batch["similarities"]
        loss = nn.functional.mse_loss(torch.cosine_similarity(*texts), right.to(means))
        # The class itself takes labels in float32 alone.
        singles = [text.detach().float() for text in texts]
        theirs = CosineSimilarityLoss(nn.Identity()).compute_loss_from_embeddings(singles, right)
        assert abs(theirs.item() - loss.item()) < 1e-6, (theirs, loss)
    else:
        loss = MultipleNegativesRankingLoss(nn.Identity()).compute_loss_from_embeddings(texts, None)
    return SequenceClassifierOutput(loss=loss, logits=means)


def outputs_of(result: Any, batch: Batch) -> Tensor:
    """What our model gives: a row for each input, or for each of its tokens."""
    if "start_positions" in batch:
        rows = torch.stack([result.start_logits, result.end_logits], dim=-1)
    else:
        rows = result.logits
    return rows[batch["attention_mask"] == 1] if rows.dim() == 3 else rows


def expected(model: PreTrainedModel, batches: list[Batch], headless: bool) -> dict[str, Tensor]:
    out: dict[str, Tensor] = {}
    for index, batch in enumerate(batches):
        out |= {f"batch{index}.{name}": value for name, value in batch.items()}
    full = Reference(model, "all", headless)
    out |= {f"head.{n}": p.detach().clone() for n, p in full.parameters.items() if n.startswith(HEAD_MODULES)}
    for index, batch in enumerate(batches):
        result = full.run(batch)
        out[f"batch{index}.outputs"] = outputs_of(result, batch)
        out[f"batch{index}.loss"] = result.loss.reshape(1)
    full.run(batches[0]).loss.backward()
    out |= {f"grad.{name}": p.grad for name, p in full.parameters.items()}
    for mode in ("v", "all"):
        steps = Reference(model, mode, headless)
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
            values = expected(model, batches, headless=kind in VIEWS)
            check(model, batches, values)
            save(values, folder / f"head-{kind}.safetensors")


if __name__ == "__main__":
    main()
