"""What a solution sees of a page, and how it acts: elements by CSS selector, and decisions on their places."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qwen2vl_agent.envs.browser.input import NOTCH_PX
from qwen2vl_agent.envs.miniwob.device import PAGE, MiniWoBDevice
from qwen2vl_agent.envs.tasks.task import Decision
from qwen2vl_agent.schema.actions import Click, Done, Drag, Hotkey, Move, Scroll, TypeText, Wait
from qwen2vl_agent.schema.geometry import Point

FIND = r"""
selector => [...document.querySelectorAll(selector)].map(node => {
  const box = node.getBoundingClientRect(), style = getComputedStyle(node);
  const clearly = ([x, y]) => [[0, 0], [2, 0], [-2, 0], [0, 2], [0, -2]].every(([dx, dy]) => meets([x + dx, y + dy]));
  const meets = ([x, y]) => {
    const above = document.elementFromPoint(x, y);
    return x >= 0 && y >= 0 && x < 160 && y < 210 && !!above && node.contains(above);
  };
  const rows = [...node.getClientRects()].map(part => [(part.left + part.right) / 2, (part.top + part.bottom) / 2]);
  const places = [[(box.left + box.right) / 2, (box.top + box.bottom) / 2], ...rows];
  for (let i = 1; i < 8; i++) for (let j = 1; j < 8; j++)
    places.push([box.left + box.width * i / 8, box.top + box.height * j / 8]);
  const attributes = Object.fromEntries([...node.attributes].map(item => [item.name, item.value]));
  return {tag: node.tagName.toLowerCase(), id: node.id, text: (node.textContent || '').trim(),
          value: node.value === undefined ? null : String(node.value), checked: !!node.checked,
          selected: !!node.selected, focused: document.activeElement === node,
          box: [box.left, box.top, box.right, box.bottom], shown: box.width > 0 && box.height > 0
            && style.visibility !== 'hidden' && style.display !== 'none',
          spot: places.find(clearly) || places.find(meets) || null, attributes};
})
"""


@dataclass(frozen=True, slots=True)
class Node:
    """An element of the page, in CSS pixels."""

    tag: str
    id: str
    text: str
    value: str | None
    checked: bool
    selected: bool
    """Of an option."""
    focused: bool
    box: tuple[float, float, float, float]
    """Left, top, right, bottom."""
    shown: bool
    """Whether it takes up room."""
    spot: tuple[float, float] | None
    """Where a click meets it, its middle if possible; None where it is covered or outside of the picture."""
    attributes: dict[str, str]

    @property
    def middle(self) -> tuple[float, float]:
        """Of its box."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2

    @property
    def classes(self) -> list[str]:
        """Of CSS."""
        return self.attributes.get("class", "").split()


