"""The services a host may open: shell (both versions), exec, sync and framebuffer."""

import asyncio
import struct
from collections.abc import Mapping

from qwen2vl_agent.envs.virtual_phone.packets import ProtocolError
from qwen2vl_agent.envs.virtual_phone.shell import STDOUT, Handler, Input, Shell, ShellExit
from qwen2vl_agent.envs.virtual_phone.streams import Stream, StreamClosed
from qwen2vl_agent.envs.virtual_phone.sync_service import serve_sync
from qwen2vl_agent.envs.virtual_phone.system import System

FRAME = struct.Struct("<BI")
"""Header of a shell v2 frame: kind and length. Source: packages/modules/adb/shell_protocol.h."""
STDIN_FRAME, EXIT_FRAME, CLOSE_STDIN_FRAME = 0, 3, 4
FRAMEBUFFER = struct.Struct("<13I")
"""version, bits per pixel, bytes, width, height, then offset and length of red, blue, green and alpha.

Source: packages/modules/adb/daemon/framebuffer_service.cpp (version 1).
"""
PROMPT = "virtual_phone:/ $ "


def is_service(name: str) -> bool:
    """Whether the phone offers it."""
    kind = name.partition(":")[0].split(",")[0]
    return ":" in name and kind in ("shell", "exec", "sync", "framebuffer")


async def serve(name: str, stream: Stream, system: System, commands: Mapping[str, Handler]) -> None:
    """Run one service on its stream to the end."""
    options, _, argument = name.partition(":")
    kind, *flags = options.split(",")
    if kind == "sync":
        await serve_sync(stream, system.files)
    elif kind == "framebuffer":
        await stream.write(_framebuffer(system))
    elif "v2" in flags:
        await _shell_v2(argument, stream, system, commands, terminal="pty" in flags)
    else:
        await _shell_v1(argument, stream, system, commands, terminal=kind == "shell")


def _framebuffer(system: System) -> bytes:
    image = system.image().convert("RGBA")
    pixels = image.tobytes()
    return FRAMEBUFFER.pack(1, 32, len(pixels), *image.size, 0, 8, 16, 8, 8, 8, 24, 8) + pixels


class FramedInput:
    """Standard input in shell v2's frames."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._ended = False

    async def read_some(self) -> bytes:
        while not self._ended:
            try:
                kind, length = FRAME.unpack(await self._stream.read_exactly(FRAME.size))
                data = await self._stream.read_exactly(length)
            except StreamClosed:
                break
            if kind == STDIN_FRAME and data:
                return data
            if kind == CLOSE_STDIN_FRAME:
                break
            if kind > 5:
                raise ProtocolError(f"shell frame of kind {kind}")
        self._ended = True
        return b""


async def _shell_v2(
    line: str, stream: Stream, system: System, commands: Mapping[str, Handler], *, terminal: bool
) -> None:
    async def write(descriptor: int, data: bytes) -> None:
        if terminal:
            descriptor, data = STDOUT, data.replace(b"\n", b"\r\n")
        await stream.write(FRAME.pack(descriptor, len(data)) + data)

    shell = Shell(system, commands, write)
    status = await _run(shell, line, FramedInput(stream), terminal=terminal)
    await stream.write(FRAME.pack(EXIT_FRAME, 1) + bytes([status]))


async def _shell_v1(
    line: str, stream: Stream, system: System, commands: Mapping[str, Handler], *, terminal: bool
) -> None:
    async def write(descriptor: int, data: bytes) -> None:
        await stream.write(data)

    await _run(Shell(system, commands, write), line, stream, terminal=terminal)


async def _run(shell: Shell, line: str, stdin: Input, *, terminal: bool) -> int:
    try:
        if line:
            return await shell.run(line, stdin)
        await _interact(shell, stdin, terminal=terminal)
    except ShellExit as leave:
        return leave.status
    return shell.status


async def _interact(shell: Shell, stdin: Input, *, terminal: bool) -> None:
    """Lines from standard input, until it ends; a terminal gets a prompt and sees what it types."""
    typed = ""
    if terminal:
        await _echo(shell, PROMPT)
    while data := await stdin.read_some():
        for character in data.decode("utf-8", "surrogateescape"):
            if character in "\r\n":
                await _echo(shell, "\n" if terminal else "")
                await shell.run(typed, _Nothing())
                typed = ""
                await _echo(shell, PROMPT if terminal else "")
            elif terminal and character in "\x7f\b":
                await _echo(shell, "\b \b" if typed else "")
                typed = typed[:-1]
            elif terminal and character == "\x03":
                typed = ""
                await _echo(shell, "^C\n" + PROMPT)
            elif terminal and character == "\x04":
                return
            else:
                typed += character
                await _echo(shell, character if terminal else "")
    if typed and not terminal:
        await shell.run(typed, _Nothing())


class _Nothing:
    async def read_some(self) -> bytes:
        await asyncio.sleep(0)
        return b""


async def _echo(shell: Shell, text: str) -> None:
    if text:
        await shell.write(STDOUT, text.encode("utf-8", "surrogateescape"))
