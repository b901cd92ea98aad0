"""An encoded example as the model sees it: tokens, their places, what is to be predicted, and the resized pictures."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from qwen2vl_agent.dialogue.encode import IGNORED, Encoded
from qwen2vl_agent.model.image_processor import TEMPORAL_PATCH_SIZE, ImageProcessor
from qwen2vl_agent.schema.geometry import MERGE_SIZE, PATCH_SIZE

WIDTH, MARGIN, LINE, FONT_SIZE = 1000, 16, 22, 14
MOST_FRAMES = 8
"""Of a video, in the drawing."""
INK, FAINT = (30, 30, 34), (110, 110, 118)
CONTEXT, TARGET = ((236, 237, 242), (224, 226, 234)), ((190, 232, 198), (168, 220, 180))
"""Two shades each, taken in turn, so that tokens can be told apart."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring tokens of one kind."""

    start: int
    end: int
    visual: str = ""
    """`image` or `video`; empty: text."""
    number: int = 0
    """Which of the images or videos, from 0."""


def stretches(encoded: Encoded, special: Any) -> list[Stretch]:
    """The tokens, cut where a picture begins or ends; `special` are the tokenizer's special tokens."""
    ids = encoded.inputs.input_ids.tolist()
    kinds = {special.image_pad: "image", special.video_pad: "video"}
    made: list[Stretch] = []
    seen = {"image": 0, "video": 0}
    start = 0
    for place in range(1, len(ids) + 1):
        kind = kinds.get(ids[start], "")
        if place < len(ids) and kinds.get(ids[place], "") == kind:
            continue
        made.append(Stretch(start, place, kind, seen.get(kind, 0)))
        if kind:
            seen[kind] += 1
        start = place
    return made


def unpatched(patches: Tensor, grid: tuple[int, int, int], images: ImageProcessor) -> np.ndarray:
    """The frames [F, H, W, 3] in 8 bits that patches [n, 1176] were cut from: `ImageProcessor.patches` undone."""
    pairs, rows, columns = grid
    split = (pairs, rows // MERGE_SIZE, columns // MERGE_SIZE, MERGE_SIZE, MERGE_SIZE, 3, TEMPORAL_PATCH_SIZE)
    cells = patches.float().numpy().reshape(*split, PATCH_SIZE, PATCH_SIZE).transpose(0, 6, 1, 3, 7, 2, 4, 8, 5)
    values = cells.reshape(pairs * TEMPORAL_PATCH_SIZE, rows * PATCH_SIZE, columns * PATCH_SIZE, 3)
    pixels = (values * np.array(images.std) + np.array(images.mean)) * 255
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8)


def frames(encoded: Encoded, stretch: Stretch, images: ImageProcessor) -> np.ndarray:
    """The frames of a picture; of an image one."""
    inputs = encoded.inputs
    video = stretch.visual == "video"
    pixels, grids = (
        (inputs.pixel_values_videos, inputs.video_grid_thw) if video else (inputs.pixel_values, inputs.image_grid_thw)
    )
    assert pixels is not None
    assert grids is not None
    counts = [math.prod(grid) for grid in grids.tolist()]
    first = sum(counts[: stretch.number])
    t, h, w = grids[stretch.number].tolist()
    made = unpatched(pixels[first : first + counts[stretch.number]], (t, h, w), images)
    return made if video else made[:1]


def summary(encoded: Encoded, special: Any) -> str:
    """One line of counts."""
    found = stretches(encoded, special)
    visual = sum(stretch.end - stretch.start for stretch in found if stretch.visual)
    pictures = [sum(stretch.visual == kind for stretch in found) for kind in ("image", "video")]
    told = int((encoded.labels != IGNORED).sum())
    return (
        f"{len(encoded.labels)} tokens: {visual} of {pictures[0]} images and {pictures[1]} videos, "
        f"{told} to be predicted"
    )


def lines(encoded: Encoded, tokenizer: Any) -> Iterator[str]:
    """A line for each token of text, and one for each picture: place, id, text, M-RoPE position, `target`."""
    ids, positions = encoded.inputs.input_ids.tolist(), encoded.inputs.position_ids
    for stretch in stretches(encoded, tokenizer.special):
        if stretch.visual:
            yield _picture_line(encoded, stretch)
            continue
        for place in range(stretch.start, stretch.end):
            told = "  target" if encoded.labels[place] != IGNORED else ""
            t, h, w = positions[:, place].tolist()
            text = tokenizer.decode([ids[place]])
            yield f"{place:6d}  {ids[place]:6d}  {text!r:24}  ({t}, {h}, {w}){told}"


