"""Remembers the patches of pictures seen before: an episode's screens are resized once and not at every step."""

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from qwen2vl_agent.model.image_processor import Grid
from qwen2vl_agent.schema.messages import ImagePart, VideoPart

Patches = tuple[Tensor, Grid]
PLAIN_MODES = ("L", "RGB", "RGBA")
"""Modes whose pixels alone say what is to be seen (others have a palette or another scale beside them)."""


class PatchCache:
    """The least recently used patches go first once `max_bytes` are held. Safe to share between threads."""

    def __init__(self, max_bytes: int = 256 * 2**20) -> None:
        self._max_bytes = max_bytes
        self._held: OrderedDict[Hashable, Patches] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, part: ImagePart | VideoPart, make: Callable[[Any], Patches]) -> Patches:
        """Patches of a picture: remembered ones, or those that `make` gives of its image or video."""
        key, content = content_key(part), part.image if isinstance(part, ImagePart) else part.video
        if key is None:
            return make(content)
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        made = make(content)
        self._keep(key, made)
        return made

    def __len__(self) -> int:
        return len(self._held)

    def _keep(self, key: Hashable, made: Patches) -> None:
        size = made[0].nbytes
        if size > self._max_bytes:
            return
        with self._lock:
            if key in self._held:
                return
            self._held[key] = made
            self._bytes += size
            while self._bytes > self._max_bytes:
                _, (patches, _) = self._held.popitem(last=False)
                self._bytes -= patches.nbytes

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process starts with an empty cache of the same size."""
        return PatchCache, (self._max_bytes,)


def content_key(part: ImagePart | VideoPart) -> tuple[Any, ...] | None:
    """What identifies a picture by its content; None where that would cost more than it saves."""
    if isinstance(part, VideoPart):
        return ("video", part.sha256) if part.sha256 else None
    image = part.image
    if part.sha256:
        return "sha256", part.sha256
    if isinstance(image, bytes):
        return "bytes", _digest(image)
    if isinstance(image, str | os.PathLike) and Path(image).is_file():
        status = os.stat(image)
        return "file", os.path.abspath(image), status.st_mtime_ns, status.st_size
    if isinstance(image, Image.Image) and image.mode in PLAIN_MODES and "transparency" not in image.info:
        return "picture", image.mode, image.size, _digest(np.ascontiguousarray(image).data)
    return None


def _digest(data: bytes | memoryview) -> bytes:
    return hashlib.blake2b(data).digest()
