"""Add what PEFT cannot hold of this adapter, its layer norm biases and parts of fused ones, to a model.

    model = PeftModel.from_pretrained(base, FOLDER)
    apply_extra_biases(model, FOLDER)
"""
from pathlib import Path
from safetensors.torch import load_file


def apply_extra_biases(model, folder=Path(__file__).parent):
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    for name, bias in load_file(Path(folder) / "extra_biases.safetensors").items():
        module = base.get_submodule(name.removesuffix(".bias"))
        module = getattr(module, "base_layer", module)
        if getattr(module, "bias", None) is not None:
            module.bias.data.copy_(bias)
        else:  # A root mean square norm has no bias: add one to what it gives.
            module.register_forward_hook(lambda module, inputs, output, bias=bias: output + bias.to(output))
    return model
