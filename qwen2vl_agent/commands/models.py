"""Which model a command means: the embedded one, a folder, or a name on the hub."""

from pathlib import Path
from typing import Any

import qwen2vl_agent
from qwen2vl_agent.schema.errors import CheckpointError

EMBEDDED = Path(qwen2vl_agent.__file__).parent / "checkpoints" / "tiny"
"""The tiny model that comes with the package. It knows the virtual phone only."""

SMALL = 50_000_000
"""Parameters below which one thread is faster: a second one meets the first at every operation, and on two cores the
tiny model then writes a call in 0.6 s instead of 0.15 s (`docs/log.md`)."""


def is_embedded(model: str) -> bool:
    """Whether `model` names the model that comes with the package."""
    return not model or Path(model).resolve() == EMBEDDED.resolve()


def resolve(model: str) -> str:
    """What `from_pretrained` takes for `model`; the embedded model where it is empty.

    Raises:
        CheckpointError: the package came without its embedded model.
    """
    if not is_embedded(model):
        return model
    if not (EMBEDDED / "config.json").exists():
        raise CheckpointError(
            "the package has no embedded model; give one with --model FOLDER, train one with "
            "'qwen2vl-agent train tiny', or watch the bundled solution with --policy oracle"
        )
    return str(EMBEDDED)


def load(model: str) -> tuple[Any, Any]:
    """The model of that name and its processor, ready to be asked on this machine."""
    import torch

    from qwen2vl_agent.dialogue.processor import Processor
    from qwen2vl_agent.model.qwen2vl import Qwen2VL

    loaded = Qwen2VL.from_pretrained(model).eval()
    if sum(parameter.numel() for parameter in loaded.parameters()) < SMALL:
        torch.set_num_threads(1)
    return loaded, Processor.from_pretrained(model)
