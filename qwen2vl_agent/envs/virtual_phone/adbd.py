"""The device side of adb's transport protocol over TCP: what a phone's adbd speaks, for a virtual phone.

Source: packages/modules/adb/protocol.txt of the Android Open Source Project.
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Mapping
from typing import Any

from qwen2vl_agent.envs.virtual_phone import services
from qwen2vl_agent.envs.virtual_phone.packets import (
    AUTH,
    CLSE,
    CNXN,
    MAX_PAYLOAD,
    OKAY,
    OLD_MAX_PAYLOAD,
    OPEN,
    VERSION_WITH_CHECKSUM,
    VERSION_WITHOUT_CHECKSUM,
    WRTE,
    Packet,
    ProtocolError,
    read_packet,
)
from qwen2vl_agent.envs.virtual_phone.shell import Handler
from qwen2vl_agent.envs.virtual_phone.streams import Stream, StreamClosed
from qwen2vl_agent.envs.virtual_phone.system import System

FEATURES = ("shell_v2", "cmd", "stat_v2", "ls_v2", "fixed_push_mkdir", "fixed_push_symlink_timestamp")
PUBLIC_MODEL, PRIVATE_MODEL = "Virtual_Phone", "Private_Virtual_Phone"
"""What `adb devices -l` shows as the model; a private phone belongs to the process that started it."""
MAX_STREAMS = 256
"""More open streams than this on one connection are refused."""

MAX_CONNECTIONS = 256
"""More connections than this at once are refused."""
GREETING_S = 10.0
"""Who has not greeted by then is let go."""
PACKET_S = 30.0
"""From the first byte of a packet to its last."""

AUTH_TOKEN, AUTH_SIGNATURE = 1, 2
"""Kinds of AUTH packets. Source: packages/modules/adb/protocol.txt."""
HANGING_S = 24 * 3600.0
"""How long a command that hangs is not answered."""
TOKEN = bytes(range(20))
"""What a computer is to sign. Source: packages/modules/adb/protocol.txt, AUTH."""

log = logging.getLogger(__name__)


class Adbd:
    """Serves one phone on a loopback port, to any number of adb servers at once."""

    def __init__(self, system: System, commands: Mapping[str, Handler], *, private: bool = False) -> None:
        self.system = system
        self.commands = commands
        model = PRIVATE_MODEL if private else PUBLIC_MODEL
        called = system.faults.faults.state or "device"
        self.banner = (
            f"{called}::ro.product.name=virtual_phone;ro.product.model={model};ro.product.device=virtual_phone;"
            f"features={','.join(FEATURES)}"
        ).encode()
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._background: set[asyncio.Task[None]] = set()
        self._port = 0

    async def start(self, port: int = 0) -> int:
        """Listen on loopback, and give the port.

        Raises:
            OSError: the port is taken.
        """
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port)
        self._port = int(self._server.sockets[0].getsockname()[1])
        return self._port

    async def drop_off(self) -> None:
        """Off the cable, and back on the same port where the fault is one that passes."""
        await self.stop()
        away_s = self.system.faults.faults.offline_for_s
        if away_s:
            await asyncio.sleep(away_s)
            await self.start(self._port)

    async def stop(self) -> None:
        """Drop every connection and take no more, as when the cable is pulled."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._connections):
            connection.drop()

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it beside everything else."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def finished(self) -> None:
        """Wait until the last connection is gone."""
        while self._connections:
            await asyncio.sleep(0.01)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        connection = Connection(self, reader, writer)
        self._connections.add(connection)
        try:
            await connection.serve()
        finally:
            self._connections.discard(connection)


