"""A browser window as a device: one page at a time, pixels out, mouse and keyboard in."""

import asyncio
import io
import re
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from qwen2vl_agent.envs.browser import dialogs
from qwen2vl_agent.envs.browser.chromium import Chromium
from qwen2vl_agent.envs.browser.dialogs import Choice, OpenDialog
from qwen2vl_agent.envs.browser.elements_js import VISIBLE_ELEMENTS
from qwen2vl_agent.envs.browser.input import Hands
from qwen2vl_agent.envs.browser.keys import browser_key
from qwen2vl_agent.envs.browser.origins import allowed_origins, may_go
from qwen2vl_agent.schema.actions import Action, Click, Hotkey, TypeText, Wait
from qwen2vl_agent.schema.errors import ActionRejected, ConfigError, DeviceLost
from qwen2vl_agent.schema.geometry import Frame
from qwen2vl_agent.schema.observation import Element
from qwen2vl_agent.schema.tools import tool_name

SIZE = (1280, 800)
"""Of the page, in CSS pixels."""
LOAD_WITHIN_S = 30.0
EMPTY_WINDOW_S = 0.2
"""A new window may be told of a little later than its first request."""
LEAVE_TRIES = CAPTURE_TRIES = 5
DIALOG_IN_FRONT = "a dialog of the page is in front; press its button, or the keys enter or escape"


