"""The process that keeps a virtual desktop: Xvfb, openbox and a temporary home.

It tells of them in one JSON line, and ends them when its standard input ends: so nothing outlives the program that
started it, even one that was killed.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

CHOSEN_WITHIN_S = 30.0


def main() -> int:
    """Keep a desktop of the size `WIDTHxHEIGHT`, the one argument, until standard input ends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="qwen2vl-agent-desktop-", ignore_cleanup_errors=True) as home:
        server, display = start_server(sys.argv[1])
        children = [server]
        try:
            if not display:
                return 1
            env = {**os.environ, "DISPLAY": display, "HOME": home, "XDG_CONFIG_HOME": f"{home}/.config"}
            manager = subprocess.Popen(["openbox"], env=env, stdout=2)
            children.append(manager)
            told = {"display": display, "home": home, "server": server.pid, "window_manager": manager.pid}
            print(json.dumps(told), flush=True)
            sys.stdin.buffer.read()
        finally:
            for child in reversed(children):
                child.terminate()
            for child in children:
                try:
                    child.wait(5)
                except subprocess.TimeoutExpired:
                    child.kill()
    return 0


def start_server(size: str) -> tuple["subprocess.Popen[bytes]", str]:
    """Xvfb on a free display, and that display's name; empty where it did not start."""
    read_end, write_end = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write_end), "-screen", "0", f"{size}x24", "-nolisten", "tcp", "-noreset"],
        pass_fds=(write_end,),
        stdout=2,
    )
    os.close(write_end)
    number, end = b"", time.monotonic() + CHOSEN_WITHIN_S
    while not number.endswith(b"\n") and time.monotonic() < end:
        more = os.read(read_end, 64)
        if not more:
            return server, ""
        number += more
    os.close(read_end)
    return server, f":{number.decode().strip()}"


if __name__ == "__main__":
    sys.exit(main())
