"""Checkpoints of quantised models: integers as the kernels read them, memory-mapped, so that loading takes no time.

`config.json` says so under `quantization_config`. Of a quantised layer the file has what its `kept` gives, under the
layer's name in memory; all other tensors are as in a plain checkpoint.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from qwen2vl_agent.model.quantize import kind_of, replace_linears
from qwen2vl_agent.model.quantized import Fp16Linear, Int4Linear, Int8Linear, QuantizedLinear, QuantKind, check_kernels
from qwen2vl_agent.schema.errors import CheckpointError

if TYPE_CHECKING:
    from qwen2vl_agent.model.qwen2vl import Qwen2VL

METHOD = "qwen2vl_agent"
SECTION = "quantization_config"


def is_quantised(model: nn.Module) -> bool:
    """Whether any of its layers is."""
    return any(isinstance(module, QuantizedLinear) for module in model.modules())


def section(model: "Qwen2VL") -> dict[str, Any]:
    """What `config.json` says of a quantised model."""
    vision = is_quantised(model.visual)
    kinds = {Fp16Linear: "fp16", Int8Linear: "int8", Int4Linear: "int4"}
    return {SECTION: {"quant_method": METHOD, "kind": kinds[type(model.lm_head)], "vision": vision}}


def read_section(found: dict[str, Any]) -> tuple[QuantKind, bool]:
    """The kind of the weights, and whether the vision encoder's are quantised too.

    Raises:
        CheckpointError: the weights were quantised by another method.
        ConfigError: this machine has no kernels for them.
    """
    method = found.get("quant_method")
    if method != METHOD:
        raise CheckpointError(
            f"the weights were quantised by {method!r}, which is not read here; take the unquantised checkpoint "
            "and quantise it on loading with --quantize int8 or int4"
        )
    if "kind" not in found:
        raise CheckpointError("the weights were quantised by an earlier version; quantise the checkpoint once more")
    return check_kernels(str(found["kind"])), bool(found.get("vision"))


def save(model: "Qwen2VL", file: Path, dtype: torch.dtype) -> None:
    """All weights in one file, those that are not quantised in `dtype`; it appears whole or not at all."""
    tensors: dict[str, Tensor] = {}
    for name, module in model.named_modules():
        if isinstance(module, QuantizedLinear):
            tensors |= {f"{name}.{key}": value for key, value in module.kept().items()}
            if module.bias is not None:
                tensors[f"{name}.bias"] = module.bias.to(dtype)
    tensors |= {name: value.detach().to(dtype) for name, value in model.named_parameters()}
    unfinished = file.with_name(f"{file.name}.partial")
    save_file({name: value.contiguous() for name, value in tensors.items()}, unfinished, metadata={"format": "pt"})
    unfinished.replace(file)


def load(model: "Qwen2VL", file: Path, dtype: torch.dtype | None, kind: QuantKind, vision: bool) -> "Qwen2VL":
    """The model that is on no device yet, with the weights of `file`, which are memory-mapped.

    Raises:
        CheckpointError: the file is missing, cut short, or does not fit the network.
    """
    taken: set[str] = set()

    def make(name: str, layers: Sequence[nn.Linear]) -> QuantizedLinear:
        outputs = sum(layer.out_features for layer in layers)
        found = _read(file, lambda key: key.startswith(f"{name}."))
        taken.update(found)
        parts = {key.removeprefix(f"{name}."): value for key, value in found.items()}
        bias = parts.pop("bias", None)
        bias = bias if bias is None or dtype is None else bias.to(dtype)
        made = _layer(name, kind_of(name, kind), parts, outputs, bias)
        if (made.out_features, made.in_features) != (outputs, layers[0].in_features):
            raise CheckpointError(f"{file}: {name} is not of {outputs} outputs, as config.json asks")
        return made

    model = replace_linears(model, make, vision)
    rest = _read(file, lambda key: key not in taken)
    plain = {name: value if dtype is None else value.to(dtype) for name, value in rest.items()}
    left, found = ({name: value.shape for name, value in some} for some in (model.named_parameters(), plain.items()))
    if wrong := sorted(name for name in left.keys() | found.keys() if left.get(name) != found.get(name)):
        raise CheckpointError(f"{file} does not fit the network: look at {', '.join(wrong[:3])}")
    model.load_state_dict(plain, assign=True, strict=False)
    return model.requires_grad_(False)


def _read(file: Path, wanted: Callable[[str], bool]) -> dict[str, Tensor]:
    """Some tensors of a file, in a mapping of their own: what is packed anew does not stay in memory twice.

    Raises:
        CheckpointError: it is missing or cut short.
    """
    try:
        with safe_open(file, framework="pt") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys() if wanted(name)}  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{file} cannot be read ({error}); it may be cut short: copy it again") from error


def _layer(name: str, kind: QuantKind, parts: dict[str, Tensor], outputs: int, bias: Tensor | None) -> QuantizedLinear:
    try:
        if kind == "fp16":
            return Fp16Linear(**parts, bias=bias)
        if kind == "int8":
            return Int8Linear(**parts, bias=bias)
        return Int4Linear(**parts, outputs=outputs, bias=bias)
    except (TypeError, RuntimeError, ZeroDivisionError) as error:
        raise CheckpointError(f"{name} cannot be made of {sorted(parts)}: {error}") from error
