"""Commands and files to one phone through the adb server: one connection a command, no waiting in between.

adbutils' own `shell` opens two connections and sleeps 20 ms a call; this uses its sockets and the same protocol.
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import adbutils
from adbutils.errors import AdbError

from qwen2vl_agent.schema.errors import DeviceLost

FRAME = struct.Struct("<BI")
"""Header of a shell v2 frame: kind and length. Source: packages/modules/adb/shell_protocol.h."""
STDOUT, STDERR, EXIT = 1, 2, 3
READ_SIZE = 1 << 20
SYNC_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class ShellResult:
    """What a command on the phone gave."""

    stdout: bytes
    stderr: bytes
    status: int

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def complaint(self) -> str:
        """What a command that failed said, in one line; its status where it said nothing."""
        text = (self.stderr + self.stdout).decode("utf-8", "replace").strip()
        return " ".join(text.split())[:300] or f"exit status {self.status}"


class NotSent(DeviceLost):
    """No connection to the phone was had, so nothing was sent to it."""


class AdbLink:
    """The way to one phone."""

    def __init__(self, client: adbutils.AdbClient, serial: str, *, timeout_s: float = 30.0) -> None:
        self.client = client
        self.serial = serial
        self._timeout_s = timeout_s

    def shell(self, line: str) -> ShellResult:
        """Run a line in the phone's shell.

        Raises:
            DeviceLost: the phone does not answer.
        """
        with self._service(f"shell,v2,raw:{line}") as connection:
            pieces: dict[int, bytearray] = {STDOUT: bytearray(), STDERR: bytearray(), EXIT: bytearray()}
            while not pieces[EXIT]:
                kind, length = FRAME.unpack(_read_exactly(connection, FRAME.size))
                pieces.setdefault(kind, bytearray()).extend(_read_exactly(connection, length))
            return ShellResult(bytes(pieces[STDOUT]), bytes(pieces[STDERR]), pieces[EXIT][0])

    def answers(self) -> bool:
        """Whether the phone runs a command now."""
        try:
            return self.shell("echo").status == 0
        except DeviceLost:
            return False

    def exec_out(self, line: str) -> bytes:
        """What a command writes, byte for byte.

        Raises:
            DeviceLost: the phone does not answer.
        """
        with self._service(f"exec:{line}") as connection:
            pieces = []
            while piece := connection.recv(READ_SIZE):
                pieces.append(piece)
            return b"".join(pieces)

    def push(self, data: bytes, path: str) -> None:
        """Write a file on the phone.

        Raises:
            DeviceLost: the phone does not answer, or does not take the file.
        """
        with self._service("sync:") as connection:
            target = f"{path},{0o100644}".encode()
            connection.sendall(struct.pack("<4sI", b"SEND", len(target)) + target)
            for start in range(0, len(data), SYNC_CHUNK):
                piece = data[start : start + SYNC_CHUNK]
                connection.sendall(struct.pack("<4sI", b"DATA", len(piece)) + piece)
            connection.sendall(struct.pack("<4sI", b"DONE", 0))
            answer, length = struct.unpack("<4sI", _read_exactly(connection, 8))
            if answer != b"OKAY":
                message = _read_exactly(connection, length).decode("utf-8", "replace")
                raise DeviceLost(f"phone {self.serial} did not take the file {path}: {message}")

    def open_service(self, name: str) -> socket.socket:
        """A socket that speaks to a service of the phone; the caller closes it.

        Raises:
            NotSent: the phone does not answer.
            DeviceLost: it went away as the service began, or has no such service.
        """
        try:
            connection = self.client.make_connection(timeout=self._timeout_s)
        except (AdbError, OSError) as error:
            raise NotSent(f"the adb server on port {self.client.port} does not answer: {error}") from None
        raw: socket.socket = connection.conn
        try:
            connection.send_command(f"host:transport:{self.serial}")
            connection.check_okay()
        except (AdbError, OSError, EOFError) as error:
            raw.close()
            raise NotSent(f"phone {self.serial} does not answer: {error}; see `adb devices`") from None
        try:
            connection.send_command(name)
            connection.check_okay()
        except (AdbError, OSError, EOFError) as error:  # it may have begun
            raw.close()
            raise DeviceLost(f"phone {self.serial} does not answer: {error}; see `adb devices`") from None
        return raw

    @contextmanager
    def _service(self, name: str) -> Iterator[socket.socket]:
        """A socket that speaks to a service of the phone."""
        with self.open_service(name) as raw:
            try:
                yield raw
            except TimeoutError:
                raise DeviceLost(f"phone {self.serial} did not answer within {self._timeout_s:g} s") from None
            except (AdbError, OSError, EOFError) as error:
                raise DeviceLost(f"phone {self.serial} does not answer: {error}; see `adb devices`") from None


def _read_exactly(connection: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = connection.recv(min(count - len(data), READ_SIZE))
        if not piece:
            raise EOFError("the connection ended in the middle of an answer")
        data += piece
    return bytes(data)
