"""A measurement as a picture: a bar for each task, with its interval."""

from importlib.resources import as_file, files

from PIL import Image, ImageDraw, ImageFont

from qwen2vl_agent.bench.result import BenchResult, success_rate
from qwen2vl_agent.bench.statistics import Rate
from qwen2vl_agent.bench.tables import title

WIDTH, ROW, MARGIN = 1100, 34, 28
LABELS, VALUES = 300, 70
"""Room for the tasks' names on the left and for the numbers on the right, in pixels."""
INK, FAINT, BAR, TOTAL_BAR, GROUND = "#1f2430", "#d9dde5", "#4f83cc", "#2f5f9e", "#ffffff"
FONT_FILES = "qwen2vl_agent.envs.virtual_phone"


def draw_chart(result: BenchResult) -> Image.Image:
    """Success of each task from 0 to 100 %, the interval as a line over the bar, the total last."""
    rows = [(task, success_rate(group), BAR) for task, group in result.by_task().items()]
    rows.append(("all", result.overall, TOTAL_BAR))
    top = MARGIN + 56
    image = Image.new("RGB", (WIDTH, top + ROW * len(rows) + MARGIN), GROUND)
    draw = ImageDraw.Draw(image)
    draw.text((MARGIN, MARGIN), title(result), font=_font(20), fill=INK, anchor="lm")
    _draw_grid(draw, top, image.height - MARGIN)
    for index, (name, found, colour) in enumerate(rows):
        _draw_row(draw, top + ROW * index, name, found, colour)
    return image


def _draw_grid(draw: ImageDraw.ImageDraw, top: int, bottom: int) -> None:
    for percent in range(0, 101, 25):
        x = _x(percent / 100)
        draw.line((x, top - 6, x, bottom), fill=FAINT)
        draw.text((x, top - 12), f"{percent} %", font=_font(13), fill=INK, anchor="ms")


def _draw_row(draw: ImageDraw.ImageDraw, top: int, name: str, found: Rate, colour: str) -> None:
    middle = top + ROW // 2
    draw.text((LABELS - 12, middle), name, font=_font(16), fill=INK, anchor="rm")
    draw.rectangle((_x(0), middle - 9, max(_x(found.success), _x(0) + 1), middle + 9), fill=colour)
    draw.line((_x(found.low), middle, _x(found.high), middle), fill=INK, width=2)
    for end in (found.low, found.high):
        draw.line((_x(end), middle - 5, _x(end), middle + 5), fill=INK, width=2)
    draw.text((WIDTH - MARGIN, middle), f"{found.success:.0%}", font=_font(16), fill=INK, anchor="rm")


def _x(share: float) -> int:
    return round(LABELS + share * (WIDTH - MARGIN - VALUES - LABELS))


def _font(size: int) -> ImageFont.FreeTypeFont:
    with as_file(files(FONT_FILES) / "assets" / "Roboto-Regular.ttf") as path:
        return ImageFont.truetype(str(path), size)
