"""The oracle's hand: what is on a screen, and the decisions that every template shares."""

from collections.abc import Sequence
from dataclasses import replace

from qwen2vl_agent.envs.tasks.task import Decision, Screen
from qwen2vl_agent.envs.virtual_phone.app_list import APP_BY_ID
from qwen2vl_agent.envs.virtual_phone.locales import translator
from qwen2vl_agent.envs.virtual_phone.state import Page, PhoneState
from qwen2vl_agent.envs.virtual_phone.widgets import scale_of
from qwen2vl_agent.schema.actions import Answer, Done, PressKey, Swipe, Tap, TypeText
from qwen2vl_agent.schema.geometry import Frame, Point
from qwen2vl_agent.schema.observation import Element

READABLE_DP = 28
"""An element of which less is visible, in dp of height, is scrolled into view before it is touched."""
ALL_APPS = "All apps"
UNDER = 'Under "'
"""How a thought that reads begins."""


def here(label: str, what: str) -> str:
    """The thought before a touch. The label comes first: who has spelled it can look for it, and only then decide."""
    return f'"{label}" is here: tap {what}.'


def not_here(label: str, instead: str) -> str:
    """The thought where something is looked for in vain."""
    return f'"{label}" is not here: {instead}.'


def under(label: str, text: str) -> str:
    """The thought that reads something from the screen: where it stands, then what."""
    return f'{UNDER}{label}": {text}'


def remembering(decision: Decision, label: str, text: str) -> Decision:
    """The decision, with a thought that first reads what will be needed when the screen is gone."""
    return replace(decision, thought=f"{under(label, text)}\n{decision.thought}")


def comparing(decision: Decision, label: str, now: int, wanted: int) -> Decision:
    """The decision, with a thought that first reads a number and says which way it has to go."""
    way = "as wanted" if now == wanted else f"wanted {wanted}: {'more' if now < wanted else 'less'}"
    return remembering(decision, label, f"{now}, {way}.")


