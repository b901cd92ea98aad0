"""The packets of the adb transport protocol, to and from bytes.

Source: packages/modules/adb/protocol.txt and adb.h of the Android Open Source Project.
"""

import asyncio
import struct
from dataclasses import dataclass

HEADER = struct.Struct("<6I")
"""command, arg0, arg1, length of the data, checksum of the data, command with every bit inverted."""

VERSION_WITH_CHECKSUM = 0x01000000
VERSION_WITHOUT_CHECKSUM = 0x01000001
"""Once both sides speak this version, checksums are zero and nobody looks at them."""
MAX_PAYLOAD = 1024 * 1024
"""Longest data of one packet. Source: adb.h, MAX_PAYLOAD."""
OLD_MAX_PAYLOAD = 4096
"""What may be sent before the other side has said what it takes. Source: adb.h, MAX_PAYLOAD_V1."""


def _command(name: bytes) -> int:
    return int.from_bytes(name, "little")


CNXN, OPEN, OKAY = _command(b"CNXN"), _command(b"OPEN"), _command(b"OKAY")
WRTE, CLSE, AUTH, STLS = _command(b"WRTE"), _command(b"CLSE"), _command(b"AUTH"), _command(b"STLS")
SYNC = _command(b"SYNC")
KNOWN = frozenset({CNXN, OPEN, OKAY, WRTE, CLSE, AUTH, STLS, SYNC})


class ProtocolError(Exception):
    """The other side broke the transport protocol; the connection cannot go on."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One message of the transport."""

    command: int
    arg0: int
    arg1: int
    data: bytes = b""

    def encode(self, *, checksum: bool) -> bytes:
        """The bytes on the wire."""
        total = sum(self.data) & 0xFFFFFFFF if checksum else 0
        header = HEADER.pack(self.command, self.arg0, self.arg1, len(self.data), total, self.command ^ 0xFFFFFFFF)
        return header + self.data


async def read_packet(reader: asyncio.StreamReader, *, checksum: bool, limit_s: float | None = None) -> Packet:
    """The next packet, whenever it begins; from its first byte on it has to come within `limit_s`.

    Raises:
        ProtocolError: unknown command, wrong magic, too much data, too slow, or a checksum that does not fit.
        asyncio.IncompleteReadError: the other side went away.
    """
    first = await reader.readexactly(1)
    try:
        async with asyncio.timeout(limit_s):
            return await _rest_of_packet(reader, first, checksum)
    except TimeoutError:
        raise ProtocolError(f"a packet took longer than {limit_s} s") from None


async def _rest_of_packet(reader: asyncio.StreamReader, first: bytes, checksum: bool) -> Packet:
    header = first + await reader.readexactly(HEADER.size - 1)
    command, arg0, arg1, length, total, magic = HEADER.unpack(header)
    if command ^ 0xFFFFFFFF != magic or command not in KNOWN:
        raise ProtocolError(f"packet with command {command:#010x} and magic {magic:#010x}")
    if length > MAX_PAYLOAD:
        raise ProtocolError(f"packet with {length} bytes of data; at most {MAX_PAYLOAD} are taken")
    data = await reader.readexactly(length) if length else b""
    if checksum and total != sum(data) & 0xFFFFFFFF:
        raise ProtocolError(f"packet whose checksum is {total:#010x} instead of {sum(data) & 0xFFFFFFFF:#010x}")
    return Packet(command, arg0, arg1, data)
