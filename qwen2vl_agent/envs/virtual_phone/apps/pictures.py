"""The decoy apps that are more picture than list: camera, gallery, maps and the dial pad of the phone app."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from qwen2vl_agent.envs.virtual_phone import navigation
from qwen2vl_agent.envs.virtual_phone.controls import Tabs
from qwen2vl_agent.envs.virtual_phone.draw import Canvas, Rect
from qwen2vl_agent.envs.virtual_phone.fields import search_field
from qwen2vl_agent.envs.virtual_phone.scene import Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.system_ui import WHITE
from qwen2vl_agent.envs.virtual_phone.theme import Theme, mix, oklch
from qwen2vl_agent.envs.virtual_phone.wallpaper import wallpaper
from qwen2vl_agent.envs.virtual_phone.widgets import AppBar, Gap, Handler, Line, Paint, Placed, Target

PHOTOS = 18
DIAL_ROWS = ("123", "456", "789", "*0#")


def _camera(state: PhoneState) -> Scene:
    """A view through the lens, with the shutter below."""
    return Scene(
        footer=[Shutter(), Gap(16)],
        list_id="camera:view",
        over_wallpaper=True,
        backdrop=_view(state.look.wallpaper + 1),
    )


def _view(seed: int) -> Paint:
    def paint(canvas: Canvas, theme: Theme) -> None:
        canvas.image.paste(wallpaper(seed, canvas.image.size, dark=True))

    return paint


@dataclass(frozen=True, slots=True)
class Shutter:
    """The round button that takes a photo."""

    height: float = 110.0

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        x, y = left + width / 2, top + self.height / 2

        def paint(canvas: Canvas, theme: Theme) -> None:
            canvas.circle(x, y, 44, WHITE)
            canvas.circle(x, y, 39, (40, 40, 44))
            canvas.circle(x, y, 34, WHITE)

        yield Placed(
            Rect(x - 44, y - 44, x + 44, y + 44), paint, Target("camera:shutter", "button", "Take photo", _shoot)
        )


def _shoot(state: PhoneState) -> None:
    state.toast = "Photo saved"


def _gallery(state: PhoneState) -> Scene:
    """Photos in rows of three; a photo opens large."""
    if state.page.name == "photo":
        seed = state.look.wallpaper + int(state.page.arg)
        return Scene(
            header=[AppBar("gallery", "Photo", navigation.close_page)], body=[Photos(seed, 1, 360, int(state.page.arg))]
        )
    return Scene(
        header=[AppBar("gallery", "Gallery", centred=state.look.centred_title)],
        body=[Photos(state.look.wallpaper, 3, 122, start) for start in range(0, PHOTOS, 3)],
        list_id="gallery:list",
    )


@dataclass(frozen=True, slots=True)
class Photos:
    """A row of square photos, drawn from seeds."""

    seed: int
    count: int
    height: float
    start: int

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        each = width / self.count
        for index in range(self.count):
            number = self.start + index
            spot = Rect(left + index * each, top, left + (index + 1) * each, top + self.height).inset(2, 2)
            target = Target(f"gallery:photo.{number}", "image", f"Photo {number + 1}", _photo_opener(number))
            yield Placed(spot, _photo(self.seed + number, spot), target)


def _photo_opener(number: int) -> Handler:
    def on_tap(state: PhoneState) -> None:
        if state.page.name != "photo":
            navigation.open_page(state, "photo", str(number))

    return on_tap


def _photo(seed: int, spot: Rect) -> Paint:
    """A landscape: sky, sun and hills."""
    rng = random.Random(seed)
    sky, hill = oklch(0.78, 0.09, rng.randrange(360)), oklch(0.5, 0.1, rng.randrange(90, 200))
    sun_x, sun_y, crest = rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.45), rng.uniform(0.55, 0.75)

    def paint(canvas: Canvas, theme: Theme) -> None:
        canvas.round(spot, 10, sky)
        canvas.circle(
            spot.left + sun_x * spot.width, spot.top + sun_y * spot.height, 0.12 * spot.width, (255, 243, 200)
        )
        canvas.round(Rect(spot.left, spot.top + crest * spot.height, spot.right, spot.bottom), 10, hill)
        near = Rect(spot.left, spot.top + (crest + 0.14) * spot.height, spot.left + 0.7 * spot.width, spot.bottom)
        canvas.round(near, 10, mix(hill, (0, 0, 0), 0.2))

    return paint


def _maps(state: PhoneState) -> Scene:
    """A town from above."""
    return Scene(
        header=[Gap(8), search_field(state, "maps", "Search here")],
        footer=[
            Tabs(
                (
                    ("maps:tab.explore", "place", "Explore", True, _say("Nothing near")),
                    ("maps:tab.saved", "bookmark", "Saved", False, _say("Nothing saved")),
                    ("maps:tab.layers", "layers", "Layers", False, _say("Standard map")),
                )
            )
        ],
        body=[Town(state.look.wallpaper)],
        list_id="maps:map",
    )


def _say(text: str) -> Handler:
    def on_tap(state: PhoneState) -> None:
        state.toast = text

    return on_tap


@dataclass(frozen=True, slots=True)
class Town:
    """Blocks, parks, water and streets."""

    seed: int
    height: float = 900.0

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        area = Rect(left, top, left + width, top + self.height)
        yield Placed(area, self._painter(area), Target("maps:town", "image", "Map"))

    def _painter(self, area: Rect) -> Paint:
        rng = random.Random(self.seed)
        columns = sorted(rng.sample(range(20, 350, 26), 5))
        rows = sorted(rng.sample(range(20, 880, 34), 11))
        park, water = rng.randrange(10), rng.randrange(10)

        def paint(canvas: Canvas, theme: Theme) -> None:
            ground = mix(theme.background, (150, 150, 130), 0.15)
            street = mix(theme.surface, (255, 255, 255), 0.08 if theme.dark else 1.0)
            canvas.fill(area, ground)
            for index, colour in ((park, oklch(0.45 if theme.dark else 0.85, 0.09, 145)),
                                  (water, oklch(0.42 if theme.dark else 0.80, 0.08, 235))):  # fmt: skip
                left, right = columns[index % 4], columns[index % 4 + 1]
                canvas.fill(Rect(left, area.top + rows[index], right, area.top + rows[index + 1]), colour)
            for x in columns:
                canvas.fill(Rect(x - 5, area.top, x + 5, area.bottom), street)
            for y in rows:
                canvas.fill(Rect(area.left, area.top + y - 4, area.right, area.top + y + 4), street)
            canvas.icon(area.centre[0], area.top + rows[5] - 14, "place", 44, theme.error)

        return paint


def _phone(state: PhoneState) -> Scene:
    """A dial pad."""
    number = state.page.fields.get("number", "")
    return Scene(
        header=[AppBar("phone", "Phone", centred=state.look.centred_title)],
        body=[
            Gap(20),
            Line("phone:number", number or "Enter number", size=36, height=90),
            *(DialKeys(row) for row in DIAL_ROWS),
            CallKey(),
        ],
        list_id="phone:list",
    )


@dataclass(frozen=True, slots=True)
class DialKeys:
    """A row of three keys of the dial pad."""

    keys: str
    height: float = 92.0

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        each = (width - 48) / 3
        for index, key in enumerate(self.keys):
            rect = Rect(left + 24 + index * each, top, left + 24 + (index + 1) * each, top + self.height)
            yield Placed(rect, _dial_painter(key, rect), Target(f"phone:key.{key}", "button", key, _dial(key)))


def _dial_painter(key: str, rect: Rect) -> Paint:
    def paint(canvas: Canvas, theme: Theme) -> None:
        canvas.circle(*rect.centre, 40, theme.surface)
        canvas.text(*rect.centre, key, 34, theme.text, align="middle")

    return paint


@dataclass(frozen=True, slots=True)
class CallKey:
    """The green button that calls."""

    height: float = 100.0

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        rect = Rect(left + width / 2 - 40, top + 10, left + width / 2 + 40, top + 90)

        def paint(canvas: Canvas, theme: Theme) -> None:
            canvas.circle(*rect.centre, 38, oklch(0.6, 0.16, 150))
            canvas.icon(*rect.centre, "call", 36, WHITE)

        yield Placed(rect, paint, Target("phone:call", "button", "Call", _call))


def _dial(key: str) -> Handler:
    def on_tap(state: PhoneState) -> None:
        state.page.fields["number"] = (state.page.fields.get("number", "") + key)[-15:]

    return on_tap


def _call(state: PhoneState) -> None:
    number = state.page.fields.pop("number", "")
    state.toast = f"Calling {number}" if number else "Enter a number"


BUILDERS: dict[str, Callable[[PhoneState], Scene]] = {
    "camera": _camera,
    "gallery": _gallery,
    "maps": _maps,
    "phone": _phone,
}
