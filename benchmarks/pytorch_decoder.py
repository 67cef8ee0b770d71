"""Value-bias tuning of a decoder in PyTorch, by the plan that `beft-benchmarks plan` wrote: the losses of every step.

    python benchmarks/pytorch_decoder.py model --shape 125m --texts ../shared/data/SST-2/train.tsv --out models/opt-125m-shape
    target/release/beft-benchmarks plan --model models/opt-125m-shape --task sst2 --data ../shared/data/SST-2 \
        --train-size 160 --epochs 1 --out target/decoder-plan
    python benchmarks/pytorch_decoder.py train --model models/opt-125m-shape --plan target/decoder-plan --steps 20

`model` writes a random-weight OPT by `save_pretrained`, with a byte-level BPE tokenizer trained on the texts.
`train` scores every candidate by itself (prompt and candidate, padded on the right) and takes the same AdamW steps.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, OPTConfig, OPTForCausalLM

SHAPES = {
    "125m": dict(hidden_size=768, ffn_dim=3072, num_hidden_layers=12, num_attention_heads=12, word_embed_proj_dim=768),
    "1.3b": dict(hidden_size=2048, ffn_dim=8192, num_hidden_layers=24, num_attention_heads=32, word_embed_proj_dim=2048),
}


def write_model(shape: str, texts: Path, out: Path, dtype: str) -> None:
    """The shape of an OPT with random weights, and a tokenizer with OPT's conventions (`</s>` in front)."""
    out.mkdir(parents=True, exist_ok=True)
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=8000, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(texts.read_text(encoding="utf-8").splitlines(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="</s> $A", special_tokens=[("</s>", 2)])
    tokenizer.save(str(out / "tokenizer.json"))
    torch.manual_seed(0)
    config = OPTConfig(vocab_size=50272, max_position_embeddings=2048, dropout=0.0, attention_dropout=0.0, **SHAPES[shape])
    model = OPTForCausalLM(config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # biases start at zero in new models; pretrained ones are not zero
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.copy_(0.02 * torch.randn(parameter.shape, generator=generator))
    model.to(getattr(torch, dtype)).save_pretrained(out, safe_serialization=True, max_shard_size="1GB")


def scores(model: nn.Module, examples: list[dict], device: str) -> Tensor:
    """Mean log probability of each candidate's own tokens, `[examples, candidates]`."""
    rows = [(e["prompt"] + b["ids"], b["scored"]) for e in examples for b in e["branches"]]
    length = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [1] * (length - len(ids)) for ids, _ in rows], device=device)
    mask = torch.tensor([[1] * len(ids) + [0] * (length - len(ids)) for ids, _ in rows], device=device)
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
    own = torch.log_softmax(logits.float(), -1).gather(-1, ids[:, 1:, None])[..., 0]
    counts = [(len(row) - 1 - scored, len(row) - 1, scored) for row, scored in rows]
    means = torch.stack([own[i, a:b].sum() / n for i, (a, b, n) in enumerate(counts)])
    return means.view(len(examples), -1)


def train(model_dir: Path, plan_dir: Path, steps: int, device: str) -> None:
    """The steps, and what they took."""
    plan = json.loads((plan_dir / "plan.json").read_text())
    model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32).to(device).eval()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.endswith("v_proj.bias"))
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=plan["learning_rate"], betas=(0.9, 0.999), eps=1e-6, weight_decay=0.0)
    size = plan["batch_size"]
    batches = [order[i : i + size] for order in plan["orders"] for i in range(0, len(order), size)]
    losses, begin = [], time.perf_counter()
    for step, batch in enumerate(batches[:steps]):
        for group in optimizer.param_groups:
            group["lr"] = plan["learning_rate"] * (1 - step / len(batches))
        examples = [plan["train"][i] for i in batch]
        optimizer.zero_grad()
        right = torch.tensor([int(e["right"]) for e in examples], device=device)
        loss = nn.functional.cross_entropy(scores(model, examples, device), right)
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        losses.append(loss.item())
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"losses": losses, "seconds": seconds, "peak_bytes": peak}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    model = commands.add_parser("model", help="write a random-weight OPT")
    model.add_argument("--shape", choices=SHAPES, default="125m")
    model.add_argument("--texts", type=Path, required=True, help="what the tokenizer is trained on")
    model.add_argument("--out", type=Path, required=True)
    model.add_argument("--dtype", default="float32", help="float32, bfloat16 or float16")
    run = commands.add_parser("train", help="train by a plan")
    run.add_argument("--model", type=Path, required=True)
    run.add_argument("--plan", type=Path, required=True)
    run.add_argument("--steps", type=int, default=20)
    run.add_argument("--device", default="cpu")
    args = parser.parse_args()
    if args.command == "model":
        write_model(args.shape, args.texts, args.out, args.dtype)
    else:
        train(args.model, args.plan, args.steps, args.device)


if __name__ == "__main__":
    main()