class Hand:
    """Reads a screen and gives decisions on it."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.state: PhoneState = screen.state
        self.say = translator(self.state)
        self._by_id = {element.resource_id: element for element in screen.elements if element.resource_id}

    @property
    def page(self) -> Page:
        """The page in front."""
        return self.state.page

    def find(self, resource_id: str) -> Element | None:
        """The visible element of that id."""
        return self._by_id.get(resource_id)

    def tap(self, element: Element, label: str = "") -> Decision:
        """Touch an element's middle."""
        return Decision(here(self.say(label or element.text), "it"), Tap(point=self._point(*element.centre)))

    def press(self, resource_id: str, label: str = "") -> Decision:
        """Touch an element that must be there; where it is not, leave the page."""
        element = self.find(resource_id)
        return self.tap(element, label) if element else self.back()

    def key(self, name: str, thought: str) -> Decision:
        """Press a key."""
        return Decision(thought, PressKey(name=name))  # type: ignore[arg-type]

    def back(self, thought: str = "Wrong page: go back.") -> Decision:
        """Leave the page, dialog or keyboard in front."""
        return self.key("back", thought)

    def done(self) -> Decision:
        """End the task."""
        return Decision("Done.", Done())

    def give_up(self, why: str) -> Decision:
        """End a task that can no longer be solved."""
        return Decision(f"{why} It cannot be undone.", Done(status="failure"))

    def answer(self, text: str, label: str) -> Decision:
        """Give the answer, which stands on the screen under `label`; it also ends the task."""
        text = self.say(text)
        return Decision(under(self.say(label), text), Answer(text=text))

    def fill(self, resource_id: str, text: str, label: str) -> Decision:
        """Focus a field, then put exactly `text` in it, going on from what is there where that fits."""
        field = self.find(resource_id)
        if field is None:
            return self.back("Put away what is in the way.")
        if not field.focused:
            return self.tap(field, label)
        draft = self.page.fields.get(resource_id.partition(":")[2], "")
        if text.startswith(draft):
            rest = text[len(draft) :]
            return Decision(f'Type "{rest.strip()}".', TypeText(text=rest))
        return Decision(f'Clear the field and type "{text}".', TypeText(text=text, clear_first=True))

    def form(self, app: str, wanted: dict[str, tuple[str, str]]) -> Decision:
        """Fill a form and save it; `wanted` has the label and the text of each field, by the field's name."""
        for name, (label, text) in wanted.items():
            if self.page.fields.get(name, "") != text:
                return self.fill(f"{app}:{name}", text, label)
        return self.press(f"{app}:save")

    def pick(self, prefix: str, name: str, names: Sequence[str], search: str = "", label: str = "") -> Decision:
        """Touch the row `prefix` + `name` of a list; `names` has all rows, `search` is the id of the list's filter.

        `label` is what the row is called instead of its name, where another of its texts is known.
        """
        if search and self.page.fields.get("search") and not self.find(prefix + name):
            return self.fill(search, name, "Search")
        return self.reach(prefix + name, [prefix + other for other in names], label or name)

    def part(self, part: str, row: str, order: Sequence[str], kind: str, label: str = "") -> Decision:
        """Touch a part of a list's row, such as its `switch`, scrolling towards the row first."""
        element = self.find(part)
        name = label or row.partition(".")[2]
        scroll = self.scroll_towards(row, order, name)
        if scroll:
            return scroll
        if element is None:
            return self.scroll(True, f'"{name}" is covered: scroll down.')
        return Decision(here(self.say(name), f"its {kind}"), Tap(point=self._point(*element.centre)))

    def reach(self, resource_id: str, order: Sequence[str], label: str) -> Decision:
        """Touch a row of a list, scrolling towards it first; `order` has the ids of all rows from top to bottom."""
        return self.scroll_towards(resource_id, order, label) or self.tap(self._by_id[resource_id], label)

    def scroll_towards(self, resource_id: str, order: Sequence[str], label: str) -> Decision | None:
        """What brings a row nearer; None when it can be read and touched."""
        element = self.find(resource_id)
        if element and self._readable(element):
            return None
        if self.state.keyboard.visible:
            return self.back("Put the keyboard away.")
        rank = {row: index for index, row in enumerate(order)}
        shown = [rank[row] for row, seen in self._by_id.items() if row in rank and self._readable(seen)]
        down = not shown or rank[resource_id] > min(shown)
        return self.scroll(down, not_here(self.say(label), f"scroll {'down' if down else 'up'}"))

    def scroll(self, down: bool, thought: str) -> Decision:
        """Drag the list in front by almost half of the screen."""
        width, height = self.screen.size
        low, high = self._point(width // 2, int(height * 0.75)), self._point(width // 2, int(height * 0.3))
        start, end = (low, high) if down else (high, low)
        return Decision(thought, Swipe(start=start, end=end))

    def visited(self, app_id: str, page: str, arg: str) -> bool:
        """Whether an app in use stands on a page or has it below, so that it has been read."""
        return any(
            (seen.name, seen.arg) == (page, arg)
            for task in self.state.tasks
            if task.app == app_id
            for seen in task.pages
        )

    def pull_shade(self) -> Decision:
        """Open the quick settings."""
        width, height = self.screen.size
        start, end = self._point(width // 2, height // 100), self._point(width // 2, height // 2)
        return Decision("Pull down the quick settings.", Swipe(start=start, end=end))

    def in_app(self, app_id: str) -> Decision | None:
        """What brings an app to the front; None when it is there."""
        if not self.state.screen_on:
            return self.key("wakeup", "The screen is off: wake it.")
        if self.state.shade_open:
            return self.back("Close the quick settings.")
        if self.state.foreground == app_id:
            return None
        if self.state.foreground != "launcher":
            return self.key("home", f'Go home to open "{self.say(APP_BY_ID[app_id].label)}".')
        return self._launch(app_id)

    def _launch(self, app_id: str) -> Decision:
        wanted = f"launcher:{app_id}"
        icon = next((seen for seen in self.screen.elements if seen.resource_id == wanted and seen.role == "icon"), None)
        if icon:
            return self.tap(icon)
        if self.state.launcher.name != "home":
            if self.state.launcher.fields.get("search"):
                return self.key("home", "Nothing useful found: go home.")
            order = [f"launcher:{app}" for app in self.state.home.drawer]
            return self.reach(wanted, order, APP_BY_ID[app_id].label)
        thought = not_here(self.say(APP_BY_ID[app_id].label), f'tap "{self.say(ALL_APPS)}"')
        return replace(self.press("launcher:all_apps"), thought=thought)

    def _readable(self, element: Element) -> bool:
        _, top, _, bottom = element.bounds
        return bottom - top >= READABLE_DP * scale_of(self.screen.size)

    def _point(self, x: int, y: int) -> Point:
        return Point(x, y, Frame("device", *self.screen.size))
