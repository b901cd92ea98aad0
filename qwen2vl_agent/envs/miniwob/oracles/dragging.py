"""Pages on which something is dragged."""

import re

from qwen2vl_agent.envs.miniwob.oracles.registry import found, solves
from qwen2vl_agent.envs.miniwob.view import Node, View
from qwen2vl_agent.envs.tasks.task import Decision

WAYS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
Place = tuple[float, float]


@solves("drag-box")
def drag_box(view: View) -> Decision:
    small, large = view.one("#draggableSmall"), view.one("#draggableLarge")
    if _contains(large, small):
        return view.click(view.one("#subbtn"))
    start = small.spot or small.middle
    (x, y), (wanted_x, wanted_y) = small.middle, large.middle
    end = (start[0] + wanted_x - x, start[1] + wanted_y - y)
    return view.drag(start, end, "The small box is here: drag it into the large one.")


def _contains(outer: Node, inner: Node) -> bool:
    return (
        outer.box[0] < inner.box[0]
        and outer.box[1] < inner.box[1]
        and (outer.box[2] > inner.box[2] and outer.box[3] > inner.box[3])
    )


@solves("drag-circle", "drag-single-shape")
def drag_one_shape(view: View) -> Decision:
    way = found(r"Drag the \w+ (\w+)", view.goal)
    shape = view.one("svg circle, svg rect, svg polygon")
    if "transform" in shape.attributes:
        return view.click(view.one("#subbtn"))
    (x, y), (dx, dy) = shape.middle, WAYS[way]
    return view.drag((x, y), (x + 30 * dx, y + 30 * dy), f"Drag the shape {way}.")


@solves("drag-items")
def drag_items(view: View) -> Decision:
    name, where = re.findall(r"Drag (\w+) (.*?)\.?$", view.goal)[0]
    rows = view.all("#sortable li")
    at = next(number for number, row in enumerate(rows) if row.text == name)
    return _sort(view, rows, at, _wanted_row(where, at, len(rows)))


def _wanted_row(where: str, at: int, count: int) -> int:
    number = re.search(r"(\d+)\w\w position", where)
    if number:
        return int(number[1]) - 1
    return {"to the top": 0, "to the bottom": count - 1, "down by one position": at + 1, "up by one position": at - 1}[
        where.removesuffix(".")
    ]


def _sort(view: View, rows: list[Node], at: int, to: int) -> Decision:
    """Drag a row of a list to another's place, a little beyond its middle."""
    beyond = 5 if to > at else -5
    (x, y), end = rows[at].middle, rows[to].middle
    return view.drag((x, y), (x, end[1] + beyond), f'"{rows[at].text}" is here: drag it to place {to + 1}.')


@solves("drag-sort-numbers")
def drag_sort_numbers(view: View) -> Decision:
    rows = view.all("#sortable li")
    numbers = [int(row.text) for row in rows]
    for place, number in enumerate(sorted(numbers)):
        if numbers[place] != number:
            return _sort(view, rows, numbers.index(number, place), place)
    return view.click(view.one("#subbtn"))


SHAPES = """selector => [...document.querySelectorAll(selector)].map(
    node => { const at = shapes.gridCoords(node); return [at.x, at.y]; })"""
LOOSE = "rect:not(#shape-container), circle, polygon"
TAGS = {"rectangles": "rect", "circles": "circle", "triangles": "polygon"}


@solves("drag-shapes")
def drag_shapes(view: View) -> Decision:
    tag = TAGS[found(r"Drag all (\w+)", view.goal)]
    box = view.one("#shape-container")
    for node, at in zip(view.all(LOOSE), view.ask(SHAPES, LOOSE), strict=True):
        if node.tag == tag and not _in_box(box, at):
            return _carry(view, node, box)
    return view.click(view.one("#subbtn"))


@solves("drag-shapes-2")
def drag_shapes_2(view: View) -> Decision:
    what = found(r"Drag all (.*?) into", view.goal)
    boxes = view.all("#shape-container")
    for node, at in zip(view.all(LOOSE), view.ask(SHAPES, LOOSE), strict=True):
        left = node.tag == TAGS[what] if what in TAGS else node.attributes["fill"] == what.partition(" ")[0]
        box = boxes[0 if left else 1]
        if not _in_box(box, at):
            return _carry(view, node, box)
    return view.click(view.one("#subbtn"))


def _in_box(box: Node, at: list[float]) -> bool:
    x, y = at[0], at[1] + 50  # the drawing begins below the instruction
    return box.box[0] + 2 < x < box.box[2] - 2 and box.box[1] + 2 < y < box.box[3] - 2


def _carry(view: View, node: Node, box: Node) -> Decision:
    x, y = box.middle
    name = node.tag.replace("rect", "rectangle").replace("polygon", "triangle")
    return view.drag(node.spot or node.middle, (x, y), f"A {name} is here: drag it into the box.")


@solves("draw-line")
def draw_line(view: View) -> Decision:
    if view.every("svg path"):
        return view.click(view.one("#controls button"))
    x, y = view.one("#circ").middle
    reach = 28
    if "horizontal" in view.goal:
        return view.drag((max(x - 2 * reach, 4), y), (min(x + reach, 155), y), "Draw through the dot.")
    return view.drag((x, max(y - reach, 54)), (x, y + reach), "Draw through the dot.")


@solves("draw-circle")
def draw_circle(view: View) -> Decision:
    """A short arc, drawn straight, is as round as the page asks for."""
    if view.every("svg path"):
        return view.click(view.one("#controls button"))
    x, y = view.one("#circ").middle
    side = 1 if x < 80 else -1
    middle = (x + side * 30, y + 30) if y < 100 else (x + side * 30, y - 30)
    down = -1 if y < 100 else 1
    ends = [(middle[0] + turn * side * 12.5, middle[1] + turn * down * 12.5) for turn in (-1, 1)]
    return view.drag(ends[0], ends[1], "Draw around the dot.")


RANGE = """selector => {
  const part = document.createRange(); part.selectNodeContents(document.querySelector(selector));
  const rows = [...part.getClientRects()];
  const first = rows[0], last = rows[rows.length - 1];
  return [first.left, (first.top + first.bottom) / 2, last.right, (last.top + last.bottom) / 2];
}"""


@solves("highlight-text", "highlight-text-2")
def highlight_text(view: View) -> Decision:
    number = re.search(r"the (\d)\w\w paragraph", view.goal)
    selector = f"#randomText p:nth-of-type({number[1]})" if number else "#randomText"
    text = re.sub(r"\s", "", view.one(selector).text)
    if re.sub(r"\s", "", view.ask("() => getSelection().toString()")) == text:
        return view.click(view.one("#subbtn"))
    left, top, right, bottom = view.ask(RANGE, selector)
    return view.drag((left - 1, top), (right + 2, bottom), "Drag over the text.")
