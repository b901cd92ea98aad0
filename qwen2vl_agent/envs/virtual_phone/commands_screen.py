"""Commands about the screen: screencap, screenrecord, wm and uiautomator."""

import asyncio
import io
import re
import struct
import time
from fractions import Fraction
from typing import Any

from PIL import Image

from qwen2vl_agent.envs.hierarchy import to_xml
from qwen2vl_agent.envs.virtual_phone.commands_dumpsys import DISPLAY_ID
from qwen2vl_agent.envs.virtual_phone.files import FileProblem
from qwen2vl_agent.envs.virtual_phone.shell import Call, Handler
from qwen2vl_agent.envs.virtual_phone.system import System

RAW_HEADER = struct.Struct("<4I")
"""Width, height, pixel format, data space. Source: frameworks/base/cmds/screencap/screencap.cpp."""
RGBA_8888 = 1
DATASPACE_SRGB = 142671872
"""android.hardware.DataSpace.DATASPACE_SRGB."""
PNG_LEVEL = 1
"""Effort of compression: the least, as time matters more than size on loopback."""
MAX_RECORDING_S = 180.0
"""The longest recording that screenrecord makes."""
MIN_SIDE, MAX_SIDE = 64, 8192
SEVERAL_DISPLAYS = (
    b"[Warning] Multiple displays were found, but no display id was specified! Defaulting to the first display found, "
    b"however this default is not guaranteed to be consistent across captures. A display id should be specified.\n"
)
"""Source: frameworks/base/cmds/screencap/main.cpp."""


async def screencap(call: Call) -> int:
    """`screencap [-p] [-d ID] [FILE]`: PNG or raw pixels."""
    args, png, display = list(call.args), False, ""
    paths = []
    while args:
        item = args.pop(0)
        if item == "-p":
            png = True
        elif item == "-d":
            display = args.pop(0) if args else ""
            if not display.isdigit():
                return call.fail("Please specify a display ID (-d display-id)")
        elif item.startswith("-"):
            return call.fail("usage: screencap [-hp] [-d display-id] [FILENAME]")
        else:
            paths.append(item)
    faults = call.system.faults
    if faults.faults.slow_screencap_s:
        await asyncio.sleep(faults.faults.slow_screencap_s)
    image = call.system.image()
    if faults.capture_is_black() or (faults.faults.folded and display != str(DISPLAY_ID)):
        image = Image.new("RGB", image.size)
    data = png_bytes(image) if png or (paths and paths[0].endswith(".png")) else raw_bytes(image)
    data = faults.damage(data)
    if faults.faults.folded and not display:
        call.err += SEVERAL_DISPLAYS
    if not paths:
        call.out += data
        return 0
    try:
        call.system.files.write(paths[0], data)
    except FileProblem as problem:
        return call.fail(f"Error opening file: {paths[0]} ({problem})")
    return 0


