"""Which model a command means: the embedded one, a folder, or a name on the hub; `agent/loading.py` loads it."""

from pathlib import Path

import qwen2vl_agent
from qwen2vl_agent.schema.errors import CheckpointError

EMBEDDED = Path(qwen2vl_agent.__file__).parent / "checkpoints" / "tiny"
"""The tiny model that comes with the package. It knows the virtual phone only."""


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
