"""The browser as an environment."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from qwen2vl_agent.envs.browser.device import SIZE, BrowserDevice
from qwen2vl_agent.envs.browser.tasks import BrowserTasks
from qwen2vl_agent.envs.register import screen_env
from qwen2vl_agent.schema.actions import DESKTOP_ACTIONS
from qwen2vl_agent.schema.errors import ConfigError


def browser_env(
    *,
    url: str = "",
    allow: Iterable[str] = (),
    size: tuple[int, int] = SIZE,
    scale: float = 1.0,
    downloads: Path | str | None = None,
    headless: bool = True,
    **options: Any,
) -> Any:
    """A window of Chromium on the page `url`; the other options are `BrowserDevice`'s, and those of `make_env`.

    Raises:
        ConfigError: no address, a wrong one, or Chromium or the extra is not installed.
        DeviceLost: the browser or the page does not start.
    """
    if not url:
        raise ConfigError("a browser needs a page to begin with: url='https://…'")
    folder = Path(downloads) if downloads else None
    device = BrowserDevice(
        url, allow=allow, size=(int(size[0]), int(size[1])), scale=scale, downloads=folder, headless=headless
    )
    try:
        return screen_env(device, tasks=BrowserTasks, tools=DESKTOP_ACTIONS, **options)
    except BaseException:
        device.close()
        raise
