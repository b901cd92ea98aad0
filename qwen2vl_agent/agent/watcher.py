"""The seat of anyone who looks on while an episode runs."""

from typing import Protocol

from PIL import Image

from qwen2vl_agent.schema.trajectory import EpisodeHeader, Step


class Watcher(Protocol):
    """Is told of everything, changes nothing."""

    def began(self, header: EpisodeHeader, max_steps: int) -> None:
        """An episode begins."""
        ...

    def saw(self, index: int, image: Image.Image, text: str) -> None:
        """The agent looks at a screen, and at the text beside it."""
        ...

    def wrote(self, piece: str) -> None:
        """The model wrote a piece of its reply."""
        ...

    def did(self, step: Step) -> None:
        """A step is done and recorded."""
        ...

    def ended(self, header: EpisodeHeader) -> None:
        """The episode is over."""
        ...


class SilentWatcher:
    """Looks away."""

    def began(self, header: EpisodeHeader, max_steps: int) -> None:
        """Nothing."""

    def saw(self, index: int, image: Image.Image, text: str) -> None:
        """Nothing."""

    def wrote(self, piece: str) -> None:
        """Nothing."""

    def did(self, step: Step) -> None:
        """Nothing."""

    def ended(self, header: EpisodeHeader) -> None:
        """Nothing."""
