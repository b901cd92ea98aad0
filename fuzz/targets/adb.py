"""adb: what a server or phone answers, screens and dumps from a phone, and what a host sends to the virtual phone."""

import asyncio
import contextlib
import io
import random
import socket
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from PIL import Image

from fuzz.mutate import some_bytes, some_text
from fuzz.target import Check, Make, Target
from fuzz.targets.media import bombs, pictures
from qwen2vl_agent.schema.errors import DeviceLost


def _frame(kind: int, data: bytes) -> bytes:
    return struct.pack("<BI", kind, len(data)) + data


ANSWERS = {
    "shell": b"OKAYOKAY" + _frame(1, b"out") + _frame(2, b"err") + _frame(3, b"\0"),
    "exec_out": b"OKAYOKAYbytes of a screen",
    "push": b"OKAYOKAY" + struct.pack("<4sI", b"OKAY", 0),
}


def _link(folder: Path) -> tuple[Make, Check]:
    """Answers of an adb server to commands and files."""
    import adbutils

    from qwen2vl_agent.envs.adb_link import AdbLink

    client = adbutils.AdbClient()

    def make(rng: random.Random) -> tuple[str, bytes]:
        name = rng.choice(list(ANSWERS))
        return name, some_bytes(rng, ANSWERS[name])

    def check(case: tuple[str, bytes]) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.sendall(case[1])
            theirs.shutdown(socket.SHUT_WR)
            link = AdbLink(SimpleNamespace(port=1, make_connection=lambda timeout: _connection(ours)), "x")  # type: ignore[arg-type]
            act = {"shell": link.shell, "exec_out": link.exec_out, "push": lambda line: link.push(b"data", line)}
            act[case[0]]("echo")

    def _connection(ours: socket.socket) -> Any:
        connection = adbutils._adb.AdbConnection.__new__(adbutils._adb.AdbConnection)
        vars(connection).update(vars(SimpleNamespace()))
        ours.settimeout(2.0)
        for name in ("_AdbConnection__conn", "conn"):
            with contextlib.suppress(AttributeError):
                setattr(connection, name, ours)
        connection._finalizer = lambda: None
        return connection

    assert client is not None
    return make, check


def _hierarchy(folder: Path) -> tuple[Make, Check]:
    """The XML of `uiautomator dump`."""
    from qwen2vl_agent.envs.hierarchy import parse_xml, to_xml
    from qwen2vl_agent.schema.observation import Element

    elements = [Element(f"Row {n}", "button", (0, n * 10, 100, n * 10 + 9), clickable=True) for n in range(4)]
    seed = to_xml(elements, package="com.example", size=(100, 200))
    pieces = ("<node", "/>", "</node>", "&amp;", "&#0;", "<!DOCTYPE x [<!ENTITY a 'b'>]>", "&a;", 'bounds="[0,0][9,9]"',
              "<node>" * 3000, "]]>", "<?xml", "[99999999999999999999,0][0,0]", "9" * 5000)  # fmt: skip

    def check(text: str) -> None:
        assert isinstance(parse_xml(text), list)

    return lambda rng: some_text(rng, seed, pieces), check


def _screen(folder: Path) -> tuple[Make, Check]:
    """Screens as `screencap` writes them, as PNG and raw."""
    from qwen2vl_agent.envs.android_capture import decode_png, decode_raw

    raw = struct.pack("<4I", 20, 30, 1, 0) + Image.new("RGBA", (20, 30)).tobytes()
    png = pictures()["PNG"]
    file = io.BytesIO()
    Image.new("RGB", (20, 30)).save(file, "PNG")
    large = bombs()

    def make(rng: random.Random) -> tuple[bool, bytes]:
        if rng.random() < 0.5:
            return True, some_bytes(rng, raw)
        seed = rng.choice(large) if rng.random() < 0.02 else rng.choice((png, file.getvalue()))
        return False, some_bytes(rng, seed)

    def check(case: tuple[bool, bytes]) -> None:
        image = decode_raw(case[1]) if case[0] else decode_png(case[1])
        assert image is None or image.mode == "RGB"

    return make, check


def _virtual_server(folder: Path) -> tuple[Make, Check]:
    """Packets of a host that keeps to nothing, to the virtual phone's adbd."""
    import logging

    from qwen2vl_agent.envs.virtual_phone.adbd import Adbd, Connection
    from qwen2vl_agent.envs.virtual_phone.commands import COMMANDS
    from qwen2vl_agent.envs.virtual_phone.packets import CLSE, CNXN, OKAY, OPEN, VERSION_WITHOUT_CHECKSUM, WRTE, Packet
    from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
    from qwen2vl_agent.envs.virtual_phone.state import random_state
    from qwen2vl_agent.envs.virtual_phone.system import System
    from qwen2vl_agent.envs.virtual_phone.words import Words

    failures: list[str] = []
    log = logging.getLogger("qwen2vl_agent.envs.virtual_phone.adbd")
    log.setLevel(logging.ERROR)
    log.propagate = False
    handler = logging.Handler()
    handler.emit = lambda record: failures.append(logging.Formatter().format(record))  # type: ignore[method-assign]
    log.addHandler(handler)
    adbd = Adbd(System.of(VirtualPhone(random_state(1, Words.test()), (360, 800)), None), COMMANDS)
    greeting = Packet(CNXN, VERSION_WITHOUT_CHECKSUM, 2**20, b"host::features=shell_v2\0").encode(checksum=True)
    services = (b"shell:echo a\0", b"shell,v2,raw:cat\0", b"exec:getprop\0", b"sync:\0", b"shell:input tap 1 2\0")
    sync = struct.pack("<4sI", b"STAT", 7) + b"/sdcard" + struct.pack("<4sI", b"QUIT", 0)

    def packets(rng: random.Random) -> list[bytes]:
        made = [Packet(OPEN, number + 1, 0, rng.choice(services)).encode(checksum=True) for number in range(2)]
        for _ in range(rng.randrange(6)):
            command = rng.choice((OKAY, WRTE, CLSE, OPEN))
            data = rng.choice((b"", b"\3\1\0\0\0x", sync, some_bytes(rng, sync), some_bytes(rng, services[0])))
            made.append(Packet(command, rng.randrange(4), rng.randrange(4), data).encode(checksum=True))
        return made

    def make(rng: random.Random) -> bytes:
        sent = packets(rng)
        rng.shuffle(sent)
        whole = greeting + b"".join(sent)
        return some_bytes(rng, whole, most=2) if rng.random() < 0.5 else whole

    async def talk(data: bytes) -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        writer = _Writer()
        await asyncio.wait_for(Connection(adbd, reader, writer).serve(), 10)  # type: ignore[arg-type]

    def check(data: bytes) -> None:
        failures.clear()
        asyncio.run(talk(data))
        assert not failures, failures[0][-600:]

    return make, check


class _Writer:
    """A connection's other half, which goes nowhere."""

    transport = SimpleNamespace(abort=lambda: None)

    def write(self, data: bytes) -> None:
        pass

    async def drain(self) -> None:
        await asyncio.sleep(0)

    def close(self) -> None:
        pass

    async def wait_closed(self) -> None:
        pass


TARGETS = (
    Target("adb.link", (DeviceLost,), _link),
    Target("adb.hierarchy", (DeviceLost,), _hierarchy),
    Target("adb.screen", (DeviceLost,), _screen),
    Target("adb.virtual_phone", (), _virtual_server),
)
