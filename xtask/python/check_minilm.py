"""Write expected values of a real BERT checkpoint (MiniLM) for the Rust parity check.

Run from the repository root; DIR holds config.json, model.safetensors and tokenizer.json:

    python xtask/python/check_minilm.py --model DIR --out FILE.safetensors

The file holds what `reference.expected` gives, and the seeded classifier head that the checkpoint
lacks under `classifier.weight` and `classifier.bias`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from reference import HEAD, Batch, expected, inputs_of, randomize, report, save

#: (sentence, label) in the manner of SST-2: lower case, spaces around punctuation; lengths that differ.
BATCHES: list[list[tuple[str, int]]] = [
    [
        ("a warm , funny and surprisingly moving film ", 1),
        ("the plot goes nowhere , and it takes two hours to get there . ", 0),
        ("dull ", 0),
        ("one of those rare comedies that gets better every time you watch it , thanks to a superb cast ", 1),
    ],
    [
        ("an overlong mess ", 0),
        ("it 's hard to imagine anyone leaving the theater without a smile on their face . ", 1),
        ("never as clever as it thinks it is ", 0),
        ("gorgeously photographed and beautifully acted ", 1),
    ],
    [
        ("I Didn't expect a Café-set drama to be THIS gripping ! ", 1),
        ("flat characters , flatter jokes ", 0),
        ("the director 's best work since the 1990s -- tense , precise and quietly devastating . ", 1),
        ("not even its charismatic star can rescue the film from its own pompous , joyless screenplay ", 0),
    ],
]


def load(folder: Path, seed: int) -> PreTrainedModel:
    """The encoder with a two-label head set from `seed`, in float32 and eval mode."""
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=2, attn_implementation="eager", dtype=torch.float32
    )
    head = [(name, parameter) for name, parameter in model.named_parameters() if name.startswith(HEAD)]
    randomize(head, seed, lambda name: 0.1)
    return model.eval()


def encode(tokenizer: PreTrainedTokenizerBase, rows: list[tuple[str, int]]) -> Batch:
    """Tokens padded to the longest sentence of the batch and no further."""
    texts = [text for text, _ in rows]
    out = tokenizer(
        texts, padding="longest", truncation=True, max_length=128, return_token_type_ids=True, return_tensors="pt"
    )
    return {**inputs_of(dict(out)), "labels": torch.tensor([label for _, label in rows])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of a BERT checkpoint")
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--seed", type=int, default=20250, help="seed of the classifier head")
    args = parser.parse_args()
    torch.set_num_threads(2)
    model = load(args.model, args.seed)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    batches = [encode(tokenizer, rows) for rows in BATCHES]
    values = expected(model, batches)
    parameters = dict(model.named_parameters())
    save({**values, **{name: p for name, p in parameters.items() if name.startswith(HEAD)}}, args.out)
    report(model, batches, values)


if __name__ == "__main__":
    main()
