"""One stream of a transport: a two-way byte pipe with at most one unanswered packet in each direction."""

import asyncio
from collections.abc import Awaitable, Callable

from qwen2vl_agent.envs.virtual_phone.packets import CLSE, OKAY, WRTE, Packet

Send = Callable[[Packet], Awaitable[None]]


class StreamClosed(Exception):
    """The other side closed the stream, or the whole connection is gone."""


class Stream:
    """The device's end of a stream that the host opened."""

    def __init__(self, send: Send, local_id: int, remote_id: int, max_payload: int) -> None:
        self.local_id = local_id
        self.remote_id = remote_id
        self._send = send
        self._max_payload = max_payload
        self._buffer = bytearray()
        self._ready = asyncio.Event()  # something to read, or the end
        self._answered = asyncio.Event()  # the last packet was taken
        self._closed = False

    async def write(self, data: bytes) -> None:
        """Send `data`, waiting until the other side has taken it.

        Raises:
            StreamClosed: it no longer listens.
        """
        view = memoryview(data)
        for start in range(0, len(view), self._max_payload):
            if self._closed:
                raise StreamClosed
            self._answered.clear()
            piece = bytes(view[start : start + self._max_payload])
            await self._send(Packet(WRTE, self.local_id, self.remote_id, piece))
            await self._answered.wait()

    async def read_exactly(self, count: int) -> bytes:
        """The next `count` bytes.

        Raises:
            StreamClosed: the stream ended before.
        """
        while len(self._buffer) < count:
            await self._wait_for_data()
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    async def read_some(self) -> bytes:
        """Whatever has arrived, waiting for at least one byte; empty at the end of the stream."""
        if not self._buffer:
            try:
                await self._wait_for_data()
            except StreamClosed:
                return b""
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    async def _wait_for_data(self) -> None:
        if self._closed:
            raise StreamClosed
        self._ready.clear()
        await self._ready.wait()

    async def close(self) -> None:
        """Tell the other side that this is the end."""
        if not self._closed:
            self.lost()
            await self._send(Packet(CLSE, self.local_id, self.remote_id))

    async def feed(self, data: bytes) -> None:
        """Data came from the other side; taken at once."""
        self._buffer += data
        self._ready.set()
        await self._send(Packet(OKAY, self.local_id, self.remote_id))

    def answered(self) -> None:
        """The other side took the last packet."""
        self._answered.set()

    def lost(self) -> None:
        """No more data will come or go."""
        self._closed = True
        self._ready.set()
        self._answered.set()