class BrowserDevice:
    """A window of Chromium.

    It shows one page at a time, without tabs and address bar: a page that opens another shows that one, and when it
    closes the one before. The keys of a browser that pages cannot see work too: alt+left, alt+right, f5, ctrl+r,
    ctrl+w. Each episode begins with a new window: no cookies, the start page in front.
    """

    name = "browser"
    still = False
    timed = True

    def __init__(
        self,
        url: str,
        *,
        allow: Iterable[str] = (),
        size: tuple[int, int] = SIZE,
        scale: float = 1.0,
        downloads: Path | None = None,
        headless: bool = True,
    ) -> None:
        """Open `url`.

        Args:
            allow: origins beside that of `url` to which pages may lead; `*` for all.
            scale: device pixels for each CSS pixel.
            downloads: folder for what is downloaded; None refuses downloads.
            headless: without a window on the user's own screen.

        Raises:
            ConfigError: a wrong address, or Chromium or the extra is not installed.
            DeviceLost: the browser or the page does not start.
        """
        self.url, self.allowed = url, allowed_origins(url, allow)
        if min(size) < 50 or max(size) > 8000 or not 0.25 <= scale <= 4:
            raise ConfigError(f"a page of {size[0]}x{size[1]} at scale {scale:g} cannot be shown")
        self._size, self._scale, self._downloads = size, scale, downloads
        self._last_allowed = url
        """Where the agent was last that it may be."""
        self._news: list[str] = []
        self._context: Any = None
        self._pages: list[Any] = []
        self._held: asyncio.Task[Any] | None = None
        """What the page has not answered because it shows a dialog."""
        self._dialog: OpenDialog | None = None
        self._asked: asyncio.Event | None = None
        self._last = Image.new("RGB", self._pixels(), "white")
        self.chromium = Chromium(headless=headless)
        try:
            self.restart()
        except BaseException:
            self.close()
            raise

    # Device ----------------------------------------------------------------------------------------------------------

    @property
    def frame(self) -> Frame:
        """The page in device pixels."""
        return Frame("device", *self._pixels())

    def screenshot(self) -> Image.Image:
        """See `Device`; a dialog of the page is drawn over it."""
        if self._dialog is None:
            self._last = self.chromium.run(self._picture())
        return self._last if self._dialog is None else dialogs.drawn(self._dialog, self._last, self._scale)

    def perform(self, action: Action) -> dict[str, Any]:
        """See `Device`."""
        extra_s = action.seconds if isinstance(action, Wait) else 0.0
        return self.chromium.run(self._perform(action), 60.0 + extra_s)

    def elements(self) -> list[Element]:
        """See `Device`: what can be used on the page."""
        if self._dialog is not None:
            parts = dialogs.layout(self._dialog, self._pixels(), self._scale)
            return [Element(dialogs.label(choice), "button", box) for choice, box in parts.buttons.items()]
        seen = self.chromium.run(self._page.evaluate(VISIBLE_ELEMENTS))
        return [self._element(item) for item in seen]

    def news(self) -> str:
        """What happened that the picture does not show, told once: a page or a download refused, a file kept."""
        told, self._news = " ".join(self._news), []
        return told

    def restart(self) -> None:
        """A new window with the start page."""
        self.chromium.run(self._open())

    def close(self) -> None:
        """End the browser."""
        self.chromium.close()

    # Pages -----------------------------------------------------------------------------------------------------------

    @property
    def _page(self) -> Any:
        if not self._pages:
            raise DeviceLost("the page has closed itself, and there is none behind it")
        return self._pages[-1]

    async def _open(self) -> None:
        from playwright.async_api import Error

        await self._drop_window()
        width, height = self._size
        self._context = await self.chromium.new_context(
            viewport={"width": width, "height": height}, device_scale_factor=self._scale, accept_downloads=True
        )
        self._asked, self._news = asyncio.Event(), []
        await self._context.route("**/*", self._guard)
        self._context.on("page", self._meet)
        page = await self._context.new_page()
        try:
            await page.goto(self.url, wait_until="domcontentloaded", timeout=LOAD_WITHIN_S * 1000)
        except Error as error:
            if not self._dialog:  # a page may ask something before it has loaded
                raise DeviceLost(f"{self.url} cannot be shown: {str(error).partition(chr(10))[0]}") from error

    async def _drop_window(self) -> None:
        held, self._held, self._dialog = self._held, None, None
        if held:
            held.cancel()
        if self._context is not None:
            context, self._context = self._context, None
            self._pages.clear()
            await context.close()

    def _meet(self, page: Any) -> None:
        """Put a page in front, and listen to it."""
        self._pages.append(page)
        page.on("close", self._lose)
        page.on("crash", lambda _: self.chromium.gone("the page has crashed"))
        page.on("dialog", self._on_dialog)
        page.on("download", self._on_download)
        page.on("filechooser", lambda _: self._tell("The page asks for a file; there is none to give."))
        page.on("framenavigated", self._on_arrival)

    def _lose(self, page: Any) -> None:
        if page in self._pages:
            self._pages.remove(page)

    def _tell(self, text: str) -> None:
        if text not in self._news:
            self._news.append(text)

    # What pages do by themselves --------------------------------------------------------------------------------------

    async def _guard(self, route: Any) -> None:
        """Let a request pass, unless it leads a whole page to where the agent may not go."""
        request = route.request
        if request.is_navigation_request() and _of_whole_page(request) and not may_go(request.url, self.allowed):
            self._refuse(request.url)
            await route.abort("aborted")  # the page stays; "blockedbyclient" would put an error in its place
            await self._close_empty_windows()
        else:
            await route.continue_()

    async def _close_empty_windows(self) -> None:
        """Close the windows that a refused link has opened for itself."""
        await asyncio.sleep(EMPTY_WINDOW_S)
        for page in self._pages[1:]:
            if page.url == "about:blank":
                await page.close()

    async def _on_arrival(self, frame: Any) -> None:
        """Leave a page to which a server has redirected: the guard sees the first address of a chain only."""
        if frame.parent_frame is not None or _is_error(frame.url):
            return
        if may_go(frame.url, self.allowed):
            self._last_allowed = frame.url if not frame.url.startswith("about:") else self._last_allowed
            return
        self._refuse(frame.url)
        await self._leave(frame.page)

    async def _leave(self, page: Any) -> None:
        """Go from a page that may not be shown to the last one that was, or close its window."""
        from playwright.async_api import Error

        for _ in range(LEAVE_TRIES):
            try:
                if len(self._pages) > 1:
                    await page.close()
                else:
                    await page.goto(self._last_allowed, wait_until="commit", timeout=LOAD_WITHIN_S * 1000)
                return
            except Error:  # a page that is still arriving can interrupt the way back
                await asyncio.sleep(EMPTY_WINDOW_S)

    def _refuse(self, url: str) -> None:
        allowed = ", ".join(self.allowed)
        self._tell(f"The page wanted to lead to {url[:120]}, which is not allowed; only {allowed} may be visited.")

    def _on_dialog(self, dialog: Any) -> None:
        assert self._asked is not None
        if dialog.type == "beforeunload":
            self._later(dialog.accept())
            return
        self._dialog = OpenDialog(dialog, dialog.type, dialog.message, dialog.default_value)
        self._asked.set()

    async def _on_download(self, download: Any) -> None:
        name = re.sub(r"[^\w.\- ]", "_", download.suggested_filename)[-100:].lstrip(".") or "download"
        if self._downloads is None:
            self._tell(f"A download of {name} was refused: downloads are off.")
            await download.cancel()
            return
        self._downloads.mkdir(parents=True, exist_ok=True)
        target = _free_name(self._downloads / name)
        await download.save_as(target)
        self._tell(f"Downloaded {target.name}.")

    def _later(self, work: Coroutine[Any, Any, Any]) -> None:
        self._held = asyncio.ensure_future(work)

    # Looking and acting ----------------------------------------------------------------------------------------------

    async def _picture(self) -> Image.Image:
        from playwright.async_api import Error

        for tries_left in reversed(range(CAPTURE_TRIES)):
            try:
                shot = await self._unless_asked(self._page.screenshot(type="png", caret="initial", scale="device"))
                break
            except Error:  # between two pages there is none to be taken
                if not tries_left or not self.chromium.alive:
                    raise
                await asyncio.sleep(EMPTY_WINDOW_S)
        return self._last if shot is None else Image.open(io.BytesIO(shot)).convert("RGB")

    async def _perform(self, action: Action) -> dict[str, Any]:
        if self._dialog is not None:
            return await self._answer(self._dialog, action)
        if isinstance(action, Hotkey) and (own := browser_key(action.keys)):
            await self._browser_key(own)
            return {"action": "hotkey", "keys": action.keys}
        hands = Hands(self._page, self.frame, self._scale)
        sent: dict[str, Any] = {"action": tool_name(type(action))}
        await self._unless_asked(hands.do(action, sent))
        return sent

    async def _unless_asked(self, work: Coroutine[Any, Any, Any]) -> Any:
        """The result of `work`; None where the page asks something first and `work` has to wait for the answer."""
        assert self._asked is not None
        self._asked.clear()
        task, asked = asyncio.ensure_future(work), asyncio.ensure_future(self._asked.wait())
        try:
            await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()
        if task.done():
            return task.result()
        self._held = task
        return None

    async def _browser_key(self, name: str) -> None:
        from playwright.async_api import Error

        page = self._page
        works = {"back": page.go_back, "forward": page.go_forward, "reload": page.reload}
        if name == "close":
            if len(self._pages) < 2:
                raise ActionRejected("this is the only page; it cannot be closed")
            await page.close()
            return
        try:
            await works[name](wait_until="domcontentloaded", timeout=LOAD_WITHIN_S * 1000)
        except Error as error:
            if not self._news:
                self._tell(f"The page cannot be shown: {str(error).partition(chr(10))[0][:120]}")

    async def _answer(self, dialog: OpenDialog, action: Action) -> dict[str, Any]:
        """Press a dialog's button or fill its field."""
        if isinstance(action, TypeText) and dialog.kind == "prompt":
            lines = action.text.split("\n")
            dialog.text = lines[0] if action.clear_first else dialog.text + lines[0]
            if len(lines) > 1:
                await self._decide(dialog, "accept")
            return {"action": "type_text", "text": action.text}
        if isinstance(action, Wait):
            await asyncio.sleep(action.seconds)
            return {"action": "wait", "seconds": action.seconds}
        choice = self._choice(dialog, action)
        if choice is None:
            raise ActionRejected(DIALOG_IN_FRONT)
        await self._decide(dialog, choice)
        return {"action": tool_name(type(action)), "dialog": choice}

    def _choice(self, dialog: OpenDialog, action: Action) -> Choice | None:
        if isinstance(action, Click):
            point = action.point.to(self.frame)
            return dialogs.pressed(dialog, (point.x, point.y), self._pixels(), self._scale)
        if isinstance(action, Hotkey):
            return {"enter": "accept", "escape": "dismiss", "esc": "dismiss"}.get(action.keys.lower())  # type: ignore[return-value]
        return None

    async def _decide(self, dialog: OpenDialog, choice: Choice) -> None:
        held, self._held, self._dialog = self._held, None, None
        if choice == "accept":
            await dialog.handle.accept(dialog.text)
        else:
            await dialog.handle.dismiss()
        if held:
            await self._unless_asked(_result_of(held))

    def _element(self, item: dict[str, Any]) -> Element:
        sides = [round(item[side] * self._scale) for side in ("left", "top", "right", "bottom")]
        bounds = (sides[0], sides[1], max(sides[2], sides[0] + 1), max(sides[3], sides[1] + 1))
        return Element(item["text"], item["role"], bounds, item["id"], checked=item["checked"], focused=item["focused"])

    def _pixels(self) -> tuple[int, int]:
        return round(self._size[0] * self._scale), round(self._size[1] * self._scale)


async def _result_of(task: "asyncio.Task[Any]") -> Any:
    return await task


def _of_whole_page(request: Any) -> bool:
    """Whether a request is for a page, not for a part of one; a new window's first request has no frame yet."""
    from playwright.async_api import Error

    try:
        return request.frame.parent_frame is None
    except Error:
        return True


def _is_error(url: str) -> bool:
    return url.startswith("chrome-error:") or not url


def _free_name(path: Path) -> Path:
    number = 1
    free = path
    while free.exists():
        free, number = path.with_name(f"{path.stem}-{number}{path.suffix}"), number + 1
    return free
