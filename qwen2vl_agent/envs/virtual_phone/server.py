"""Serving a virtual phone: in this process until stopped, or as a process of its own that never outlives its parent."""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass

from qwen2vl_agent.envs.virtual_phone.adbd import Adbd
from qwen2vl_agent.envs.virtual_phone.app_list import EDITIONS
from qwen2vl_agent.envs.virtual_phone.commands import COMMANDS
from qwen2vl_agent.envs.virtual_phone.faults import Faults, format_faults, parse_faults
from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
from qwen2vl_agent.envs.virtual_phone.state import PhoneState, random_state
from qwen2vl_agent.envs.virtual_phone.system import System
from qwen2vl_agent.envs.virtual_phone.words import Words
from qwen2vl_agent.schema.errors import ConfigError, DeviceLost

START_LIMIT_S = 30.0
STOP_LIMIT_S = 5.0


async def serve_phone(
    phone: VirtualPhone,
    *,
    port: int = 0,
    faults: Faults | None = None,
    private: bool = False,
    on_ready: Callable[[int], None] = lambda port: None,
) -> None:
    """Serve `phone` on loopback until cancelled; `on_ready` is told the port.

    Raises:
        ConfigError: the port is taken.
    """
    adbd = Adbd(System.of(phone, faults), COMMANDS, private=private)
    try:
        taken = await adbd.start(port)
    except OSError as error:
        raise ConfigError(f"port {port} cannot be listened on ({error.strerror}); choose another with --port") from None
    on_ready(taken)
    try:
        await asyncio.Event().wait()
    finally:
        await adbd.stop()
        await adbd.finished()


@dataclass(slots=True)
class PhoneProcess:
    """A virtual phone in a process of its own."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def serial(self) -> str:
        """What `adb connect` takes and `adb devices` shows."""
        return f"127.0.0.1:{self.port}"

    def close(self) -> None:
        """End the process and wait until it is gone."""
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()  # the phone goes when its parent's end of the pipe closes
        try:
            self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def __enter__(self) -> "PhoneProcess":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def start_virtual_phone(
    seed: int = 0,
    *,
    size: tuple[int, int] = (1080, 2400),
    state: PhoneState | None = None,
    port: int = 0,
    faults: Faults | None = None,
    edition: str = "first",
) -> PhoneProcess:
    """A virtual phone in a new process, ready to be connected to; `state` instead of the seed's random one.

    Raises:
        DeviceLost: it did not come up.
    """
    command = [
        sys.executable,
        "-m",
        __name__,
        "--port",
        str(port),
        "--seed",
        str(seed),
        "--size",
        "{}x{}".format(*size),
        "--edition",
        edition,
    ]
    for fault in format_faults(faults or Faults()):
        command += ["--fault", fault]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    given = json.dumps(state.to_json()) if state is not None else ""
    watchdog = threading.Timer(START_LIMIT_S, process.kill)
    watchdog.start()
    try:
        process.stdin.write(given.encode() + b"\n")
        process.stdin.flush()
        answer = process.stdout.readline()
    except BrokenPipeError:
        answer = b""
    finally:
        watchdog.cancel()
    if not answer.strip():
        process.kill()
        process.communicate()
        raise DeviceLost(f"the virtual phone did not start (exit status {process.returncode}); see its messages above")
    return PhoneProcess(int(answer), process)


def _parse_size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def _leave_with_parent(parent: int, stop: Callable[[], None]) -> None:
    """Call `stop` when the parent closes our standard input or is gone."""

    def watch() -> None:
        while os.read(0, 65536):  # not through sys.stdin: a thread in its lock would break the exit
            pass
        stop()

    def check() -> None:
        if os.getppid() != parent:
            stop()
            return
        timer = threading.Timer(2.0, check)
        timer.daemon = True
        timer.start()

    threading.Thread(target=watch, daemon=True).start()
    check()


async def _serve_child(phone: VirtualPhone, port: int, faults: Faults, parent: int) -> None:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def stop() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: we are leaving already
            loop.call_soon_threadsafe(task.cancel)

    _leave_with_parent(parent, stop)
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # the terminal's Ctrl+C is for the parent
    with contextlib.suppress(asyncio.CancelledError):
        await serve_phone(
            phone, port=port, faults=faults, private=True, on_ready=lambda taken: print(taken, flush=True)
        )


def main() -> None:
    """The child of `start_virtual_phone`: the state's JSON (or nothing) comes on the first line of standard input."""
    parent = os.getppid()
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=_parse_size, default=(1080, 2400))
    parser.add_argument("--edition", choices=EDITIONS, default="first")
    parser.add_argument("--fault", action="append", default=[])
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="virtual phone: %(message)s")
    line = sys.stdin.buffer.readline().strip()
    state = PhoneState.from_json(json.loads(line)) if line else random_state(args.seed, Words.test(), args.edition)
    try:
        asyncio.run(_serve_child(VirtualPhone(state, args.size), args.port, parse_faults(args.fault), parent))
    except ConfigError as error:
        sys.exit(f"virtual phone: {error}")


if __name__ == "__main__":
    main()
