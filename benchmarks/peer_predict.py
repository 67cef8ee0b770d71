"""Other runtimes' side of `cargo xtask bench predict`: classes of texts by a BERT, timed.

    python benchmarks/peer_predict.py --model DIR --texts texts.json --side torch|onnx-f32|onnx-int8 --work DIR

DIR is a checkpoint with its head. Texts are tokenised and computed in batches of 64 in the order of their lengths; a
round is timed with both. onnx: the model is exported to --work once, its graph optimised for BERT by ONNX Runtime, and
for int8 quantised by `quantize_dynamic`. Prints one JSON object: the logits, and the seconds of the fastest round.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any, Callable

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

BATCH = 64
Run = Callable[[dict[str, np.ndarray]], np.ndarray]


def by_torch(model: Path) -> Run:
    net = AutoModelForSequenceClassification.from_pretrained(model).eval()

    def run(inputs: dict[str, np.ndarray]) -> np.ndarray:
        with torch.inference_mode():
            return net(**{name: torch.from_numpy(values) for name, values in inputs.items()}).logits.numpy()

    return run


def by_onnx(model: Path, work: Path, int8: bool) -> Run:
    import onnxruntime as ort
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer

    work.mkdir(parents=True, exist_ok=True)
    plain, fused, rounded = (work / f"{name}.onnx" for name in ("plain", "fused", "int8"))
    if not fused.exists():
        net = AutoModelForSequenceClassification.from_pretrained(model, attn_implementation="eager").eval()
        names = ["input_ids", "attention_mask", "token_type_ids"]
        example = tuple(torch.ones((2, 8), dtype=torch.long) for _ in names)
        axes = {name: {0: "batch", 1: "length"} for name in names}
        torch.onnx.export(
            net, example, plain, input_names=names, output_names=["logits"], dynamic_axes=axes, opset_version=17, dynamo=False
        )
        config = net.config
        optimizer.optimize_model(
            str(plain), model_type="bert", num_heads=config.num_attention_heads, hidden_size=config.hidden_size
        ).save_model_to_file(str(fused))
    if int8 and not rounded.exists():
        quantize_dynamic(fused, rounded, weight_type=QuantType.QInt8, extra_options={"DefaultTensorType": 1})
    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = ort.InferenceSession(rounded if int8 else fused, options, providers=["CPUExecutionProvider"])

    def run(inputs: dict[str, np.ndarray]) -> np.ndarray:
        return session.run(None, inputs)[0]

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--side", choices=("torch", "onnx-f32", "onnx-int8"), required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=1)
    args = parser.parse_args()
    texts: list[str] = json.loads(args.texts.read_text(encoding="utf-8"))
    tokenizer: Any = AutoTokenizer.from_pretrained(args.model)
    run = by_torch(args.model) if args.side == "torch" else by_onnx(args.model, args.work, args.side == "onnx-int8")

    def predict() -> np.ndarray:
        encoded = tokenizer(texts, truncation=True, max_length=128)["input_ids"]
        order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))
        logits: np.ndarray | None = None
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            longest = max(len(encoded[i]) for i in chosen)
            ids = np.zeros((len(chosen), longest), dtype=np.int64)
            mask = np.zeros_like(ids)
            for row, i in enumerate(chosen):
                ids[row, : len(encoded[i])] = encoded[i]
                mask[row, : len(encoded[i])] = 1
            out = run({"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)})
            if logits is None:
                logits = np.zeros((len(texts), out.shape[1]), dtype=np.float32)
            logits[chosen] = out
        assert logits is not None
        return logits

    best, logits = float("inf"), None
    for _ in range(args.rounds):
        start = time.perf_counter()
        logits = predict()
        best = min(best, time.perf_counter() - start)
    assert logits is not None
    print(json.dumps({"seconds": best, "logits": logits.tolist()}))


if __name__ == "__main__":
    main()
