"""A screen as coloured half blocks: two pixels a character, so that a terminal can show it."""

from PIL import Image
from rich.text import Text

UPPER_HALF = "▀"


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
