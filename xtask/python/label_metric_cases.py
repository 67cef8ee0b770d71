"""Writes what scikit-learn says of classes one by one, and of several labels a text.

    python xtask/python/label_metric_cases.py > crates/beft-eval/tests/fixtures/label_metrics.json
"""

import json
import warnings

import numpy as np
from sklearn import metrics

rng = np.random.RandomState(5)
warnings.simplefilter("ignore")
classes, labels = [], []
for count, size in ((2, 12), (4, 40), (5, 3)):
    truth, said = rng.randint(0, count, size), rng.randint(0, count, size)
    scores = metrics.precision_recall_fscore_support(truth, said, labels=range(count), zero_division=0)
    classes.append({
        "truth": truth.tolist(), "said": said.tolist(), "count": count,
        "confusion": metrics.confusion_matrix(truth, said, labels=range(count)).tolist(),
        "precision": scores[0].tolist(), "recall": scores[1].tolist(), "f1": scores[2].tolist(), "support": scores[3].astype(int).tolist(),
    })
for count, size, share in ((3, 8, 0.5), (6, 30, 0.2), (4, 5, 0.0)):
    truth, said = rng.rand(size, count) < share, rng.rand(size, count) < share
    scores = metrics.precision_recall_fscore_support(truth, said, zero_division=0)
    f1 = lambda average: float(metrics.f1_score(truth, said, average=average, zero_division=0))  # noqa: B023, E731
    labels.append({
        "truth": truth.tolist(), "said": said.tolist(), "micro_f1": f1("micro"), "macro_f1": f1("macro"),
        "subset_accuracy": float(metrics.accuracy_score(truth, said)),
        "precision": scores[0].tolist(), "recall": scores[1].tolist(), "f1": scores[2].tolist(), "support": scores[3].astype(int).tolist(),
    })
print(json.dumps({"classes": classes, "labels": labels}))
