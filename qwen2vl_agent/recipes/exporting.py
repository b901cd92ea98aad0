"""A finished model as it is carried about."""

from pathlib import Path
from typing import Any


def export(model: Path, folder: Path) -> Path:
    """The model of one folder in half of its bytes in another; what is there already stays."""
    if not (folder / "config.json").is_file():
        loaded, processor = model_of(model)
        processor.save_pretrained(folder)
        loaded.save_pretrained(folder, dtype="bfloat16")
    return folder


def model_of(folder: Path) -> tuple[Any, Any]:
    """The model in float32 and the processor of a folder, to be asked."""
    from qwen2vl_agent.dialogue.processor import Processor
    from qwen2vl_agent.model.qwen2vl import Qwen2VL

    return Qwen2VL.from_pretrained(folder, dtype="float32").eval(), Processor.from_pretrained(folder)
