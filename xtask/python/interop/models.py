"""Tiny models with random weights, their configs drawn at random, and the styles in which people save them."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_model

ENCODERS = {"bert": "BertForSequenceClassification", "roberta": "RobertaForSequenceClassification"}
DECODERS = {
    "opt": "OPTForCausalLM",
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "gptj": "GPTJForCausalLM",
    "gpt2": "GPT2LMHeadModel",
}
POSITIONS = 64


def maybe(rng: random.Random, share: float, value: dict) -> dict:
    return value if rng.random() < share else {}


def encoder_config(rng: random.Random, kind: str, vocabulary: int) -> dict:
    config = {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "num_hidden_layers": rng.choice([1, 2, 3]),
        "num_attention_heads": rng.choice([1, 2, 4]),
        "intermediate_size": rng.choice([32, 64]),
        "max_position_embeddings": POSITIONS + (2 if kind == "roberta" else 0),
        "num_labels": rng.choice([2, 2, 3, 1]),
        "layer_norm_eps": rng.choice([1e-12, 1e-5]),
        "hidden_dropout_prob": rng.choice([0.0, 0.1]),
    }
    if kind == "roberta":
        config |= {"type_vocab_size": 1, "pad_token_id": 1}
    config |= maybe(rng, 0.2, {"classifier_dropout": 0.3})
    config |= maybe(rng, 0.03, {"hidden_act": "gelu_new"})
    config |= maybe(rng, 0.03, {"is_decoder": True})
    if config["num_labels"] > 1:
        names = {i: f"class {i}" for i in range(config["num_labels"])}
        config |= maybe(rng, 0.3, {"id2label": names})
    return config


def rope(rng: random.Random) -> dict:
    return rng.choice([
        {"rope_type": "default", "rope_theta": 10000.0},
        {"rope_type": "default", "rope_theta": 500.0},
        {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0},
        {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
         "original_max_position_embeddings": 32, "rope_theta": 10000.0},
        {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 32, "rope_theta": 10000.0},
    ])


def decoder_config(rng: random.Random, kind: str, vocabulary: int) -> dict:
    ends = {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "vocab_size": vocabulary}
    layers, heads = rng.choice([1, 2, 3]), rng.choice([2, 4])
    if kind in ("gpt2", "gptj"):
        config = {"n_embd": 32, "n_layer": layers, "n_head": heads, "n_positions": POSITIONS}
        config |= maybe(rng, 0.3, {"n_inner": 48})
        config |= maybe(rng, 0.3, {"activation_function": rng.choice(["gelu", "relu", "gelu_pytorch_tanh"])})
        if kind == "gptj":
            config |= {"rotary_dim": rng.choice([4, 8])}
        else:
            config |= maybe(rng, 0.06, {"scale_attn_by_inverse_layer_idx": True})
        return ends | config
    config = {
        "hidden_size": 32,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "max_position_embeddings": POSITIONS,
    }
    if kind == "opt":
        config |= {"ffn_dim": 64, "word_embed_proj_dim": rng.choice([32, 32, 16])}
        config |= maybe(rng, 0.2, {"do_layer_norm_before": False})
        config |= maybe(rng, 0.2, {"activation_function": "gelu"})
        config |= maybe(rng, 0.04, {"enable_bias": False})
        return ends | config
    config |= {"intermediate_size": 48, "rope_parameters": rope(rng)}
    config |= {"num_key_value_heads": rng.choice([heads, heads // 2]), "tie_word_embeddings": rng.random() < 0.5}
    if kind == "llama":
        config |= maybe(rng, 0.2, {"attention_bias": True})
        config |= maybe(rng, 0.1, {"mlp_bias": True})
        config |= maybe(rng, 0.2, {"head_dim": 8})
    else:
        config |= maybe(rng, 0.04, {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0})
    return ends | config


def make(rng: random.Random, kind: str, vocabulary: int) -> torch.nn.Module:
    """A model with weights larger than a fresh model's, so that differences show."""
    encoder = kind in ENCODERS
    config = (encoder_config if encoder else decoder_config)(rng, kind, vocabulary)
    class_ = getattr(transformers, (ENCODERS if encoder else DECODERS)[kind])
    model = class_(transformers.AutoConfig.for_model(kind, **config))
    torch.manual_seed(rng.randrange(1 << 30))
    for parameter in model.parameters():
        large = parameter.dim() > 1
        noise = torch.randn_like(parameter)
        parameter.data = noise * (0.3 if encoder else 0.2) if large else parameter.data + 0.1 * noise
    return model.eval()


def save(rng: random.Random, model: torch.nn.Module, folder: Path) -> str:
    """Saves a model as one of many people would; returns the style."""
    style = rng.choice(["whole", "whole", "shards", "stale index", "pickle", "save_model", "bare", "half"])
    if style in ("shards", "stale index"):
        model.save_pretrained(folder, max_shard_size="20KB")
    if style in ("whole", "stale index", "save_model", "pickle", "bare"):
        model.save_pretrained(folder)
    weights = folder / "model.safetensors"
    if style == "save_model":
        save_model(model, str(weights), metadata={"format": "pt"})
    elif style == "pickle":
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
        weights.unlink()
    elif style == "bare":
        # As older releases wrote config.json: without what has its default.
        config = json.loads((folder / "config.json").read_text())
        for key in ("dtype", "transformers_version", "architectures", "chunk_size_feed_forward", "output_attentions"):
            config.pop(key, None)
        (folder / "config.json").write_text(json.dumps(config))
    elif style == "half":
        # The weights in half precision; both sides compute in f32.
        halves = {name: value.half() for name, value in model.state_dict().items()}
        model.load_state_dict({name: value.float() for name, value in halves.items()})
        model.save_pretrained(folder)
    return style


def spoil(rng: random.Random, folder: Path) -> str | None:
    """Now and then a damage: what must be refused."""
    if rng.random() > 0.03:
        return None
    config = json.loads((folder / "config.json").read_text())
    layers = "n_layer" if "n_layer" in config else "num_hidden_layers"
    config[layers] += rng.choice([1, -1]) if config[layers] > 1 else 1
    (folder / "config.json").write_text(json.dumps(config))
    return f"{layers} {config[layers]}"


def copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True)
