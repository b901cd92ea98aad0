"""A second device, played by the CPU: tensors that say they are on `cuda`, and refuse to meet those that are not.

Where there is no GPU, this is how code is shown to put every tensor where the model is. Values are computed by the CPU.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from qwen2vl_agent.model.config import Qwen2VLConfig, TextConfig, VisionConfig
from qwen2vl_agent.model.inputs import ModelInputs
from qwen2vl_agent.model.mrope import mrope_positions
from qwen2vl_agent.model.qwen2vl import Qwen2VL

THERE, INSIDE = torch.device("cuda", 0), torch.device("meta")
"""The device that Python sees, and the one that C++ is given in its place, since it may be linked without CUDA."""
IMAGE = 60
"""The token of a picture in `small` networks."""
aten = torch.ops.aten
MEETING = {aten.copy_.default, aten._to_copy.default, aten.lift_fresh.default, aten.detach.default}
"""What may take tensors of both devices; besides, a tensor may be indexed with indices of the CPU, as on a real GPU."""
INDEXING = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default}


class Elsewhere(Tensor):
    """A tensor of the other device."""

    value: Tensor
    """What it holds, on the CPU."""

    @staticmethod
    def __new__(cls, value: Tensor) -> "Elsewhere":
        made: Elsewhere = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, value.size(), strides=value.stride(), storage_offset=value.storage_offset(), dtype=value.dtype
        )
        made.value = value
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return THERE

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"Elsewhere({self.value!r})"

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What C++ would decide by the device that it sees, which is the CPU."""
        kwargs = kwargs or {}
        if func in (
            Tensor.cpu,
            Tensor.tolist,
            Tensor.item,
            Tensor.numpy,
            Tensor.__bool__,
            Tensor.__int__,
            Tensor.__float__,
        ):
            with torch._C.DisableTorchFunctionSubclass():
                return func(args[0].value, *args[1:], **kwargs)
        if func is Tensor.new_tensor:
            return Elsewhere(args[0].value.new_tensor(*args[1:], **kwargs))
        if func is Tensor.to and "cpu" in {str(given) for given in (*args[1:], *kwargs.values())}:
            return args[0].value.to(*args[1:], **kwargs)
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **kwargs)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, kwargs or {})


class OtherDevice(TorchFunctionMode):
    """While it is on, there is the device `cuda`: what is made or moved there has values."""

    def __init__(self) -> None:
        self._inside = _Inside()
        super().__init__()

    def __enter__(self) -> "OtherDevice":
        self._inside.__enter__()
        return super().__enter__()

    def __exit__(self, *why: Any) -> None:
        super().__exit__(*why)
        self._inside.__exit__(*why)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args, kwargs = tree_map(_inward, (args, kwargs or {}))
        if func is torch.tensor and kwargs.get("device") == INSIDE:  # no operation of its own, so made at once
            with torch.inference_mode(mode=False):
                return Elsewhere(torch.tensor(*args, **{**kwargs, "device": "cpu"}))
        return func(*args, **kwargs)


class _Inside(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, kwargs or {})


def _inward(given: Any) -> Any:
    is_name = isinstance(given, str) and given.startswith("cuda")
    return INSIDE if is_name or (isinstance(given, torch.device) and given.type == "cuda") else given


def computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The operation on the values, its results where a GPU would have them.

    Raises:
        AssertionError: tensors of two devices met.
    """
    given = [one for one in tree_flatten((args, kwargs))[0] if isinstance(one, Tensor)]
    there = [one for one in given if isinstance(one, Elsewhere)]
    here = [one for one in given if not isinstance(one, Elsewhere) and one.dim()]
    if there and here and func not in MEETING:
        indexed = func in INDEXING and isinstance(args[0], Elsewhere)
        assert indexed, (
            f"{func}: shapes {[tuple(one.shape) for one in there]} there, {[tuple(one.shape) for one in here]} here"
        )
    asked = kwargs.get("device")
    values, named = tree_map(lambda one: one.value if isinstance(one, Elsewhere) else one, (args, kwargs))
    if asked is not None:
        named = {**named, "device": torch.device("cpu")}
    with torch.inference_mode(mode=False):
        found = func(*values, **named)
    goes = torch.device(asked) == INSIDE if asked is not None else bool(there)
    if func is aten.copy_.default or (func._schema.name.endswith("_") and given):
        return args[0]
    with torch.inference_mode(mode=False):
        return tree_map(lambda one: Elsewhere(one) if goes and isinstance(one, Tensor) else one, found)


def moved(model: nn.Module) -> nn.Module:
    """The model with its parameters and buffers on the other device."""
    for module in model.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is not None:
                module._parameters[name] = nn.Parameter(Elsewhere(parameter.detach()), requires_grad=False)
        for name, buffer in list(module._buffers.items()):
            if buffer is not None:
                module._buffers[name] = Elsewhere(buffer)
    return model


def small(head_dim=64):
    """A network whose heads are as wide as the published ones' may be."""
    text = TextConfig(
        vocab_size=64,
        hidden_size=4 * head_dim,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=256,
        mrope_section=(head_dim // 8, head_dim // 8 + head_dim // 16, head_dim // 8 + head_dim // 16),
        max_window_layers=3,
    )
    config = Qwen2VLConfig(
        text=text,
        vision=VisionConfig(depth=2, embed_dim=160, num_heads=2),
        image_token_id=IMAGE,
        video_token_id=61,
        vision_start_token_id=62,
        vision_end_token_id=63,
        eos_token_ids=(),
        tie_word_embeddings=True,
    )
    torch.manual_seed(1)
    return Qwen2VL(config).eval()


def sequence(model, seed, text=20, side=8):
    """Text, a picture of side x side patches, text."""
    generator = torch.Generator().manual_seed(seed)
    before, after = torch.randint(0, 50, (2, text), generator=generator)
    ids = torch.cat([before, torch.full((side * side // 4,), IMAGE), after])
    grid = torch.tensor([[1, side, side]])
    pixels = torch.randn(side * side, 1176, generator=generator)
    return ModelInputs(ids, mrope_positions(ids, grid, None, model.config), pixels, grid)
