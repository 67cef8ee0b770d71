"""Write the interoperability cases of `crates/beft-cli/tests/interop`: folders that transformers and PEFT save, and
what they compute with them.

    python xtask/python/make_interop_fixtures.py

Each case of cases.json is a command, its standard input, and what must come of it: logits, a text, or a refusal.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
warnings.filterwarnings("ignore")

import peft
import torch
import transformers
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file, save_file, save_model
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer

transformers.logging.disable_progress_bar()
torch.set_num_threads(1)
ROOT = Path("crates/beft-cli/tests/interop")
WORDS = "good bad film movie the was fine dull not very a no yes this it is Good caf\u00e9 cafe \u4e2d \u6587".split()
BERT_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 40}
CASES: list[dict[str, Any]] = []


def out(name: str) -> Path:
    path = ROOT / name
    path.mkdir(parents=True)
    return path


def case(name: str, args: list[str], stdin: str = "", **want: Any) -> None:
    """`@` in front of an argument is the folder of the cases; notes are parts of what is said beside the result."""
    CASES.append({"name": name, "args": args, "stdin": stdin, **want})


def spread(model: torch.nn.Module, std: float = 0.3, seed: int = 1) -> torch.nn.Module:
    torch.manual_seed(seed)
    for parameter in model.parameters():
        noise = torch.randn_like(parameter)
        parameter.data = noise * std if parameter.dim() > 1 else parameter.data + 0.1 * noise
    return model.eval()


def word_pieces(folder: Path, lower: bool = True, config: dict | None = None, files: str = "json") -> None:
    vocabulary = BERT_SPECIAL + WORDS
    if files == "json":
        tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(vocabulary)}, unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
            special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
        )
        tokenizer.add_special_tokens(BERT_SPECIAL)
        tokenizer.save(str(folder / "tokenizer.json"))
    else:
        (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in vocabulary), encoding="utf-8")
    if config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(config))


def byte_words(folder: Path, roberta: bool = False) -> None:
    """Whole words as tokens, under byte-level names."""
    vocabulary = ["<s>", "<pad>", "</s>", "<unk>"] + ["\u0120" + w for w in WORDS[:16]] + WORDS[:16]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(vocabulary)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if roberta:
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    tokenizer.add_special_tokens(vocabulary[:4])
    tokenizer.save(str(folder / "tokenizer.json"))


def bert(folder: Path, **more: Any) -> torch.nn.Module:
    config = transformers.BertConfig(**({"vocab_size": 30, "intermediate_size": 16} | SIZES | more))
    model = spread(transformers.BertForSequenceClassification(config))
    model.save_pretrained(folder)
    return model


def decoder(kind: str, **more: Any) -> torch.nn.Module:
    ends = {"vocab_size": 36, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}
    if kind == "gpt2":
        config = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 40}
        class_ = transformers.GPT2LMHeadModel
    elif kind == "opt":
        config = SIZES | {"ffn_dim": 16, "word_embed_proj_dim": 16}
        class_ = transformers.OPTForCausalLM
    else:
        config = SIZES | {"intermediate_size": 16}
        class_ = transformers.LlamaForCausalLM
    return spread(class_(transformers.AutoConfig.for_model(kind, **(ends | config | more))), 0.3)


def logits(model: torch.nn.Module, folder: Path, text: str, pair: str | None = None, auto: bool = False) -> list[float]:
    if auto:
        inputs = dict(AutoTokenizer.from_pretrained(folder)(text, pair, return_tensors="pt"))
    else:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        found = tokenizer.encode(text, pair) if pair is not None else tokenizer.encode(text)
        inputs = {"input_ids": torch.tensor([found.ids]), "attention_mask": torch.ones(1, len(found.ids), dtype=torch.long)}
        if model.config.model_type == "bert":
            inputs["token_type_ids"] = torch.tensor([found.type_ids])
    with torch.no_grad():
        return model(**inputs).logits[0].tolist()


def greedy(model: torch.nn.Module, folder: Path, text: str, tokens: int, **more: Any) -> str:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = torch.tensor([tokenizer.encode(text).ids])
    found = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False, **more)
    return tokenizer.decode(found[0].tolist())


def adapter(name: str, base: Path, config: peft.PeftConfig, class_: type, scale: float = 0.1, **save: Any) -> torch.nn.Module:
    torch.manual_seed(3)
    model = get_peft_model(class_.from_pretrained(base), config)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += scale * torch.randn_like(parameter)
    folder = out(name)
    model.eval().save_pretrained(folder, **save)
    (folder / "README.md").unlink(missing_ok=True)
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = base.name
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=1))
    return PeftModel.from_pretrained(class_.from_pretrained(base), folder).eval()


def adapters_on_bert() -> None:
    base = out("bert")
    bert(base, num_labels=2)
    word_pieces(base)
    class_ = transformers.BertForSequenceClassification
    usual: dict[str, Any] = {"task_type": "SEQ_CLS", "r": 2, "lora_alpha": 4, "target_modules": ["query", "value"]}

    def try_(name: str, config: peft.PeftConfig, **save: Any) -> None:
        model = adapter(name, base, config, class_, **save)
        found = logits(model, base, "good film")
        case(name, ["predict", "--model", "@bert", "--adapter", f"@{name}"], "good film\n", logits=[found])

    def lora(name: str, **more: Any) -> None:
        save = more.pop("save", {})
        try_(f"lora-{name}", peft.LoraConfig(**(usual | more)), **save)

    lora("alpha-pattern", alpha_pattern={"value": 32, r"layer\.0\..*value": 2})
    lora("rank-pattern", rank_pattern={"value": 4}, alpha_pattern={"value": 8})
    lora("rslora", use_rslora=True, r=4)
    lora("some-layers", layers_to_transform=[1], layers_pattern="layer")
    lora("excluded", target_modules=["dense"], exclude_modules=["output.dense", "pooler.dense"])
    lora("regular-expression", target_modules=r".*layer\.(?!0)\d+.*(query|key)")
    lora("all-linear", target_modules="all-linear")
    lora("names-that-match-nothing", target_modules=["query", "q_proj"])
    lora("head-among-targets", target_modules=["query", "classifier"])
    lora("bias-all", bias="all")
    lora("bias-lora-only", bias="lora_only")
    lora("lora-bias", lora_bias=True)
    lora("dora", use_dora=True)
    lora("pooler-saved", modules_to_save=["pooler"])
    lora("pickled", save={"safe_serialization": False})
    lora("embeddings", target_modules=["word_embeddings", "query"], save={"save_embedding_layers": False})
    try_("beft-regular-expression", peft.BeftConfig(task_type="SEQ_CLS", target_modules=r".*layer\.\d+.*value"))
    try_("beft-matches-nothing", peft.BeftConfig(task_type="SEQ_CLS", target_modules=["value", "v_proj"]))

    try_("layer-norms", peft.LNTuningConfig(task_type="SEQ_CLS", target_modules=["LayerNorm"]))
    some = peft.LNTuningConfig(task_type="SEQ_CLS", target_modules=["LayerNorm"], exclude_modules=["embeddings.LayerNorm"])
    try_("layer-norms-excluded", some)

    # PEFT's own targets for BERT: the attention's output is a module of inputs too.
    try_("ia3", peft.IA3Config(task_type="SEQ_CLS"))
    pattern = peft.IA3Config(
        task_type="SEQ_CLS",
        target_modules=r".*layer\.\d+\.(attention\.self\.(key|value)|output\.dense)",
        feedforward_modules=r".*\d\.output\.dense",
    )
    try_("ia3-regular-expression", pattern)

    def refused(name: str, config: peft.PeftConfig, part: str, **save: Any) -> None:
        adapter(name, base, config, class_, **save)
        case(name, ["predict", "--model", "@bert", "--adapter", f"@{name}"], "good film\n", refuses=part)

    refused("lora-pissa", peft.LoraConfig(**usual, init_lora_weights="pissa"), "init_lora_weights")
    refused("lora-saved-embeddings", peft.LoraConfig(**usual), "word_embeddings", save_embedding_layers=True)
    ia3 = peft.IA3Config(task_type="SEQ_CLS", target_modules=["value"], feedforward_modules=[])
    refused("ia3-other-side", ia3, "feedforward_modules")
    other = ROOT / "ia3-other-side/adapter_config.json"
    config = json.loads(other.read_text()) | {"feedforward_modules": ["value"]}
    other.write_text(json.dumps(config, indent=1))
    vera = peft.VeraConfig(task_type="SEQ_CLS", target_modules=["value"], r=2)
    refused("vera", vera, "VERA")


    adapter("lora-without-head", base, peft.LoraConfig(**usual), class_)
    weights = ROOT / "lora-without-head/adapter_model.safetensors"
    kept = {name: value for name, value in load_file(weights).items() if "classifier" not in name}
    save_file(kept, weights, metadata={"format": "pt"})
    args = ["predict", "--model", "@bert", "--adapter", "@lora-without-head"]
    case("lora-without-head", args, "good film\n", refuses="modules_to_save names `classifier`")


def adapters_on_others() -> None:
    base = out("roberta")
    config = transformers.RobertaConfig(
        vocab_size=36, intermediate_size=16, num_labels=2, type_vocab_size=1, pad_token_id=1, **(SIZES | {"max_position_embeddings": 42})
    )
    model = spread(transformers.RobertaForSequenceClassification(config))
    model.save_pretrained(base)
    byte_words(base, roberta=True)
    class_ = transformers.RobertaForSequenceClassification
    beft = peft.BeftConfig(task_type="SEQ_CLS", target_modules=["dense"])
    tuned = adapter("beft-dense-roberta", base, beft, class_)
    args = ["predict", "--model", "@roberta", "--adapter", "@beft-dense-roberta"]
    case("beft-dense-roberta", args, "good film\n", logits=[logits(tuned, base, "good film")])
    # A padding token inside a text has no position of its own.
    padded = "good<pad> film"
    case("padding-inside", ["predict", "--model", "@roberta"], padded + "\n", logits=[logits(model, base, padded)])

    base = out("gpt2")
    decoder("gpt2").save_pretrained(base)
    byte_words(base)
    tuned = adapter("lora-gpt2", base, peft.LoraConfig(task_type="CAUSAL_LM", r=2, lora_alpha=4), transformers.GPT2LMHeadModel, 0.3)
    args = ["generate", "--model", "@gpt2", "--adapter", "@lora-gpt2", "--prompt", "the movie was", "--max-new-tokens", "6"]
    case("lora-gpt2", args, text=greedy(tuned, base, "the movie was", 6))
    fewer = out("gpt2-fewer-layers")
    shutil.copytree(base, fewer, dirs_exist_ok=True)
    config = json.loads((fewer / "config.json").read_text())
    (fewer / "config.json").write_text(json.dumps(config | {"n_layer": 1}))
    case("gpt2-fewer-layers", ["generate", "--model", "@gpt2-fewer-layers", "--prompt", "the movie"], refuses="h.1.")


def checkpoints() -> None:
    folder = out("no-names")
    model = bert(folder, num_labels=2)
    word_pieces(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if "label" not in k}))
    case("no-names", ["predict", "--model", "@no-names"], "good film\n", logits=[logits(model, folder, "good film")], labels=["LABEL_" + str(int(torch.tensor(logits(model, folder, "good film")).argmax()))])

    folder = out("stale-index")
    model = bert(folder, num_labels=3)
    model.save_pretrained(folder, max_shard_size="8KB")
    model.save_pretrained(folder)
    word_pieces(folder)
    for shard in folder.glob("model-*.safetensors"):
        shard.unlink()
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"bert.x": "gone.safetensors"}}')
    case("stale-index", ["predict", "--model", "@stale-index"], "good film\n", logits=[logits(model, folder, "good film")])

    folder = out("one-segment")
    bert(folder, num_labels=2, type_vocab_size=1)
    word_pieces(folder)
    pairs = '{"text": "good film", "text_pair": "bad film"}\n'
    case("one-segment", ["predict", "--model", "@one-segment", "--input-format", "jsonl"], pairs, refuses="type_vocab_size")

    folder = out("more-tokens")
    model = bert(folder, num_labels=2, vocab_size=20)
    word_pieces(folder)
    case("more-tokens-unused", ["predict", "--model", "@more-tokens"], "good film\n", logits=[logits(model, folder, "good film")])
    case("more-tokens-used", ["predict", "--model", "@more-tokens"], "good film\nit is\n", refuses="vocab_size")

    folder = out("tied-opt")
    model = decoder("opt")
    model.save_pretrained(folder)
    save_model(model, str(folder / "model.safetensors"), metadata={"format": "pt"})
    byte_words(folder)
    args = ["generate", "--model", "@tied-opt", "--prompt", "the movie was", "--max-new-tokens", "6"]
    case("tied-opt", args, text=greedy(model, folder, "the movie was", 6))

    folder = out("quantized")
    bert(folder, num_labels=2)
    word_pieces(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": {"quant_method": "gptq"}}))
    case("quantized", ["predict", "--model", "@quantized"], "good\n", refuses="quantization_config")

    folder = out("several-labels")
    model = bert(folder, num_labels=3, problem_type="multi_label_classification")
    word_pieces(folder)
    scores = logits(model, folder, "good")
    holding = [f"LABEL_{i}" for i, score in enumerate(scores) if score >= 0]
    case("several-labels", ["predict", "--model", "@several-labels"], "good\n", logits=[scores], labels=[holding])

    folder = out("no-numbers")
    model = bert(folder, num_labels=2)
    model.classifier.bias.data[0] = float("nan")
    model.save_pretrained(folder)
    word_pieces(folder)
    case("no-numbers", ["predict", "--model", "@no-numbers"], "good\n", refuses="no numbers")

    # Older keys beside newer ones: the older win.
    folder = out("rope-scaling")
    model = decoder("llama")
    model.save_pretrained(folder)
    byte_words(folder)
    config = json.loads((folder / "config.json").read_text())
    stretched = {"rope_scaling": {"rope_type": "linear", "factor": 4.0}}
    (folder / "config.json").write_text(json.dumps(config | stretched))
    again = transformers.LlamaForCausalLM.from_pretrained(folder)
    args = ["generate", "--model", "@rope-scaling", "--prompt", "the movie was", "--max-new-tokens", "8"]
    case("rope-scaling", args, text=greedy(again, folder, "the movie was", 8))
    assert greedy(model, folder, "the movie was", 8) != greedy(again, folder, "the movie was", 8)


def tokenizers() -> None:
    text = "Good caf\u00e9 \u4e2d\u6587 film"

    def try_(name: str, **how: Any) -> None:
        folder = out(name)
        model = bert(folder, num_labels=2)
        word_pieces(folder, **how)
        found = logits(model, folder, text, auto=True)
        case(name, ["predict", "--model", f"@{name}"], text + "\n", logits=[found])

    try_("vocabulary", files="txt")
    try_("vocabulary-cased", files="txt", config={"do_lower_case": False, "tokenize_chinese_chars": False})
    try_("config-wins", lower=True, config={"tokenizer_class": "BertTokenizer", "do_lower_case": False})
    try_("accents", lower=True, config={"tokenizer_class": "BertTokenizer", "strip_accents": False})
    try_("generic", lower=False, config={"tokenizer_class": "PreTrainedTokenizerFast"})

    folder = out("sentencepiece")
    bert(folder, num_labels=2)
    (folder / "tokenizer.model").write_bytes(b"\n\x05\n\x03<s>")
    case("sentencepiece", ["predict", "--model", "@sentencepiece"], "good\n", refuses="save_pretrained")


def lengths_and_ends() -> None:
    folder = out("long")
    model = bert(folder, num_labels=3)
    word_pieces(folder, config={"tokenizer_class": "BertTokenizer", "model_max_length": 20})
    long = " ".join(["the movie was not"] * 10)
    cut = " ".join(long.split()[:18])
    found = logits(model, folder, cut)
    case("long", ["predict", "--model", "@long"], f"{long}\n{cut}\n", logits=[found, found], notes=["1 of 2 inputs"])
    shorter = logits(model, folder, " ".join(long.split()[:6]))
    case("max-length", ["predict", "--model", "@long", "--max-length", "8"], long + "\n", logits=[shorter], notes=["8 tokens"])

    folder = out("ends")
    model = decoder("llama")
    byte_words(folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = torch.tensor([tokenizer.encode("the movie was").ids])
    free = model.generate(input_ids=ids, max_new_tokens=8, do_sample=False, eos_token_id=None)[0].tolist()
    new = free[ids.shape[1] :]
    last = next(token for index, token in enumerate(new) if index > 0 and token not in new[:index])
    model.generation_config.eos_token_id = [2, last]
    model.save_pretrained(folder)
    args = ["generate", "--model", "@ends", "--prompt", "the movie was", "--max-new-tokens", "8"]
    case("ends", args, text=tokenizer.decode(free[: ids.shape[1] + new.index(last)]))

    folder = out("repetition")
    model.generation_config.eos_token_id = 2
    model.generation_config.repetition_penalty = 1.4
    model.save_pretrained(folder)
    byte_words(folder)
    again = transformers.LlamaForCausalLM.from_pretrained(folder)
    args = ["generate", "--model", "@repetition", "--prompt", "the movie was", "--max-new-tokens", "8"]
    case("repetition", args, text=greedy(again, folder, "the movie was", 8))


def heads() -> None:
    """Adapters of PEFT for other heads than an encoder's of sequence classification."""
    base = out("classified-llama")
    decoder("llama", num_labels=2).save_pretrained(base)
    byte_words(base)
    class_ = transformers.LlamaForSequenceClassification
    settings: dict[str, Any] = {"task_type": "SEQ_CLS", "target_modules": ["v_proj"]}
    for name, config in {
        "beft-classified": peft.BeftConfig(**settings),
        "lora-classified": peft.LoraConfig(**settings, r=2),
    }.items():
        tuned = adapter(name, base, config, class_)
        # Padding behind the text is not what the head reads.
        texts = ["good film", "the movie was good<pad>"]
        found = [logits(tuned, base, text) for text in texts]
        args = ["predict", "--model", "@classified-llama", "--adapter", f"@{name}"]
        case(name, args, "".join(f"{text}\n" for text in texts), logits=found)

    whole = out("whole-classifier")
    model = spread(class_(transformers.AutoConfig.from_pretrained(base, num_labels=3)), seed=4)
    model.save_pretrained(whole)
    byte_words(whole)
    case("whole-classifier", ["predict", "--model", "@whole-classifier"], "good film\n", logits=[logits(model, whole, "good film")])

    bare = out("bare-bert")
    config = transformers.BertConfig(vocab_size=30, intermediate_size=16, **SIZES)
    spread(transformers.BertModel(config)).save_pretrained(bare)
    word_pieces(bare)
    beft = peft.BeftConfig(task_type="FEATURE_EXTRACTION", target_modules=["value"])
    tuned = adapter("beft-embedding", bare, beft, transformers.BertModel)
    ids = torch.tensor([Tokenizer.from_file(str(bare / "tokenizer.json")).encode("good film").ids])
    with torch.no_grad():
        mean = tuned(input_ids=ids).last_hidden_state[0].mean(0).tolist()
    args = ["embed", "--model", "@bare-bert", "--adapter", "@beft-embedding"]
    case("beft-embedding", args, "good film\n", embeddings=[mean], notes=["no modules.json"])


def main() -> None:
    shutil.rmtree(ROOT, ignore_errors=True)
    ROOT.mkdir(parents=True)
    adapters_on_bert()
    adapters_on_others()
    checkpoints()
    tokenizers()
    lengths_and_ends()
    heads()
    (ROOT / "cases.json").write_text(json.dumps(CASES, indent=1) + "\n", encoding="utf-8")
    size = sum(file.stat().st_size for file in ROOT.rglob("*") if file.is_file())
    print(f"{len(CASES)} cases, {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
