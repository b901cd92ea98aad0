"""How fast a phone is seen and touched over adb, beside plain adbutils on the same phone in the same run.

    python benchmarks/phone.py [--serial S] [--runs N] [--json]

Without --serial a virtual phone of 1080x2400 is started; it shares this machine's cores with what is measured, so the
video's encoder is in the figures. Ratios are adbutils' median over ours. Turns are taken, so that load falls on both.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from qwen2vl_agent.envs import adb_server
from qwen2vl_agent.envs.android import AndroidDevice
from qwen2vl_agent.envs.android_capture import Capture
from qwen2vl_agent.envs.screen import ScreenConfig, ScreenEnv
from qwen2vl_agent.envs.settling import agree
from qwen2vl_agent.envs.virtual_phone.server import start_virtual_phone
from qwen2vl_agent.schema.actions import Tap
from qwen2vl_agent.schema.geometry import Point

SETTLE_LIMIT_S = 10.0


def in_turns(runs: int, ways: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Median seconds of each way."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            begin = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values) for name, values in seconds.items()}


def settle(picture: Callable[[], Image.Image]) -> None:
    """Until two pictures agree."""
    begin, last = time.perf_counter(), picture()
    while time.perf_counter() - begin < SETTLE_LIMIT_S:
        following = picture()
        if agree(last, following):
            return
        last = following


def effect_s(device: AndroidDevice, plain: Any, runs: int) -> list[float]:
    """Seconds from a key that changes the screen to the video's frame that shows it: the frames' true age."""
    live = device.capture.live
    assert live is not None
    waited = []
    for index in range(runs):
        before, begin = live.newest().number, time.monotonic()
        plain.shell("am start -a android.settings.SETTINGS" if index % 2 == 0 else "input keyevent 3")
        sent = time.monotonic()
        waited.append(live.after(before, timeout_s=5.0).arrived - min(begin, sent))
        time.sleep(0.2)
    return waited


def measure(serial: str, client: Any, runs: int) -> dict[str, Any]:
    """Every figure, in milliseconds, and the ratios."""
    plain = client.device(serial)
    exact = AndroidDevice(serial, client=client, capture="raw")
    live = AndroidDevice(serial, client=client, capture="stream")
    best = Capture(exact._link, "auto")
    best.take()
    width, height = exact.frame.width, exact.frame.height
    corner = Point(width // 2, height // 2, exact.frame)
    live.screenshot()
    shell = in_turns(runs, {"adbutils": lambda: plain.shell("true"), "ours": lambda: exact._shell("true")})
    look = in_turns(
        runs,
        {
            "adbutils": lambda: np.asarray(plain.screenshot(error_ok=False)),
            "raw": lambda: np.asarray(exact.screenshot()),
            "stream": lambda: np.asarray(live.screenshot()),
        },
    )

    def plain_tap() -> None:
        plain.click(corner.x, corner.y)
        settle(lambda: plain.screenshot(error_ok=False))

    def our_tap(device: AndroidDevice) -> Callable[[], None]:
        def tap() -> None:
            device.perform(Tap(point=corner))
            settle(device.screenshot)

        return tap

    tap = in_turns(runs, {"adbutils": plain_tap, "raw": our_tap(exact), "stream": our_tap(live)})
    env = ScreenEnv(exact, ScreenConfig(task="benchmark", settle_interval_s=0.0))
    env.reset(seed=0)
    parts: list[float] = []

    def step() -> None:
        begin = time.perf_counter()
        env.step(Tap(point=corner))
        parts.append(time.perf_counter() - begin - env.timings["perform"] - env.timings["settle"])

    def plain_step() -> None:
        plain.click(corner.x, corner.y)
        np.asarray(plain.screenshot(error_ok=False))

    steps = in_turns(runs, {"adbutils": plain_step, "ours": step})
    age = effect_s(live, plain, runs)
    live.close()
    exact.close()
    return {
        "size": [width, height],
        "shell_ms": _ms(shell),
        "capture_to_array_ms": _ms(look),
        "ways_timed_ms": _ms(best.measured),
        "tap_to_settled_ms": _ms(tap),
        "step_ms": _ms(steps),
        "loop_overhead_ms": round(statistics.median(parts) * 1000, 2),
        "frame_age_ms": {"median": _one(statistics.median(age)), "worst": _one(max(age))},
        "ratios": {
            "shell": round(shell["adbutils"] / shell["ours"], 1),
            "screencap": round(look["adbutils"] / look["raw"], 2),
            "stream": round(look["adbutils"] / look["stream"], 2),
            "settled_raw": round(tap["adbutils"] / tap["raw"], 2),
            "settled_stream": round(tap["adbutils"] / tap["stream"], 2),
            "step": round(steps["adbutils"] / steps["ours"], 2),
        },
    }


def _ms(seconds: dict[str, float]) -> dict[str, float]:
    return {name: _one(value) for name, value in seconds.items()}


def _one(seconds: float) -> float:
    return round(seconds * 1000, 1)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serial", default="")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    os.environ.setdefault("ADB_USB", "0" if not args.serial else "1")
    client = adb_server.adb_client()
    if args.serial:
        result = measure(args.serial, client, args.runs)
    else:
        with start_virtual_phone(1) as process:
            result = measure(adb_server.connect(client, process.serial), client, args.runs)
            adb_server.disconnect(process.serial)
    if args.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:22}{value}")


if __name__ == "__main__":
    main()
