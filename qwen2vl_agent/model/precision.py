"""What a processor multiplies fast: bfloat16 where it has instructions for it, float32 elsewhere.

On a CPU without them a product in bfloat16 takes a hundred times as long as in float32 (`docs/log.md`).
"""

import re
from functools import cache
from pathlib import Path

import torch

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