class Connection:
    """One adb server's connection to the phone, and the streams in it."""

    def __init__(self, adbd: Adbd, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._adbd = adbd
        self._reader = reader
        self._writer = writer
        self._streams: dict[int, Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._next_id = 1
        self._max_payload = OLD_MAX_PAYLOAD
        self._checksum = True
        self._greeted = False

    async def serve(self) -> None:
        """Answer packets until either side goes away or the other breaks the protocol."""
        greeting = asyncio.get_running_loop().call_later(GREETING_S, self._drop_stranger)
        try:
            while True:
                await self._handle(await read_packet(self._reader, checksum=self._checksum, limit_s=PACKET_S))
        except ProtocolError as error:
            log.warning("closing a connection: %s", error)
        except (asyncio.IncompleteReadError, ConnectionError):
            log.debug("the host went away")
        finally:
            greeting.cancel()
            await self._shut()

    def _drop_stranger(self) -> None:
        """A computer without authorisation is no stranger: it waits for the phone's owner."""
        if not (self._greeted or self._adbd.system.faults.faults.unauthorized):
            log.warning("closing a connection: no greeting in %s s", GREETING_S)
            self.drop()

    def drop(self) -> None:
        """Break the connection off."""
        self._writer.transport.abort()

    async def _shut(self) -> None:
        for stream in self._streams.values():
            stream.lost()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _send(self, packet: Packet) -> None:
        self._writer.write(packet.encode(checksum=self._checksum))
        await self._writer.drain()

    async def _handle(self, packet: Packet) -> None:
        if packet.command == CNXN:
            await self._greet(packet)
            return
        if packet.command == AUTH and not self._greeted:
            await self._refuse(packet)
            return
        if not self._greeted:
            raise ProtocolError(f"packet with command {packet.command:#010x} before the greeting")
        if packet.command == OPEN:
            await self._open(packet)
            return
        stream = self._streams.get(packet.arg1)
        if stream is None or packet.command not in (OKAY, WRTE, CLSE):
            if packet.command == WRTE:
                await self._send(Packet(CLSE, 0, packet.arg0))
        elif packet.command == OKAY:
            stream.answered()
        elif packet.command == WRTE:
            await stream.feed(packet.data)
        else:
            await stream.close()  # a phone confirms it; some clients wait for that

    async def _greet(self, packet: Packet) -> None:
        if packet.arg0 < VERSION_WITH_CHECKSUM or packet.arg1 == 0:
            raise ProtocolError(f"greeting of version {packet.arg0:#010x} taking {packet.arg1} bytes")
        self._checksum = True  # a greeting always carries one
        if self._adbd.system.faults.faults.unauthorized:
            await self._send(Packet(AUTH, AUTH_TOKEN, 0, TOKEN))
            return
        self._max_payload = min(packet.arg1, MAX_PAYLOAD)
        await self._send(Packet(CNXN, VERSION_WITHOUT_CHECKSUM, MAX_PAYLOAD, self._adbd.banner))
        self._checksum = packet.arg0 < VERSION_WITHOUT_CHECKSUM
        self._greeted = True

    async def _refuse(self, packet: Packet) -> None:
        """Accept no signature; of a key that is offered, the owner would be asked, who never answers."""
        if packet.arg0 == AUTH_SIGNATURE:
            await self._send(Packet(AUTH, AUTH_TOKEN, 0, TOKEN))

    async def _open(self, packet: Packet) -> None:
        name = packet.data.rstrip(b"\0").decode("utf-8", "surrogateescape")
        if packet.arg0 == 0:
            raise ProtocolError("a stream was opened with the number 0")
        if not services.is_service(name) or len(self._streams) >= MAX_STREAMS:
            log.info("refused the service %r", name)
            await self._send(Packet(CLSE, 0, packet.arg0))
            return
        if self._adbd.system.faults.command_breaks():
            self._adbd.background(self._adbd.drop_off())
            return
        stream = Stream(self._send, self._next_id, packet.arg0, self._max_payload)
        self._next_id += 1
        self._streams[stream.local_id] = stream
        await self._send(Packet(OKAY, stream.local_id, stream.remote_id))
        task = asyncio.create_task(self._serve_stream(name, stream))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve_stream(self, name: str, stream: Stream) -> None:
        faults = self._adbd.system.faults
        try:
            if faults.faults.slow_shell_s:
                await asyncio.sleep(faults.faults.slow_shell_s)
            if faults.command_hangs():
                await asyncio.sleep(HANGING_S)
            await services.serve(name, stream, self._adbd.system, self._adbd.commands)
        except (StreamClosed, ConnectionError):
            log.debug("the host closed %r", name)
        except ProtocolError as error:
            log.warning("closing %r: %s", name, error)
        except Exception:
            log.exception("the service %r failed", name)
        finally:
            with contextlib.suppress(ConnectionError):
                await stream.close()
            self._streams.pop(stream.local_id, None)
