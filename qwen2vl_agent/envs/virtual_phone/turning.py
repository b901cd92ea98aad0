"""A turned screen: the phone's picture in the middle of it, upright, with black beside it.

That is how Android shows an app that only knows its natural orientation. Pure arithmetic.
"""

from dataclasses import dataclass

from PIL import Image


@dataclass(frozen=True, slots=True)
class Turning:
    """Where the picture of a phone of `natural` pixels lies on its screen after `rotation` quarter turns."""

    natural: tuple[int, int]
    rotation: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the screen as it is held."""
        width, height = self.natural
        return (height, width) if self.rotation % 2 else (width, height)

    @property
    def upright(self) -> bool:
        """Whether the picture fills the screen."""
        return self.rotation % 2 == 0

    @property
    def _box(self) -> tuple[int, int, int, int]:
        """Left, top, width and height of the picture on the screen.

        Worked example, 1080x2400 turned by one: the screen is 2400x1080, the picture 486x1080 at (957, 0).
        """
        (width, height), (screen_width, screen_height) = self.natural, self.size
        scale = min(screen_width / width, screen_height / height)
        shown = round(width * scale), round(height * scale)
        return (screen_width - shown[0]) // 2, (screen_height - shown[1]) // 2, *shown

    def picture(self, image: Image.Image) -> Image.Image:
        """The screen that shows `image`."""
        if self.upright:
            return image
        left, top, width, height = self._box
        screen = Image.new("RGB", self.size)
        screen.paste(image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0), (left, top))
        return screen

    def inward(self, x: float, y: float) -> tuple[float, float]:
        """A place on the screen as a place on the phone's picture; beside it, one outside of the picture."""
        if self.upright:
            return x, y
        left, top, width, height = self._box
        return (x - left) * self.natural[0] / width, (y - top) * self.natural[1] / height

    def outward(self, x: float, y: float) -> tuple[int, int]:
        """A place on the phone's picture as a place on the screen."""
        if self.upright:
            return int(x), int(y)
        left, top, width, height = self._box
        return round(left + x * width / self.natural[0]), round(top + y * height / self.natural[1])
