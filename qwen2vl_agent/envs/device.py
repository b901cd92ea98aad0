"""The seam between environments and what they drive: anything that shows a screen and takes actions."""

from typing import Any, Protocol, runtime_checkable

from PIL import Image

from qwen2vl_agent.schema.actions import Action
from qwen2vl_agent.schema.geometry import Frame
from qwen2vl_agent.schema.observation import Element


class Device(Protocol):
    """A screen that can be looked at and acted upon."""

    name: str
    """What records call it: `virtual-phone`, `android`, …"""
    still: bool
    """True where nothing moves by itself: one look after an action is enough."""
    timed: bool
    """False where it lives in simulated time only, so that an episode can be repeated to the last bit."""

    @property
    def frame(self) -> Frame:
        """The coordinate system of its input, in device pixels, as the screen is turned now."""
        ...

    def screenshot(self) -> Image.Image:
        """What it shows now, in RGB.

        Raises:
            DeviceLost: it does not answer.
        """
        ...

    def perform(self, action: Action) -> dict[str, Any]:
        """Do `action`, and tell what was really sent: `action` (its name) and its numbers in device pixels.

        Raises:
            ActionRejected: the device cannot do it now; nothing was sent.
            DeviceLost: it does not answer.
        """
        ...

    def elements(self) -> list[Element]:
        """The visible elements, in reading order."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


@runtime_checkable
class TellsNews(Protocol):
    """A device on which things happen that its picture does not show."""

    def news(self) -> str:
        """What has happened since the last call, in words for the agent; empty where nothing has."""
        ...


@runtime_checkable
class PhoneDevice(Device, Protocol):
    """A phone: a device with apps, and, where it is a virtual one, a state that can be read and set."""

    @property
    def virtual(self) -> bool:
        """Whether `phone_state` and `load_state` work."""
        ...

    def foreground(self) -> tuple[str, str]:
        """Package and activity of the app in front."""
        ...

    def phone_state(self) -> Any:
        """The whole `PhoneState` of a virtual phone."""
        ...

    def load_state(self, state: Any) -> None:
        """Put a virtual phone into `state`."""
        ...
