"""A page of MiniWoB++ as a device, in simulated time.

The page's clock stands still while the agent looks and thinks, and moves on by a fixed span with every action: no
episode times out by the wall clock, animations have ended before the next look, and the same actions lead to the same
pixels on any machine, however busy. The page's own code decides what is asked and what is rewarded.
"""

import asyncio
import base64
import io
from importlib.resources import files
from typing import Any

from PIL import Image

from qwen2vl_agent.envs.browser.chromium import Chromium
from qwen2vl_agent.envs.browser.input import Hands
from qwen2vl_agent.envs.miniwob.pages import page_file, page_pictures
from qwen2vl_agent.envs.miniwob.reuse import way_to_begin
from qwen2vl_agent.schema.actions import Action, Scroll, Wait
from qwen2vl_agent.schema.errors import DeviceLost
from qwen2vl_agent.schema.geometry import Frame
from qwen2vl_agent.schema.observation import Element
from qwen2vl_agent.schema.tools import tool_name

PAGE = (160, 210)
"""CSS pixels of a task: 50 rows of instruction above a square of 160. Source: miniwob's screenshot.py."""
VIEWPORT = (500, 214)
"""A window of just the page's size would scroll sideways on some pages. Source: miniwob's own window, 500x240."""
SCALE = 2
"""Screenshot pixels for each CSS pixel; the published protocols show 160x210 ones."""
ARGUMENTS = ("--disable-frame-rate-limit", "--disable-gpu-vsync", "--disable-gpu", "--disable-partial-raster")
"""Nothing moves but by our clock, so that no picture need wait for a display's next frame; and a picture as small as
these is drawn sooner without a graphics card, and alike on every machine."""
STEP_MS = 500
"""How far the page's clock moves on with every action: jQuery's animations take 400 ms."""
SCRIPTS = ("clock.js", "episode.js")
"""The page's time, and its episodes; each begins on the first of January 2017, as calendars mark the present day."""
FOREVER_MS = 2_000_000_000
"""The page's own limit of time; a timer can be no longer than 2^31 ms."""
READY_TRIES, READY_TRY_S = 200, 0.02