def _picture_line(encoded: Encoded, stretch: Stretch) -> str:
    spans = []
    for name, axis in zip(("t", "h", "w"), encoded.inputs.position_ids[:, stretch.start : stretch.end], strict=True):
        spans.append(f"{name} {int(axis.min())}-{int(axis.max())}")
    grid = encoded.inputs.video_grid_thw if stretch.visual == "video" else encoded.inputs.image_grid_thw
    assert grid is not None
    t, h, w = grid[stretch.number].tolist()
    size = f"{w * PATCH_SIZE} x {h * PATCH_SIZE} pixels" + (
        f", {t} pairs of frames" if stretch.visual == "video" else ""
    )
    count = stretch.end - stretch.start
    return f"{stretch.start:6d}  {stretch.visual} {stretch.number + 1}: {count} tokens, {size}; {', '.join(spans)}"


def drawing(encoded: Encoded, processor: Any, title: str) -> Image.Image:
    """The same as a picture: tokens in turn light and dark, green where they are targets, pictures at their places."""
    tokenizer, page = processor.tokenizer, _Page()
    page.text(title, INK)
    page.text(summary(encoded, tokenizer.special), FAINT)
    for stretch in stretches(encoded, tokenizer.special):
        if stretch.visual:
            page.text(_picture_line(encoded, stretch).strip(), FAINT)
            page.pictures(frames(encoded, stretch, processor.image_processor))
        else:
            page.tokens(_pieces(encoded, tokenizer, stretch))
    return page.drawn()


def _pieces(encoded: Encoded, tokenizer: Any, stretch: Stretch) -> Iterator[tuple[str, bool]]:
    """Text and whether it is a target, token by token; the tokens of one character together."""
    ids, held = encoded.inputs.input_ids.tolist(), 0
    for place in range(stretch.start, stretch.end):
        held += 1
        text = tokenizer.decode(ids[place + 1 - held : place + 1])
        if text.endswith("\ufffd") and held < 4 and place + 1 < stretch.end:
            continue
        yield text, bool(encoded.labels[place] != IGNORED)
        held = 0


class _Page:
    """Grows downwards; drawn in the end, when its height is known."""

    def __init__(self) -> None:
        self._font = ImageFont.truetype(_font_file(), FONT_SIZE)
        self._x, self._y = MARGIN, MARGIN
        self._what: list[tuple[Any, ...]] = []
        self._turn = 0

    def text(self, line: str, ink: tuple[int, int, int]) -> None:
        """A line of its own."""
        self._break()
        for start in range(0, len(line), 120):
            self._what.append(("text", MARGIN, self._y, line[start : start + 120], ink))
            self._y += LINE

    def tokens(self, pieces: Iterator[tuple[str, bool]]) -> None:
        """Tokens one after the other, in lines."""
        self._break()
        for text, target in pieces:
            shade = (TARGET if target else CONTEXT)[self._turn % 2]
            self._turn += 1
            shown = text.replace("\n", "⏎").replace("\t", "⇥") or "∅"
            for start in range(0, len(shown), 80):
                self._box(shown[start : start + 80], shade)
            if text.endswith("\n"):
                self._break()

    def pictures(self, stack: np.ndarray) -> None:
        """Frames side by side, scaled down where they are wider than the page."""
        self._break()
        for frame in stack[:MOST_FRAMES]:
            picture = Image.fromarray(frame)
            picture.thumbnail((WIDTH - 2 * MARGIN, WIDTH))
            if self._x > MARGIN and self._x + picture.width > WIDTH - MARGIN:
                self._break(self._row)
            self._row = max(self._row if self._x > MARGIN else 0, picture.height + 8)
            self._what.append(("picture", self._x, self._y, picture))
            self._x += picture.width + 6
        self._break(self._row)

    def drawn(self) -> Image.Image:
        """The page."""
        self._break()
        page = Image.new("RGB", (WIDTH, self._y + MARGIN), "white")
        draw = ImageDraw.Draw(page)
        for kind, x, y, *more in self._what:
            if kind == "picture":
                page.paste(more[0], (round(x), y))
                continue
            if kind == "box":
                draw.rectangle((x, y, x + more[2], y + LINE - 3), fill=more[1])
            draw.text((x, y + 1), more[0], fill=INK if kind == "box" else more[1], font=self._font)
        return page

    _row = 0

    def _box(self, text: str, shade: tuple[int, int, int]) -> None:
        width = self._font.getlength(text)
        if self._x > MARGIN and self._x + width > WIDTH - MARGIN:
            self._break()
        self._what.append(("box", self._x, self._y, text, shade, width))
        self._x += width  # type: ignore[assignment]

    def _break(self, height: int = LINE) -> None:
        if self._x > MARGIN:
            self._x, self._y = MARGIN, self._y + height


def _font_file() -> str:
    """A font with many scripts, which comes with matplotlib."""
    import matplotlib

    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
