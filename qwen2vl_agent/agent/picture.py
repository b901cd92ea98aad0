"""A screen as coloured half blocks: two pixels a character, so that a terminal can show it."""

from PIL import Image, ImageDraw
from rich.text import Text

from qwen2vl_agent.schema.geometry import MODEL_GRID
from qwen2vl_agent.schema.tools import ToolCall

UPPER_HALF = "▀"
SPOT = "#ff2d55"
"""Colour of the spot where a finger goes."""


def picture(image: Image.Image, columns: int, rows: int) -> Text:
    """The image, as large as fits into so many characters without changing its shape."""
    width, height = fitted(image.size, columns, rows)
    small = image.resize((width, 2 * height), Image.Resampling.BOX)
    pixels = small.tobytes()
    text = Text(no_wrap=True, end="")
    for row in range(height):
        for column in range(width):
            upper, lower = _colour(pixels, width, column, 2 * row), _colour(pixels, width, column, 2 * row + 1)
            text.append(UPPER_HALF, f"{upper} on {lower}")
        if row < height - 1:
            text.append("\n")
    return text


def marked(image: Image.Image, call: ToolCall | None) -> Image.Image:
    """The image with a spot wherever a call points."""
    if call is None:
        return image
    image = image.copy()
    brush, radius = ImageDraw.Draw(image), max(1, image.width // 24)
    for x, y in points_of(call):
        centre_x, centre_y = x * image.width / MODEL_GRID, y * image.height / MODEL_GRID
        corners = (centre_x - radius, centre_y - radius, centre_x + radius, centre_y + radius)
        brush.ellipse(corners, fill=SPOT, outline="white", width=max(1, radius // 4))
    return image


def points_of(call: ToolCall) -> list[tuple[float, float]]:
    """The places on the screen among a call's arguments."""
    pairs = [value for value in call.arguments.values() if isinstance(value, list | tuple) and len(value) == 2]
    numbers = [(x, y) for x, y in pairs if isinstance(x, int | float) and isinstance(y, int | float)]
    return [(x, y) for x, y in numbers if 0 <= x < MODEL_GRID and 0 <= y < MODEL_GRID]


def fitted(size: tuple[int, int], columns: int, rows: int) -> tuple[int, int]:
    """Columns and rows for a picture: a character is one pixel wide and two high.

    Worked example: 540x1200 into 40 columns and 30 rows. 30 rows are 60 pixels high, so 27 wide: (27, 30).
    """
    width, height = size
    scale = min(columns / width, 2 * rows / height)
    return max(1, round(width * scale)), max(1, round(height * scale / 2))


def _colour(pixels: bytes, width: int, x: int, y: int) -> str:
    place = 3 * (y * width + x)
    red, green, blue = pixels[place : place + 3]
    return f"#{red:02x}{green:02x}{blue:02x}"
