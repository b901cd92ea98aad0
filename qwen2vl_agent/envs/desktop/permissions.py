"""What a system asks its user before a program may look at the screen and move the pointer.

Only macOS has such switches. Without them a program sees the wallpaper and empty windows, and its clicks go nowhere,
both in silence; so they are asked about before anything is done. Not run on macOS.
"""

import ctypes
import sys
from collections.abc import Callable

from qwen2vl_agent.schema.errors import ConfigError

CORE_GRAPHICS = "/System/Library/Frameworks/CoreGraphics.framework/CoreGraphics"
APPLICATION_SERVICES = "/System/Library/Frameworks/ApplicationServices.framework/ApplicationServices"
WAYS = {
    "Screen Recording": (CORE_GRAPHICS, "CGPreflightScreenCaptureAccess"),
    "Accessibility": (APPLICATION_SERVICES, "AXIsProcessTrusted"),
}
"""Switches of "Privacy & Security", each with the function that tells how it stands. Source: Apple's documentation of
CoreGraphics (macOS 10.15 and later) and of ApplicationServices."""


def check_permissions(platform: str = sys.platform, granted: Callable[[str, str], bool] | None = None) -> None:
    """Nothing where a program may look and click; `granted` asks the system by library and function.

    Raises:
        ConfigError: a switch is off, and where it is.
    """
    if platform != "darwin":
        return
    ask = granted or _granted
    if missing := [name for name, (library, function) in WAYS.items() if not ask(library, function)]:
        raise ConfigError(
            f"macOS does not let this program {' or '.join(_lacks(name) for name in missing)}: open System Settings, "
            f"Privacy & Security, {' and '.join(missing)}, turn on the application that this command was started from "
            "(Terminal, an editor …), and start that application anew"
        )


def _lacks(name: str) -> str:
    return "see other windows" if name == "Screen Recording" else "use mouse and keyboard"


def _granted(library: str, function: str) -> bool:
    """What the system says; yes where it is too old to know the question."""
    try:
        ask = getattr(ctypes.cdll.LoadLibrary(library), function)
    except (OSError, AttributeError):
        return True
    ask.restype = ctypes.c_bool
    return bool(ask())
