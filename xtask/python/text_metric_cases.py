"""Write expected values of the answer metrics, as SQuAD's evaluate-v1.1.py defines them.

Run from the repository root; plain Python, no packages:

    python xtask/python/text_metric_cases.py > crates/beft-eval/tests/fixtures/text_metrics.json
"""

from __future__ import annotations

import json
import re
import string
import sys
from collections import Counter


def normalize(answer: str) -> str:
    """Lower case, no punctuation, no articles, single spaces: in this order."""
    lower = answer.lower()
    plain = "".join(character for character in lower if character not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", plain).split())


def f1(prediction: str, gold: str) -> float:
    """F1 of the words in common; 0 when there are none, even of two empty answers."""
    predicted, right = normalize(prediction).split(), normalize(gold).split()
    same = sum((Counter(predicted) & Counter(right)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(predicted), same / len(right)
    return 2 * precision * recall / (precision + recall)


#: (prediction, right answers)
CASES: list[tuple[str, list[str]]] = [
    ("Denver Broncos", ["Denver Broncos", "The Denver Broncos", "Broncos"]),
    ("the Denver Broncos.", ["Denver Broncos"]),
    (" Santa Clara,\nCalifornia", ["Santa Clara", "Levi's Stadium in Santa Clara California"]),
    ("gold", ["silver", "GOLD!"]),
    ("gold", ["silver"]),
    ("", ["anything"]),
    ("", [""]),
    ("the", ["a"]),
    ("!?", ["the"]),
    ("a a b b b", ["b b a c", "b"]),
    ("to be or not to be", ["not to be"]),
    ("three", ["3", "three or so"]),
    ("1,000", ["1000"]),
    ("10.5", ["105", "10 5"]),
    ("U.S.", ["US", "the U. S."]),
    ("the-end", ["theend", "end"]),
    ("a_b", ["ab", "a b"]),
    ("An apple a day", ["apple day"]),
    ("Theatre and anatomy", ["theatre anatomy"]),
    ("a.b", ["b", "ab"]),
    ("the\u2013end", ["\u2013end", "end"]),
    ("\u201cthe\u201d word", ["word", "\u201c \u201d word"]),
    ("it\u2019s a trap", ["its trap", "it\u2019s trap"]),
    ("Caf\u00c9 de l'\u00c9t\u00e9", ["caf\u00e9 de l\u00e9t\u00e9"]),
    ("cafe\u0301", ["caf\u00e9", "cafe\u0301"]),
    ("a\u0301 la", ["\u0301 la", "la"]),
    ("Stra\u00dfe", ["STRASSE", "stra\u00dfe", "STRA\u1e9eE"]),
    ("\u0130stanbul", ["istanbul", "i\u0307stanbul"]),
    ("I\u0307 \u0131", ["i\u0307 \u0131", "i i"]),
    ("\u039f\u0394\u039f\u03a3", ["\u03bf\u03b4\u03bf\u03c2", "\u03bf\u03b4\u03bf\u03c3"]),
    ("\u039f\u0394\u039f\u03a3.", ["\u03bf\u03b4\u03bf\u03c2"]),
    ("\u03a3 \u0391\u03a3\u0391", ["\u03c3 \u03b1\u03c3\u03b1"]),
    ("\u6771\u4eac\u90fd", ["\u6771\u4eac", "\u6771\u4eac\u90fd"]),
    ("\u6771a\u4eac a \u90fd", ["\u6771a\u4eac \u90fd", "\u6771 \u4eac \u90fd"]),
    ("\uff01the\uff0cend\u3002", ["\uff01 \uff0cend\u3002", "end"]),
    ("\uff34\uff28\uff25 end", ["\uff54\uff48\uff45 end", "end"]),
    ("one\u00a0two\u3000three", ["one two three", "one three"]),
    ("one\u2009two\u2028three\u0085four", ["one two three four"]),
    ("one\x1ctwo\x1fthree\x0bfour", ["one two three four", "one"]),
    ("zero\u200bwidth", ["zero width", "zero\u200bwidth"]),
    ("the\u200bend", ["\u200bend", "end"]),
    ("mongolian\u180evowel", ["mongolian vowel"]),
    ("a\u00b2 an\u00bd the\u0660", ["a\u00b2", "\u00b2 \u00bd \u0660"]),
    ("$5 \u20ac5 \u00a35", ["5 \u20ac5", "5 5 5"]),
    ("\U0001f600 the \U0001f600", ["\U0001f600 \U0001f600", "\U0001f600"]),
    ("\u01c5 \ufb01n", ["\u01c6 fin", "\u01c6 \ufb01n"]),
    ("na\u00efve r\u00e9sum\u00e9", ["naive resume", "na\u00efve"]),
    ("\u0410\u0411\u0412 the", ["\u0430\u0431\u0432"]),
    ("tab\there", ["tab here"]),
    ("no golds at all", ["x", "y", "golds no"]),
]


def main() -> None:
    cases = [
        {
            "prediction": prediction,
            "golds": golds,
            "normalized": normalize(prediction),
            "exact_match": any(normalize(prediction) == normalize(gold) for gold in golds),
            "token_f1": max(f1(prediction, gold) for gold in golds),
        }
        for prediction, golds in CASES
    ]
    means = {
        "exact_match": sum(case["exact_match"] for case in cases) / len(cases),
        "token_f1": sum(case["token_f1"] for case in cases) / len(cases),
    }
    json.dump({"cases": cases, **means}, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
