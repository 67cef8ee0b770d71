"""Files of texts as pandas, polars and datasets write them."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pandas

WORDS = "good bad film movie the was fine dull not very Caf\u00e9 \u4e2d\u6587 don't 123 , . UPPER \U0001f600 nothing".split()


def texts(rng: random.Random, pairs: bool) -> list[tuple[str, str | None]]:
    def one() -> str:
        return " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 12)))

    return [(one(), one() if pairs else None) for _ in range(3)]


def write(rng: random.Random, folder: Path, rows: list[tuple[str, str | None]], labels: int) -> tuple[list[str], str]:
    """Writes the rows; returns the arguments of `beft predict`, and the format."""
    columns = {"text": [text for text, _ in rows]}
    if rows[0][1] is not None:
        columns["text_pair"] = [pair for _, pair in rows]
    if rng.random() < 0.5:
        columns["label"] = [rng.choice([-1, *range(labels)]) for _ in rows]
    frame = pandas.DataFrame(columns)
    kind = rng.choice(["lines", "csv", "csv index", "tsv", "jsonl", "json", "parquet", "zstd", "shard"])
    if kind == "lines" and "text_pair" in columns:
        kind = "jsonl"
    if kind == "lines":
        path = folder / "texts.txt"
        path.write_text("".join(f"{text}\n" for text in columns["text"]), encoding="utf-8")
    elif kind.startswith("csv"):
        path = folder / "texts.csv"
        frame.to_csv(path, index=kind == "csv index")
    elif kind == "tsv":
        path = folder / "texts.tsv"
        frame.to_csv(path, sep="\t", index=False)
    elif kind in ("jsonl", "json"):
        path = folder / ("texts.jsonl" if kind == "jsonl" else "texts.json")
        lines = rng.random() < 0.5 or kind == "jsonl"
        frame.to_json(path, orient="records", lines=lines)
    elif kind in ("parquet", "zstd"):
        path = folder / "texts.parquet"
        frame.to_parquet(path, compression="zstd" if kind == "zstd" else "snappy", index=False)
    else:
        path = folder / "test-00000-of-00001-9a8b7c6d5e4f.parquet"
        frame.to_parquet(path, index=False)
        return ["--data", str(folder), "--split", "test"], kind
    return ["--data", str(path)], kind


def read_rows(output: str) -> list[dict]:
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]
