"""The picture of a Sokoban room, each cell a square."""

import functools

from PIL import Image, ImageDraw

from qwen2vl_agent.envs.sokoban.room import Position, Room

CELL = 56
"""Pixels: two merged patches of the model each way, so that a cell is four tokens of its own."""
FLOOR, WALL, MORTAR, SPOT = "#e8dcc4", "#7d8590", "#5c636d", "#d0342c"
CRATE, CRATE_EDGE, DONE, DONE_EDGE = "#b9772f", "#6e4316", "#58a14a", "#2c5c25"
SHIRT, SKIN, EDGE = "#2b5fb3", "#f0c8a0", "#1b2a44"


def draw(room: Room, position: Position) -> Image.Image:
    """The room from above."""
    image = Image.new("RGB", (room.size * CELL, room.size * CELL))
    for row in range(room.size):
        for column in range(room.size):
            cell = (row, column)
            kind = ("goal" if cell in room.goals else "floor") if cell in room.floor else "wall"
            thing = "player" if cell == position.player else "box" if cell in position.boxes else ""
            image.paste(_tile(kind, thing), (column * CELL, row * CELL))
    return image


@functools.cache
def _tile(kind: str, thing: str) -> Image.Image:
    tile = Image.new("RGB", (CELL, CELL), WALL if kind == "wall" else FLOOR)
    draw = ImageDraw.Draw(tile)
    if kind == "wall":
        _bricks(draw)
    if kind == "goal":
        draw.ellipse(_inset(10), outline=SPOT, width=6)
    if thing == "box":
        _box(draw, kind == "goal")
    elif thing == "player":
        _player(draw)
    return tile


def _inset(pixels: int) -> tuple[int, int, int, int]:
    return pixels, pixels, CELL - 1 - pixels, CELL - 1 - pixels


def _bricks(draw: ImageDraw.ImageDraw) -> None:
    course = CELL // 4
    for number in range(4):
        top = number * course
        draw.line((0, top, CELL, top), MORTAR, 2)
        for x in range(number % 2 * CELL // 4, CELL, CELL // 2):
            draw.line((x, top, x, top + course), MORTAR, 2)


def _box(draw: ImageDraw.ImageDraw, done: bool) -> None:
    fill, edge = (DONE, DONE_EDGE) if done else (CRATE, CRATE_EDGE)
    left, top, right, bottom = box = _inset(6)
    draw.rectangle(box, fill, edge, 4)
    draw.line((left, top, right, bottom), edge, 4)
    draw.line((left, bottom, right, top), edge, 4)


def _player(draw: ImageDraw.ImageDraw) -> None:
    middle = CELL // 2
    draw.rounded_rectangle((middle - 13, middle - 2, middle + 13, CELL - 8), 8, SHIRT, EDGE, 2)
    draw.ellipse((middle - 10, 8, middle + 10, 28), SKIN, EDGE, 2)
