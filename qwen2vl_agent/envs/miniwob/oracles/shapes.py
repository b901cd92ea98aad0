"""Pages with shapes, letters and digits: found, counted, named."""

import re

from qwen2vl_agent.envs.miniwob.oracles.registry import found, solves
from qwen2vl_agent.envs.miniwob.view import Node, View
from qwen2vl_agent.envs.tasks.task import Decision

TAGS = {"rect": "rectangle", "circle": "circle", "polygon": "triangle"}
LARGE_PX = 15
"""Small ones are 10 pixels large, large ones 20. Source: shapes.renderGrid."""


def kind_of(node: Node) -> tuple[str, str]:
    """Type (`shape`, `letter`, `digit`) and text of a drawn item, as the page's generator has them."""
    if node.tag in TAGS:
        return "shape", TAGS[node.tag]
    return ("digit" if node.text.isdigit() else "letter"), node.text


def matches(node: Node, wanted: str) -> bool:
    """Whether an item is what a description such as `large red letter` says."""
    words = wanted.split(" ")
    size = words.pop(0) if words[0] in ("large", "small") else ""
    colour = words.pop(0) if len(words) > 1 else ""
    kind, text = kind_of(node)
    large = _side(node) > LARGE_PX
    return (
        (not size or large == (size == "large"))
        and (not colour or node.attributes["fill"] == colour)
        and words[0] in ("item", kind, text)
    )


def _side(node: Node) -> float:
    if node.tag == "text":
        return float(node.attributes["font-size"].removesuffix("px"))
    return node.box[3] - node.box[1]


@solves("click-shape")
def click_shape(view: View) -> Decision:
    wanted = found(r"Click on an? (.*?)\.?$", view.goal)
    return view.click(next(node for node in view.all("#area_svg > *") if matches(node, wanted)), wanted)


@solves("count-shape")
def count_shape(view: View) -> Decision:
    wanted = found(r"How many (.*)s are there", view.goal)
    number = sum(matches(node, wanted) for node in view.all("#area_svg > *"))
    return view.click(view.saying("#count-buttons button", str(number)))


@solves("identify-shape")
def identify_shape(view: View) -> Decision:
    kind, text = kind_of(view.one("#area_svg > *"))
    name = text if kind == "shape" else kind
    return view.click(view.one(f'#area-buttons button[data-type="{name}"]'))


SIDES = """() => {
  const canvas = document.getElementById('c'), data = canvas.getContext('2d').getImageData(0, 0, 150, 100).data;
  const radius = angle => {
    for (let far = 49; far > 10; far -= 0.25) {
      const x = Math.round(75 + far * Math.cos(angle)), y = Math.round(50 + far * Math.sin(angle));
      if (data[4 * (y * 150 + x) + 3] > 100) return far;
    }
    return 0;
  };
  const steps = 720, far = [...Array(steps).keys()].map(step => radius(2 * Math.PI * step / steps));
  const strength = sides => {
    let even = 0, odd = 0;
    far.forEach((value, step) => {
      even += value * Math.cos(2 * Math.PI * sides * step / steps);
      odd += value * Math.sin(2 * Math.PI * sides * step / steps);
    });
    return Math.hypot(even, odd);
  };
  return [3, 4, 5, 6, 7].sort((one, other) => strength(other) - strength(one))[0];
}"""
"""How many times the distance of an outline from its middle rises and falls on the way round."""


@solves("count-sides")
def count_sides(view: View) -> Decision:
    return view.click(view.one(f'#form button[data-sides="{view.ask(SIDES)}"]'))


@solves("grid-coordinate")
def grid_coordinate(view: View) -> Decision:
    wanted = re.sub(r"\s", "", found(r"(\(.*?\))", view.goal))
    return view.click(view.one(f'[id="{wanted}"]'), wanted)


def _middles(view: View, selector: str) -> list[tuple[float, float]]:
    return [node.middle for node in view.all(selector)]


@solves("circle-center")
def circle_center(view: View) -> Decision:
    return _mark(view, _middles(view, ".black-circle")[0], "the middle")


@solves("find-midpoint")
def find_midpoint(view: View) -> Decision:
    (x1, y1), (x2, y2) = _middles(view, ".black-circle")
    return _mark(view, ((x1 + x2) / 2, (y1 + y2) / 2), "the middle")


def _mark(view: View, at: tuple[float, float], name: str) -> Decision:
    if view.all("#blue-circle"):
        return view.click(view.one("#subbtn"))
    return view.click_at(at, name)


@solves("bisect-angle")
def bisect_angle(view: View) -> Decision:
    (x, y) = _middles(view, ".init-blue")[0]
    ways = [(bx - x, by - y) for bx, by in _middles(view, ".init-black")]
    units = [(dx / (dx * dx + dy * dy) ** 0.5, dy / (dx * dx + dy * dy) ** 0.5) for dx, dy in ways]
    dx, dy = units[0][0] + units[1][0], units[0][1] + units[1][1]
    return _mark(view, _along(view, (x, y), (dx, dy)), "the middle of the angle")


@solves("right-angle")
def right_angle(view: View) -> Decision:
    return _mark(view, _beside(view), "the right angle")


def _beside(view: View) -> tuple[float, float]:
    """A place from which a line to the vertex is square to the line that is drawn."""
    (x, y), (bx, by) = _middles(view, "#init-blue")[0], _middles(view, "#init-black")[0]
    ways = [(-(by - y), bx - x), (by - y, -(bx - x))]
    return max((_along(view, (x, y), way) for way in ways), key=lambda at: (at[0] - x) ** 2 + (at[1] - y) ** 2)


def _along(view: View, start: tuple[float, float], way: tuple[float, float]) -> tuple[float, float]:
    """The farthest place in the drawing, at most 60 pixels along `way`."""
    left, top, right, bottom = view.one("svg").box
    button = view.one("#subbtn").box
    bottom = min(bottom, button[1])
    length = (way[0] ** 2 + way[1] ** 2) ** 0.5
    best = start
    for step in range(5, 61):
        at = start[0] + way[0] / length * step, start[1] + way[1] / length * step
        if not (left + 3 < at[0] < min(right, 157) and top + 3 < at[1] < bottom - 3):
            break
        best = at
    return best
