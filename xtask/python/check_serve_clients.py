"""Check that clients of others work with `beft serve`: `openai` and `huggingface_hub`.

Run from the repository root, in an environment with both packages:

    pip install openai huggingface_hub
    cargo build --workspace --bin beft
    python xtask/python/check_serve_clients.py

The script tunes adapters of the tiny fixture models, starts servers of its own, and compares what the clients return with
what `beft predict` and `beft generate` write. It ends with 1 at any difference.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "crates/beft-fixtures/models"
KEY = "a-key-of-the-check-0123"

failures: list[str] = []


def check(what: str, found: Any, expected: Any) -> None:
    """Print whether two values are the same, up to the rounding of f32."""
    same = equal(found, expected)
    print(f"{'ok  ' if same else 'FAIL'} {what}" + ("" if same else f": {found!r} is not {expected!r}"))
    if not same:
        failures.append(what)


def equal(found: Any, expected: Any) -> bool:
    if isinstance(expected, float):
        return isinstance(found, (int, float)) and abs(found - expected) < 1e-4
    if isinstance(expected, list):
        return isinstance(found, list) and len(found) == len(expected) and all(map(equal, found, expected))
    if isinstance(expected, dict):
        return isinstance(found, dict) and found.keys() == expected.keys() and all(equal(found[key], expected[key]) for key in expected)
    return found == expected


def check_fails(what: str, kind: type[Exception], part: str, call: Callable[[], Any]) -> None:
    """Check that a call fails as the client's own error, with a message that says this."""
    try:
        found: object = call()
    except kind as error:
        check(f"{what}: {kind.__name__}", part in str(error) or str(error), True)
    except Exception as error:  # noqa: BLE001
        check(f"{what}: {kind.__name__}", error, kind)
    else:
        check(f"{what}: {kind.__name__}", found, kind)


