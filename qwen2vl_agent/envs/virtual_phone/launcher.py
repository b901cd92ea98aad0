"""The launcher: home screen, app drawer and the list of apps in use."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from qwen2vl_agent.envs.virtual_phone import navigation
from qwen2vl_agent.envs.virtual_phone.app_list import APP_BY_ID, App
from qwen2vl_agent.envs.virtual_phone.controls import Button, Buttons
from qwen2vl_agent.envs.virtual_phone.draw import Canvas, Rect
from qwen2vl_agent.envs.virtual_phone.fields import search_field
from qwen2vl_agent.envs.virtual_phone.locales import translator
from qwen2vl_agent.envs.virtual_phone.rows import Row
from qwen2vl_agent.envs.virtual_phone.scene import Scene
from qwen2vl_agent.envs.virtual_phone.state import Look, Page, PhoneState
from qwen2vl_agent.envs.virtual_phone.system_ui import WHITE, clock_text, date_text
from qwen2vl_agent.envs.virtual_phone.theme import Theme, mix, oklch
from qwen2vl_agent.envs.virtual_phone.wallpaper import wallpaper
from qwen2vl_agent.envs.virtual_phone.widgets import AppBar, Gap, Handler, Line, Placed, Target, Widget, label

COLUMNS = 4
ICON_RADIUS = 30.0


def build(state: PhoneState) -> Scene:
    """Home screen or app drawer."""
    return _drawer(state) if state.launcher.name == "drawer" else _home(state)


def _home(state: PhoneState) -> Scene:
    header: list[Widget] = [Gap(20)]
    if state.home.clock:
        header = [Gap(18), BigClock(clock_text(state), date_text(state)), Gap(24)]
    return Scene(
        header=header,
        body=list(icon_rows(state.home.grid, state.look, on_wallpaper=True)),
        footer=[Handle(open_drawer), Dock(tuple(APP_BY_ID[app] for app in state.home.dock), state.look), Gap(10)],
        list_id="launcher:grid",
        over_wallpaper=True,
        backdrop=_paint_wallpaper(state.look.wallpaper),
        on_swipe_up=open_drawer,
    )


def _drawer(state: PhoneState) -> Scene:
    draft = state.launcher.fields.get("search", "")
    say, wanted = translator(state), draft.strip().lower()
    apps = [app for app in state.home.drawer if wanted in say(APP_BY_ID[app].label).lower()]
    search = search_field(state, "launcher", "Search apps")
    body: list[Widget] = [*icon_rows(apps, state.look, on_wallpaper=False)]
    return Scene(
        header=[Gap(8), search],
        body=body or [Line("launcher:none", "No apps found")],
        list_id="launcher:drawer",
        on_enter=_launcher_of(apps[0]) if apps else None,
        on_swipe_down=navigation.go_home,
    )


def open_drawer(state: PhoneState) -> None:
    """Show all apps."""
    navigation.leave(state)
    state.launcher = Page("drawer")


def build_recents(state: PhoneState) -> Scene:
    """The apps in use, the latest first."""
    rows: list[Widget] = []
    for task in reversed(state.tasks):
        app = APP_BY_ID[task.app]
        row = Row(
            f"recents:{app.id}", app.label, on_tap=_launcher_of(app.id),
            icon=app.icon, icon_hue=app.hue, card="only",
        )  # fmt: skip
        rows += [row, Gap(8)]
    footer: list[Widget] = []
    if rows:
        footer = [Buttons((Button("recents:clear", "Clear all", _clear_recents, style="tonal"),))]
    else:
        rows = [Gap(120), Line("recents:none", "No recent apps")]
    return Scene(header=[AppBar("recents", "Recent apps")], body=rows, footer=footer, list_id="recents:list")


def _clear_recents(state: PhoneState) -> None:
    state.tasks = []
    navigation.go_home(state)


def _launcher_of(app: str) -> Handler:
    return lambda state: navigation.launch(state, app)


def _paint_wallpaper(seed: int) -> Callable[[Canvas, Theme], None]:
    def paint(canvas: Canvas, theme: Theme) -> None:
        canvas.image.paste(wallpaper(seed, canvas.image.size, dark=theme.dark))

    return paint


def icon_rows(apps: list[str], look: Look, *, on_wallpaper: bool) -> Iterator[Widget]:
    """The icons of apps in rows of four."""
    for start in range(0, len(apps), COLUMNS):
        row = tuple(APP_BY_ID[app] for app in apps[start : start + COLUMNS])
        yield IconRow(row, look, on_wallpaper)


@dataclass(frozen=True, slots=True)
class IconRow:
    """Up to four app icons with their labels."""

    apps: tuple[App, ...]
    look: Look
    on_wallpaper: bool
    height: float = 112.0

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        each = (width - 8) / COLUMNS
        for index, app in enumerate(self.apps):
            start = left + 4 + index * each
            rect = Rect(start, top + 2, start + each, top + self.height - 2)
            yield self._icon(app, rect)

    def _icon(self, app: App, rect: Rect) -> Placed:
        x = rect.centre[0]

        def paint(canvas: Canvas, theme: Theme) -> None:
            paint_app_icon(canvas, theme, app, x, rect.top + 40, ICON_RADIUS, self.look)
            ink = WHITE if self.on_wallpaper else theme.text
            y = rect.top + 88
            if self.on_wallpaper:
                canvas.text(
                    x + 0.7, y + 1, app.label, 16, (30, 30, 40), weight="medium", align="middle", max_width=rect.width
                )
            canvas.text(x, y, app.label, 16, ink, weight="medium", align="middle", max_width=rect.width)

        return Placed(rect, paint, Target(f"launcher:{app.id}", "icon", app.label, _launcher_of(app.id)))


@dataclass(frozen=True, slots=True)
class Dock:
    """The favourite apps on a glass strip at the bottom."""

    apps: tuple[App, ...]
    look: Look
    height: float = 92.0

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        strip = Rect(left + 10, top, left + width - 10, top + self.height)
        yield Placed(strip, lambda canvas, theme: canvas.glass(strip, 30, WHITE, 0.22))
        each = strip.width / len(self.apps)
        for index, app in enumerate(self.apps):
            rect = Rect(strip.left + index * each, top, strip.left + (index + 1) * each, top + self.height)
            yield self._icon(app, rect)

    def _icon(self, app: App, rect: Rect) -> Placed:
        def paint(canvas: Canvas, theme: Theme) -> None:
            paint_app_icon(canvas, theme, app, *rect.centre, ICON_RADIUS, self.look)

        return Placed(rect, paint, Target(f"launcher:{app.id}", "icon", app.label, _launcher_of(app.id)))


@dataclass(frozen=True, slots=True)
class Handle:
    """The mark that all apps can be pulled up from below."""

    on_tap: Handler
    height: float = 48.0

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        middle = left + width / 2
        rect = Rect(middle - 60, top, middle + 60, top + self.height)

        def paint(canvas: Canvas, theme: Theme) -> None:
            canvas.icon(*rect.centre, "keyboard_arrow_up", 36, WHITE)

        yield Placed(rect, paint, Target("launcher:all_apps", "icon", "All apps", self.on_tap))


@dataclass(frozen=True, slots=True)
class BigClock:
    """Time and date on the home screen."""

    time: str
    date: str
    height: float = 118.0

    def place(self, left: float, top: float, width: float) -> Iterator[Placed]:
        first = Rect(left + 20, top, left + width - 20, top + 80)
        second = Rect(left + 20, top + 80, left + width - 20, top + self.height)
        yield label(first, "launcher:clock", self.time, 68, colour=WHITE, align="middle")
        yield label(second, "launcher:date", self.date, 20, colour=WHITE, weight="medium", align="middle")


def paint_app_icon(canvas: Canvas, theme: Theme, app: App, x: float, y: float, radius: float, look: Look) -> None:
    """An app's icon: its sign on a coloured shape, or in the accent colour where icons are themed."""
    if look.themed_icons:
        fill = mix(theme.container, theme.on_container, 0.2) if theme.dark else theme.container
        ink = theme.on_container
    else:
        fill, ink = oklch(0.60, 0.16, app.hue), WHITE
    canvas.shape(x, y, radius, look.icon_shape, fill)
    canvas.icon(x, y, app.icon, radius * 1.15, ink)
