"""The Camera app: it asks for permission at its first use, then takes photos with either lens."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from qwen2vl_agent.envs.virtual_phone.apps.pictures import Shutter
from qwen2vl_agent.envs.virtual_phone.draw import Canvas, Rect
from qwen2vl_agent.envs.virtual_phone.full.content import Photo
from qwen2vl_agent.envs.virtual_phone.full.prompts import denied, permission
from qwen2vl_agent.envs.virtual_phone.scene import Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.system_ui import WHITE
from qwen2vl_agent.envs.virtual_phone.theme import Theme
from qwen2vl_agent.envs.virtual_phone.wallpaper import wallpaper
from qwen2vl_agent.envs.virtual_phone.widgets import Placed, Target

APP = "camera"
WISH = "take pictures"


def build(state: PhoneState) -> Scene:
    """A view through the lens, with the shutter below."""
    if state.extra.permissions.get(APP) is False:
        return denied(APP, WISH)
    seed = state.look.wallpaper + (2 if state.extra.selfie else 1)

    def paint(canvas: Canvas, theme: Theme) -> None:
        canvas.image.paste(wallpaper(seed, canvas.image.size, dark=True))

    return Scene(
        footer=[CameraKeys("Front lens" if state.extra.selfie else "Back lens")],
        list_id="camera:view",
        over_wallpaper=True,
        backdrop=paint,
        overlay=permission(state, APP, WISH),
    )


@dataclass(frozen=True, slots=True)
class CameraKeys:
    """The shutter, which lens is in use, and the key to change it."""

    lens: str
    height: float = 126.0

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        for placed in Shutter().place(left, top, width):
            assert placed.target is not None
            yield replace(placed, target=replace(placed.target, on_tap=_shoot))
        x, y = left + width - 60, top + 55

        def paint(canvas: Canvas, theme: Theme) -> None:
            canvas.circle(x, y, 28, (40, 40, 44))
            canvas.icon(x, y, "switch_camera", 32, WHITE)

        yield Placed(
            Rect(x - 32, y - 32, x + 32, y + 32), paint, Target("camera:switch", "icon", "Switch lens", _switch)
        )
        lens = Rect(left + 16, top + 36, left + 120, top + 76)

        def paint_name(canvas: Canvas, theme: Theme) -> None:
            canvas.text(lens.left, lens.centre[1], self.lens, 18, WHITE, weight="medium")

        yield Placed(lens, paint_name, Target("camera:lens", "text", self.lens))


def _shoot(state: PhoneState) -> None:
    number = max((photo.number for photo in state.extra.photos), default=-1) + 1
    state.extra.photos.insert(0, Photo(number))
    state.extra.shots.append(state.extra.selfie)
    state.toast = f"Photo {number + 1} saved"


def _switch(state: PhoneState) -> None:
    state.extra.selfie = not state.extra.selfie