class Beft:
    """The command in a folder of its own."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.program = program
        self.folder = folder
        self.env = os.environ | {"HF_HUB_OFFLINE": "1"}

    def __call__(self, *args: str) -> str:
        done = subprocess.run([self.program, *args], cwd=self.folder, env=self.env, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"beft {' '.join(args)}: {done.stderr}")
        return done.stdout

    def rows(self, *args: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self(*args).splitlines()]

    def write(self, name: str, rows: list[Any]) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))

    def tune(self, out: str, task: str, data: str, *more: str) -> None:
        self("tune", "--model", "model", "--task", task, "--data", data, "--epochs", "2", "--out", out, *more)

    @contextlib.contextmanager
    def serve(self, *args: str) -> Iterator[str]:
        """A server on a free port, by its address."""
        command = [self.program, "serve", "--bind", "127.0.0.1:0", *args]
        server = subprocess.Popen(command, cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            if "http://" not in line:
                sys.exit(f"the server does not start: {line!r}")
            yield line.split()[-1]
        finally:
            server.terminate()
            server.wait(60)


def completions(beft: Beft) -> None:
    """OpenAI's client, of `/v1/completions` and `/v1/models`."""
    words = ["great film", "bad plot", "fine actor", "dull story"]
    rows = ["sentence\tlabel", *(f"the {words[i % 4]} number {i}\t{1 - i % 2}" for i in range(16))]
    beft.write("sst2/train.tsv", rows)
    beft.write("sst2/dev.tsv", rows)
    beft.tune("out", "sst2", "sst2", "--terms", "all", "--lr", "0.05")
    beft.write("key", [KEY])
    prompts = ["the great film", "a dull"]

    def generated(prompt: str, *more: str) -> list[dict[str, Any]]:
        return beft.rows("generate", "--adapter", "out/adapter", "--prompt", prompt, "--format", "jsonl", *more)

    with beft.serve("--adapter", "tuned=out/adapter", "--api-key-file", "key") as address:
        client = openai.OpenAI(base_url=f"{address}/v1", api_key=KEY, max_retries=0)
        create = client.completions.create
        alone = [generated(prompt, "--max-new-tokens", "12")[0] for prompt in prompts]
        asked: dict[str, Any] = {"model": "tuned", "max_tokens": 12, "temperature": 0}

        one = create(prompt=prompts[0], **asked)
        check("a text", one.choices[0].text, alone[0]["text"])
        check("its end", one.choices[0].finish_reason, alone[0]["finish_reason"])
        assert one.usage is not None
        check("its tokens", one.usage.completion_tokens, len(alone[0]["tokens"]))
        check("the sum of tokens", one.usage.total_tokens, one.usage.prompt_tokens + one.usage.completion_tokens)
        both = create(prompt=prompts, **asked)
        check("a list of prompts", [choice.text for choice in both.choices], [row["text"] for row in alone])

        events = list(create(prompt=prompts[0], stream=True, stream_options={"include_usage": True}, **asked))
        check("a stream", "".join(choice.text for event in events for choice in event.choices), alone[0]["text"])
        check("the usage of a stream", events[-1].usage, one.usage)
        check("the number of its pieces is more than one", len(events) > 2, True)

        drawn = generated(prompts[0], *"--max-new-tokens 12 --temperature 0.9 --seed 5 --n 3 --logprobs 2".split())
        draw = asked | {"temperature": 0.9, "seed": 5, "n": 3, "logprobs": 2}
        choices = create(prompt=prompts[0], **draw).choices
        check("n and seed", [choice.text for choice in choices], [row["text"] for row in drawn])
        check("log probabilities", [choice.logprobs and choice.logprobs.model_dump() for choice in choices], [row["logprobs"] for row in drawn])

        stop = next(found.group() for found in re.finditer("[a-z]{2}", alone[0]["text"]))
        stopped = create(prompt=prompts[0], stop=[stop, "never said"], **asked).choices[0]
        check("a stop", (stopped.text, stopped.finish_reason), (alone[0]["text"][: alone[0]["text"].index(stop)], "stop"))
        echoed = create(prompt=prompts[0], echo=True, **asked).choices[0]
        check("echo", echoed.text, prompts[0] + alone[0]["text"])
        nothing = dict.fromkeys(["stop", "n", "seed", "suffix", "echo", "stream", "logprobs", "logit_bias", "user"])
        check("null for what is left out", create(prompt=prompts[0], **asked, **nothing).choices[0].text, alone[0]["text"])

        names = [model.id for model in client.models.list()]
        check("the list of models", names, ["model", "tuned"])
        check("one model", client.models.retrieve("tuned").id, "tuned")

        check_fails("another model", openai.NotFoundError, "choose one of", lambda: create(prompt="a", model="none"))
        check_fails("no such model", openai.NotFoundError, "choose one of", lambda: client.models.retrieve("none"))
        check_fails("no token", openai.BadRequestError, "max_tokens", lambda: create(**asked | {"prompt": "a", "max_tokens": 0}))
        check_fails("a long prompt", openai.APIStatusError, "token", lambda: create(prompt="film " * 200, **asked))
        wrong = openai.OpenAI(base_url=f"{address}/v1", api_key="another", max_retries=0)
        check_fails("another key", openai.AuthenticationError, "the key is missing or wrong", lambda: wrong.models.list())


