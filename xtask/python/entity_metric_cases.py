"""Writes what seqeval (default mode) says of random tags of words, well-formed or not.

    python xtask/python/entity_metric_cases.py > crates/beft-eval/tests/fixtures/entity_metrics.json
"""

import json
import random
import warnings

from seqeval import metrics
from seqeval.metrics.sequence_labeling import get_entities, precision_recall_fscore_support

rng = random.Random(7)
warnings.simplefilter("ignore")
TYPES = ["PER", "LOC", "creative-work", "O"]
SCHEMES = {
    "BIO": [f"{prefix}-{kind}" for prefix in "BI" for kind in TYPES[:3]] + ["O", "O", "O"],
    "BIOES": [f"{prefix}-{kind}" for prefix in "BIES" for kind in TYPES[:2]] + ["O", "O"],
    "mixed": [f"{prefix}-{kind}" for prefix in "BIESLUMX" for kind in TYPES] + ["O"] * 6,
    "without prefix": ["NOUN", "VERB", "ORG", "O", "B-", "I-x-y", ".dot", "B", "I", "S", "E"],
}


def text(tags):
    return [rng.choice(tags) for _ in range(rng.randint(1, 12))]


def near(tags, truth):
    return [tag if rng.random() < 0.7 else rng.choice(tags) for tag in truth]


cases = []
for name, tags in SCHEMES.items():
    for size in (1, 4, 25):
        truth = [text(tags) for _ in range(size)]
        said = [near(tags, tags_) for tags_ in truth]
        kinds = sorted({kind for tags_ in truth + said for kind, _, _ in get_entities(tags_)})
        scores = precision_recall_fscore_support(truth, said, average=None, zero_division=0)
        assert len(kinds) == len(scores[0]), name
        cases.append({
            "scheme": name, "truth": truth, "said": said,
            "entities": [get_entities(tags_) for tags_ in truth],
            "precision": float(metrics.precision_score(truth, said, zero_division=0)),
            "recall": float(metrics.recall_score(truth, said, zero_division=0)),
            "entity_f1": float(metrics.f1_score(truth, said, zero_division=0)),
            "token_accuracy": float(metrics.accuracy_score(truth, said)),
            "types": [
                {"type": kind, "precision": float(p), "recall": float(r), "f1": float(f), "support": int(n)}
                for kind, p, r, f, n in zip(kinds, *scores, strict=True)
            ],
        })
print(json.dumps(cases))
