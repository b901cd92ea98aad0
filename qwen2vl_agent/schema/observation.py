"""What an environment shows."""

from dataclasses import dataclass, field
from typing import Any, Literal

from qwen2vl_agent.schema.geometry import Frame

CaptureName = Literal["auto", "stream", "scrcpy", "raw", "png"]
"""How a phone's pictures are taken: by measurement, a video (screenrecord or scrcpy), or screenshots (raw or PNG)."""

Observe = Literal["screen", "video", "clip"]
"""What an agent is shown at each step: a screenshot; a video of the time since the last step, in place of it; or a
video of what happened during the last action, before it."""
OBSERVE: tuple[Observe, ...] = ("screen", "video", "clip")


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames at a steady rate that end with the present screen, as a `VideoPart` takes them."""

    frames: tuple[Any, ...]
    """PIL images in RGB of one size, or paths of them: the exact pixels that the model is given."""
    taken_s: tuple[float, ...]
    """When each frame was taken, in seconds before the last one (0 or less); alike where one is shown again."""
    fps: float
    alone: bool = False
    """Whether it stands in place of the screenshot, and not before it."""
    dropped: int = 0
    """Frames that were taken and are not shown, since a newer one came before the next tick."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at the environment."""

    image: Any
    """PIL image in RGB: the exact pixels that the model is given."""
    frame: Frame
    """The screenshot's coordinate system."""
    text: str = ""
    """Anything to be told beside the picture: an error to mend, a warning, the user's answer."""
    clip: Clip | None = None
    """Moving pictures, where the environment was asked for them (`Observe`)."""
    numbers: dict[str, list[float]] = field(default_factory=dict)
    """What the environment measures beside the picture, by name: joints, places. Recorded; the agent is told them in
    `text` only where that was asked for."""


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
