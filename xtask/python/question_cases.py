"""Write what transformers and the public algorithms of run_qa.py and SQuAD's scripts say of questions about contexts:

    crates/beft-parity/tests/windows.json           windows, offsets and targets by AutoTokenizer of each fixture (and MiniLM's)
    crates/beft-eval/tests/fixtures/questions.json  best spans of random scores; exact match and F1 of SQuAD 2.0; best threshold

    python xtask/python/question_cases.py
"""

from __future__ import annotations

import collections
import json
import os
import re
import string
from pathlib import Path

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import numpy as np
from transformers import AutoTokenizer

FIXTURES = Path("crates/beft-fixtures/models")
MODELS = ["bert-tiny", "roberta-tiny", "distilbert-tiny", "electra-tiny", "mpnet-tiny", "modernbert-tiny", "deberta-v3-tiny",
          "deberta-v2-tiny", "xlm-roberta-tiny", "camembert-tiny", "gpt2-tiny", "qwen2-tiny"]
MINILM = Path("models/minilm")

CAFE = "Das Café »Zürich« öffnete 1902 in Genève, kurz vor dem Krieg. Heute gehört es Frau Müller-Núñez, die dort naïve Bilder zeigt."
TOKYO = "東京タワーは1958年に完成した。 The tower 🗼 is 333 metres high 👩‍👩‍👧‍👦, and Tōkyō\u3000(東京) is its city."
FILM = "the movie was good , the film was long and the end was good ! " * 4
QUESTIONS = [
    ("When did the café open?", CAFE, "1902"),
    ("  \tWho owns it today?", CAFE, "Frau Müller-Núñez"),
    ("Where?", CAFE, "Genève"),
    ("What is the first word?", CAFE, "Das"),
    ("What are the last words?", CAFE, "Bilder zeigt."),
    ("塔の高さは?", TOKYO, "333 metres"),
    ("Which symbol is it?", TOKYO, "🗼"),
    ("When?", TOKYO, "1958年"),
    ("Which city?", TOKYO, "東京"),
    ("How was the end?", FILM, "good !"),
    ("What is missing?", CAFE, None),
    ("", FILM, "long"),
]
LENGTHS = [(384, 128), (64, 16), (48, 8)]


def squad_windows(tokenizer, question, context, answer, max_length, stride):
    """`prepare_train_features` of run_qa.py without padding. One thing is not as there: the walk over starts stays within the context,
    where run_qa.py goes on into special tokens, whose offset (0, 0) is not behind the answer."""
    tokenized = tokenizer(question.lstrip(), context, truncation="only_second", max_length=max_length, stride=stride,
                          return_overflowing_tokens=True, return_offsets_mapping=True)
    windows = []
    for i, offsets in enumerate(tokenized["offset_mapping"]):
        ids = tokenized["input_ids"][i]
        sequence_ids = tokenized.sequence_ids(i)
        target = [0, 0]
        if answer is not None:
            start_char = context.index(answer)
            end_char = start_char + len(answer)
            start = next(k for k, s in enumerate(sequence_ids) if s == 1)
            end = len(ids) - 1
            while sequence_ids[end] != 1:
                end -= 1
            last = end
            if offsets[start][0] <= start_char and offsets[end][1] >= end_char:
                while start <= last and offsets[start][0] <= start_char:
                    start += 1
                while offsets[end][1] >= end_char:
                    end -= 1
                target = [start - 1, end + 1]
        windows.append({
            "ids": ids, "type_ids": tokenized["token_type_ids"][i] if "token_type_ids" in tokenized else None,
            "offsets": [list(o) if s == 1 else None for o, s in zip(offsets, sequence_ids)], "target": target,
        })
    return windows


def postprocess(windows, no_answer, n_best=20, max_answer_length=30, threshold=0.0):
    """`postprocess_qa_predictions` of transformers' examples/pytorch/question-answering/utils_qa.py, of one question, with places
    instead of texts; a stable sort in place of argsort's, whose order of equals is arbitrary."""
    null, found = None, []
    for window in windows:
        starts, ends, offsets = window["starts"], window["ends"], window["offsets"]
        score = np.float32(starts[0]) + np.float32(ends[0])
        if null is None or null["score"] > score:
            null = {"offsets": (0, 0), "score": score}
        best = lambda scores: np.argsort(-np.array(scores, dtype=np.float32), kind="stable")[:n_best].tolist()  # noqa: E731
        for s in best(starts):
            for e in best(ends):
                if offsets[s] is None or offsets[e] is None or e < s or e - s + 1 > max_answer_length:
                    continue
                found.append({"offsets": (offsets[s][0], offsets[e][1]), "score": np.float32(starts[s]) + np.float32(ends[e])})
    if no_answer:
        found.append(null)
    predictions = sorted(found, key=lambda p: p["score"], reverse=True)[:n_best]
    if no_answer and not any(p["offsets"] == (0, 0) for p in predictions):
        predictions.append(null)
    empty = lambda p: p["offsets"][0] >= p["offsets"][1]  # noqa: E731
    if not predictions or (len(predictions) == 1 and empty(predictions[0])):
        predictions.insert(0, {"offsets": None, "score": np.float32(0.0)})
    scores = np.array([p["score"] for p in predictions], dtype=np.float64)
    powers = np.exp(scores - scores.max())
    for p, power in zip(predictions, powers / powers.sum()):
        p["probability"] = float(power)
    if not no_answer:
        return answer(predictions[0], None)
    # The "empty" that was inserted is no empty text.
    best = next(p for p in predictions if p["offsets"] is None or not empty(p))
    difference = float(null["score"]) - float(best["score"])
    if difference > threshold or best["offsets"] is None:
        return {"span": None, "probability": None, "difference": difference}
    return answer(best, difference)


