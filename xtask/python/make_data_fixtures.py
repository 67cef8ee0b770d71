"""Writes the data files of crates/beft-tasks/tests/fixtures/data as other tools write them.

Needs pandas, polars and datasets. Every file holds the same rows (a text with a quote and a comma, a text that is not
ASCII, a short one), so that one test can compare them; the names say who wrote them and how.
"""

import sys
from pathlib import Path

import datasets
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

TEXTS = ['say "hi", twice', "caf\u00e9", "plain"]
LABELS = [1, 0, 1]
WORDS = ["pos", "neg", "pos"]

out = Path(sys.argv[1] if len(sys.argv) > 1 else "crates/beft-tasks/tests/fixtures/data")
out.mkdir(parents=True, exist_ok=True)
frame = pd.DataFrame({"text": TEXTS, "label": LABELS})

# Compressions that the tools offer; zstd is polars' default, snappy that of pandas and datasets.
for codec in ["snappy", "gzip", "lz4", "zstd", "brotli"]:
    frame.to_parquet(out / f"pandas-{codec}.parquet", compression=codec)
pl.DataFrame({"text": TEXTS, "label": LABELS}).write_parquet(out / "polars-default.parquet")
# An index of its own, which pandas writes as a column without a name.
frame.set_index(pd.Index([7, 8, 9])).to_parquet(out / "pandas-index.parquet")

# Types of the label.
for kind in ["int8", "int16", "int32", "uint8", "uint16", "uint32", "uint64", "float32", "float64", "bool"]:
    frame.astype({"label": kind}).to_parquet(out / f"pandas-{kind}.parquet")
pd.DataFrame({"text": TEXTS, "label": [1.0, None, 0.0]}).to_parquet(out / "pandas-null.parquet")
pl.DataFrame({"text": TEXTS, "label": [1.0, float("nan"), 0.0]}).write_parquet(out / "polars-nan.parquet")
pd.DataFrame({"text": TEXTS, "label": [1.0, 0.5, 0.0]}).to_parquet(out / "pandas-fraction.parquet")
pd.DataFrame({"text": TEXTS, "label": pd.Categorical(WORDS)}).to_parquet(out / "pandas-category.parquet")
pl.DataFrame({"text": TEXTS, "label": WORDS}, schema={"text": pl.String, "label": pl.Categorical}).write_parquet(
    out / "polars-categorical.parquet"
)
large = pa.table({"text": pa.array(TEXTS, pa.large_string()), "label": pa.array(WORDS, pa.large_string())})
pq.write_table(large, out / "pyarrow-large-string.parquet")
coded = pa.table({"text": pa.array(TEXTS).dictionary_encode(), "label": pa.array(LABELS)})
pq.write_table(coded, out / "pyarrow-dictionary.parquet")
dates = pa.table({"text": TEXTS, "label": pa.array(LABELS, pa.int32()).cast(pa.date32())})
pq.write_table(dates, out / "pyarrow-date.parquet")
decimals = pa.table({"text": TEXTS, "label": pa.array(LABELS).cast(pa.decimal128(19, 0))})
pq.write_table(decimals, out / "pyarrow-decimal.parquet", store_decimal_as_integer=True)

# datasets: classes are integers, their names are in the file's metadata; -1 stands for none.
features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
classes = datasets.Dataset.from_dict({"text": TEXTS, "label": LABELS}, features=features)
classes.to_parquet(str(out / "datasets-classes.parquet"))
turned = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["pos", "neg"])})
turned = datasets.Dataset.from_dict({"text": TEXTS, "label": [0, 1, 0]}, features=turned)
turned.to_parquet(str(out / "datasets-classes-turned.parquet"))
hidden = datasets.Dataset.from_dict({"text": TEXTS, "label": [-1, -1, -1]}, features=features)
hidden.to_parquet(str(out / "datasets-hidden.parquet"))
# The same for lists: a tag for each word, of which the last name does not occur.
names = datasets.ClassLabel(names=["O", "B-LOC", "I-LOC", "B-PER"])
tagged = datasets.Features({"tokens": datasets.List(datasets.Value("string")), "ner_tags": datasets.List(names)})
tagged = datasets.Dataset.from_dict({"tokens": [["in", "New", "York"], ["caf\u00e9"]], "ner_tags": [[0, 1, 2], [0]]}, features=tagged)
tagged.to_parquet(str(out / "datasets-tags.parquet"))
classes.to_csv(str(out / "datasets.csv"))
classes.to_json(str(out / "datasets-lines.json"))
classes.to_json(str(out / "datasets-array.json"), lines=False)

# pandas' JSON.
frame.to_json(out / "pandas-records.json", orient="records")
for shape in ["columns", "index", "split", "table", "values"]:
    frame.to_json(out / f"pandas-{shape}.json", orient=shape)

# pandas' text files: with its unnamed index column, with quotes, with semicolons, with a byte order mark.
frame.to_csv(out / "pandas-index.csv")
frame.to_csv(out / "pandas-semicolon.csv", sep=";", index=False)
frame.to_csv(out / "pandas-tab.csv", sep="\t", index=False)
frame.to_csv(out / "pandas-bom.csv", encoding="utf-8-sig", index=False)
frame.to_csv(out / "pandas-quoted.tsv", sep="\t", index=False, quoting=2)
pd.DataFrame({"text": TEXTS, "label": [1.0, None, 0.0]}).to_csv(out / "pandas-float.csv", index=False)