def hub(beft: Beft) -> None:
    """The client of the Hugging Face hub, each adapter by its own address."""
    texts = ["good film", "the bad film number 3", "a"]
    for name in ["train", "dev"]:
        words = [("good", "a"), ("bad", "b"), ("the", "c")]
        beft.write(f"text/{name}.tsv", ["text\tlabel", *("%s film number {}\t%s".format(i) % words[i % 3] for i in range(24))])
        tagged = [{"tokens": ["the", "good", "film", "was", "funny"], "ner_tags": ["O", "O", "B-thing", "O", "O"]},
                  {"tokens": ["the", "bad", "actor"], "ner_tags": ["O", "O", "B-person"]}] * 8
        beft.write(f"ner/{name}.jsonl", tagged)
        asked = [{"id": str(i), "title": "t", "context": f"the film {i} was good .", "question": "is it good",
                  "answers": {"text": ["good"], "answer_start": [15 + (i > 9)]}} for i in range(16)]
        beft.write(f"squad/{name}.jsonl", asked)
        beft.write(f"pairs/{name}.csv", ["sentence1,sentence2,score", *(f"the film {i},a {'film' if i % 2 else 'bad'},{5 * (i % 2)}" for i in range(16))])
    beft.write("alike.toml", ['name = "alike"', 'kind = "similarity"', 'text = "sentence1"', 'pair = "sentence2"', 'label = "score"', "range = [0, 5]"])
    beft.tune("mood", "text", "text", "--terms", "v")
    beft.tune("other", "text", "text", "--terms", "all", "--lr", "0.02")
    beft.tune("tags", "ner", "ner", "--terms", "all", "--lr", "0.02", "--epochs", "12")
    beft.tune("answers", "squad", "squad", "--terms", "v")
    beft.tune("alike", "alike.toml", "pairs", "--terms", "v")
    names = ["mood", "other", "tags", "answers", "alike"]

    def predicted(adapter: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        beft.write("in.jsonl", rows)
        return beft.rows("predict", "--adapter", f"{adapter}/adapter", "--data", "in.jsonl")

    with beft.serve(*(part for name in names for part in ("--adapter", f"{name}={name}/adapter"))) as address:
        clients = {name: InferenceClient(model=f"{address}/models/{name}") for name in names}
        for name in ["mood", "other"]:
            for text, row in zip(texts, predicted(name, [{"text": text} for text in texts]), strict=True):
                found = clients[name].text_classification(text)
                check(f"labels by {name}", {one.label: one.score for one in found}, row["probabilities"])
                check("the surest first", found[0].label, row["label"])
        check("top_k", len(clients["mood"].text_classification(texts[0], top_k=2)), 2)

        text = "the good film and the bad actor was funny"
        row = predicted("tags", [{"text": text}])[0]
        for strategy in [None, "simple"]:
            found = clients["tags"].token_classification(text, aggregation_strategy=strategy)
            entities = [(one.entity_group, one.word, one.start, one.end) for one in found]
            check("entities", entities, [(one["type"], one["text"], one["start"], one["end"]) for one in row["entities"]])
        check("there are entities", bool(row["entities"]), True)

        question = {"question": "is it good", "context": "the film 3 was good ."}
        row = predicted("answers", [question])[0]
        answer = clients["answers"].question_answering(**question)
        check("an answer", (answer.answer, answer.score), (row["answer"], row["score"]))
        check("its place", question["context"][answer.start : answer.end], row["answer"])

        rows = predicted("alike", [{"sentence1": texts[0], "sentence2": other} for other in texts[1:]])
        check("similarities", clients["alike"].sentence_similarity(texts[0], texts[1:]), [row["value"] for row in rows])

        check_fails("no such adapter", HfHubHTTPError, "404", lambda: InferenceClient(model=f"{address}/models/none").text_classification("a"))
        check_fails("no similarity", HfHubHTTPError, "422", lambda: clients["mood"].sentence_similarity("a", ["b"]))
    with beft.serve("--adapter", "mood/adapter") as address:
        found = InferenceClient(model=address).text_classification(texts[0])
        check("the only adapter", found[0].label, predicted("mood", [{"text": texts[0]}])[0]["label"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--beft", type=Path, default=ROOT / "target/debug/beft", help="the command (%(default)s)")
    args = parser.parse_args()
    for model, part in [("llama-tiny", completions), ("bert-tiny", hub)]:
        with tempfile.TemporaryDirectory() as folder:
            os.symlink(FIXTURES / model, Path(folder) / "model")
            part(Beft(args.beft.resolve(), Path(folder)))
    if failures:
        sys.exit(f"{len(failures)} differences")
    print("all as it should be")


if __name__ == "__main__":
    main()
