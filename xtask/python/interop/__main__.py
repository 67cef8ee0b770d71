"""Differential trial: random models, tokenizers, adapters and data files, made by transformers and PEFT, given to
`beft`, and what comes of them.

    python -m interop --beft PROGRAM --rounds 500 --seed 0 --keep FOLDER

Prints a table of outcomes: *equal*, *noted* (equal, with a note), *merged* (equal, and so is the merged model), *trained*
(equal after a short training), *refused* (exit 2) by cause, and *WRONG* (another result, another exit status, a panic).
Each WRONG is kept as a folder. Exits 1 if there is any.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
warnings.filterwarnings("ignore")
sys.path.insert(0, str(Path(__file__).parent))

import adapters
import data
import models
import tokenizers_
import torch
import trainings
import transformers
from tokenizers import Tokenizer

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_num_threads(1)
TOLERANCE = 1e-4


class Reference:
    """The tokenizer that transformers takes, or tokenizer.json as it is."""

    def __init__(self, folder: Path, auto: bool):
        self.auto = transformers.AutoTokenizer.from_pretrained(folder) if auto else None
        self.plain = None if auto else Tokenizer.from_file(str(folder / "tokenizer.json"))

    def inputs(self, text: str, pair: str | None, longest: int | None) -> dict:
        """Texts to classify are cut to the longest input; prompts are not cut."""
        if self.auto is not None:
            length = self.auto.model_max_length if longest is None else min(longest, self.auto.model_max_length)
            cut = longest is not None
            return dict(self.auto(text, pair, truncation=cut, max_length=length if cut else None, return_tensors="pt"))
        if longest is not None:
            self.plain.enable_truncation(longest)
        found = self.plain.encode(text, pair) if pair is not None else self.plain.encode(text)
        return {
            "input_ids": torch.tensor([found.ids]),
            "token_type_ids": torch.tensor([found.type_ids]),
            "attention_mask": torch.ones(1, len(found.ids), dtype=torch.long),
        }

    def decode(self, ids: list[int]) -> str:
        tokenizer = self.auto if self.auto is not None else self.plain
        return tokenizer.decode(ids, skip_special_tokens=True)


def run(beft: str, arguments: list[str], stdin: str | None = None) -> subprocess.CompletedProcess:
    done = subprocess.run([beft, *arguments], input=(stdin or "").encode(), capture_output=True, timeout=120)
    # Not as text: Python would turn every carriage return into the end of a line.
    done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    return done


def greedy(model: torch.nn.Module, inputs: dict, tokens: int, prefix: bool) -> list[int]:
    """The prompt's ids and the most probable ones behind. With prefix tuning by whole passes: PEFT 0.21.2's cached
    generation under transformers 5.24 does not agree with its own forward pass."""
    ids, ends = inputs["input_ids"], model.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    if not prefix:
        found = model.generate(**inputs, max_new_tokens=tokens, do_sample=False)[0].tolist()
        # The token that ends a text is no part of it here.
        return found[:-1] if len(found) > ids.shape[1] and found[-1] in ends else found
    if model.generation_config.repetition_penalty not in (None, 1.0) or model.generation_config.min_new_tokens:
        raise RuntimeError("whole passes know no penalties")
    for _ in range(tokens):
        best = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, -1].argmax()
        if best.item() in ends:
            break
        ids = torch.cat([ids, best[None, None]], 1)
    return ids[0].tolist()


def cause(message: str) -> str:
    """What a refusal is about: the names in it that are not of this round."""
    names = re.findall(r"`([A-Za-z_0-9]+)`", message)
    known = [name for name in names if "_" in name or name.isupper()]
    if known:
        return known[0]
    return re.sub(r"[0-9]+", "N", re.sub(r"/\S+", "FILE", message.strip().splitlines()[-1]))[:90]


def one(rng: random.Random, beft: str, folder: Path) -> tuple[str, str, str]:
    """One round; returns outcome, description, details. A combination that PEFT itself cannot compute is none."""
    try:
        return judge(rng, beft, folder)
    except RuntimeError as error:
        return "not made", "PEFT or transformers fails", str(error)


def judge(rng: random.Random, beft: str, folder: Path) -> tuple[str, str, str]:
    kind = rng.choice([*models.ENCODERS, *models.DECODERS])
    encoder = kind in models.ENCODERS
    base = folder / "base"
    base.mkdir()
    size, style, auto = tokenizers_.save(rng, kind, base)
    if not encoder and auto and style != "disagree" and rng.random() < 0.3:
        return trained(rng, beft, folder, models.with_head(rng, kind, size), [kind, f"tokenizer {style}"])
    try:
        made = models.make(rng, kind, size)
    except ValueError as error:
        return "not made", f"{kind}: transformers refuses the config", str(error)
    saved = models.save(rng, made, base)
    class_ = type(made)
    spoiled = models.spoil(rng, base)
    parts = [kind, f"tokenizer {style}", f"saved {saved}"] + ([spoiled] if spoiled else [])
    labels = made.config.num_labels if encoder else None
    arguments = ["--model", str(base)]
    if spoiled:
        # transformers refuses some of these, and draws what is missing at random of others.
        more = ["predict"] if encoder else ["generate", "--prompt", "good"]
        result = run(beft, [*more, *arguments], "good\n" if encoder else None)
        details = f"exit {result.returncode}\n{result.stdout}\n{result.stderr}"
        if result.returncode == 2 and "panicked" not in result.stderr:
            return "refused", "layers that config.json or the weights lack", details
        return "WRONG", ", ".join(parts), details
    if auto and style != "disagree" and labels is not None and labels > 1 and rng.random() < 0.3:
        return trained(rng, beft, folder, made, parts)
    model = class_.from_pretrained(base).eval()
    if not encoder and rng.random() < 0.2:
        settings = {"eos_token_id": rng.choice([2, [2, 9]]), "bos_token_id": 0}
        settings |= rng.choice([{}, {}, {}, {"repetition_penalty": 1.3}, {"min_new_tokens": 3}, {"num_beams": 2}])
        (base / "generation_config.json").write_text(json.dumps(settings))
        model = class_.from_pretrained(base).eval()
        parts.append(f"generation {sorted(settings)}")
    if rng.random() < 0.6:
        try:
            name, model = adapters.make(rng, kind, class_, base, folder / "adapter", labels)
        except (ValueError, TypeError, RuntimeError, KeyError) as error:
            return "not made", f"{kind}: PEFT refuses the adapter", str(error)
        arguments = ["--adapter", str(folder / "adapter")]
        parts.append(name)
    reference = Reference(base, auto)
    if encoder:
        pairs = rng.random() < 0.3
        rows = data.texts(rng, pairs)
        more, form = data.write(rng, folder, rows, max(2, labels))
        parts.append(f"data {form}")
        expected = []
        with torch.no_grad():
            for text, pair in rows:
                inputs = reference.inputs(text, pair, models.POSITIONS)
                if kind in models.WITHOUT_SEGMENTS or made.config.type_vocab_size == 0:
                    inputs.pop("token_type_ids", None)
                expected.append(model(**inputs).logits[0].tolist())
        result = run(beft, ["predict", *arguments, *more])
        rows = data.read_rows(result.stdout)
        # A single output is a value.
        found = [row.get("logits") or [row.get("value")] for row in rows]
        far = [abs(a - b) for x, y in zip(expected, found) for a, b in zip(x, y)]
        right = len(found) == len(expected) and all(len(x) == len(y) for x, y in zip(expected, found))
        right = right and max(far) <= TOLERANCE
    else:
        text = " ".join(rng.choice(data.WORDS) for _ in range(rng.randint(1, 5)))
        inputs = reference.inputs(text, None, None)
        inputs.pop("token_type_ids", None)
        with torch.no_grad():
            expected = reference.decode(greedy(model, inputs, 8, parts[-1] == "PREFIX_TUNING"))
        result = run(beft, ["generate", *arguments, "--prompt", text, "--max-new-tokens", "8"])
        found = result.stdout
        # The end of the line is the command's.
        right = found == expected + "\n"
    description = ", ".join(parts)
    details = f"{result.args}\nexit {result.returncode}\nexpected {expected!r}\nfound {found!r}\n{result.stderr}"
    if right and result.returncode == 0 and "--adapter" in arguments and rng.random() < 0.4:
        return merged(beft, folder, model, class_, inputs, description)
    if result.returncode == 2 and "panicked" not in result.stderr:
        return "refused", cause(result.stderr), f"{description}\n{details}"
    if result.returncode != 0 or not right:
        return "WRONG", description, details
    notes = [line for line in result.stderr.splitlines() if line.strip() and "[" not in line[:1]]
    return ("noted" if notes else "equal"), description, details


def merged(beft: str, folder: Path, model: torch.nn.Module, class_: type, inputs: dict, description: str) -> tuple[str, str, str]:
    """What transformers computes with the merged model, beside PEFT's own result."""
    result = run(beft, ["merge", "--adapter", str(folder / "adapter"), "--out", str(folder / "merged")])
    details = f"{result.args}\nexit {result.returncode}\n{result.stderr}"
    description += ", merged"
    if result.returncode == 2 and "panicked" not in result.stderr:
        return "refused", f"merge: {cause(result.stderr)}", f"{description}\n{details}"
    if result.returncode != 0:
        return "WRONG", description, details
    with torch.no_grad():
        expected, found = (one(**inputs).logits for one in (model, class_.from_pretrained(folder / "merged").eval()))
    far = (expected - found).abs().max().item()
    return "merged" if far <= TOLERANCE else "WRONG", description, f"{details}\nlogits differ by {far}"


