"""Write which keys transformers and PEFT know in each config file, with their defaults.

Run from the repository root:

    python xtask/python/config_fields.py

The tests of the crates hold their key tables against these lists: a key of a new release that no table
names makes a test fail, instead of being unread.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import re
from pathlib import Path
from typing import Any

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import peft
import transformers
from transformers import AutoConfig, GenerationConfig
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

PEFT_KINDS = {"LORA": peft.LoraConfig, "BEFT": peft.BeftConfig, "PREFIX_TUNING": peft.PrefixTuningConfig, "LN_TUNING": peft.LNTuningConfig, "IA3": peft.IA3Config}
ENCODERS = ["bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra", "mpnet", "modernbert", "deberta-v2"]
DECODERS = ["opt", "llama", "qwen2", "mistral", "gptj", "gpt2"]
# Arguments of a call in Python, which no file holds.
RUN_TIME = {"tokenizer_object", "gguf_file", "post_processor", "tokenizer_padding", "tokenizer_truncation", "tokenizer"}
TOKENIZERS = ["BertTokenizer", "DistilBertTokenizer", "MPNetTokenizer", "DebertaV2Tokenizer", "RobertaTokenizer", "GPT2Tokenizer", "Qwen2Tokenizer", "LlamaTokenizer"]


def plain(value: Any) -> Any:
    """A default as JSON has it; what JSON cannot hold is null."""
    try:
        json.dumps(value)
    except TypeError:
        return None
    return value


def peft_fields(config: type) -> dict[str, Any]:
    fields = {}
    for field in dataclasses.fields(config):
        default = field.default
        if default is dataclasses.MISSING:
            default = field.default_factory() if field.default_factory is not dataclasses.MISSING else None
        fields[field.name] = plain(default)
    return fields


def model_fields(model_type: str) -> dict[str, Any]:
    return {name: plain(value) for name, value in AutoConfig.for_model(model_type).to_dict().items()} | {
        field.name: plain(getattr(AutoConfig.for_model(model_type), field.name, None))
        for field in dataclasses.fields(type(AutoConfig.for_model(model_type)))
    }


def tokenizer_fields(name: str) -> dict[str, Any]:
    fields: dict[str, Any] = {name: None for name in PreTrainedTokenizerBase.SPECIAL_TOKENS_ATTRIBUTES}
    fields.pop("extra_special_tokens", None)
    fields["extra_special_tokens"] = None
    # Most keys are taken out of the constructor's keyword arguments, where no signature names them.
    for class_ in (transformers.TokenizersBackend, PreTrainedTokenizerBase):
        source = inspect.getsource(class_.__init__) + inspect.getsource(class_._from_pretrained)
        for key in re.findall(r"kwargs\.(?:pop|get|setdefault)\(\s*\"(\w+)\"", source):
            if not key.startswith("_") and key not in RUN_TIME:
                fields.setdefault(key, None)
    for class_ in [getattr(transformers, name), transformers.TokenizersBackend, PreTrainedTokenizerBase]:
        for parameter in inspect.signature(class_.__init__).parameters.values():
            if parameter.name in ("self", "args", "kwargs"):
                continue
            default = None if parameter.default is inspect.Parameter.empty else plain(parameter.default)
            fields.setdefault(parameter.name, default)
    return fields


def write(path: str, kinds: dict[str, Any]) -> None:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    versions = {"transformers": transformers.__version__, "peft": peft.__version__}
    file.write_text(json.dumps({"versions": versions, **kinds}, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"wrote {file}")


def main() -> None:
    write(
        "crates/beft-checkpoint/tests/reference/keys.json",
        {
            "adapter_config.json": {name: peft_fields(config) for name, config in PEFT_KINDS.items()},
            "tokenizer_config.json": {name: tokenizer_fields(name) for name in TOKENIZERS},
        },
    )
    write("crates/beft-encoder/tests/reference/keys.json", {name: model_fields(name) for name in ENCODERS})
    generation = {"generation_config.json": {k: plain(v) for k, v in vars(GenerationConfig()).items()}}
    decoders = {name: model_fields(name) for name in DECODERS}
    write("crates/beft-decoder/tests/reference/keys.json", decoders | generation)


if __name__ == "__main__":
    main()