def answer(prediction, difference):
    if prediction["offsets"] is None:
        return {"span": None, "probability": None, "difference": difference}
    return {"span": list(prediction["offsets"]), "probability": prediction["probability"], "difference": difference}


# SQuAD's evaluate-v2.0.py.
def normalize(s):
    s = "".join(c for c in s.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", s).split())


def exact_and_f1(golds, said):
    golds = [g for g in golds if normalize(g)] or [""]
    def f1(gold):
        gold_words, said_words = normalize(gold).split(), normalize(said).split()
        same = sum((collections.Counter(gold_words) & collections.Counter(said_words)).values())
        if not gold_words or not said_words:
            return float(gold_words == said_words)
        if not same:
            return 0.0
        precision, recall = same / len(said_words), same / len(gold_words)
        return 2 * precision * recall / (precision + recall)
    return max(int(normalize(g) == normalize(said)) for g in golds), max(map(f1, golds))


def find_best_thresh(scores, differences, answerable, said):
    current = best = sum(not a for a in answerable)
    threshold = 0.0
    for i in np.argsort(np.array(differences), kind="stable"):
        current += scores[i] if answerable[i] else (-1 if said[i] else 0)
        if current > best:
            best, threshold = current, differences[i]
    return best / len(scores), threshold


def rounded(values):
    return [float(np.float32(round(v, 3))) for v in values]


def main():
    cases = []
    folders = [FIXTURES / name for name in MODELS] + ([MINILM] if MINILM.is_dir() else [])
    for folder in folders:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        for question, context, gold in QUESTIONS:
            for max_length, stride in LENGTHS:
                room = max_length - len(tokenizer(question.lstrip(), add_special_tokens=False)["input_ids"]) - tokenizer.num_special_tokens_to_add(pair=True)
                if room > stride:
                    windows = squad_windows(tokenizer, question, context, gold, max_length, stride)
                    cases.append({"model": folder.name, "question": question, "context": context, "answer": gold,
                                  "max_length": max_length, "stride": stride, "windows": windows})
    # Only some of each, so that the file stays small.
    kept = [c for i, c in enumerate(cases) if len(c["windows"]) > 1 and i % 3 == 0 or i % 17 == 0]
    with open("crates/beft-parity/tests/windows.json", "w") as out:
        out.write("[\n" + ",\n".join(json.dumps(c, ensure_ascii=False) for c in kept) + "\n]\n")

    rng = np.random.RandomState(3)
    spans = []
    for number in range(12):
        windows = []
        for _ in range(rng.randint(1, 4)):
            tokens, question = rng.randint(4, 45), rng.randint(1, 4)
            at, offsets = rng.randint(0, 20), [None] * question
            for _ in range(max(0, tokens - question - 1)):
                width = rng.randint(0, 6)
                offsets.append([int(at), int(at + width)])
                at += width + rng.randint(0, 2)
            offsets.append(None)
            spread = [3.0, 0.5, 0.0][number % 3]
            scores = [rounded(rng.randn(len(offsets)) * spread) for _ in range(2)]
            if number % 4 == 3:
                # That there is no answer is likely.
                scores[0][0] = scores[1][0] = 6.0
            windows.append({"offsets": offsets, "starts": scores[0], "ends": scores[1]})
        for no_answer in (False, True):
            spans.append({"windows": windows, "no_answer": no_answer, **postprocess(windows, no_answer)})
    spans.append({"windows": [{"offsets": [None, None, None], "starts": [1.0, 0.0, 0.0], "ends": [0.0, 0.0, 0.0]}], "no_answer": False,
                  **postprocess([{"offsets": [None, None, None], "starts": [1.0, 0.0, 0.0], "ends": [0.0, 0.0, 0.0]}], False)})
    texts = []
    for golds, said in [(["Zürich"], "in Zürich"), ([], ""), ([], "Bern"), (["the Bern"], ""), (["a"], ""), (["The"], "the"), (["a cat", "cats"], "A cat!"),
                        (["1902", "in 1902"], "1902, in"), (["東京"], "東京 (city)"), ([""], "")]:
        exact, f1 = exact_and_f1(golds, said)
        texts.append({"golds": golds, "said": said, "exact": exact, "f1": f1})
    thresholds = []
    for count in (1, 5, 30):
        answerable = rng.rand(count) < 0.6
        differences = rounded(rng.randn(count) * 4)
        scores = rounded(rng.rand(count))
        said = [bool(s) for s in rng.rand(count) < 0.9]
        best, threshold = find_best_thresh(scores, differences, answerable.tolist(), said)
        thresholds.append({"scores": scores, "differences": differences, "answerable": answerable.tolist(), "said": said, "best": best, "threshold": threshold})
    Path("crates/beft-eval/tests/fixtures/questions.json").write_text(
        "{" + ",\n".join(f'"{name}": [\n' + ",\n".join(map(json.dumps, of)) + "\n]" for name, of in
                         (("spans", spans), ("texts", texts), ("thresholds", thresholds))) + "}\n")


main()
