"""The virtual phone's small shell: it runs parsed lines with the phone's own commands, never with the host's."""

import contextlib
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from qwen2vl_agent.envs.virtual_phone.files import FileProblem
from qwen2vl_agent.envs.virtual_phone.shell_syntax import (
    Command,
    Pipeline,
    Redirect,
    ShellSyntaxError,
    Variable,
    Word,
    parse_line,
)
from qwen2vl_agent.envs.virtual_phone.system import System

STDOUT, STDERR = 1, 2
NOT_FOUND = 127
"""Exit status of an unknown command. Source: POSIX shell, §2.8.2."""
ENVIRONMENT = {
    "ANDROID_DATA": "/data",
    "ANDROID_ROOT": "/system",
    "EXTERNAL_STORAGE": "/sdcard",
    "HOME": "/",
    "PATH": "/product/bin:/apex/com.android.runtime/bin:/system/bin:/vendor/bin",
    "SHELL": "/bin/sh",
    "TMPDIR": "/data/local/tmp",
    "USER": "shell",
}

Write = Callable[[int, bytes], Awaitable[None]]


class Input(Protocol):
    """What a command may read."""

    async def read_some(self) -> bytes:
        """The next bytes; empty at the end."""
        ...


@dataclass(slots=True)
class Given:
    """Input that is there already."""

    data: bytes = b""

    async def read_some(self) -> bytes:
        data, self.data = self.data, b""
        return data


@dataclass(slots=True)
class Call:
    """One command being carried out."""

    system: System
    shell: "Shell"
    name: str
    args: list[str]
    stdin: Input
    out: bytearray = field(default_factory=bytearray)
    err: bytearray = field(default_factory=bytearray)
    sink: Write | None = None
    """Where output goes while the command still runs; None where it is collected."""

    def print(self, text: str = "") -> None:
        """A line on standard output."""
        self.out += text.encode("utf-8", "surrogateescape") + b"\n"

    def fail(self, message: str, status: int = 1) -> int:
        """A line on standard error, and the exit status to return."""
        self.err += message.encode("utf-8", "surrogateescape") + b"\n"
        return status

    async def read_all(self) -> bytes:
        """Standard input to its end."""
        pieces = []
        while piece := await self.stdin.read_some():
            pieces.append(piece)
        return b"".join(pieces)

    async def flush(self) -> None:
        """Send what was written so far, for commands that go on for long."""
        if self.sink is not None:
            for descriptor, buffer in ((STDOUT, self.out), (STDERR, self.err)):
                if buffer:
                    await self.sink(descriptor, bytes(buffer))
                    buffer.clear()


Handler = Callable[[Call], int | Awaitable[int | None] | None]
"""A command: it writes to the call and gives its exit status, None for 0."""


