"""The Python servers of `cargo xtask bench serve`: transformers and PEFT behind FastAPI.

    python benchmarks/peer_server.py --model DIR --adapter NAME=DIR ... --port N --batching none|dynamic

Each request of /classify, {"model": NAME, "input": TEXT}, is answered with the label and the probabilities.

* none: requests one after another, each with `set_adapter` and a forward pass of its own.
* dynamic: whatever waits for the adapter of the oldest request, up to 32 texts, is padded to the longest and computed in
  one pass; batches of different adapters follow one another, each with `set_adapter`.
"""

from __future__ import annotations

import argparse
import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, AsyncIterator

import torch
import uvicorn
from fastapi import FastAPI
from peft import PeftModel
from pydantic import BaseModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

LARGEST_BATCH = 32


class Question(BaseModel):
    model: str
    input: str


class Adapters:
    """A model with its adapters, of which one is set at a time."""

    def __init__(self, model: Path, adapters: list[str]) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        base = AutoModelForSequenceClassification.from_pretrained(model, num_labels=2, dtype=torch.float32)
        named = [adapter.split("=", 1) for adapter in adapters]
        name, folder = named[0]
        self.model = PeftModel.from_pretrained(base, folder, adapter_name=name)
        for name, folder in named[1:]:
            self.model.load_adapter(folder, adapter_name=name)
        self.model.eval()
        self.set: str | None = None

    def answer(self, name: str, texts: list[str]) -> list[dict[str, Any]]:
        inputs = self.tokenizer(texts, truncation=True, max_length=128, padding="longest", return_tensors="pt")
        with torch.inference_mode():
            if self.set != name:
                self.model.set_adapter(name, inference_mode=True)
                self.set = name
            probabilities = self.model(**inputs).logits.softmax(-1)
        return [{"label": int(row.argmax()), "probs": row.tolist()} for row in probabilities]


class Queue:
    """Questions that wait, and the task that computes them."""

    def __init__(self, adapters: Adapters, largest: int) -> None:
        self.adapters, self.largest = adapters, largest
        self.waiting: list[tuple[Question, asyncio.Future[Any]]] = []
        self.arrived = asyncio.Event()
        # The one thread that computes; the event loop goes on meanwhile.
        self.thread = ThreadPoolExecutor(1)

    async def ask(self, question: Question) -> dict[str, Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.waiting.append((question, future))
        self.arrived.set()
        return await future

    async def work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self.arrived.wait()
            name = self.waiting[0][0].model
            batch: list[tuple[Question, asyncio.Future[Any]]] = []
            rest: list[tuple[Question, asyncio.Future[Any]]] = []
            for item in self.waiting:
                fits = item[0].model == name and len(batch) < self.largest
                (batch if fits else rest).append(item)
            self.waiting = rest
            if not rest:
                self.arrived.clear()
            texts = [question.input for question, _ in batch]
            answers = await loop.run_in_executor(self.thread, self.adapters.answer, name, texts)
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--adapter", action="append", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--batching", choices=("none", "dynamic"), required=True)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    adapters = Adapters(args.model, args.adapter)
    queues: list[Queue] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        queues.append(Queue(adapters, LARGEST_BATCH if args.batching == "dynamic" else 1))
        task = asyncio.create_task(queues[0].work())
        yield
        task.cancel()

    app = FastAPI(lifespan=lifespan)

    @app.post("/classify")
    async def classify(question: Question) -> dict[str, Any]:
        return await queues[0].ask(question)

    uvicorn.run(app, host="127.0.0.1", port=args.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