def png_bytes(image: Image.Image) -> bytes:
    """The picture as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=PNG_LEVEL)
    return buffer.getvalue()


def raw_bytes(image: Image.Image) -> bytes:
    """The picture as screencap writes it without `-p`."""
    return RAW_HEADER.pack(*image.size, RGBA_8888, DATASPACE_SRGB) + image.convert("RGBA").tobytes()


async def screenrecord(call: Call) -> int:
    """`screenrecord --output-format=h264 [--time-limit S] [--size WxH] -`: a video of the screen on standard output."""
    options = _long_options(call.args)
    if call.system.faults.faults.no_screenrecord:
        return call.fail("ERROR: unable to create video/avc codec instance")
    if options.get("output-format") != "h264" or call.args[-1:] != ["-"]:
        return call.fail("ERROR: this phone records with --output-format=h264 to - only")
    size = re.fullmatch(r"(\d+)x(\d+)", options.get("size", "x".join(map(str, call.system.size))), re.ASCII)
    if size is None or not all(MIN_SIDE <= int(side) <= MAX_SIDE for side in size.groups()):
        return call.fail("Invalid size, must be width x height")
    limit, rate = options.get("time-limit", "180"), options.get("bit-rate", "4000000")
    if not re.fullmatch(r"\d{1,6}(\.\d+)?", limit, re.ASCII) or not re.fullmatch(r"\d{5,9}", rate, re.ASCII):
        return call.fail(f"Time limit {limit}s or bit rate {rate}bps outside acceptable range")
    limit_s = min(float(limit), MAX_RECORDING_S)
    encoder = _encoder(int(size[1]) // 2 * 2, int(size[2]) // 2 * 2, int(rate))
    await _record(call, encoder, limit_s)
    return 0


def _long_options(args: list[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for index, item in enumerate(args):
        if item.startswith("--"):
            name, equals, value = item[2:].partition("=")
            options[name] = value if equals else "".join(args[index + 1 : index + 2])
    return options


def _encoder(width: int, height: int, bit_rate: int) -> Any:
    import av

    encoder: Any = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 1000), Fraction(30)
    encoder.bit_rate, encoder.gop_size = bit_rate, 30
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency"}
    return encoder


def _fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture in a video of `size`: as large as it fits, in the middle, when the screen was turned since."""
    if image.size == size:
        return image
    scale = min(size[0] / image.width, size[1] / image.height)
    shown = round(image.width * scale), round(image.height * scale)
    if all(abs(side - whole) <= 1 for side, whole in zip(shown, size, strict=True)):
        shown = size
    fitted = Image.new("RGB", size)
    resized = image.resize(shown, Image.Resampling.BILINEAR, reducing_gap=2.0)
    fitted.paste(resized, ((size[0] - shown[0]) // 2, (size[1] - shown[1]) // 2))
    return fitted


async def _record(call: Call, encoder: Any, limit_s: float) -> None:
    """Encode a frame whenever the screen has changed, and the last one again at the end, as a phone does."""
    import av

    begin, faults = time.monotonic(), call.system.faults.faults
    shown: Image.Image | None = None
    if faults.cut_stream_s:
        limit_s = min(limit_s, faults.cut_stream_s)
    while (passed := time.monotonic() - begin) < limit_s:
        image = call.system.image()
        stalled = faults.stall_stream_s and passed > faults.stall_stream_s
        if image is not shown and not stalled:
            shown = image
            frame = av.VideoFrame.from_image(_fitted(image, (encoder.width, encoder.height)))
            frame.pts = int(passed * 1000)
            for packet in encoder.encode(frame):
                call.out += bytes(packet)
            await call.flush()
        await asyncio.sleep(1 / 30)
    for packet in encoder.encode(None):
        call.out += bytes(packet)


def wm(call: Call) -> int:
    """`wm size|density [VALUE|reset]`."""
    what, value = ([*call.args, "", ""])[:2]
    if what == "size":
        return _wm_size(call, value)
    if what == "density":
        return _wm_density(call, value)
    if what == "user-rotation":
        return _user_rotation(call)
    if what == "fixed-to-user-rotation":
        call.print("default")
        return 0
    if what == "dismiss-keyguard":
        call.system.dismiss_lock()
        return 0
    return call.fail(f"Unknown command: {what}" if what else "Window manager (window) commands:", 255)


def _user_rotation(call: Call) -> int:
    """`wm user-rotation [free|lock] [0..3]`."""
    mode, turns = ([*call.args[1:], "", ""])[:2]
    state = call.system.phone.state
    if not mode:
        call.print("free" if state.settings["display.auto_rotate"] else f"lock {call.system.rotation}")
        return 0
    if mode not in ("free", "lock") or turns not in ("", "0", "1", "2", "3"):
        return call.fail(f"Error: bad rotation {mode} {turns}".strip(), 255)
    state.settings["display.auto_rotate"] = mode == "free"
    call.system.load(state)
    call.system.rotation = int(turns or 0) if mode == "lock" else 0
    return 0


def _wm_size(call: Call, value: str) -> int:
    system = call.system
    if not value:
        call.print("Physical size: {}x{}".format(*system.physical_size))
        if system.phone.size != system.physical_size:
            call.print("Override size: {}x{}".format(*system.phone.size))
        return 0
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", value, re.ASCII)
    if value == "reset":
        system.resize(system.physical_size)
    elif match and all(MIN_SIDE <= int(side) <= MAX_SIDE for side in match.groups()):
        system.resize((int(match[1]), int(match[2])))
    else:
        return call.fail(f"Error: bad size {value}", 255)
    return 0


def _wm_density(call: Call, value: str) -> int:
    system = call.system
    if not value:
        call.print(f"Physical density: {system.physical_density}")
        if system.density_override:
            call.print(f"Override density: {system.density_override}")
        return 0
    if value == "reset":
        system.density_override = None
    elif value.isascii() and value.isdigit() and int(value) >= 72:
        system.density_override = int(value)
    else:
        return call.fail("Error: density must be >= 72" if value.isdigit() else f"Error: bad number {value}", 255)
    return 0


def dump_xml(system: System) -> str:
    """The hierarchy of what is in front."""
    package = system.phone.foreground[0] if system.lock is None else "com.android.systemui"
    return to_xml(system.elements(), package=package, size=system.size, rotation=system.rotation)


def uiautomator(call: Call) -> int:
    """`uiautomator dump [--compressed] [FILE]`; `/dev/tty` is standard output."""
    if call.args[:1] != ["dump"]:
        return call.fail("Usage: uiautomator <subcommand> [options]\n\nAvailable subcommands: help, dump", 1)
    paths = [item for item in call.args[1:] if not item.startswith("--")]
    path, xml = (paths or ["/sdcard/window_dump.xml"])[0], dump_xml(call.system)
    if path in ("/dev/tty", "/proc/self/fd/1", "/dev/stdout"):
        call.out += xml.encode("utf-8", "surrogateescape")
    else:
        try:
            call.system.files.write(path, xml.encode("utf-8", "surrogateescape"))
        except FileProblem as problem:
            return call.fail(f"java.io.FileNotFoundException: {path}: open failed: EACCES ({problem})")
    call.print(f"UI hierchary dumped to: {path}")  # the misspelling is Android's
    return 0


COMMANDS: dict[str, Handler] = {
    "screencap": screencap,
    "screenrecord": screenrecord,
    "wm": wm,
    "uiautomator": uiautomator,
}
