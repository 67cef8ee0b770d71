"""PEFT adapters with random settings and values, on a base that is a folder."""

from __future__ import annotations

import os
import random
from pathlib import Path

import peft
import torch
from peft import PeftModel, get_peft_model

LINEAR = {
    "bert": ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"],
    "electra": ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"],
    "distilbert": ["q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"],
    "mpnet": ["attn.q", "attn.k", "attn.v", "attn.o", "intermediate.dense", "output.dense"],
    "roberta": ["query", "key", "value", "dense", "intermediate.dense"],
    "xlm-roberta": ["query", "key", "value", "dense", "intermediate.dense"],
    "camembert": ["query", "key", "value", "attention.output.dense", "intermediate.dense"],
    "deberta-v2": ["query_proj", "key_proj", "value_proj", "attention.output.dense", "intermediate.dense"],
    "modernbert": ["Wqkv", "attn.Wo", "Wi", "mlp.Wo"],
    "opt": ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"],
    "llama": ["q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj", "gate_proj"],
    "mistral": ["q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj", "gate_proj"],
    "qwen2": ["q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj", "gate_proj"],
    "gptj": ["q_proj", "k_proj", "v_proj", "out_proj", "fc_in", "fc_out"],
    "gpt2": ["c_attn", "c_proj", "c_fc"],
}
# Of LLaMA the gate has no bias here.
BIASED = {kind: [name for name in names if name != "gate_proj"] for kind, names in LINEAR.items()}
# Share of the adapters that are IA3's.
IA3 = float(os.environ.get("IA3", "0.1"))
EMBEDDINGS = ("bert", "electra", "distilbert", "mpnet", "roberta", "xlm-roberta", "camembert", "deberta-v2")
NORMS = {
    "distilbert": "sa_layer_norm",
    "modernbert": "mlp_norm",
    "llama": "input_layernorm",
    "mistral": "input_layernorm",
    "qwen2": "input_layernorm",
    "opt": "final_layer_norm",
    "gptj": "ln_1",
    "gpt2": "ln_1",
}


def lora(rng: random.Random, kind: str, task: str) -> peft.LoraConfig:
    names = LINEAR[kind]
    targets = rng.sample(names, rng.randint(1, min(3, len(names))))
    config: dict = {"r": rng.choice([1, 2, 4]), "lora_alpha": rng.choice([1, 4, 8, 32]), "task_type": task}
    config["lora_dropout"] = rng.choice([0.0, 0.1])
    roll = rng.random()
    if roll < 0.1:
        config["target_modules"] = "all-linear"
    elif roll < 0.2:
        config["target_modules"] = r".*\.(" + "|".join(name.replace(".", r"\.") for name in targets) + ")"
        if task == "SEQ_CLS":
            config["target_modules"] = r"(?!classifier).*\.\d+\..*(" + "|".join(targets) + ")"
    elif roll < 0.3:
        config["target_modules"] = targets + ["not_there", "proj_x"]
    elif roll < 0.38:
        config["target_modules"] = targets + ["classifier"] if task == "SEQ_CLS" else targets
    else:
        config["target_modules"] = targets
    first = targets[0]
    if rng.random() < 0.3:
        config["alpha_pattern"] = {rng.choice([first, r".*\.0\..*" + first]): rng.choice([2, 16])}
    if rng.random() < 0.3:
        config["rank_pattern"] = {first: rng.choice([1, 3])}
    if rng.random() < 0.25:
        config["use_rslora"] = True
    if rng.random() < 0.15 and isinstance(config["target_modules"], list):
        config["layers_to_transform"] = rng.choice([0, [0]])
        if rng.random() < 0.3:
            decoder = {"gpt2": "h", "gptj": "h"}.get(kind, "layers")
            config["layers_pattern"] = "layer" if kind in EMBEDDINGS else decoder
    if rng.random() < 0.1:
        config["exclude_modules"] = [rng.choice(names)]
    if rng.random() < 0.2:
        config["bias"] = rng.choice(["all", "lora_only"])
    if rng.random() < 0.15:
        config["use_dora"] = True
    elif rng.random() < 0.1 and config.get("bias", "none") == "none":
        config["lora_bias"] = True
    if rng.random() < 0.08:
        config["init_lora_weights"] = rng.choice(["pissa", "olora", "gaussian", "orthogonal"])
        if config["init_lora_weights"] == "orthogonal":
            config |= {"r": 2, "rank_pattern": {}}
    if kind == "bert" and rng.random() < 0.15:
        config["modules_to_save"] = ["pooler"]
    if kind in EMBEDDINGS and rng.random() < 0.05 and isinstance(config["target_modules"], list):
        config["target_modules"] = config["target_modules"] + ["word_embeddings"]
    return peft.LoraConfig(**config)


