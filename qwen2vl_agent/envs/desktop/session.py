"""Which display to work on, and whether a program may look and click there at all."""

import os
import sys
from collections.abc import Mapping

from qwen2vl_agent.schema.errors import ConfigError

VIRTUAL_HINT = "or work on a desktop of its own, which touches nothing of yours: --virtual"


OLDEST_XLIB = (0, 33)
XLIB_HINT = "pip install --force-reinstall --no-deps 'python-xlib>=0.33'"


def stale_xlib() -> str:
    """What to do about the old copy of Xlib that pyautogui brings, which loses letters and wants a cookie; or empty.

    Two packages, `python3-xlib` 0.15 and `python-xlib`, install the same module; whichever came last is there.
    """
    try:
        import Xlib
    except ImportError:
        return ""
    old = tuple(Xlib.__version__) < OLDEST_XLIB
    return f"pyautogui has brought an Xlib of {Xlib.__version__[0]}.{Xlib.__version__[1]}: {XLIB_HINT}" if old else ""


def display_to_use(named: str = "", environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> str:
    """The X display to work on; empty on macOS and Windows, which have one only.

    Raises:
        ConfigError: there is none, or it belongs to a Wayland session, and what to do about it.
    """
    if platform in ("darwin", "win32"):
        if named:
            raise ConfigError("--display names an X display; leave it out on macOS and Windows")
        return ""
    own = environ.get("DISPLAY", "")
    wayland = environ.get("WAYLAND_DISPLAY") or environ.get("XDG_SESSION_TYPE") == "wayland"
    if wayland and named in ("", own):
        raise ConfigError(
            "this is a Wayland session, in which programs may neither see other windows nor click on them; log in to "
            f"an Xorg session (many login screens offer it), {VIRTUAL_HINT}"
        )
    if not (named or own):
        raise ConfigError(
            f"there is no desktop here: DISPLAY is not set; name a display, for example --display :0, {VIRTUAL_HINT}"
        )
    return named or own
