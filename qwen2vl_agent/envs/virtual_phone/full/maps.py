"""The Maps app: a town to drag about and to zoom into; a place that is tapped tells its name and can be saved."""

from collections.abc import Iterator
from dataclasses import dataclass

from qwen2vl_agent.envs.virtual_phone.controls import Button, Buttons
from qwen2vl_agent.envs.virtual_phone.draw import Canvas, Rect
from qwen2vl_agent.envs.virtual_phone.full.content import Place
from qwen2vl_agent.envs.virtual_phone.full.parts import first_page, inner_page, listed, opener, page_scene, setter
from qwen2vl_agent.envs.virtual_phone.lettering import text_width
from qwen2vl_agent.envs.virtual_phone.rows import Row
from qwen2vl_agent.envs.virtual_phone.scene import Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.system_ui import WHITE
from qwen2vl_agent.envs.virtual_phone.theme import LARGEST_FONT, Colour, Theme, mix, oklch
from qwen2vl_agent.envs.virtual_phone.widgets import Action, Line, Paint, Placed, Target, Widget

APP = "maps"
MAP_HEIGHT = 560.0
REACH = (400.0, 470.0)
"""How far the middle of the map can be dragged, across and down, in dp."""
BLOCK = (96.0, 84.0)
PIN_DP = 26.0
ZOOMS = (0.5, 3.0)
"""Least and greatest size of the town beside the one at first."""


def build(state: PhoneState) -> Scene:
    """The town, or the list of saved places."""
    if state.page.name == "saved":
        rows = [Row(f"{APP}:saved.{place.name}", place.name, icon=place.icon) for place in saved(state)]
        return page_scene(APP, inner_page(state, APP, "Saved places"), listed(state, APP, rows, "Nothing saved"))
    action = Action(f"{APP}:list", "bookmark", "Saved places", opener("saved"))
    places, chosen = tuple(state.extra.places), state.page.fields.get("place", "")
    town = TownMap(places, *middle(state), zoom_of(state), chosen, state.look.wallpaper)
    return Scene(
        header=[first_page(state, APP, "Maps", (action,))], body=[town], footer=_card(state), list_id=f"{APP}:map"
    )


def saved(state: PhoneState) -> list[Place]:
    """The places that are saved."""
    return [place for place in state.extra.places if place.saved]


def middle(state: PhoneState) -> tuple[float, float]:
    """What of the town lies in the middle of the map, in dp from the town's own middle."""
    scroll = state.page.scroll
    return scroll.get("x", 0.0), scroll.get("y", 0.0)


def zoom_of(state: PhoneState) -> float:
    """How large the town is shown."""
    return state.page.scroll.get("zoom", 1.0)


def _card(state: PhoneState) -> list[Widget]:
    chosen = next((place for place in state.extra.places if place.name == state.page.fields.get("place")), None)
    if chosen is None:
        return [Line(f"{APP}:hint", "Drag the map, tap a place", size=18, colour="secondary_text")]

    def toggle(state: PhoneState) -> None:
        found = next(place for place in state.extra.places if place.name == chosen.name)
        found.saved = not found.saved

    button = Button(f"{APP}:save", "Unsave" if chosen.saved else "Save", toggle, "tonal" if chosen.saved else "filled")
    return [Line(f"{APP}:chosen", chosen.name, size=22, weight="medium", height=40), Buttons((button,))]


def _pan(state: PhoneState, dx: float, dy: float) -> None:
    """The town comes along with the finger."""
    zoom = zoom_of(state)
    for axis, moved, limit in (("x", dx / zoom, REACH[0]), ("y", dy / zoom, REACH[1])):
        state.page.scroll[axis] = round(min(max(state.page.scroll.get(axis, 0.0) - moved, -limit), limit), 3)


def _zoom(state: PhoneState, factor: float) -> None:
    """What is in the middle stays there."""
    state.page.scroll["zoom"] = round(min(max(zoom_of(state) * factor, ZOOMS[0]), ZOOMS[1]), 3)


@dataclass(frozen=True, slots=True)
class TownMap:
    """Streets and blocks from above, with the places that lie in the part that shows."""

    places: tuple[Place, ...]
    x: float
    y: float
    zoom: float
    chosen: str
    seed: int
    height: float = MAP_HEIGHT

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        area = Rect(left, top, left + width, top + self.height)
        yield Placed(area, self._painter(area), Target(f"{APP}:town", "image", "Map", on_drag=_pan, on_pinch=_zoom))
        for place in self.places:
            x = area.centre[0] + (place.x - self.x) * self.zoom
            y = area.centre[1] + (place.y - self.y) * self.zoom
            if area.inset(40, 40).contains(x, y):
                yield self._pin(x, y, place, area)

    def _pin(self, x: float, y: float, place: Place, area: Rect) -> Placed:
        chosen = place.name == self.chosen
        half = text_width(place.name, 16, "medium") * LARGEST_FONT / 2 + 8
        middle = min(max(x, area.left + half + 2), area.right - half - 2)

        def paint(canvas: Canvas, theme: Theme) -> None:
            canvas.circle(x, y, PIN_DP - 4, theme.error if chosen else theme.primary)
            canvas.icon(x, y, place.icon, 26, WHITE if chosen or not theme.dark else theme.on_primary)
            canvas.round(Rect(middle - half, y + 22, middle + half, y + 46), 8, theme.surface)
            canvas.text(
                middle, y + 34, place.name, 16, theme.text, weight="medium", align="middle", max_width=2 * half - 6
            )

        spot = Rect(x - PIN_DP, y - PIN_DP, x + PIN_DP, y + PIN_DP + 20)
        return Placed(
            spot,
            paint,
            Target(
                f"{APP}:place.{place.name}",
                "icon",
                place.name,
                setter("place", place.name),
                on_drag=_pan,
                on_pinch=_zoom,
            ),
        )

    def _painter(self, area: Rect) -> Paint:
        def paint(canvas: Canvas, theme: Theme) -> None:
            canvas.fill(area, mix(theme.surface, (255, 255, 255), 0.05 if theme.dark else 0.9))
            across, down = (side * self.zoom for side in BLOCK)
            left, top = self.x * self.zoom, self.y * self.zoom
            first_column = int((left - area.width / 2) // across)
            first_row = int((top - area.height / 2) // down)
            for row in range(first_row, first_row + int(area.height / down) + 3):
                for column in range(first_column, first_column + int(area.width / across) + 3):
                    x, y = area.centre[0] + column * across - left, area.centre[1] + row * down - top
                    block = Rect(x + 6, y + 5, x + across - 6, y + down - 5).clip(area)
                    if block.width > 0 and block.height > 0:
                        canvas.fill(block, self._ground(column, row, theme))

        return paint

    def _ground(self, column: int, row: int, theme: Theme) -> Colour:
        """Mostly houses; here and there a park or water."""
        kind = (column * 7919 + row * 104729 + self.seed) % 9
        if kind == 0:
            return oklch(0.42 if theme.dark else 0.86, 0.08, 145)
        if kind == 1:
            return oklch(0.40 if theme.dark else 0.82, 0.07, 235)
        return mix(theme.background, (150, 150, 130), 0.16 + 0.04 * (kind % 3))