class ShellExit(Exception):
    """`exit N`."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Shell:
    """Runs lines one after another; remembers the last status and the variables that were set."""

    def __init__(self, system: System, commands: Mapping[str, Handler], write: Write) -> None:
        self.system = system
        self.status = 0
        self.variables = dict(ENVIRONMENT)
        self._commands = commands
        self.write = write

    async def run(self, line: str, stdin: Input) -> int:
        """Carry out a line, and give its exit status.

        Raises:
            ShellExit: the line said `exit`.
        """
        try:
            pipelines = parse_line(line)
        except ShellSyntaxError as error:
            await self.write(STDERR, f"/system/bin/sh: {error}\n".encode())
            self.status = 1
            return self.status
        for pipeline in pipelines:
            if self._wanted(pipeline):
                self.status = await self._pipeline(pipeline.commands, stdin)
        return self.status

    def knows(self, name: str) -> bool:
        """Whether there is a command of this name."""
        return name in self._commands

    def _wanted(self, pipeline: Pipeline) -> bool:
        if pipeline.connector == ";":
            return True
        return (self.status == 0) == (pipeline.connector == "&&")

    async def _pipeline(self, commands: Sequence[Command], stdin: Input) -> int:
        for command in commands[:-1]:
            collected = bytearray()
            with contextlib.suppress(ShellExit):  # each part of a pipe is a shell of its own
                await self._command(command, stdin, self._collector(collected))
            stdin = Given(bytes(collected))
        try:
            return await self._command(commands[-1], stdin, self.write)
        except ShellExit as leave:
            if len(commands) > 1:
                return leave.status
            raise

    def _collector(self, buffer: bytearray) -> Write:
        async def collect(descriptor: int, data: bytes) -> None:
            if descriptor == STDOUT:
                buffer.extend(data)
            else:
                await self.write(descriptor, data)

        return collect

    async def _command(self, command: Command, stdin: Input, write: Write) -> int:
        words = [self._expand(word) for word in command.words]
        while words and self._assigns(command.words[0], words[0]):
            name, _, value = words.pop(0).partition("=")
            self.variables[name] = value
            command = Command(command.words[1:], command.redirects)
        try:
            stdin = self._redirected_input(command.redirects, stdin)
        except FileProblem as problem:
            await write(STDERR, f"/system/bin/sh: can't open file: {problem}\n".encode())
            return 1
        sink = None if command.redirects else write
        call = Call(self.system, self, words[0] if words else "", words[1:], stdin, sink=sink)
        status = await self._carry_out(call) if words else 0
        if command.redirects:
            trouble = self._redirect_output(call, command.redirects)
            if trouble:
                status = call.fail(trouble)
            call.sink = write
        await call.flush()
        return status

    async def _carry_out(self, call: Call) -> int:
        handler = self._commands.get(call.name.removeprefix("/system/bin/"))
        if handler is None:
            return call.fail(f"/system/bin/sh: {call.name}: inaccessible or not found", NOT_FOUND)
        result = handler(call)
        if inspect.isawaitable(result):
            result = await result
        return (result or 0) & 0xFF

    def _expand(self, word: Word) -> str:
        return "".join(self._value(part) if isinstance(part, Variable) else part for part in word.parts)

    def _value(self, variable: Variable) -> str:
        return str(self.status) if variable.name == "?" else self.variables.get(variable.name, "")

    @staticmethod
    def _assigns(word: Word, text: str) -> bool:
        """Whether the word is `name=value`; a quoted name is none."""
        name, equals, _ = text.partition("=")
        plain = "".join(part if isinstance(part, str) else "$" for part in word.parts)
        return bool(equals) and name.isidentifier() and name.isascii() and plain.startswith(name + "=")

    def _redirected_input(self, redirects: Sequence[Redirect], stdin: Input) -> Input:
        for redirect in redirects:
            if redirect.operator == "<":
                stdin = Given(self.system.files.read(self._expand(redirect.target)))
        return stdin

    def _redirect_output(self, call: Call, redirects: Sequence[Redirect]) -> str | None:
        """Put the collected output where the redirects say, left to right; the trouble with that, if any."""
        places: dict[int, int | Redirect] = {STDOUT: STDOUT, STDERR: STDERR}
        for redirect in redirects:
            if redirect.operator == ">&":
                target = self._expand(redirect.target)
                if target not in ("1", "2"):
                    return f"/system/bin/sh: >&{target}: bad file descriptor"
                places[redirect.descriptor] = places[int(target)]
            elif redirect.operator != "<":
                places[redirect.descriptor] = redirect
        written = {STDOUT: bytes(call.out), STDERR: bytes(call.err)}
        call.out.clear()
        call.err.clear()
        begun: list[Redirect] = []
        for descriptor, data in written.items():
            place = places[descriptor]
            if isinstance(place, int):
                (call.out if place == STDOUT else call.err).extend(data)
                continue
            path = self._expand(place.target)
            try:
                self.system.files.write(path, data, append=place.operator == ">>" or place in begun)
            except FileProblem as problem:
                return f"/system/bin/sh: can't create {path}: {problem}"
            begun.append(place)
        return None