class MiniWoBDevice:
    """One page at a time in a window of Chromium; `begin` opens a task."""

    name = "miniwob"
    still = True
    timed = False

    def __init__(self, *, scale: int = SCALE, headless: bool = True) -> None:
        """Start a browser.

        Raises:
            ConfigError: Chromium or the extra is not installed.
            DeviceLost: it does not start.
        """
        self.scale = scale
        self.page_name = ""
        self.history: list[dict[str, Any]] = []
        """What was sent since the episode began."""
        self.over, self.raw_reward, self.reason = False, 0.0, ""
        self._page: Any = None
        self._cdp: Any = None
        self._pointer_moved = False
        self.chromium = Chromium(headless=headless, arguments=ARGUMENTS)
        try:
            self.chromium.run(self._open_window())
        except BaseException:
            self.close()
            raise

    @property
    def frame(self) -> Frame:
        """The task's 160x210 CSS pixels, enlarged."""
        return Frame("device", PAGE[0] * self.scale, PAGE[1] * self.scale)

    def begin(self, page: str, seed: int, mode: str) -> str:
        """Open a page's task for a seed; what it asks for.

        Args:
            mode: `train`, `test` or `default`: the page's own sets of words, where it has such.

        Raises:
            ConfigError: there is no such page.
            DeviceLost: the page does not start.
        """
        goal: str = self.chromium.run(self._begin(page, seed, mode))
        self.page_name, self.history = page, []
        return goal

    def screenshot(self) -> Image.Image:
        """See `Device`."""
        return self.chromium.run(self._picture())

    def perform(self, action: Action) -> dict[str, Any]:
        """See `Device`. A wait moves the page's clock on, and takes no time."""
        sent = self.chromium.run(self._perform(action))
        self.history.append(sent)
        return sent

    def ask(self, script: str, given: Any = None) -> Any:
        """What a script finds on the page. For solutions, and to list elements; never shown to a model."""
        return self.chromium.run(self._page.evaluate(script, given))

    def elements(self) -> list[Element]:
        """See `Device`."""
        from qwen2vl_agent.envs.browser.elements_js import VISIBLE_ELEMENTS

        width, height = PAGE
        seen = [item for item in self.ask(VISIBLE_ELEMENTS) if item["left"] < width and item["top"] < height]
        return [_element(item, self.scale) for item in seen]

    def close(self) -> None:
        """End the browser."""
        self.chromium.close()

    # In the browser's thread -----------------------------------------------------------------------------------------

    async def _open_window(self) -> None:
        width, height = VIEWPORT
        context = await self.chromium.new_context(
            viewport={"width": width, "height": height}, device_scale_factor=self.scale
        )
        self._page = await context.new_page()
        self._page.on("crash", lambda _: self.chromium.gone("the page has crashed"))
        self._page.on("dialog", lambda dialog: dialog.accept())
        self._cdp = await context.new_cdp_session(self._page)
        for script in SCRIPTS:
            await self._page.add_init_script((files(__package__) / "assets" / script).read_text("utf-8"))

    async def _begin(self, name: str, seed: int, mode: str) -> str:
        page, address = self._page, page_file(name).as_uri()
        way = way_to_begin(name) if page.url == address else "loaded"
        if way == "loaded":
            await page.goto(address)
            if pictures := page_pictures(name):
                await page.evaluate("pictures => __hold(pictures)", pictures)
        if self._pointer_moved:
            await page.mouse.move(0, 0)
            self._pointer_moved = False
        self.over, self.raw_reward, self.reason = False, 0.0, ""
        given = {"seed": seed, "mode": mode, "limit": FOREVER_MS, "span": STEP_MS, "way": way}
        goal: str | None = await page.evaluate("given => __begin(given)", given)
        for _ in range(READY_TRIES):
            if goal is not None:
                return " ".join(goal.split())
            await asyncio.sleep(READY_TRY_S)  # it reads its words from a file
            goal = await page.evaluate("span => __begun(span)", STEP_MS)
        raise DeviceLost(f"the page {name} does not get ready")

    async def _perform(self, action: Action) -> dict[str, Any]:
        sent: dict[str, Any] = {"action": tool_name(type(action))}
        if isinstance(action, Wait):
            sent["seconds"] = action.seconds
            await self._advance(round(action.seconds * 1000))
        else:
            self._pointer_moved = True
            await Hands(self._page, self.frame, self.scale).do(action, sent)
            if isinstance(action, Scroll):
                await self._page.evaluate("() => __scrolled()")
            await self._advance(STEP_MS)
        return sent

    async def _advance(self, span_ms: int) -> None:
        """Move the page's clock on, and see what it says of the episode."""
        self.over, self.raw_reward, self.reason = await self._page.evaluate("span => __go_on(span)", span_ms)

    async def _picture(self) -> Image.Image:
        clip = {"x": 0, "y": 0, "width": PAGE[0], "height": PAGE[1], "scale": self.scale}
        enlarged = {} if self.scale == 1 else {"clip": clip}  # a clip costs the page a layout
        answer = await self._cdp.send("Page.captureScreenshot", {"format": "png", "optimizeForSpeed": True, **enlarged})
        image = Image.open(io.BytesIO(base64.b64decode(answer["data"])))
        return image.crop((0, 0, self.frame.width, self.frame.height)).convert("RGB")


def _element(item: dict[str, Any], scale: int) -> Element:
    left, top, right, bottom = (round(item[side] * scale) for side in ("left", "top", "right", "bottom"))
    bounds = (left, top, max(right, left + 1), max(bottom, top + 1))
    return Element(item["text"], item["role"], bounds, item["id"], checked=item["checked"], focused=item["focused"])
