"""Tiny models with random weights, their configs drawn at random, and the styles in which people save them."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_model

ENCODERS = {
    "bert": "BertForSequenceClassification",
    "electra": "ElectraForSequenceClassification",
    "distilbert": "DistilBertForSequenceClassification",
    "mpnet": "MPNetForSequenceClassification",
    "roberta": "RobertaForSequenceClassification",
    "xlm-roberta": "XLMRobertaForSequenceClassification",
    "camembert": "CamembertForSequenceClassification",
    "deberta-v2": "DebertaV2ForSequenceClassification",
    "modernbert": "ModernBertForSequenceClassification",
}
# Their position 0 is that of a padding token, and they are given no segments.
LIKE_ROBERTA = ("roberta", "xlm-roberta", "camembert")
WITHOUT_SEGMENTS = (*LIKE_ROBERTA, "distilbert", "mpnet", "modernbert")
DECODERS = {
    "opt": "OPTForCausalLM",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "gptj": "GPTJForCausalLM",
    "gpt2": "GPT2LMHeadModel",
}
POSITIONS = 64


def maybe(rng: random.Random, share: float, value: dict) -> dict:
    return value if rng.random() < share else {}


def encoder_config(rng: random.Random, kind: str, vocabulary: int) -> dict:
    layers, heads = rng.choice([1, 2, 3]), rng.choice([1, 2, 4])
    config = {"vocab_size": vocabulary, "num_labels": rng.choice([2, 2, 3, 1])}
    if config["num_labels"] > 1:
        names = {i: f"class {i}" for i in range(config["num_labels"])}
        config |= maybe(rng, 0.3, {"id2label": names})
    if kind == "distilbert":
        config |= {"dim": 32, "n_layers": layers, "n_heads": heads, "hidden_dim": rng.choice([32, 64])}
        config |= {"max_position_embeddings": POSITIONS}
        config |= maybe(rng, 0.2, {"seq_classif_dropout": 0.0})
        config |= maybe(rng, 0.1, {"sinusoidal_pos_embds": True})
        return config | maybe(rng, 0.1, {"activation": "relu"})
    config |= {
        "hidden_size": 32,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": rng.choice([32, 64]),
        "max_position_embeddings": POSITIONS + (2 if kind in (*LIKE_ROBERTA, "mpnet") else 0),
    }
    if kind == "modernbert":
        return config | modernbert_config(rng, layers)
    config |= {"layer_norm_eps": rng.choice([1e-12, 1e-5]), "hidden_dropout_prob": rng.choice([0.0, 0.1])}
    config |= maybe(rng, 0.06, {"hidden_act": rng.choice(["gelu_new", "relu", "gelu_pytorch_tanh"])})
    if kind in LIKE_ROBERTA:
        config |= {"type_vocab_size": rng.choice([1, 2]), "pad_token_id": 1}
        # Positions are counted from behind it.
        if rng.random() < 0.1:
            config |= {"pad_token_id": 3, "max_position_embeddings": POSITIONS + 4}
    if kind == "mpnet":
        return config | maybe(rng, 0.3, {"relative_attention_num_buckets": rng.choice([40, 64])})
    if kind == "deberta-v2":
        return config | deberta_config(rng)
    if kind == "electra":
        config |= maybe(rng, 0.5, {"embedding_size": 16})
    config |= maybe(rng, 0.2, {"classifier_dropout": 0.3})
    return config | maybe(rng, 0.03, {"is_decoder": True})


def deberta_config(rng: random.Random) -> dict:
    config = {"type_vocab_size": rng.choice([0, 0, 2]), "pooler_hidden_size": 32}
    config |= maybe(rng, 0.3, {"position_biased_input": False})
    config |= maybe(rng, 0.8, {"relative_attention": True, "pos_att_type": rng.choice([["p2c", "c2p"], "p2c|c2p", ["c2p"], ["p2c"], []])})
    config |= maybe(rng, 0.5, {"position_buckets": rng.choice([4, 8])})
    config |= maybe(rng, 0.4, {"max_relative_positions": rng.choice([16, 40])})
    config |= maybe(rng, 0.5, {"norm_rel_ebd": "layer_norm"})
    config |= maybe(rng, 0.5, {"share_att_key": True})
    config |= maybe(rng, 0.15, {"conv_kernel_size": 3, "conv_act": "gelu"})
    config |= maybe(rng, 0.1, {"pooler_hidden_act": "tanh"})
    return config | maybe(rng, 0.1, {"legacy": False})


def modernbert_config(rng: random.Random, layers: int) -> dict:
    config = {"pad_token_id": 1, "eos_token_id": 2, "bos_token_id": 0, "cls_token_id": 0, "sep_token_id": 2}
    config |= {"local_attention": rng.choice([8, 16, 128]), "classifier_pooling": rng.choice(["cls", "mean"])}
    for key in ("norm_bias", "attention_bias", "mlp_bias", "classifier_bias"):
        config |= maybe(rng, 0.3, {key: True})
    config |= maybe(rng, 0.3, {"layer_types": [rng.choice(["full_attention", "sliding_attention"]) for _ in range(layers)]})
    config |= maybe(rng, 0.3, {"global_attn_every_n_layers": 2})
    config |= maybe(rng, 0.3, {"norm_eps": 1e-3})
    config |= maybe(rng, 0.1, {"hidden_activation": rng.choice(["relu", "silu"])})
    return config | maybe(rng, 0.1, {"classifier_activation": rng.choice(["relu", "tanh"])})


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
    if kind == "mistral":
        config |= {"sliding_window": rng.choice([None, None, None, POSITIONS, 8])}
        config |= maybe(rng, 0.2, {"head_dim": 8})
    elif kind == "llama":
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
    return random_values(rng, class_(transformers.AutoConfig.for_model(kind, **config)), encoder)


def with_head(rng: random.Random, kind: str, vocabulary: int) -> torch.nn.Module:
    """A decoder that classifies."""
    config = decoder_config(rng, kind, vocabulary) | {"num_labels": rng.choice([2, 3])}
    name = DECODERS[kind].replace("LMHeadModel", "ForCausalLM").replace("ForCausalLM", "ForSequenceClassification")
    model = getattr(transformers, name)(transformers.AutoConfig.for_model(kind, **config))
    return random_values(rng, model, encoder=False)


def random_values(rng: random.Random, model: torch.nn.Module, encoder: bool) -> torch.nn.Module:
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
    layers = next(name for name in ("n_layer", "n_layers", "num_hidden_layers") if name in config)
    # A list for each layer would disagree with itself.
    config.pop("layer_types", None)
    config[layers] += rng.choice([1, -1]) if config[layers] > 1 else 1
    (folder / "config.json").write_text(json.dumps(config))
    return f"{layers} {config[layers]}"


def copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True)
