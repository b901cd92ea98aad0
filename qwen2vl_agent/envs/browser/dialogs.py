"""A page's own dialogs (alert, confirm, prompt), drawn as a browser's window shows them.

A page that asks this way stands still until it is answered, and its pixels do not show the question. So the question
is drawn over the last picture, with buttons that can be clicked.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from typing import Any, Literal

from PIL import Image, ImageDraw, ImageFont

Choice = Literal["accept", "dismiss"]
Box = tuple[int, int, int, int]

WIDEST, MARGIN, LINE, BUTTON = 420, 14, 18, (72, 26)
"""In CSS pixels: the box's greatest width, its inner margin, a line's height, a button's size."""
MOST_LINES = 12
GROUND, EDGE, INK, BLUE, FIELD = "#ffffff", "#9aa0a6", "#202124", "#1a73e8", "#f1f3f4"
FONT_FILES = "qwen2vl_agent.envs.virtual_phone"


@dataclass(slots=True)
class OpenDialog:
    """A question that a page waits on."""

    handle: Any
    """Playwright's `Dialog`."""
    kind: str
    """`alert`, `confirm` or `prompt`."""
    message: str
    text: str = ""
    """What stands in a prompt's field."""

    @property
    def can_be_refused(self) -> bool:
        """Whether there is a button to cancel."""
        return self.kind != "alert"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of a dialog are, in device pixels."""

    box: Box
    lines: tuple[str, ...]
    field: Box | None
    buttons: dict[Choice, Box]


def layout(dialog: OpenDialog, size: tuple[int, int], scale: float) -> Layout:
    """The dialog in a screen of `size` device pixels, at its top as in Chromium."""
    unit = max(scale, 0.5)
    width = min(round(WIDEST * unit), size[0] - 4)
    margin, line = round(MARGIN * unit), round(LINE * unit)
    lines = _wrapped(dialog.message, width - 2 * margin, _font(round(13 * unit)))
    left, top = (size[0] - width) // 2, min(margin, size[1] // 10)
    below = top + margin + line * len(lines) + margin // 2
    field = None
    if dialog.kind == "prompt":
        field = (left + margin, below, left + width - margin, below + round(24 * unit))
        below = field[3] + margin // 2
    button_width, button_height = (round(side * unit) for side in BUTTON)
    right = left + width - margin
    buttons: dict[Choice, Box] = {}
    for choice in ("dismiss", "accept") if dialog.can_be_refused else ("accept",):
        buttons[choice] = (right - button_width, below, right, below + button_height)  # type: ignore[index]
        right -= button_width + margin // 2
    return Layout((left, top, left + width, below + button_height + margin), lines, field, buttons)


def drawn(dialog: OpenDialog, image: Image.Image, scale: float) -> Image.Image:
    """The picture with the dialog over it."""
    unit, image = max(scale, 0.5), image.copy()
    parts, draw = layout(dialog, image.size, scale), ImageDraw.Draw(image)
    font = _font(round(13 * unit))
    draw.rounded_rectangle(parts.box, radius=round(6 * unit), fill=GROUND, outline=EDGE, width=max(1, round(unit)))
    left, top = parts.box[0] + round(MARGIN * unit), parts.box[1] + round(MARGIN * unit)
    for number, line in enumerate(parts.lines):
        draw.text((left, top + number * round(LINE * unit)), line, font=font, fill=INK)
    if parts.field:
        draw.rectangle(parts.field, fill=FIELD, outline=BLUE)
        at = (parts.field[0] + round(5 * unit), (parts.field[1] + parts.field[3]) // 2)
        draw.text(at, dialog.text, font=font, fill=INK, anchor="lm")
    for choice, box in parts.buttons.items():
        chosen = choice == "accept"
        draw.rounded_rectangle(box, radius=round(4 * unit), fill=BLUE if chosen else GROUND, outline=EDGE)
        middle = ((box[0] + box[2]) // 2, (box[1] + box[3]) // 2)
        draw.text(middle, label(choice), font=font, fill=GROUND if chosen else BLUE, anchor="mm")
    return image


def label(choice: Choice) -> str:
    """What is written on a button."""
    return "OK" if choice == "accept" else "Cancel"


def pressed(dialog: OpenDialog, at: tuple[int, int], size: tuple[int, int], scale: float) -> Choice | None:
    """The button at a place in device pixels."""
    for choice, (left, top, right, bottom) in layout(dialog, size, scale).buttons.items():
        if left <= at[0] < right and top <= at[1] < bottom:
            return choice
    return None


def _wrapped(text: str, width: int, font: ImageFont.FreeTypeFont) -> tuple[str, ...]:
    """Lines no wider than `width`; what does not fit into the greatest number of lines ends in three points."""
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if line and font.getlength(longer) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return tuple(lines) if len(lines) <= MOST_LINES else (*lines[: MOST_LINES - 1], lines[MOST_LINES - 1] + " …")


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    with as_file(files(FONT_FILES) / "assets" / "Roboto-Regular.ttf") as path:
        return ImageFont.truetype(str(path), max(size, 6))
