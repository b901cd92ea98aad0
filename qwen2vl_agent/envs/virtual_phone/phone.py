"""The virtual phone: a state that can be seen and touched."""

from PIL import Image

from qwen2vl_agent.envs.virtual_phone import keyboard, navigation
from qwen2vl_agent.envs.virtual_phone.app_list import (
    APP_BY_ID,
    APP_BY_PACKAGE,
    LAUNCHER_ACTIVITY,
    LAUNCHER_PACKAGE,
    App,
    installed,
)
from qwen2vl_agent.envs.virtual_phone.draw import Canvas, Mark, Rect
from qwen2vl_agent.envs.virtual_phone.elements import list_elements, mirrored, target_at
from qwen2vl_agent.envs.virtual_phone.layout import Arrangement, arrange
from qwen2vl_agent.envs.virtual_phone.pages import build_scene
from qwen2vl_agent.envs.virtual_phone.scene import Scene
from qwen2vl_agent.envs.virtual_phone.settings_catalogue import ITEMS, MAX_LEVEL, Choice, Group, path_to
from qwen2vl_agent.envs.virtual_phone.state import Page, PhoneState
from qwen2vl_agent.envs.virtual_phone.system_ui import STATUS_BAR_HEIGHT
from qwen2vl_agent.envs.virtual_phone.theme import font_scale_of, theme_of
from qwen2vl_agent.envs.virtual_phone.widgets import Handler, Target, scale_of, screen_of
from qwen2vl_agent.schema.observation import Element

EVENT_S = 1.0
"""How far an event moves the phone's own clock."""
TOUCH_SLOP_DP = 8.0
"""A finger that moves less than this taps or holds. Source: Android's `ViewConfiguration`."""
LONG_PRESS_S = 0.5
"""A touch this long holds. Source: Android's `ViewConfiguration`."""
SWIPE_DP = 60.0
"""A finger that moves this far opens the drawer or the quick settings."""


