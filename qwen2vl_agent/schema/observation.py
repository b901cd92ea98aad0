"""What an environment shows."""

from dataclasses import dataclass
from typing import Any, Literal

from qwen2vl_agent.schema.geometry import Frame

CaptureName = Literal["auto", "stream", "scrcpy", "raw", "png"]
"""How a phone's pictures are taken: by measurement, a video (screenrecord or scrcpy), or screenshots (raw or PNG)."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at the environment."""

    image: Any
    """PIL image in RGB: the exact pixels that the model is given."""
    frame: Frame
    """The screenshot's coordinate system."""
    text: str = ""
    """Anything to be told beside the picture: an error to mend, a warning, the user's answer."""


@dataclass(frozen=True, slots=True)
class Element:
    """A visible element, as an accessibility tree tells it. Oracles and data makers read it, models never."""

    text: str
    """What is written on it, or the content description of an icon."""
    role: str
    """`button`, `icon`, `row`, `switch`, `checkbox`, `radio`, `slider`, `field`, `text`, `tab`, `key`, `image`, `list`.

    `list` is what scrolls. `slider` comes from real phones only; the virtual phone sets levels by buttons.
    """
    bounds: tuple[int, int, int, int]
    """Left, top, right, bottom in device pixels (right and bottom excluded), clipped to what is visible."""
    resource_id: str = ""
    """Stable name, independent of language, layout and theme, for example `settings:display.dark_theme`."""
    clickable: bool = True
    checked: bool | None = None
    """State of a switch or check box; None where there is none."""
    focused: bool = False
    scrollable: bool = False

    @property
    def centre(self) -> tuple[int, int]:
        """Middle of the bounds, in device pixels."""
        left, top, right, bottom = self.bounds
        return (left + right - 1) // 2, (top + bottom - 1) // 2
