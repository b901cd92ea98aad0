"""A Chromium of the system's own, driven from a thread of its own.

Playwright is used through its asyncio interface in one thread, so that the rest of the program may call from any
thread, a call can be left waiting (a page that shows a dialog answers no click until somebody decides), and two
browsers can live in one process.
"""

import asyncio
import os
import shutil
import sys
import threading
from collections.abc import Coroutine
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import Any, TypeVar

from qwen2vl_agent.schema.errors import ConfigError, DeviceLost

T = TypeVar("T")

EXECUTABLE_VARIABLE = "QWEN2VL_AGENT_CHROMIUM"
EXECUTABLES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
"""What the system's packages call it, best first."""
MAC_EXECUTABLES = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
INSTALL_HINT = "install it (Debian: apt-get install chromium) or name it in QWEN2VL_AGENT_CHROMIUM"
EXTRA_HINT = "the browser needs the extra: pip install 'qwen2vl-agent[browser]'"
ARGUMENTS = (
    "--disable-lcd-text",
    "--font-render-hinting=none",
    "--disable-smooth-scrolling",
    "--disable-quic",
    "--disable-component-update",
    "--disable-features=Translate,AutofillServerCommunication,PasswordManagerOnboarding",
)
"""Beyond Playwright's own: the same pixels on every machine, and no traffic of the browser's own."""
ANSWER_WITHIN_S = 60.0
"""A page that does not answer for so long is given up: it runs in circles, or the machine is far too busy."""


def find_chromium() -> Path | None:
    """The system's Chromium or Chrome; the environment's QWEN2VL_AGENT_CHROMIUM comes first. None where there is none.

    Raises:
        ConfigError: the variable names a file that is not there.
    """
    named = os.environ.get(EXECUTABLE_VARIABLE)
    if named:
        found = shutil.which(named)
        if found is None:
            raise ConfigError(f"{EXECUTABLE_VARIABLE} is {named}, which is no program")
        return Path(found)
    installed = (shutil.which(name) for name in EXECUTABLES)
    in_folders = (path for path in MAC_EXECUTABLES if sys.platform == "darwin" and Path(path).is_file())
    first = next((path for path in (*installed, *in_folders) if path), None)
    return Path(first) if first else None


class Chromium:
    """A running browser. `run` does the work of a coroutine in its thread."""

    def __init__(self, *, headless: bool = True, arguments: tuple[str, ...] = ()) -> None:
        """Start it, with more `arguments` on its command line.

        Raises:
            ConfigError: Chromium or the extra is not installed.
            DeviceLost: it does not start.
        """
        try:
            import playwright.async_api  # noqa: F401 (to tell at once)
        except ImportError:
            raise ConfigError(EXTRA_HINT) from None
        self.executable = find_chromium()
        if self.executable is None:
            raise ConfigError(f"there is no Chromium; {INSTALL_HINT}")
        self._gone = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chromium", daemon=True)
        self._thread.start()
        self._playwright: Any = None
        self._browser: Any = None
        try:
            self.run(self._start(headless, arguments))
        except BaseException:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._browser is not None and self._browser.is_connected() and not self._gone

    def gone(self, why: str) -> None:
        """Remember that it, or its page, is lost: whatever is asked of it from now on says so."""
        self._gone = self._gone or why

    async def new_context(self, **options: Any) -> Any:
        """A Playwright `BrowserContext`: cookies, storage and windows of its own. To be awaited inside `run`."""
        return await self._browser.new_context(**options)

    def run(self, work: Coroutine[Any, Any, T], within_s: float = ANSWER_WITHIN_S) -> T:
        """The result of `work`, done in the browser's thread.

        Raises:
            DeviceLost: the browser has ended, its page has crashed, or it does not answer within `within_s`.
        """
        from playwright.async_api import Error

        if self._gone or self._loop.is_closed():
            work.close()
            raise DeviceLost(self._gone or "the browser is closed")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(within_s)
        except FutureTimeout:
            future.cancel()
            raise DeviceLost(f"the browser has not answered for {within_s:g} s") from None
        except Error as error:
            raise DeviceLost(f"the browser is lost: {_first_line(error)}") from error
        except BaseException:
            future.cancel()  # an interruption by the user: nothing goes on behind our back
            raise

    def close(self) -> None:
        """End the browser and its thread. A second time does nothing."""
        if self._loop.is_closed():
            return
        future = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        try:
            future.result(15)
        except Exception:
            future.cancel()  # it is gone already, or hangs: nothing is left to be done about it
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(15)
        if not self._thread.is_alive():
            self._loop.close()

    async def _start(self, headless: bool, arguments: tuple[str, ...]) -> None:
        from playwright.async_api import Error, async_playwright

        self._playwright = await async_playwright().start()
        try:
            self._browser = await self._playwright.chromium.launch(
                executable_path=str(self.executable),
                headless=headless,
                args=[*ARGUMENTS, *arguments],
                chromium_sandbox=_may_have_sandbox(),
                handle_sigint=False,  # Ctrl-C is for the program to decide about
                handle_sigterm=False,
                handle_sighup=False,
            )
        except Error as error:
            raise DeviceLost(f"{self.executable} does not start: {_first_line(error)}") from error
        self._browser.on("disconnected", lambda _: self.gone("the browser has ended"))

    async def _end(self) -> None:
        self._gone = self._gone or "the browser is closed"
        try:
            if self._browser is not None:
                await self._browser.close()
        finally:
            if self._playwright is not None:
                await self._playwright.stop()
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)


def _may_have_sandbox() -> bool:
    """Chromium refuses its sandbox to root."""
    return not (hasattr(os, "geteuid") and os.geteuid() == 0)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