def trained(rng: random.Random, beft: str, folder: Path, made: torch.nn.Module, parts: list[str]) -> tuple[str, str, str]:
    """A short training, and the logits after it."""
    arguments, expected, what = trainings.prepare(rng, made, folder)
    description = ", ".join([*parts, what])
    result = run(beft, arguments)
    details = f"{result.args}\nexit {result.returncode}\n{result.stderr}"
    if result.returncode == 2 and "panicked" not in result.stderr:
        return "refused", cause(result.stderr), f"{description}\n{details}"
    if result.returncode != 0:
        return "WRONG", description, details
    result = run(beft, ["predict", "--adapter", str(folder / "out" / "adapter"), "--data", str(folder / "dev.tsv")])
    found = [row["logits"] for row in data.read_rows(result.stdout)]
    far = [abs(a - b) for x, y in zip(expected, found) for a, b in zip(x, y)]
    details += f"\nexpected {expected!r}\nfound {found!r}\n{result.stderr}"
    right = len(found) == len(expected) and max(far) <= TOLERANCE
    return "trained" if right else "WRONG", description, details


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beft", required=True)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("target/interop"))
    options = parser.parse_args()
    counts: collections.Counter = collections.Counter()
    causes: collections.Counter = collections.Counter()
    number, done = 0, 0
    while done < options.rounds:
        rng = random.Random(f"{options.seed} {number}")
        with tempfile.TemporaryDirectory() as scratch:
            outcome, description, details = one(rng, options.beft, Path(scratch))
            if outcome == "WRONG":
                kept = options.keep / f"{options.seed}-{number}"
                shutil.rmtree(kept, ignore_errors=True)
                shutil.copytree(scratch, kept)
                (kept / "case.txt").write_text(f"{description}\n{details}\n", encoding="utf-8")
                print(f"WRONG {kept}: {description}\n{details[:1500]}", flush=True)
        number += 1
        counts[outcome] += 1
        if outcome == "refused":
            causes[description] += 1
        done += outcome != "not made"
        if done % 50 == 0 and outcome != "not made":
            print(f"{done} of {options.rounds}: {dict(counts)}", file=sys.stderr, flush=True)
    print("\n| outcome | rounds | share |\n|---|---:|---:|")
    for outcome in ("equal", "noted", "merged", "trained", "refused", "WRONG"):
        print(f"| {outcome} | {counts[outcome]} | {counts[outcome] / options.rounds:.1%} |")
    print("\n| refused because of | rounds |\n|---|---:|")
    for name, count in causes.most_common():
        print(f"| {name} | {count} |")
    sys.exit(counts["WRONG"] > 0)


if __name__ == "__main__":
    main()