def beft(rng: random.Random, kind: str, task: str) -> peft.BeftConfig:
    names = BIASED[kind]
    targets = rng.sample(names, rng.randint(1, min(3, len(names))))
    more = rng.random()
    if more < 0.15:
        targets = targets + ["not_there"]
    elif more < 0.25:
        targets = r".*\.\d+\..*(" + "|".join(name.replace(".", r"\.") for name in targets) + ")"
    elif more < 0.35:
        targets = "all-linear" if kind not in ("llama", "qwen2", "mistral") else targets
    return peft.BeftConfig(task_type=task, target_modules=targets)


def ia3(rng: random.Random, kind: str, task: str) -> peft.IA3Config:
    if rng.random() < 0.3:
        # PEFT's own targets.
        return peft.IA3Config(task_type=task)
    names = LINEAR[kind]
    targets = rng.sample(names, rng.randint(1, min(4, len(names))))
    inputs = rng.sample(targets, rng.randint(0, len(targets)))
    roll = rng.random()
    if roll < 0.2:
        inputs = r".*(" + "|".join(name.replace(".", r"\.") for name in inputs or ["none"]) + ")"
        targets = r"(?!classifier).*\.\d+\..*(" + "|".join(name.replace(".", r"\.") for name in targets) + ")"
    elif roll < 0.3:
        targets = targets + ["not_there"]
    return peft.IA3Config(task_type=task, target_modules=targets, feedforward_modules=inputs)


def other(rng: random.Random, kind: str, task: str) -> peft.PeftConfig:
    """VeRA is not implemented and must be refused."""
    if rng.random() < 0.3 and kind != "gpt2":
        return peft.VeraConfig(task_type=task, target_modules=[LINEAR[kind][0]], r=2)
    return peft.LNTuningConfig(task_type=task, target_modules=[NORMS.get(kind, "LayerNorm")])


def make(rng: random.Random, kind: str, class_: type, base: Path, folder: Path, labels: int | None) -> tuple[str, torch.nn.Module]:
    """Writes an adapter with random values; returns what it is, and the model that PEFT makes of it when it
    loads it again."""
    task = "SEQ_CLS" if labels is not None else "CAUSAL_LM"
    roll = rng.random()
    if rng.random() < IA3:
        name, config = "IA3", ia3(rng, kind, task)
    elif roll < 0.55 or (kind == "gpt2" and roll < 0.9):
        name, config = "LORA", lora(rng, kind, task)
    elif roll < 0.9:
        name, config = "BEFT", beft(rng, kind, task)
    elif roll < 0.95 and labels is None:
        name, config = "PREFIX_TUNING", peft.PrefixTuningConfig(task_type=task, num_virtual_tokens=3)
    else:
        config = other(rng, kind, task)
        name = config.peft_type.value
    torch.manual_seed(rng.randrange(1 << 30))
    model = get_peft_model(class_.from_pretrained(base), config)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn_like(parameter)
    model.eval()
    pickled = rng.random() < 0.1
    model.save_pretrained(folder, safe_serialization=not pickled)
    return name, PeftModel.from_pretrained(class_.from_pretrained(base), folder).eval()
