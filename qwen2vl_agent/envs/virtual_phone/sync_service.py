"""The `sync:` service: what push, pull, ls and stat of adb clients speak.

Source: packages/modules/adb/SYNC.TXT and file_sync_protocol.h of the Android Open Source Project.
"""

import posixpath
import struct

from qwen2vl_agent.envs.virtual_phone.files import MODIFIED, FileProblem, FileTree
from qwen2vl_agent.envs.virtual_phone.streams import Stream

REQUEST = struct.Struct("<4sI")
STAT_V1 = struct.Struct("<4sIII")  # id, mode, size, time
STAT_V2 = struct.Struct("<4sIQQIIIIQqqq")  # id, error, dev, ino, mode, nlink, uid, gid, size, atime, mtime, ctime
DENT_V1 = struct.Struct("<4sIIII")  # id, mode, size, time, length of the name
DENT_V2 = struct.Struct("<4sIQQIIIIQqqqI")  # as STAT_V2, and the length of the name
MAX_CHUNK = 64 * 1024
"""Longest DATA block. Source: file_sync_protocol.h, SYNC_DATA_MAX."""
MAX_PATH = 1024
NO_ENTRY = 2
"""errno ENOENT, as the newer answers carry it."""
SHELL_UID = 2000


async def serve_sync(stream: Stream, files: FileTree) -> None:
    """Answer requests until the other side quits or asks for what is not known."""
    while True:
        name, length = REQUEST.unpack(await stream.read_exactly(REQUEST.size))
        if name == b"QUIT":
            return
        if length > MAX_PATH:
            await _fail(stream, "path too long")
            return
        path = (await stream.read_exactly(length)).decode("utf-8", "replace")
        if name == b"STAT":
            await stream.write(_stat_v1(files, path))
        elif name in (b"STA2", b"LST2"):
            await stream.write(_stat_v2(name, files, path))
        elif name in (b"LIST", b"LIS2"):
            await stream.write(_listing(name, files, path))
        elif name == b"RECV":
            await _receive(stream, files, path)
        elif name == b"SEND":
            await _send(stream, files, path)
        else:
            await _fail(stream, f"unknown command {name.decode('latin-1')!r}")
            return


def _stat_v1(files: FileTree, path: str) -> bytes:
    mode = files.mode(path)
    return STAT_V1.pack(b"STAT", mode, files.size(path) if mode else 0, MODIFIED if mode else 0)


def _stat_v2(name: bytes, files: FileTree, path: str) -> bytes:
    mode = files.mode(path)
    if not mode:
        return STAT_V2.pack(name, NO_ENTRY, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    times = (MODIFIED, MODIFIED, MODIFIED)
    return STAT_V2.pack(name, 0, 0, 0, mode, 1, SHELL_UID, SHELL_UID, files.size(path), *times)


def _listing(name: bytes, files: FileTree, path: str) -> bytes:
    entries = bytearray()
    for entry in files.names(path):
        full, raw = posixpath.join(path, entry), entry.encode()
        mode, size = files.mode(full), files.size(full)
        if name == b"LIST":
            entries += DENT_V1.pack(b"DENT", mode, size, MODIFIED, len(raw)) + raw
        else:
            numbers = (0, 0, 0, mode, 1, SHELL_UID, SHELL_UID, size, MODIFIED, MODIFIED, MODIFIED)
            entries += DENT_V2.pack(b"DNT2", *numbers, len(raw)) + raw
    end = DENT_V1.pack(b"DONE", 0, 0, 0, 0) if name == b"LIST" else DENT_V2.pack(b"DONE", *([0] * 12))
    return bytes(entries) + end


async def _receive(stream: Stream, files: FileTree, path: str) -> None:
    try:
        data = files.read(path)
    except FileProblem as problem:
        await _fail(stream, f"open failed: {problem}")
        return
    for start in range(0, len(data), MAX_CHUNK):
        piece = data[start : start + MAX_CHUNK]
        await stream.write(REQUEST.pack(b"DATA", len(piece)) + piece)
    await stream.write(REQUEST.pack(b"DONE", 0))


async def _send(stream: Stream, files: FileTree, path_and_mode: str) -> None:
    """Take a file. Its data is read to the end even where it cannot be kept, so that the stream stays in step."""
    path = path_and_mode.rpartition(",")[0] or path_and_mode
    data = bytearray()
    while True:
        name, length = REQUEST.unpack(await stream.read_exactly(REQUEST.size))
        if name == b"DONE":
            break
        if name != b"DATA" or length > MAX_CHUNK:
            await _fail(stream, "unexpected block")
            return
        data += await stream.read_exactly(length)
    try:
        files.make_directory(posixpath.dirname(files.normal(path)), parents=True)
        files.write(path, bytes(data))
    except FileProblem as problem:
        await _fail(stream, f"couldn't create file: {problem}")
        return
    await stream.write(REQUEST.pack(b"OKAY", 0))


async def _fail(stream: Stream, message: str) -> None:
    raw = message.encode()
    await stream.write(REQUEST.pack(b"FAIL", len(raw)) + raw)
