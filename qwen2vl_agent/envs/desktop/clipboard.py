"""The clipboard, borrowed for a paste and given back. Runs inside the hand's process, on the hand's display."""

import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence

TEXT = "UTF8_STRING"
KEPT_TARGETS = (TEXT, "image/png", "text/uri-list")
"""Kinds of contents that are given back, best first."""
ASKED_WITHIN_S = 5.0
"""An application that has not asked for the clipboard for so long does not paste."""
QUIET_S = 0.3
"""An application asks several times for one paste: first for the kinds, then for the text."""


def paste_x11(
    text: str, selections: Sequence[str], press_paste: Callable[[], None], owner_of: Callable[[str], int]
) -> bool:
    """Offer `text` in the selections, press, wait until it has been fetched, and put back what was there.

    `owner_of` tells which window owns a selection, 0 for none. Returns whether anybody fetched it.
    """
    before = {selection: _contents(selection) for selection in selections}
    offers = [_offer(text, selection, owner_of) for selection in selections]
    try:
        press_paste()
        return _fetched(offers)
    finally:
        for offer in offers:
            offer.terminate()
            offer.wait()
            assert offer.stderr is not None
            offer.stderr.close()
        for selection, (target, data) in before.items():
            _put(selection, target, data)


def paste_elsewhere(text: str, press_paste: Callable[[], None]) -> bool:
    """The same on macOS and Windows, by pyperclip. Written, never run."""
    import pyperclip

    before = pyperclip.paste()
    pyperclip.copy(text)
    try:
        press_paste()
        time.sleep(0.3)  # there is nobody to tell that it has been fetched
    finally:
        pyperclip.copy(before)
    return True


def available() -> bool:
    """Whether xclip is installed."""
    return shutil.which("xclip") is not None


def _contents(selection: str) -> tuple[str, bytes]:
    """What a selection holds: its kind and the bytes; empty where it holds nothing that can be kept."""
    offered = _read(selection, "TARGETS").decode(errors="replace").split()
    target = next((kind for kind in KEPT_TARGETS if kind in offered), "")
    return target, _read(selection, target) if target else b""


def _read(selection: str, target: str) -> bytes:
    command = ["xclip", "-o", "-selection", selection, "-t", target]
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=5).stdout
    except subprocess.TimeoutExpired:  # its owner hangs
        return b""


def _offer(text: str, selection: str, owner_of: Callable[[str], int]) -> "subprocess.Popen[bytes]":
    """An xclip that stays in front and tells of each request on its standard error."""
    before = owner_of(selection)
    process = subprocess.Popen(
        ["xclip", "-verbose", "-i", "-selection", selection],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(text.encode())
    process.stdin.close()
    _lines_until(process, b"number 1", ASKED_WITHIN_S)
    end = time.monotonic() + ASKED_WITHIN_S
    while owner_of(selection) in (0, before) and time.monotonic() < end:
        time.sleep(0.005)  # it says so a little before the server knows
    return process


def _lines_until(process: "subprocess.Popen[bytes]", mark: bytes, limit_s: float) -> None:
    assert process.stderr is not None
    seen, end = b"", time.monotonic() + limit_s
    while mark not in seen and (left := end - time.monotonic()) > 0:
        if not select.select([process.stderr], [], [], left)[0]:
            return
        more = os.read(process.stderr.fileno(), 65536)
        if not more:
            return
        seen += more


def _fetched(offers: "list[subprocess.Popen[bytes]]") -> bool:
    """Wait until one of the offers was asked for and no more questions come."""
    pipes = {offer.stderr for offer in offers if offer.stderr is not None}
    asked, end = False, time.monotonic() + ASKED_WITHIN_S
    while pipes and time.monotonic() < end:
        ready, _, _ = select.select(list(pipes), [], [], QUIET_S if asked else end - time.monotonic())
        if not ready:
            break
        for pipe in ready:
            if not os.read(pipe.fileno(), 65536):
                pipes.discard(pipe)  # somebody has copied something meanwhile
            else:
                asked = True
    return asked


def _put(selection: str, target: str, data: bytes) -> None:
    """Put contents back; they stay until the display ends or somebody copies something."""
    kind = ["-t", target] if target else []
    subprocess.run(
        ["xclip", "-i", "-selection", selection, *kind],
        input=data,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=5,
    )
