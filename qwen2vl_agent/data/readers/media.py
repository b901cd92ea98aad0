"""From what a record says of its pictures to the pictures."""

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass, field
from typing import Any

from qwen2vl_agent.data.vision_store import StoredVideo, VisionStore
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.messages import ImagePart, VideoPart


@dataclass
class MediaRoot:
    """The place that the names in records count from."""

    store: VisionStore | None = None
    """None: the records hold their pictures themselves."""
    names: dict[str, str] = field(default_factory=dict)
    """Name in the store by SHA-256, of the pictures given out so far that came from there."""

    def image(self, value: Any) -> ImagePart:
        """A picture, from its bytes, a data: address, a name, or an object with `bytes` or `path`.

        One that is named by a web address lies in the store under the SHA-256 of that address.

        Raises:
            RecordError: it is none of these.
            MediaError: it cannot be fetched.
        """
        data, name = _bytes_or_name(value)
        if data is None:
            name, store = self._name(name)
            data = store.get(name)
        digest = hashlib.sha256(data).hexdigest()
        if name:
            self.names[digest] = name
        return ImagePart(data, digest)

    def video(self, value: Any, fps: float = 2.0) -> VideoPart:
        """A video, by its name or from its bytes; it is not opened yet."""
        data, name = _bytes_or_name(value)
        if data is not None:
            return VideoPart(data, fps)
        name, store = self._name(name)
        return VideoPart(StoredVideo(store, name), fps)

    def _name(self, name: str) -> tuple[str, VisionStore]:
        if self.store is None:
            raise RecordError(f"it names {name!r}, but no folder of pictures was given")
        if name.startswith(("http://", "https://")):
            return hashlib.sha256(name.encode()).hexdigest(), self.store
        name = name.removeprefix("file://")
        if os.path.isabs(name) and name.startswith(self.store.url + "/"):
            name = name[len(self.store.url) + 1 :]
        return os.path.normpath(name), self.store


def _bytes_or_name(value: Any) -> tuple[bytes | None, str]:
    if isinstance(value, dict):  # the Image feature of Hugging Face data sets, and an image_url of a message
        for key in ("bytes", "path", "url"):
            if value.get(key):
                return _bytes_or_name(value[key])
    if isinstance(value, bytes | bytearray):
        return bytes(value), ""
    if isinstance(value, str) and value.startswith("data:"):
        try:
            return base64.b64decode(value.partition("base64,")[2], validate=True), ""
        except binascii.Error as error:
            raise RecordError(f"a data: address is no base64: {error}") from error
    if isinstance(value, str) and value:
        return None, value
    raise RecordError(f"a picture is {type(value).__name__}; expected a name, bytes, or an object with one of them")
