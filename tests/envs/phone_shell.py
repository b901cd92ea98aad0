"""The virtual phone's shell without a connection: a line in, status and output out."""

import asyncio
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from qwen2vl_agent.envs.virtual_phone.commands import COMMANDS
from qwen2vl_agent.envs.virtual_phone.faults import Faults
from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
from qwen2vl_agent.envs.virtual_phone.shell import STDOUT, Given, Shell, ShellExit
from qwen2vl_agent.envs.virtual_phone.state import random_state
from qwen2vl_agent.envs.virtual_phone.system import System
from qwen2vl_agent.envs.virtual_phone.words import Words

SMALL = (540, 1200)
"""Pixels of the phone behind the adb fixture."""
Adb = Callable[..., subprocess.CompletedProcess[bytes]]


@dataclass(frozen=True)
class Ran:
    """What a line gave."""

    status: int
    data: bytes
    err: str

    @property
    def out(self) -> str:
        return self.data.decode("utf-8", "surrogateescape")


class PhoneShell:
    """A phone of 360x800 pixels, one pixel a dp, and its shell."""

    def __init__(self, seed: int = 5, faults: Faults | None = None) -> None:
        self.phone = VirtualPhone(random_state(seed, Words.test()), (360, 800))
        self.system = System.of(self.phone, faults)

    def run(self, line: str, stdin: bytes = b"") -> Ran:
        """Run one line in a new shell, as `adb shell LINE` does."""
        out, err = bytearray(), bytearray()

        async def write(descriptor: int, data: bytes) -> None:
            (out if descriptor == STDOUT else err).extend(data)

        async def go() -> int:
            try:
                return await Shell(self.system, COMMANDS, write).run(line, Given(stdin))
            except ShellExit as leave:
                return leave.status

        status = asyncio.run(go())
        return Ran(status, bytes(out), err.decode("utf-8", "surrogateescape"))
