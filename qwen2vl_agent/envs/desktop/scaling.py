"""Pixels and the units of the pointer, where a screen is scaled.

* X11: one unit is one pixel.
* macOS (Retina): the pointer moves in points, a screenshot has two pixels for each. `Capture.area` is in points, and so
  is the frame that actions are sent in; the picture may have any size, as a model's points are shares of it.
* Windows: a program that does not ask for it is shown a desktop scaled down, and another one for each monitor. Both our
  processes ask, so that pointer and screenshot are in real pixels of all monitors. Not run on Windows.
"""

import ctypes
import sys
from typing import Any

PER_MONITOR_V2 = -4
"""Source: Microsoft's documentation, DPI_AWARENESS_CONTEXT_PER_MONITOR_AWARE_V2 (Windows 10 1703 and later)."""
PER_MONITOR = 2
"""Source: the same, PROCESS_PER_MONITOR_DPI_AWARE of SetProcessDpiAwareness (Windows 8.1)."""


def see_every_pixel(platform: str = sys.platform, windll: Any = None) -> str:
    """Ask Windows for real pixels, in the best way that it has; the way, empty where there is nothing to ask.

    Asking twice is refused by Windows and does no harm: the first answer holds.
    """
    if platform != "win32":
        return ""
    libraries: Any = windll or ctypes.windll  # type: ignore[attr-defined, unused-ignore]
    ways = (
        ("user32", "SetProcessDpiAwarenessContext", (ctypes.c_void_p(PER_MONITOR_V2),)),
        ("shcore", "SetProcessDpiAwareness", (PER_MONITOR,)),
        ("user32", "SetProcessDPIAware", ()),
    )
    for library, function, arguments in ways:
        try:
            getattr(getattr(libraries, library), function)(*arguments)
        except (AttributeError, OSError):
            continue  # an older Windows, which has the next way
        return function
    return ""
