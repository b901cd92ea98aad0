"""The launcher of the full edition: two pages of icons, swiped aside."""

from collections.abc import Iterator
from dataclasses import dataclass

from qwen2vl_agent.envs.virtual_phone import launcher
from qwen2vl_agent.envs.virtual_phone.draw import Canvas, Rect
from qwen2vl_agent.envs.virtual_phone.scene import Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.system_ui import WHITE
from qwen2vl_agent.envs.virtual_phone.theme import Theme
from qwen2vl_agent.envs.virtual_phone.widgets import Handler, Placed, Target

SECOND = "1"
"""What the launcher's page is about while its second page is shown."""


def build(state: PhoneState) -> Scene:
    """Home screen or app drawer."""
    scene = launcher.build(state)
    if state.launcher.name == "drawer" or not state.extra.home_page:
        return scene
    second = state.launcher.arg == SECOND
    if second:
        scene.body = list(launcher.icon_rows(state.extra.home_page, state.look, on_wallpaper=True))
    scene.footer.insert(0, Dots(second))
    scene.on_swipe_left, scene.on_swipe_right = _turner(SECOND), _turner("")
    return scene


def _turner(page: str) -> Handler:
    def turn(state: PhoneState) -> None:
        state.launcher.arg = page

    return turn


@dataclass(frozen=True, slots=True)
class Dots:
    """Which of the two pages is shown."""

    second: bool
    height: float = 20.0

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        x, y = left + width / 2, top + self.height / 2

        def paint(canvas: Canvas, theme: Theme) -> None:
            canvas.circle(x - 9, y, 3.0 if self.second else 5.0, WHITE)
            canvas.circle(x + 9, y, 5.0 if self.second else 3.0, WHITE)

        spot = Rect(x - 20, top, x + 20, top + self.height)
        yield Placed(spot, paint, Target("launcher:page", "image", "Page 2" if self.second else "Page 1"))
