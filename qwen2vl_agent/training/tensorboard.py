"""Lines of metrics as TensorBoard's scalars: an extra, for who watches many runs side by side."""

from pathlib import Path
from typing import Any

from qwen2vl_agent.schema.errors import ConfigError

FOLDER = "tensorboard"


class Board:
    """Event files in `out/tensorboard`, written beside the JSON lines."""

    def __init__(self, out: Path, resumed_at: int = 0) -> None:
        """What an earlier sitting wrote of later steps is hidden.

        Raises:
            ConfigError: TensorBoard is not installed.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ConfigError("TensorBoard is not installed; pip install 'qwen2vl-agent[tensorboard]'") from error
        self._writer: Any = SummaryWriter(str(out / FOLDER), purge_step=resumed_at + 1)

    def write(self, line: dict[str, Any]) -> None:
        """One line of metrics; a number inside another is named `losses/text`."""
        for name, value in scalars(line):
            self._writer.add_scalar(name, value, line["step"])
        self._writer.flush()

    def close(self) -> None:
        """End the file."""
        self._writer.close()


def scalars(line: dict[str, Any], before: str = "") -> list[tuple[str, float]]:
    """The numbers of a line but its step, under their names."""
    found: list[tuple[str, float]] = []
    for name, value in line.items():
        if isinstance(value, dict):
            found += scalars(value, f"{before}{name}/")
        elif isinstance(value, int | float) and name != "step":
            found.append((before + name, float(value)))
    return found
