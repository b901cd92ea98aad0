"""Pictures and videos that come inside a request.

Nothing is ever fetched: a server that fetches can be made to fetch what its caller may not see.
"""

import base64
import binascii
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from qwen2vl_agent.model.image_source import load_rgb, picture_size
from qwen2vl_agent.schema.errors import MediaError
from qwen2vl_agent.serve.request_error import RequestError

DATA_URL = re.compile(r"data:(?P<kind>image|video)/[\w.+\-]{1,40}(;[\w=.+\-]{1,80})*;base64,", re.IGNORECASE)
MOST_PIXELS = 50_000_000
"""Of one picture: a small file can hold a huge one, which takes three bytes a pixel when it is opened."""


def data_bytes(url: Any, kind: str, where: str) -> bytes:
    """The content of a data URL of an image or a video.

    Raises:
        RequestError: it is no such URL.
    """
    found = DATA_URL.match(url) if isinstance(url, str) else None
    if found is None or found["kind"].lower() != kind:
        raise RequestError(
            f"{where} holds no {kind} as a data URL (data:{kind}/…;base64,…); this server fetches nothing", where
        )
    try:
        return base64.b64decode(url[found.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(f"{where}: the {kind} is not valid base64 ({error})", where) from error


def picture(url: Any, where: str) -> Image.Image:
    """The picture of a data URL, in RGB.

    Raises:
        RequestError: there is none, it is damaged, or far too large.
    """
    data = data_bytes(url, "image", where)
    try:
        width, height = picture_size(data)
        if (pixels := width * height) > MOST_PIXELS:
            raise RequestError(f"{where}: a picture of {pixels} pixels; expected at most {MOST_PIXELS}", where)
        return load_rgb(data)
    except MediaError as error:
        raise RequestError(f"{where}: the image cannot be read ({error})", where) from error


class MediaFolder:
    """Files of one request's videos, which a decoder wants to seek in."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def video(self, url: Any, where: str) -> Path:
        """A file with the video of a data URL.

        Raises:
            RequestError: there is none.
        """
        data = data_bytes(url, "video", where)
        self._count += 1
        path = self._folder / f"{self._count}.video"
        path.write_bytes(data)
        return path


@contextmanager
def media_folder() -> Iterator[MediaFolder]:
    """A folder that goes when the request has been read."""
    with tempfile.TemporaryDirectory(prefix="qwen2vl-agent-") as folder:
        yield MediaFolder(Path(folder))
