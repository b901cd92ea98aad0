"""Files that the data side keeps and reads again: text shards, packs of frames, embeds, and names in a store."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fuzz.mutate import TEXTS, some_bytes, some_text
from fuzz.target import Check, Make, Target
from qwen2vl_agent.schema.errors import CheckpointError, ConfigError, MediaError, RecordError


def _shard(folder: Path) -> tuple[Make, Check]:
    from qwen2vl_agent.data.text_shard import Document, Media, Shard, ShardWriter

    writer, path = ShardWriter(), folder / "shard.bin"
    for length in (5, 0, 9):
        media = (Media("a/b.png", "0" * 64, (1, 4, 4)),) if length else ()
        writer.add(Document(np.arange(length), np.array([[0, length]]), media))
    writer.write(path, {"name": "x"})

    def check(data: bytes) -> None:
        path.unlink()
        path.write_bytes(data)
        shard = Shard(path)
        assert shard.tokens >= 0
        for index in range(min(len(shard), 10)):
            shard.document(index)
            shard.length(index)
        shard.lengths(), shard.patches(), shard.target_count()

    return _with_checksums(path.read_bytes(), _resum_shard), check


def _pack(folder: Path) -> tuple[Make, Check]:
    from qwen2vl_agent.data.frame_pack import Pack, write_pack

    path = folder / "frames.pack"
    noise = np.random.default_rng(0).integers(0, 255, (8, 6, 3), dtype=np.uint8)
    write_pack(path, [noise, noise, noise + np.uint8(1), np.zeros_like(noise)])

    def check(data: bytes) -> None:
        path.unlink()
        path.write_bytes(data)
        pack = Pack(path)
        assert pack.frames().shape == pack.shape

    return _with_checksums(path.read_bytes(), _resum_pack), check


def _with_checksums(seed: bytes, resum: Callable[[bytes], bytes]) -> Make:
    """Damage, half of the time by somebody who writes the right checksum over it."""

    def make(rng: random.Random) -> bytes:
        data = some_bytes(rng, seed, most=3)
        return resum(data) if rng.random() < 0.5 else data

    return make


def _resum_shard(data: bytes) -> bytes:
    import struct
    import zlib

    if len(data) < 16:
        return data
    size = struct.unpack("<I", data[8:12])[0]
    return data[:12] + struct.pack("<I", zlib.crc32(data[16 : 16 + size])) + data[16:]


def _resum_pack(data: bytes) -> bytes:
    import struct
    import zlib

    if len(data) < 24:
        return data
    size = struct.unpack("<I", data[-16:-12])[0]
    return data[:-12] + struct.pack("<I", zlib.crc32(data[-16 - size : -16])) + data[-8:]


def _embeds(folder: Path) -> tuple[Make, Check]:
    import hashlib
    import json

    from qwen2vl_agent.data.image_embeds import ImageEmbeds
    from qwen2vl_agent.schema.messages import ImagePart

    part = ImagePart(b"x", hashlib.sha256(b"x").hexdigest())
    from qwen2vl_agent.data.image_embeds import embed_key

    index, values = folder / "embeds-0000.json", folder / "embeds-0000.npy"
    np.save(values, np.zeros((1, 4, 8), np.int16))
    index.write_text(json.dumps({"grid": [1, 4, 4], "keys": [embed_key(part)]}))
    whole = {path: path.read_bytes() for path in (index, values)}

    def make(rng: random.Random) -> tuple[Path, bytes]:
        path = rng.choice((index, values))
        return path, some_bytes(rng, whole[path], most=2)

    def check(case: tuple[Path, bytes]) -> None:
        for path, data in whole.items():
            path.unlink()
            path.write_bytes(case[1] if path == case[0] else data)
        embeds = ImageEmbeds(folder)
        if len(embeds) == 1:
            embeds.get(part)

    return make, check


def _name(folder: Path) -> tuple[Make, Check]:
    """Names that lead out of the store's folder."""
    from qwen2vl_agent.data.vision_store import FetchSettings, VisionStore

    inside = folder / "store"
    (inside / "ab").mkdir(parents=True)
    (inside / "ab" / "x.png").write_bytes(b"inside")
    (folder / "secret").write_bytes(b"outside")
    store = VisionStore(inside, FetchSettings(attempts=1))
    pieces = ("/", "..", "../", "\\", "//", ".", "~", "%2e%2e", "secret", "store", str(folder), "*", "?", "\0", *TEXTS)

    def check(name: str) -> None:
        assert store.get(name) == b"inside", "what lies outside was read"

    return lambda rng: some_text(rng, rng.choice(("ab/x.png", "../secret", "ab/../../secret")), pieces), check


TARGETS = (
    Target("store.text_shard", (RecordError,), _shard),
    Target("store.frame_pack", (RecordError,), _pack),
    Target("store.embeds", (RecordError, CheckpointError), _embeds),
    Target("store.name", (MediaError, ConfigError), _name),
)
