"""Where to compute, and what is multiplied fast there: bfloat16, but float32 on a processor that only emulates it.

On a CPU without them a product in bfloat16 takes a hundred times as long as in float32 (`docs/log.md`).
"""

import re
from functools import cache
from pathlib import Path

import torch

from qwen2vl_agent.schema.errors import ConfigError

FAST_BF16 = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512", "bf16": "Arm bf16"}
"""Flags of processors that multiply in bfloat16, and what people call that."""


@cache
def bf16_instructions() -> tuple[str, ...]:
    """The processor's instructions for products in bfloat16; none too where the system does not tell."""
    description = Path("/proc/cpuinfo")
    if not description.exists():
        return ()
    match = re.search(r"^(?:flags|Features)\s*:(.*)$", description.read_text(), re.MULTILINE)
    flags = set(match[1].split()) if match else set()
    return tuple(label for flag, label in FAST_BF16.items() if flag in flags)


def fast_dtype(device: torch.device | str) -> torch.dtype:
    """The type in which to compute on a device: bfloat16, but float32 on a CPU that only emulates it."""
    emulated = torch.device(device).type == "cpu" and not bf16_instructions()
    return torch.float32 if emulated else torch.bfloat16


def check_device(name: str) -> None:
    """See that there is such a device, before an hour is spent on what is to be computed there.

    Raises:
        ConfigError: there is none, or it is neither `cpu` nor `cuda`.
    """
    if name.partition(":")[0] not in ("cpu", "cuda"):
        raise ConfigError(f"device is {name!r}; expected cpu or cuda")
    if name.startswith("cuda") and not torch.cuda.is_available():
        built = "finds no GPU" if torch.version.cuda else "was built for the CPU only"
        raise ConfigError(f"device is {name!r}, but PyTorch {torch.__version__} {built} here; give cpu")
