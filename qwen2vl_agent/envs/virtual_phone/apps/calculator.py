"""The Calculator app: a display and a grid of keys."""

from collections.abc import Iterator
from dataclasses import dataclass

from qwen2vl_agent.envs.virtual_phone.apps.arithmetic import evaluate
from qwen2vl_agent.envs.virtual_phone.draw import Canvas, Rect
from qwen2vl_agent.envs.virtual_phone.scene import Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.theme import Theme
from qwen2vl_agent.envs.virtual_phone.widgets import AppBar, Gap, Handler, Line, Paint, Placed, Target

ROWS = (
    ("C", "(", ")", "÷"),
    ("7", "8", "9", "×"),
    ("4", "5", "6", "−"),
    ("1", "2", "3", "+"),
    ("0", ".", "⌫", "="),
)
NAMES = {
    "C": "clear", "÷": "divide", "×": "times", "−": "minus", "+": "plus", "⌫": "delete", "=": "equals", ".": "point",
}  # fmt: skip
"""What the keys that are no digits are called in resource ids."""
OPERATORS = "÷×−+"
MAX_LENGTH = 24


def build(state: PhoneState) -> Scene:
    """The calculator's one page."""
    shown = state.calculator
    return Scene(
        header=[AppBar("calculator", "Calculator", centred=state.look.centred_title)],
        body=[
            Line("calculator:expression", shown.expression or "0", size=38, align="right", height=80),
            Line("calculator:result", shown.result, size=48, colour="primary", align="right", height=76),
            Gap(12),
            *(Keys(row) for row in ROWS),
        ],
        list_id="calculator:list",
    )


def press(key: str) -> Handler:
    """A handler that presses a key."""

    def on_tap(state: PhoneState) -> None:
        shown = state.calculator
        if key == "C":
            shown.expression, shown.result = "", ""
        elif key == "⌫":
            shown.expression, shown.result = shown.expression[:-1], ""
        elif key == "=":
            shown.result = evaluate(shown.expression) if shown.expression else ""
        else:
            _append(state, key)

    return on_tap


def _append(state: PhoneState, key: str) -> None:
    """Go on typing; after a result, an operator works on and a digit begins anew."""
    shown = state.calculator
    if shown.result:
        goes_on = key in OPERATORS and shown.result != "Error"
        shown.expression, shown.result = (shown.result if goes_on else ""), ""
    if len(shown.expression) >= MAX_LENGTH:
        state.toast = "Too long"
        return
    shown.expression += key


@dataclass(frozen=True, slots=True)
class Keys:
    """A row of four keys."""

    keys: tuple[str, ...]
    height: float = 92.0

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        each = (width - 16) / len(self.keys)
        for index, key in enumerate(self.keys):
            rect = Rect(left + 8 + index * each, top, left + 8 + (index + 1) * each, top + self.height)
            target = Target(f"calculator:key.{NAMES.get(key, key)}", "button", key, press(key))
            yield Placed(rect, _painter(key, rect), target)


def _painter(key: str, rect: Rect) -> Paint:
    def paint(canvas: Canvas, theme: Theme) -> None:
        fill, ink = theme.surface, theme.text
        if key == "=":
            fill, ink = theme.primary, theme.on_primary
        elif key in OPERATORS or key in "()":
            fill, ink = theme.container, theme.on_container
        elif key in "C⌫":
            fill, ink = theme.surface_high, theme.text
        canvas.round(rect.inset(5, 5), 41, fill)
        if key == "⌫":
            canvas.icon(*rect.centre, "backspace", 32, ink)
        else:
            canvas.text(*rect.centre, key, 34, ink, align="middle")

    return paint
