"""Write the small causal language models that the Rust decoder tests compare with.

Run from the repository root (torch 2.9, transformers 5.24):

    python xtask/python/make_decoder_fixtures.py --out crates/beft-fixtures/models

Every folder gets `model.safetensors`, `config.json`, `tokenizer.json`, the inputs in `cases.json`
and what the model gives for them in `expected.safetensors`. Everything is seeded: a second run on
the same machine writes the same bytes.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTJConfig,
    GPTJForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)
from transformers.utils import logging

from decoder_reference import Example, Rows, check, exact_copy, expected, left_pad, logits_of
from make_fixtures import WORDS, write_json
from reference import randomize, save

NEW_TOKENS = 50
MAX_POSITIONS = 64


@dataclass(frozen=True)
class Tokens:
    """The special tokens of a family of tokenizers, in the order of their ids."""

    special: tuple[str, ...]
    bos: str | None
    eos: str
    pad: str | None
    #: Whether the tokenizer puts `bos` in front of every text.
    prefix: bool


OPT = Tokens(("<s>", "<pad>", "</s>", "<unk>"), bos="</s>", eos="</s>", pad="<pad>", prefix=True)
LLAMA = Tokens(("<unk>", "<s>", "</s>"), bos="<s>", eos="</s>", pad=None, prefix=True)
QWEN = Tokens(("<|endoftext|>", "<|im_end|>"), bos=None, eos="<|im_end|>", pad="<|endoftext|>", prefix=False)
GPT = Tokens(("<|endoftext|>",), bos="<|endoftext|>", eos="<|endoftext|>", pad=None, prefix=False)


@dataclass(frozen=True)
class Model:
    """One fixture: the classes, what differs from their defaults, and the tokenizer."""

    name: str
    config: Callable[..., PreTrainedConfig]
    causal_lm: Callable[[PreTrainedConfig], PreTrainedModel]
    tokens: Tokens
    options: dict[str, Any] = field(default_factory=dict)


SIZES: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "max_position_embeddings": MAX_POSITIONS}
GPT_SIZES: dict[str, Any] = {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": MAX_POSITIONS}
OPT_SIZES: dict[str, Any] = {**SIZES, "ffn_dim": 64, "dropout": 0.0}
LLAMA_SIZES: dict[str, Any] = {**SIZES, "num_key_value_heads": 2, "intermediate_size": 48, "rms_norm_eps": 1e-5}
# The wavelengths 2 pi 10^(0, 1/4, 1/2, 3/4) are below, between and above the two limits of "llama3".
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 10.0, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}  # fmt: skip
# A small base here too, so that a frequency lies inside the ramp of "yarn".
YARN = {"rope_type": "yarn", "rope_theta": 10.0, "factor": 4.0, "original_max_position_embeddings": 16}
LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}
LINEAR_SIZES: dict[str, Any] = {
    **LLAMA_SIZES, "num_hidden_layers": 2, "num_key_value_heads": 1, "head_dim": 12, "attention_bias": True,
    "mlp_bias": True, "tie_word_embeddings": True, "rope_parameters": LINEAR,
}  # fmt: skip
QWEN_SIZES: dict[str, Any] = {
    **LLAMA_SIZES, "rms_norm_eps": 1e-6, "tie_word_embeddings": True,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
}  # fmt: skip
# A window that no input is longer than.
MISTRAL_SIZES: dict[str, Any] = {**LLAMA_SIZES, "num_hidden_layers": 2, "sliding_window": MAX_POSITIONS}
MODELS = [
    Model("opt-tiny", OPTConfig, OPTForCausalLM, OPT, OPT_SIZES),
    Model("opt-post-tiny", OPTConfig, OPTForCausalLM, OPT, {**OPT_SIZES, "do_layer_norm_before": False, "word_embed_proj_dim": 16}),
    Model("llama-tiny", LlamaConfig, LlamaForCausalLM, LLAMA, {**LLAMA_SIZES, "rope_parameters": LLAMA3}),
    Model("llama-linear-tiny", LlamaConfig, LlamaForCausalLM, LLAMA, LINEAR_SIZES),
    Model("llama-yarn-tiny", LlamaConfig, LlamaForCausalLM, LLAMA, {**LLAMA_SIZES, "rope_parameters": YARN}),
    Model("qwen2-tiny", Qwen2Config, Qwen2ForCausalLM, QWEN, QWEN_SIZES),
    Model("mistral-tiny", MistralConfig, MistralForCausalLM, LLAMA, MISTRAL_SIZES),
    Model("gptj-tiny", GPTJConfig, GPTJForCausalLM, GPT, {**GPT_SIZES, "rotary_dim": 4, "n_inner": 64}),
    Model("gpt2-tiny", GPT2Config, GPT2LMHeadModel, GPT, GPT_SIZES),
]


def write_tokenizer(folder: Path, tokens: Tokens) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of about 300 entries, with the special tokens of the family."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=list(tokens.special), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator([" ".join(WORDS)] * 3, trainer)
    if tokens.prefix:
        front = (tokens.bos, tokenizer.token_to_id(tokens.bos))
        tokenizer.post_processor = processors.Sequence([
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single=f"{tokens.bos} $A", pair=f"{tokens.bos} $A {tokens.bos}:1 $B:1", special_tokens=[front]
            ),
        ])  # fmt: skip
    else:
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos_token": tokens.bos, "eos_token": tokens.eos, "pad_token": tokens.pad}
    options = {**names, "add_bos_token": tokens.prefix, "padding_side": "left"}
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **options})
    return PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), **names)


def make_model(spec: Model, tokenizer: PreTrainedTokenizerFast, seed: int) -> PreTrainedModel:
    """The model with every parameter random, so that no mistake hides behind a 0 or a 1."""
    special = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    options = {"vocab_size": len(tokenizer), "attn_implementation": "eager", **special, **spec.options}
    model = spec.causal_lm(spec.config(**options)).eval()
    is_norm = lambda name: name.endswith(("norm.weight", "ln_1.weight", "ln_2.weight", "ln_f.weight"))  # noqa: E731
    # Large position embeddings keep greedy generation of a tied head from repeating one token.
    scale = lambda name: 1.0 if name.endswith(("embed_positions.weight", "wpe.weight")) else 0.3  # noqa: E731
    randomize(model.named_parameters(), seed, lambda name: 0.1 if is_norm(name) or name.endswith("bias") else scale(name))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if is_norm(name):
                parameter.add_(1.0)
    return model


def make_cases(tokenizer: PreTrainedTokenizerFast) -> tuple[Rows, list[list[Example]], Rows]:
    """Texts, three groups of examples and two prompts, as token ids whose numbers differ in a batch."""
    rng = random.Random(11)
    text = lambda length: tokenizer(" ".join(rng.choices(WORDS, k=length)))["input_ids"][:length]  # noqa: E731
    pieces = [tokenizer(" " + word, add_special_tokens=False)["input_ids"] for word in WORDS]
    texts = [text(length) for length in (9, 3, 14, 6)]
    groups: list[list[Example]] = []
    for _ in range(3):
        group: list[Example] = []
        for length in rng.sample(range(4, 13), 4):
            lengths = rng.sample((1, 2, 3), 3) if len(group) % 2 else rng.choices((1, 2, 3), k=3)
            words = rng.sample(pieces, 3)
            candidates = [(word + rng.choice(pieces) + rng.choice(pieces))[:n] for word, n in zip(words, lengths)]
            group.append({"prompt": text(length), "candidates": candidates, "right": rng.randrange(3)})
        groups.append(group)
    return texts, groups, [text(11), text(5)]


def greedy(model: PreTrainedModel, prompts: Rows, pad: int) -> Rows:
    """The new ids of `generate` for a left-padded batch."""
    ids, mask = left_pad(prompts, pad)
    out = model.generate(
        input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS,
        pad_token_id=pad,
    )  # fmt: skip
    return out[:, ids.shape[1] :].tolist()


def generations(model: PreTrainedModel, prompts: Rows, tokenizer: PreTrainedTokenizerFast, pad: int) -> tuple[Rows, float]:
    """New ids for each prompt, and how clear they are: 0 if a seed has to be rejected, else the smallest margin.

    Rejected are paths that loop through few ids, ids that would end a generation (EOS, newline), and
    prompts whose continuation depends on the batch.
    """
    exact = exact_copy(model)
    rows = [greedy(exact, [prompt], pad)[0] for prompt in prompts]
    stops = {tokenizer.eos_token_id, *tokenizer("\n", add_special_tokens=False)["input_ids"]}
    if any(len(row) != NEW_TOKENS or len(set(row)) < 10 or stops & set(row) for row in rows):
        return rows, 0.0
    if greedy(exact, prompts, pad) != rows:
        return rows, 0.0
    margins = []
    for prompt, row in zip(prompts, rows):  # once more without a cache, and without holding EOS back
        with torch.no_grad():
            logits = logits_of(exact, [prompt + row], pad)[0][len(prompt) - 1 : -1]
        top = logits.topk(2, dim=-1)
        margins.append((top.values[:, 0] - top.values[:, 1]).min().item() if top.indices[:, 0].tolist() == row else 0.0)
    return rows, min(margins)


def write_cases(path: Path, texts: Rows, groups: list[list[Example]], generate: list[dict[str, Any]]) -> None:
    """`cases.json`, one text, example or generation per line."""
    lines = lambda rows: "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]"  # noqa: E731
    batches = "[" + ", ".join(map(lines, groups)) + "]"
    body = f'"texts": {lines(texts)},\n"groups": {batches},\n"generate": {lines(generate)}'
    path.write_text("{" + body + "}\n", encoding="utf-8")


def report(values: dict[str, Tensor]) -> None:
    """Print the losses, the gradient norms and whether a k bias has a gradient."""
    losses = [values[name].item() for name in ("text.loss", "loss0", "lm_loss0")]
    print("  text.loss, loss0, lm_loss0 = " + ", ".join(f"{loss:.4f}" for loss in losses))
    for mode in ("v", "all"):
        norms, steps = (values[f"{name}.{mode}"].tolist() for name in ("grad_norm", "step.losses"))
        print(f"  {mode}: losses {[round(x, 4) for x in steps]}, gradient norms {[round(x, 4) for x in norms]}")
    largest = lambda term: max(v.abs().max().item() for n, v in values.items() if n.startswith("grad.") and n.endswith(f".{term}"))  # noqa: E731
    print("  max |gradient|: " + ", ".join(f"{term} {largest(term):.3e}" for term in ("q", "k", "v")))


def write_fixture(spec: Model, folder: Path) -> None:
    """Everything of one model, with the first seed whose generations are clear."""
    tokenizer = write_tokenizer(folder, spec.tokens)
    texts, groups, prompts = make_cases(tokenizer)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    for seed in count(1):
        model = make_model(spec, tokenizer, seed)
        rows, margin = generations(model, prompts, tokenizer, pad)
        if margin > 3e-3:
            break
    print(f"{spec.name}: vocabulary {len(tokenizer)}, seed {seed}, smallest margin {margin:.4f}, "
          f"distinct ids {[len(set(row)) for row in rows]}")  # fmt: skip
    model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    values = expected(model, texts, groups, pad)
    check(model, texts, pad, values)
    save(values, folder / "expected.safetensors")
    write_cases(folder / "cases.json", texts, groups, [{"prompt": p, "ids": r} for p, r in zip(prompts, rows)])
    report(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("crates/beft-fixtures/models"), help="model fixtures")
    parser.add_argument("--only", nargs="*", default=[spec.name for spec in MODELS], help="names of models")
    args = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    for spec in MODELS:
        if spec.name in args.only:
            write_fixture(spec, args.out / spec.name)


if __name__ == "__main__":
    main()