class View:
    """The page as it is now."""

    def __init__(self, device: MiniWoBDevice, goal: str) -> None:
        self._device = device
        self.goal = goal

    @property
    def history(self) -> list[dict[str, Any]]:
        """What was sent since the episode began."""
        return self._device.history

    def all(self, selector: str) -> list[Node]:
        """The elements of a CSS selector that take up room, in the document's order."""
        return [node for node in self.every(selector) if node.shown]

    def every(self, selector: str) -> list[Node]:
        """The elements of a CSS selector, hidden ones too."""
        found = self._device.ask(FIND, selector)
        return [
            Node(**{**item, "box": tuple(item["box"]), "spot": item["spot"] and tuple(item["spot"])}) for item in found
        ]

    def one(self, selector: str) -> Node:
        """The first of them, which has to be there."""
        found = self.all(selector)
        if not found:
            raise LookupError(f"{self._device.page_name}: nothing on the page is {selector!r}")
        return found[0]

    def saying(self, selector: str, wanted: str) -> Node:
        """The element of a selector with this text; one that a click can meet comes first."""
        found = [node for node in self.all(selector) if node.text == wanted]
        for node in sorted(found, key=lambda node: node.spot is None):
            return node
        raise LookupError(f"{self._device.page_name}: no {selector!r} says {wanted!r}")

    def ask(self, script: str, given: Any = None) -> Any:
        """What a script finds on the page."""
        return self._device.ask(script, given)

    # Decisions -------------------------------------------------------------------------------------------------------

    def point(self, at: tuple[float, float]) -> Point:
        """A place in CSS pixels as a point of the screen, moved inside where it lies just outside."""
        scale, frame = self._device.scale, self._device.frame
        x, y = (round(side * scale - 0.5) for side in at)
        return Point(min(max(x, 0), frame.width - 1), min(max(y, 0), frame.height - 1), frame)

    def click(self, node: Node, name: str = "", *, count: int = 1, modifiers: str = "") -> Decision:
        """Click an element; where it is outside of the picture, turn the wheel towards it."""
        label = (name or node.text or node.value or node.id or node.tag)[:60]
        if node.spot is None:
            return self.scroll_towards(node, label)
        return self.click_at(node.spot, label, count=count, modifiers=modifiers)

    def scroll_towards(self, node: Node, label: str) -> Decision:
        """Turn the wheel so that an element comes to the middle of the picture."""
        middle = (PAGE[0] / 2, PAGE[1] - PAGE[0] / 2)
        notches = round((node.middle[1] - middle[1]) / NOTCH_PX) or (1 if node.middle[1] > middle[1] else -1)
        way = "down" if notches > 0 else "up"
        return self.scroll(middle, max(-20, min(notches, 20)), f'"{label}" is not here: scroll {way}.')

    def click_at(self, at: tuple[float, float], name: str, *, count: int = 1, modifiers: str = "") -> Decision:
        """Click a place."""
        thought = f'"{name}" is here: click it.'
        return Decision(thought, Click(point=self.point(at), count=count, modifiers=modifiers))

    def drag(self, start: tuple[float, float], end: tuple[float, float], thought: str) -> Decision:
        """Press at one place and release at another."""
        return Decision(thought, Drag(start=self.point(start), end=self.point(end)))

    def move(self, at: tuple[float, float], thought: str) -> Decision:
        """Move the pointer."""
        return Decision(thought, Move(point=self.point(at)))

    def scroll(self, at: tuple[float, float], dy: int, thought: str) -> Decision:
        """Turn the wheel over a place; down where positive."""
        return Decision(thought, Scroll(point=self.point(at), dx=0, dy=dy))

    def type(self, text: str) -> Decision:
        """Type into what has the focus."""
        return Decision(f'Type "{text}".', TypeText(text=text))

    def keys(self, keys: str, thought: str = "") -> Decision:
        """Press keys together."""
        return Decision(thought or f"Press {keys}.", Hotkey(keys=keys))

    def wait(self, seconds: float, thought: str) -> Decision:
        """Let the page's time go on."""
        return Decision(thought, Wait(seconds=seconds))

    def give_up(self, why: str) -> Decision:
        """End a task that cannot be solved any more."""
        return Decision(why, Done(status="failure"))

    def fill(self, node: Node, text: str, name: str = "") -> Decision | None:
        """Focus a field and put exactly `text` into it; None where it is there already."""
        value = node.value or ""
        if value == text:
            return None
        if not node.focused:
            return self.click(node, name or node.id or "the field")
        if text.startswith(value):
            return self.type(text[len(value) :])
        return Decision(f'Clear the field and type "{text}".', TypeText(text=text, clear_first=True))

    def steps(self, *wanted: Decision | None) -> Decision:
        """The first decision that is still to be made."""
        return next(decision for decision in wanted if decision is not None)


def in_order(nodes: Sequence[Node]) -> list[Node]:
    """Elements from top to bottom and from left to right."""
    return sorted(nodes, key=lambda node: (round(node.middle[1]), node.middle[0]))
