"""`qwen2vl-agent phone`: a virtual phone for any adb client."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

import tyro

from qwen2vl_agent.commands import output
from qwen2vl_agent.schema.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Command:
    """Serve a virtual phone over adb's protocol on loopback, until it is stopped with Ctrl-C.

    Any adb client can use it: adb shell, adb exec-out screencap -p, adb shell input tap 540 1200.

    Examples:
      qwen2vl-agent phone --port 5599
      qwen2vl-agent phone --seed 7 --fault slow-screencap=2s --fault drop-input=0.1
    """

    port: int = 0
    """TCP port on loopback; a free one if left out"""
    seed: int = 0
    """decides the phone's contents and looks"""
    fault: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """NAME=VALUE: something that goes wrong; slow-screencap, slow-shell, offline-for, stall-stream, cut-stream (2s or
    500ms), offline-after, hang-after (commands), black (captures; all without a value), truncate (bytes), drop-input
    (0.1 a share, 10 every tenth), corrupt, garble, rotate-randomly (shares), rotation (quarters), locked (PIN), state
    (recovery …), secure, screen-off, folded, unauthorized, no-screenrecord, no-adb-keyboard, old-input"""
    edition: str = "first"
    """first, full: the phone with more apps, notifications and prompts; full-zh, full-ja, full-ar: that in Chinese,
    Japanese or Arabic"""
    json: bool = False
    """print one JSON object with the serial when the phone is ready"""

    def run(self) -> int:
        """Serves until interrupted."""
        from qwen2vl_agent.envs.virtual_phone.app_list import check_edition
        from qwen2vl_agent.envs.virtual_phone.faults import parse_faults
        from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
        from qwen2vl_agent.envs.virtual_phone.server import serve_phone
        from qwen2vl_agent.envs.virtual_phone.state import random_state
        from qwen2vl_agent.envs.virtual_phone.words import Words

        if not 0 <= self.port < 65536:
            raise ConfigError(f"--port is {self.port}; expected 1 to 65535, or 0 for a free one")
        check_edition(self.edition)
        phone = VirtualPhone(random_state(self.seed, Words.test(), self.edition))
        asyncio.run(serve_phone(phone, port=self.port, faults=parse_faults(self.fault), on_ready=self._tell))
        return 0

    def _tell(self, port: int) -> None:
        serial = f"127.0.0.1:{port}"
        console = output.console(self.json)
        console.print(f"a virtual phone is ready:\n  adb connect {serial}", markup=False)
        if self.json:
            output.print_object({"serial": serial, "port": port, "seed": self.seed})
        console.file.flush()
