"""The one way in which work takes up a model: its type of weights, its threads, and how finely it looks."""

import dataclasses
import os
from dataclasses import dataclass
from typing import Any, Literal

from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.trajectory import EpisodeHeader

Dtype = Literal["auto", "float32", "bfloat16"]
Compute = Literal["auto", "cpu", "cuda"]
Quantize = Literal["none", "fp16", "int8", "int4"]
SMALL = 50_000_000
"""Parameters below which one thread is faster: a second one meets the first at every operation, and on two cores the
tiny model then writes a call in 0.6 s instead of 0.15 s (`docs/log.md`). Larger ones are called full-size here."""
PHONE_PIXELS = 602_112
"""Pixels of a picture, 768 tokens, beyond which a full-size model does not look by itself: a phone's screen of
1092 x 2408 is then 738 tokens in place of 3,354, and attention grows with the square."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadSettings:
    """How to load a model."""

    dtype: Dtype = "auto"
    """`auto`: float32 for a small model; bfloat16 for a full-size one. Where the processor only emulates bfloat16 it
    is float32 with weights of 16 bits (`fp16`); without AVX2 plain float32, if half of the memory holds the weights."""
    compute: Compute = "auto"
    """Where it runs; `auto`: a full-size model on the GPU where there is one, small and quantised ones on the CPU."""
    max_pixels: int | None = None
    """Most pixels of a picture after resizing; None: the checkpoint's own, of a full-size one at most 602,112;
    0: the checkpoint's own whatever its size."""
    quantize: Quantize = "none"
    """Bits of the language model's weights; `none`: as the checkpoint has them."""
    quantize_vision: bool = False
    """The vision encoder's too, where the language model's are quantised: 16 bits for fp16, else 8."""
    threads: int | None = None
    """Of torch; None: one for a small model, torch's own number for others."""

    def __post_init__(self) -> None:
        if self.max_pixels is not None and 0 < self.max_pixels < 28 * 28:
            raise ValueError(f"max_pixels is {self.max_pixels}; expected at least 784, or 0 for the checkpoint's own")
        if self.quantize_vision and self.quantize == "none":
            raise ValueError(
                "quantize_vision quantises more than the language model alone; give --quantize fp16, int8 or int4"
            )
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads is {self.threads}; expected at least 1")

    def to_json(self) -> dict[str, Any]:
        """For the record: what decides the tokens and the numbers."""
        kept = ("dtype", "max_pixels", "quantize", "quantize_vision", *(["compute"] if self.compute != "auto" else []))
        return {name: getattr(self, name) for name in kept}


def recorded_settings(header: EpisodeHeader) -> LoadSettings:
    """How the model of a recorded episode was loaded; before that was recorded, in float32 with its own limits."""
    noted = header.config.get("loading", {"dtype": "float32", "max_pixels": 0})
    known = {item.name for item in dataclasses.fields(LoadSettings)}
    return LoadSettings(**{name: value for name, value in noted.items() if name in known})


def load(model: str, settings: LoadSettings | None = None) -> tuple[Any, Any]:
    """The model of a folder or hub id and its processor, ready to be asked on this machine.

    Raises:
        CheckpointError: it is missing or damaged.
        ConfigError: it cannot be quantised so on this machine, or there is no such device.
    """
    import torch

    from qwen2vl_agent.dialogue.processor import Processor
    from qwen2vl_agent.model.quantized_checkpoint import is_quantised
    from qwen2vl_agent.model.qwen2vl import Qwen2VL

    settings = settings or LoadSettings()
    dtype = None if settings.dtype == "auto" else settings.dtype
    kind = None if settings.quantize == "none" else settings.quantize
    loaded = Qwen2VL.from_pretrained(model, dtype, kind, settings.quantize_vision).eval()
    small, quantised = loaded.config.parameters < SMALL, is_quantised(loaded)
    device = place_of(settings.compute, small, quantised)
    if settings.dtype == "auto":  # what is quantised stays so
        loaded = loaded.to(torch.float32) if small else soonest(loaded, device)
    loaded = loaded.to(device)
    if small or settings.threads:
        torch.set_num_threads(settings.threads or 1)
    processor = Processor.from_pretrained(model)
    limit = settings.max_pixels
    if limit is None and not small:
        limit = min(PHONE_PIXELS, processor.image_processor.max_pixels)
    return loaded, processor.limited(limit) if limit else processor


def place_of(compute: Compute, small: bool, quantised: bool) -> str:
    """The device that a model goes to.

    Raises:
        ConfigError: there is none, or the model is quantised, which only the CPU computes.
    """
    import torch

    from qwen2vl_agent.model.precision import check_device

    if compute == "auto":
        return "cuda" if torch.cuda.is_available() and not (small or quantised) else "cpu"
    check_device(compute)
    if quantised and compute != "cpu":
        raise ConfigError("quantised weights are multiplied on the CPU; give --compute cpu, or leave --quantize out")
    return compute


def soonest(model: Any, device: str) -> Any:
    """A full-size model in the form in which it answers soonest."""
    import torch

    from qwen2vl_agent.model import fbgemm
    from qwen2vl_agent.model.precision import fast_dtype
    from qwen2vl_agent.model.quantize import quantize
    from qwen2vl_agent.model.quantized_checkpoint import is_quantised

    if device == "cpu" and fast_dtype(device) == torch.float32 and fbgemm.available():
        return (model if is_quantised(model) else quantize(model, "fp16", vision=True)).to(torch.float32)
    return model.to(full_size_dtype(model.config.parameters, device))


def full_size_dtype(parameters: int, device: str = "cpu") -> Any:
    """In which type a full-size model of so many parameters answers soonest on this machine."""
    import torch

    from qwen2vl_agent.model.precision import fast_dtype

    if device != "cpu":
        return fast_dtype(device)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return fast_dtype("cpu") if 4 * parameters <= memory / 2 else torch.bfloat16
