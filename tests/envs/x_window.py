"""A window that writes down what mouse and keyboard do to it, by Xlib."""

import time
from typing import Any


class Witness:
    """It covers a display, has the keyboard, and keeps every event."""

    def __init__(self, display: str) -> None:
        from Xlib import X
        from Xlib.display import Display

        self._x, self._display = X, Display(display)
        screen = self._display.screen()
        mask = X.ButtonPressMask | X.ButtonReleaseMask | X.PointerMotionMask | X.KeyPressMask | X.KeyReleaseMask
        self._window = screen.root.create_window(
            0, 0, screen.width_in_pixels, screen.height_in_pixels, 0, screen.root_depth,
            override_redirect=True, event_mask=mask | X.ExposureMask, background_pixel=0x336699,
        )  # fmt: skip
        self._window.map()
        self._wait_for(X.Expose)
        self._window.set_input_focus(X.RevertToParent, X.CurrentTime)
        self._display.sync()
        self.seen()

    def seen(self) -> list[tuple[str, Any]]:
        """What has happened since the last call: buttons and keys with where they went down and up, and motions."""
        self._display.sync()
        time.sleep(0.05)
        found = []
        while self._display.pending_events():
            event = self._display.next_event()
            if event.type in (self._x.ButtonPress, self._x.ButtonRelease):
                kind = "down" if event.type == self._x.ButtonPress else "up"
                found.append((f"button {event.detail} {kind}", (event.event_x, event.event_y)))
            elif event.type in (self._x.KeyPress, self._x.KeyRelease):
                kind = "down" if event.type == self._x.KeyPress else "up"
                symbol = self._display.keycode_to_keysym(event.detail, 0)
                found.append((f"key {kind}", self._display.lookup_string(symbol) or hex(symbol)))
            elif event.type == self._x.MotionNotify:
                found.append(("motion", (event.event_x, event.event_y)))
        return found

    def pointer(self) -> tuple[int, int]:
        """Where the display's pointer is."""
        at = self._display.screen().root.query_pointer()
        return at.root_x, at.root_y

    def push(self, x: int, y: int) -> None:
        """Move the pointer as a user would, by no hand of ours."""
        self._display.screen().root.warp_pointer(x, y)
        self._display.sync()

    def close(self) -> None:
        self._display.close()

    def _wait_for(self, kind: int) -> None:
        while self._display.next_event().type != kind:
            pass
