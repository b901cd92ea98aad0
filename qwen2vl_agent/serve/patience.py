"""How long a server waits for a client, and how many it serves at once: slow and many clients cannot hold it up.

The head of a request, and an answer that its client does not take, are watched here, where the connection is; the body
of a request is watched in `access.py`.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """Limits of a server's connections."""

    max_connections: int = 64
    """Open at once. From here on requests are answered with 503; twice as many are cut off."""
    head_s: float = 10.0
    """From the connection, or from the first byte of its next request, to the end of the request's head."""
    idle_s: int = 5
    """A connection without a request is kept so long."""
    taking_s: float = 30.0
    """An answer's client may leave it untaken so long."""
    max_head_bytes: int = 64 * 1024


def patient_protocol(patience: Patience) -> type[H11Protocol]:
    """The class of a server's connections."""

    class PatientProtocol(H11Protocol):
        """One connection, which is cut off when its client is too slow."""

        _head: asyncio.TimerHandle | None = None
        _taking: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > 2 * patience.max_connections:
                transport.abort()
            else:
                self._watch_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch_head()

        def connection_lost(self, exc: Exception | None) -> None:
            for timer in (self._head, self._taking):
                if timer is not None:
                    timer.cancel()
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            self._taking = self.loop.call_later(patience.taking_s, self.transport.abort)
            super().pause_writing()

        def resume_writing(self) -> None:
            if self._taking is not None:
                self._taking.cancel()
            super().resume_writing()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.conn.their_state is h11.SEND_BODY:  # refused before it was read
                self.loop.call_later(patience.head_s, self._leave_unread)

        def _leave_unread(self) -> None:
            if self.conn.their_state is h11.SEND_BODY:
                self.transport.abort()

        def _watch_head(self) -> None:
            """Time runs while a head is awaited; more bytes of the same head do not stop it."""
            if self.conn.their_state is not h11.IDLE:
                if self._head is not None:
                    self._head.cancel()
                self._head = None
            elif self._head is None:
                self._head = self.loop.call_later(patience.head_s, self.transport.abort)

    return PatientProtocol
