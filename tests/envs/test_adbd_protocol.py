"""The transport protocol packet by packet, with clients that keep to it and clients that do not."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen2vl_agent.envs.virtual_phone.adbd import Adbd
from qwen2vl_agent.envs.virtual_phone.commands import COMMANDS
from qwen2vl_agent.envs.virtual_phone.packets import (
    CLSE,
    CNXN,
    HEADER,
    MAX_PAYLOAD,
    OKAY,
    OPEN,
    VERSION_WITH_CHECKSUM,
    VERSION_WITHOUT_CHECKSUM,
    WRTE,
    Packet,
    ProtocolError,
    read_packet,
)
from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
from qwen2vl_agent.envs.virtual_phone.state import random_state
from qwen2vl_agent.envs.virtual_phone.system import System
from qwen2vl_agent.envs.virtual_phone.words import Words

LIMIT_S = 5.0


class Host:
    """The host's side, by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, checksum: bool = False) -> None:
        self.reader, self.writer, self.checksum = reader, writer, checksum

    async def send(self, packet: Packet) -> None:
        self.writer.write(packet.encode(checksum=True))
        await self.writer.drain()

    async def receive(self) -> Packet:
        return await asyncio.wait_for(read_packet(self.reader, checksum=self.checksum), LIMIT_S)

    async def greet(self, version: int = VERSION_WITHOUT_CHECKSUM, payload: int = MAX_PAYLOAD) -> Packet:
        await self.send(Packet(CNXN, version, payload, b"host::features=shell_v2\0"))
        return await self.receive()

    async def ask(self, service: bytes, stream: int = 7) -> bytes:
        """Open a service and read it to its end."""
        await self.send(Packet(OPEN, stream, 0, service + b"\0"))
        answer = bytearray()
        while (packet := await self.receive()).command != CLSE:
            if packet.command == WRTE:
                answer += packet.data
                await self.send(Packet(OKAY, stream, packet.arg0))
        return bytes(answer)

    async def is_closed(self) -> bool:
        return await asyncio.wait_for(self.reader.read(), LIMIT_S) == b""


Connect = Callable[[], Awaitable[Host]]


@asynccontextmanager
async def serving() -> AsyncIterator[Connect]:
    adbd = Adbd(System.of(VirtualPhone(random_state(1, Words.test()), (180, 400))), COMMANDS)
    port = await adbd.start()
    hosts: list[Host] = []

    async def connect() -> Host:
        hosts.append(Host(*await asyncio.open_connection("127.0.0.1", port)))
        return hosts[-1]

    try:
        yield connect
    finally:
        await adbd.stop()
        await asyncio.wait_for(adbd.finished(), LIMIT_S)
        for host in hosts:
            host.writer.close()


def test_the_greeting_tells_product_and_features() -> None:
    async def talk() -> Packet:
        async with serving() as connect:
            return await (await connect()).greet()

    packet = asyncio.run(talk())
    assert (packet.command, packet.arg0, packet.arg1) == (CNXN, VERSION_WITHOUT_CHECKSUM, MAX_PAYLOAD)
    assert packet.data.startswith(b"device::ro.product.name=virtual_phone;")
    assert b"shell_v2" in packet.data


def test_an_old_host_gets_checksums_and_small_packets() -> None:
    async def talk() -> bytes:
        async with serving() as connect:
            host = await connect()
            await host.greet(VERSION_WITH_CHECKSUM, 4096)
            host.checksum = True
            return await host.ask(b"exec:screencap")

    assert len(asyncio.run(talk())) == 16 + 180 * 400 * 4


def test_streams_of_one_connection_do_not_wait_for_each_other() -> None:
    async def talk() -> bytes:
        async with serving() as connect:
            host = await connect()
            await host.greet()
            await host.send(Packet(OPEN, 1, 0, b"exec:sleep 30\0"))
            assert (await host.receive()).command == OKAY
            return await host.ask(b"exec:echo quick", stream=2)

    assert asyncio.run(talk()) == b"quick\n"


def test_many_connections_are_served_at_once() -> None:
    async def talk() -> list[bytes]:
        async with serving() as connect:
            hosts = [await connect() for _ in range(40)]
            await asyncio.gather(*(host.greet() for host in hosts))
            return await asyncio.gather(*(host.ask(b"exec:echo %d" % i) for i, host in enumerate(hosts)))

    assert asyncio.run(talk()) == [b"%d\n" % i for i in range(40)]


def test_an_unknown_service_is_refused_and_the_connection_goes_on() -> None:
    async def talk() -> bytes:
        async with serving() as connect:
            host = await connect()
            await host.greet()
            for service in (b"reboot:", b"tcp:80", b"nonsense", b"jdwp:1", b"\xff\xfe:"):
                await host.send(Packet(OPEN, 3, 0, service))
                assert (await host.receive()).command == CLSE
            return await host.ask(b"shell:echo still here")

    assert asyncio.run(talk()) == b"still here\n"


