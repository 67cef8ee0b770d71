"""A short training by `beft tune` and the same one by PyTorch in float64: full batches, AdamW, clipped gradients."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import data
import models
import torch
import transformers

sys.path.insert(0, str(Path(__file__).parent.parent))
import decoder_reference
import reference

TERMS = ["v", "q", "m1", "m2", "m3", "ln1", "q+v", "v+m2", "frozen"]
WAYS = [[], ["--micro-batch", "2"], ["--gradient-checkpointing"], ["--without", "packing"]]
# Steps of AdamW without warm-up change values by about this much each.
RATE = 1e-3
STEPS = 3
EXAMPLES = 6


def without_dropout(config: transformers.PretrainedConfig) -> None:
    for name in vars(config):
        if name.endswith(("dropout", "dropout_prob", "pdrop")):
            setattr(config, name, 0.0)


def batch_of(tokenizer, config: transformers.PretrainedConfig, rows: list[str], labels: list[int]) -> dict:
    longest = min(models.POSITIONS, tokenizer.model_max_length)
    inputs = [tokenizer(text, truncation=True, max_length=longest) for text in rows]
    width = max(len(one["input_ids"]) for one in inputs)

    def padded(name: str, with_: int) -> torch.Tensor:
        return torch.tensor([one[name] + [with_] * (width - len(one[name])) for one in inputs])

    batch = {"input_ids": padded("input_ids", config.pad_token_id or 0), "attention_mask": padded("attention_mask", 0)}
    encoder = config.model_type in models.ENCODERS
    segments = encoder and config.model_type not in models.WITHOUT_SEGMENTS and config.type_vocab_size > 0
    if segments and "token_type_ids" in inputs[0]:
        batch["token_type_ids"] = padded("token_type_ids", 0)
    return batch | {"labels": torch.tensor(labels)}


def trained_parts(model: torch.nn.Module, terms: str) -> tuple[torch.nn.Module, list[torch.nn.Parameter]]:
    """A copy in float64 of which these terms and the head can be trained, and their parameters."""
    if model.config.model_type in models.ENCODERS:
        exact, sites = reference.exact_copy(model)
        return exact, list(sites.train(terms).values())
    exact = decoder_reference.exact_copy(model)
    sites = decoder_reference.attach(exact, "all")
    exact.requires_grad_(False)
    trained = [site.parameter for site in sites if site.name.partition(".")[2] in terms.split("+")]
    trained += exact.score.parameters()
    for parameter in trained:
        parameter.requires_grad_(True)
    return exact, trained


def prepare(rng: random.Random, made: torch.nn.Module, folder: Path) -> tuple[list[str], list[list[float]], str]:
    """Writes the model without dropout, and the data; returns the arguments of `beft tune`, the logits of PyTorch
    after the same training, and what is trained."""
    labels = made.config.num_labels
    without_dropout(made.config)
    # The data names classes by their numbers.
    made.config.id2label = {i: str(i) for i in range(labels)}
    made.config.label2id = {str(i): i for i in range(labels)}
    made.save_pretrained(folder / "base")
    model = type(made).from_pretrained(folder / "base").eval()
    encoder = model.config.model_type in models.ENCODERS
    # A decoder's texts are not cut here, and one byte can be a token.
    rows = [data.texts(rng, False)[0][0][: None if encoder else 30].strip() for _ in range(EXAMPLES)]
    classes = [i % labels for i in range(EXAMPLES)]
    table = "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in zip(rows, classes))
    for split in ("train", "dev"):
        (folder / f"{split}.tsv").write_text(table, encoding="utf-8")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "base")
    batch = batch_of(tokenizer, model.config, rows, classes)
    terms, way = rng.choice([*TERMS, "all", "ln2"] if encoder else TERMS), rng.choice(WAYS)
    exact, trained = trained_parts(model, terms)
    optimizer = torch.optim.AdamW(trained, lr=RATE, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.0)
    for step in range(STEPS):
        # The rate of decoders falls to 0.
        optimizer.param_groups[0]["lr"] = RATE if encoder else RATE * (1 - step / STEPS)
        optimizer.zero_grad()
        reference.run(exact, batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
    with torch.no_grad():
        logits = reference.run(exact, {name: value for name, value in batch.items() if name != "labels"}).logits
    options = ["--terms", terms.replace("+", ","), "--epochs", str(STEPS), "--lr", str(RATE), "--batch-size", str(EXAMPLES)]
    options += ["--keep-head", "--dropout", "off", "--out", str(folder / "out"), *way]
    options += [] if encoder else ["--head"]
    arguments = ["tune", "--model", str(folder / "base"), "--data", str(folder), *options]
    return arguments, logits.tolist(), f"training {terms} {' '.join(way)}".strip()