class VirtualPhone:
    """A phone of any size in pixels, 360 dp wide if it is upright (`widgets.screen_of`).

    Every method that touches it is one event: it moves the phone's clock and takes the last notice away. Between
    events nothing changes. `state` may be replaced or edited from outside, then `refresh()` must be called.
    """

    def __init__(self, state: PhoneState, size: tuple[int, int] = (1080, 2400)) -> None:
        self.size = size
        self._scale, self._screen = scale_of(size), screen_of(size)
        self._state = state
        self.refresh()

    @property
    def state(self) -> PhoneState:
        """All that the phone is."""
        return self._state

    @state.setter
    def state(self, state: PhoneState) -> None:
        self._state = state
        self.refresh()

    def refresh(self) -> None:
        """Look at the state anew."""
        self._scene: Scene | None = None
        self._arrangement: Arrangement | None = None
        self._image: Image.Image | None = None
        self._elements: list[Element] | None = None

    def image(self) -> Image.Image:
        """The screen in RGB. The same image is given until something changes: do not paint on it."""
        if self._image is None:
            self._image = self._paint().image
        return self._image

    def marks(self) -> list[Mark]:
        """Every letter and icon that can be seen; the screen is painted once more for it."""
        return self._paint(mark=True).marks or []

    def elements(self) -> list[Element]:
        """What can be seen, in reading order."""
        if self._elements is None:
            shown = self._state.screen_on
            found = list_elements(self._arrangement_now().parts, self._scale) if shown else []
            self._elements = mirrored(found, self.size[0]) if self._state.extra.mirrored else found
        return self._elements

    # Touch ---------------------------------------------------------------------------------------------------------

    def tap(self, x: int, y: int) -> None:
        """Touch a pixel."""
        target = self._target_at(x, y)
        self._begin()
        if target is not None and target.on_tap is not None:
            target.on_tap(self._state)

    def long_press(self, x: int, y: int, duration_s: float = 1.0) -> None:
        """Hold a pixel; where holding means nothing, that is a tap."""
        target = self._target_at(x, y)
        self._begin(duration_s)
        handler = target and (target.on_hold or target.on_tap)
        if handler:
            handler(self._state)

    def double_tap(self, x: int, y: int) -> None:
        """Touch a pixel twice."""
        self.tap(x, y)
        self.tap(x, y)

    def pinch(self, x: int, y: int, factor: float) -> None:
        """Two fingers around a pixel, which end `factor` times as far apart as they began."""
        target = self._target_at(x, y)
        self._begin()
        if self._state.screen_on and target is not None and target.on_pinch is not None:
            target.on_pinch(self._state, factor)

    def swipe(self, x1: int, y1: int, x2: int, y2: int, duration_s: float = 0.5) -> None:
        """Move a finger; a list under it moves along, as far as it goes."""
        dx, dy = (x2 - x1) / self._scale, (y2 - y1) / self._scale
        dx = -dx if self._state.extra.mirrored else dx
        if abs(dx) < TOUCH_SLOP_DP and abs(dy) < TOUCH_SLOP_DP:
            if duration_s >= LONG_PRESS_S:
                self.long_press(x1, y1, duration_s)
            else:
                self.tap(x1, y1)
            return
        scene, arrangement = self._scene_now(), self._arrangement_now()
        start = Rect(self._across(x1 / self._scale), y1 / self._scale, 0, 0)
        held = self._target_at(x1, y1)
        self._begin(duration_s)
        if self._state.screen_on:
            if held is not None and held.on_drag is not None:
                held.on_drag(self._state, dx, dy)
            else:
                self._drag(scene, arrangement, start.left, start.top, dx, dy)

    def _drag(self, scene: Scene, arrangement: Arrangement, x: float, y: float, dx: float, dy: float) -> None:
        state = self._state
        if abs(dx) > abs(dy):
            aside = scene.on_swipe_left if dx < 0 else scene.on_swipe_right
            if aside is not None and abs(dx) > SWIPE_DP and scene.overlay is None and not state.shade_open:
                aside(state)
            return
        if state.shade_open:
            if dy < -SWIPE_DP:
                state.shade_open = False
        elif y < STATUS_BAR_HEIGHT and dy > SWIPE_DP:
            navigation.hide_keyboard(state)
            state.shade_open = True
        elif scene.overlay is not None or (arrangement.body.contains(x, y) and self._scroll(arrangement, -dy)):
            return
        elif dy < -SWIPE_DP and scene.on_swipe_up is not None:
            scene.on_swipe_up(state)
        elif dy > SWIPE_DP and scene.on_swipe_down is not None:
            scene.on_swipe_down(state)

    def _scroll(self, arrangement: Arrangement, distance: float) -> bool:
        target = min(max(arrangement.scroll + distance, 0.0), arrangement.max_scroll)
        if target == arrangement.scroll:
            return False
        self._state.page.scroll["body"] = round(target, 3)
        return True

    # Keys and text -------------------------------------------------------------------------------------------------

    def type_text(self, text: str) -> bool:
        """Type at the end of the focused field; False when there is none."""
        self._begin()
        return self._state.screen_on and navigation.insert_text(self._state, text)

    def clear_text(self) -> bool:
        """Empty the focused field; False when there is none."""
        self._begin()
        page = self._state.page
        if not (self._state.screen_on and navigation.insert_text(self._state, "")):
            return False
        page.fields[page.focus] = ""
        return True

    def press_key(self, name: str) -> bool:
        """Press a key (a `KeyName`); False when nothing takes it.

        Raises:
            ValueError: there is no such key.
        """
        if name not in _KEYS:
            raise ValueError(f"there is no key {name!r}; expected one of {', '.join(sorted(_KEYS))}")
        menu, search = self._scene_now().on_menu, self._search_target()
        self._begin()
        state = self._state
        if name == "power":
            state.screen_on = not state.screen_on
            navigation.leave(state)
        elif name == "wakeup":
            state.screen_on = True
        elif not state.screen_on:
            return False
        elif name == "menu":
            return _call(menu, state)
        elif name == "search":
            return _call(search.on_tap if search else None, state)
        elif name == "delete":
            return navigation.delete_letter(state)
        elif name == "enter":
            return self._press_enter()
        elif name in ("volume_up", "volume_down"):
            self._change_volume(1 if name == "volume_up" else -1)
        else:
            {"back": navigation.back, "home": navigation.go_home, "app_switch": navigation.show_recents}[name](state)
        return True

    def _press_enter(self) -> bool:
        page = self._state.page
        if not page.focus or page.dialog or self._state.shade_open:
            return False
        keyboard.press_enter(self._state)
        return True

    def _change_volume(self, step: int) -> None:
        name = "sound.media_volume"
        level = min(max(int(self._state.settings.get(name, 5)) + step, 0), MAX_LEVEL)
        self._state.settings[name] = level
        self._state.toast = f"Media volume {level}"

    def _search_target(self) -> Target | None:
        targets = [part.placed.target for part in self._arrangement_now().parts]
        return next((target for target in targets if target and target.id.endswith(":search")), None)

    # Apps ----------------------------------------------------------------------------------------------------------

    def launch(self, package: str, page: str | None = None) -> bool:
        """Bring an app (its package or id) to the front; `page` opens a page of Settings by its id.

        False where there is no such app or page.
        """
        app = APP_BY_PACKAGE.get(package) or APP_BY_ID.get(package)
        if package != LAUNCHER_PACKAGE and (app is None or app.id not in {other.id for other in self.apps()}):
            return False
        if page is not None and (app is None or app.id != "settings" or page not in ITEMS):
            return False
        self._begin()
        if app is None:
            navigation.go_home(self._state)
        else:
            navigation.launch(self._state, app.id)
            if page is not None:
                self._state.task("settings").pages = _settings_pages(page)
        return True

    def stop(self, package: str) -> bool:
        """End an app and forget its pages; False where there is no such app."""
        app = APP_BY_PACKAGE.get(package) or APP_BY_ID.get(package)
        if app is None:
            return False
        self._begin()
        if self._state.foreground == app.id:
            navigation.go_home(self._state)
        self._state.tasks = [task for task in self._state.tasks if task.app != app.id]
        return True

    @property
    def foreground(self) -> tuple[str, str]:
        """Package and activity in front."""
        app = APP_BY_ID.get(self._state.foreground)
        return (app.package, app.activity) if app else (LAUNCHER_PACKAGE, LAUNCHER_ACTIVITY)

    def apps(self) -> list[App]:
        """The installed apps, with their labels in the phone's language."""
        return list(installed(self._state.edition))

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._begin(seconds)

    # Inside --------------------------------------------------------------------------------------------------------

    def _begin(self, seconds: float = EVENT_S) -> None:
        self._state.now_s = round(self._state.now_s + seconds, 3)
        self._state.toast = ""
        self.refresh()

    def _scene_now(self) -> Scene:
        if self._scene is None:
            self._scene = build_scene(self._state)
        return self._scene

    def _arrangement_now(self) -> Arrangement:
        if self._arrangement is None:
            self._arrangement = arrange(self._scene_now(), self._state, self._screen)
        return self._arrangement

    def _target_at(self, x: int, y: int) -> Target | None:
        if not self._state.screen_on:
            return None
        dp_x, dp_y = self._across((x + 0.5) / self._scale), (y + 0.5) / self._scale
        return target_at(self._arrangement_now().parts, dp_x, dp_y)

    def _across(self, x: float) -> float:
        """Where in the layout, in dp, a place on the screen lies."""
        return self._screen.width - x if self._state.extra.mirrored else x

    def _paint(self, *, mark: bool = False) -> Canvas:
        if not self._state.screen_on:
            return Canvas(Image.new("RGB", self.size), self._scale)
        theme = theme_of(self._state)
        scene = self._scene_now()
        image = Image.new("RGB", self.size, theme.background)
        mirror_dp = self._screen.width if self._state.extra.mirrored else None
        canvas = Canvas(image, self._scale, font_scale_of(self._state), mark=mark, mirror_dp=mirror_dp)
        if scene.backdrop is not None:
            scene.backdrop(canvas, theme)
        for part in self._arrangement_now().parts:
            if part.placed.paint is not None:
                part.placed.paint(canvas, theme)
        return canvas


_KEYS = frozenset(
    ("back", "home", "menu", "enter", "delete", "app_switch", "volume_up", "volume_down", "power", "wakeup", "search")
)


def _call(handler: Handler | None, state: PhoneState) -> bool:
    if handler is None:
        return False
    handler(state)
    return True


def _settings_pages(item: str) -> list[Page]:
    """The pages of Settings from the first to the one of `item`, as a user would have opened them."""
    pages = [Page("main")]
    if item == "root":
        return pages
    pages += [Page("group", group.id) for group in path_to(item)[1:]]
    if isinstance(ITEMS[item], Group):
        pages.append(Page("group", item))
    elif isinstance(ITEMS[item], Choice):
        pages.append(Page("choice", item))
    return pages
