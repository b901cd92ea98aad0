"""Checkpoints of quantised models: the published layout, with integers and their scales in place of some weights.

`config.json` says so under `quantization_config`. A layer `x.weight` becomes `x.values`, `x.scales` and, with 4 bits,
`x.zeros` (`quantized.Weights`).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from qwen2vl_agent.model.quantize import assemble, drop_weight, kind_of, quantized_names
from qwen2vl_agent.model.quantized import Weights, check_kernels, rounded
from qwen2vl_agent.schema.errors import CheckpointError

if TYPE_CHECKING:
    from qwen2vl_agent.model.qwen2vl import Qwen2VL

METHOD = "qwen2vl_agent"
SECTION = "quantization_config"
FILE = "model.safetensors"
PARTS = ("values", "scales", "zeros")
BITS = {"int8": 8, "int4": 4}


def tensors_of(model: "Qwen2VL", kind: str, vision: bool, dtype: torch.dtype) -> dict[str, Tensor]:
    """What a quantised checkpoint of a plain model holds, by its own names."""
    wanted, chosen = check_kernels(kind), set(quantized_names(model, vision))
    tensors = {
        name: value.detach().to(dtype).contiguous()
        for name, value in model.named_parameters()
        if name.removesuffix(".weight") not in chosen
    }
    for name in sorted(chosen):
        weights = rounded(model.get_submodule(name).weight, kind_of(name, wanted))  # type: ignore[arg-type]
        tensors |= {f"{name}.{part}": value for part in PARTS if (value := getattr(weights, part)) is not None}
    return tensors


def section(kind: str, vision: bool) -> dict[str, Any]:
    """What is added to `config.json`."""
    return {SECTION: {"quant_method": METHOD, "bits": BITS[kind], "vision": vision}}


def check_section(found: dict[str, Any]) -> bool:
    """Whether the vision encoder is quantised too.

    Raises:
        CheckpointError: the weights were quantised by another method.
    """
    method = found.get("quant_method")
    if method != METHOD:
        raise CheckpointError(
            f"the weights were quantised by {method!r}, which is not read here; take the unquantised checkpoint "
            "and quantise it on loading with --quantize int8 or int4"
        )
    return bool(found.get("vision"))


def fill(model: "Qwen2VL", file: Path, dtype: torch.dtype | None, vision: bool) -> "Qwen2VL":
    """The model on no device, with what a quantised checkpoint holds.

    Raises:
        CheckpointError: the file is missing, cut short, or does not fit the network.
    """
    try:
        tensors = load_file(file)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{file} cannot be read ({error}); it may be cut short: copy it again") from error
    made = {}
    for name in list(quantized_names(model, vision)):
        layer = model.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        bias = tensors.pop(f"{name}.bias", None)
        made[name] = (_weights(name, layer, tensors), bias if bias is None or dtype is None else bias.to(dtype))
        drop_weight(model, name)
        layer.register_parameter("bias", None)
    plain = {name: value if dtype is None else value.to(dtype) for name, value in tensors.items()}
    left = {name for name, value in model.state_dict().items() if value.is_meta}
    if left != set(plain):
        raise CheckpointError(f"{file}: the weights lack or have too many of {sorted(left ^ set(plain))[:3]}")
    try:
        model.load_state_dict(plain, assign=True, strict=False)
    except RuntimeError as error:
        raise CheckpointError(f"{file} does not fit the network: {error}") from error
    return assemble(model, made)


def _weights(name: str, layer: nn.Linear, tensors: dict[str, Tensor]) -> Weights:
    parts = {part: tensors.pop(f"{name}.{part}", None) for part in PARTS}
    if parts["values"] is None or parts["scales"] is None:
        raise CheckpointError(f"the weights lack {name}.values or {name}.scales")
    weights = Weights(parts["values"], parts["scales"], parts["zeros"])
    columns = weights.values.shape[1] * (2 if weights.kind == "int4" else 1)
    if (len(weights.values), columns) != (layer.out_features, layer.in_features):
        raise CheckpointError(f"{name} has {len(weights.values)} x {columns} weights; config.json asks for {layer}")
    return weights


def write(tensors: dict[str, Tensor], folder: Path) -> None:
    """The file, whole or not at all."""
    save_file(tensors, folder / f"{FILE}.partial", metadata={"format": "pt"})
    (folder / f"{FILE}.partial").replace(folder / FILE)