BAD_MAGIC = HEADER.pack(CNXN, 1, 1, 0, 0, 12345)
TOO_LONG = HEADER.pack(CNXN, VERSION_WITHOUT_CHECKSUM, 4096, MAX_PAYLOAD + 1, 0, CNXN ^ 0xFFFFFFFF)
BAD_CHECKSUM = HEADER.pack(CNXN, VERSION_WITHOUT_CHECKSUM, 4096, 3, 1, CNXN ^ 0xFFFFFFFF) + b"abc"
TOO_EARLY = Packet(OPEN, 1, 0, b"shell:echo\0").encode(checksum=True)
NO_STREAM = Packet(CNXN, VERSION_WITHOUT_CHECKSUM, 0).encode(checksum=True)


@pytest.mark.parametrize(
    "sent", [BAD_MAGIC, TOO_LONG, BAD_CHECKSUM, TOO_EARLY, NO_STREAM, b"GET / HTTP/1.1\r\n\r\n" * 3]
)
def test_a_client_that_breaks_the_protocol_is_put_out_and_others_are_served(sent: bytes) -> None:
    async def talk() -> bytes:
        async with serving() as connect:
            bad, good = await connect(), await connect()
            bad.writer.write(sent)
            assert await bad.is_closed()
            await good.greet()
            return await good.ask(b"exec:echo ok")

    assert asyncio.run(talk()) == b"ok\n"


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=4), st.integers(0, 3))
@settings(max_examples=15, deadline=None)
def test_no_bytes_after_the_greeting_break_the_phone(pieces: list[bytes], cut: int) -> None:
    async def talk() -> bytes:
        async with serving() as connect:
            bad, good = await connect(), await connect()
            await bad.greet()
            for number, piece in enumerate(pieces):
                command = (OPEN, WRTE, OKAY, CLSE)[(number + cut) % 4]
                bad.writer.write(Packet(command, number, number + cut, piece).encode(checksum=True))
            bad.writer.write(struct.pack("<I", cut) * cut)
            bad.writer.close()
            await good.greet()
            return await good.ask(b"exec:echo ok")

    assert asyncio.run(talk()) == b"ok\n"


def test_a_client_that_goes_in_the_middle_of_a_push_leaves_no_file() -> None:
    async def talk() -> bytes:
        async with serving() as connect:
            host = await connect()
            await host.greet()
            await host.send(Packet(OPEN, 5, 0, b"sync:\0"))
            opened = await host.receive()
            push = b"SEND" + struct.pack("<I", 15) + b"/sdcard/x,33188" + b"DATA" + struct.pack("<I", 100) + b"half"
            await host.send(Packet(WRTE, 5, opened.arg0, push))
            host.writer.transport.abort()
            other = await connect()
            await other.greet()
            return await other.ask(b"exec:ls /sdcard/x 2>&1")

    assert asyncio.run(talk()) == b"ls: /sdcard/x: No such file or directory\n"


@pytest.mark.parametrize("request_bytes", [b"WHAT\1\0\0\0x", b"STAT\xff\xff\0\0", b"SEND\1\0\0\0xBAD!\1\0\0\0"])
def test_a_bad_sync_request_fails_in_words(request_bytes: bytes) -> None:
    async def talk() -> bytes:
        async with serving() as connect:
            host = await connect()
            await host.greet()
            await host.send(Packet(OPEN, 5, 0, b"sync:\0"))
            opened = await host.receive()
            await host.send(Packet(WRTE, 5, opened.arg0, request_bytes))
            while (packet := await host.receive()).command != WRTE:
                continue
            return packet.data

    assert asyncio.run(talk()).startswith(b"FAIL")


@settings(deadline=None)
@given(st.sampled_from([CNXN, OPEN, OKAY, WRTE, CLSE]), st.integers(0, 2**32 - 1), st.binary(max_size=200))
def test_a_packet_comes_back_from_its_bytes(command: int, number: int, data: bytes) -> None:
    packet = Packet(command, number, number ^ 1, data)

    async def read() -> Packet:
        reader = asyncio.StreamReader()
        reader.feed_data(packet.encode(checksum=True))
        return await read_packet(reader, checksum=True)

    assert asyncio.run(read()) == packet


def test_a_wrong_checksum_is_told() -> None:
    async def read() -> Packet:
        reader = asyncio.StreamReader()
        reader.feed_data(BAD_CHECKSUM)
        return await read_packet(reader, checksum=True)

    with pytest.raises(ProtocolError, match="checksum"):
        asyncio.run(read())
