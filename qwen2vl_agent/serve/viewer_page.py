"""The viewer's page: one hand-written file with its style and script, with or without the episodes in it.

What records say is data to the page: it enters as JSON in which no tag can begin, the script writes it as text and
never as HTML, and a content policy lets nothing run but that one script.
"""

import base64
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from PIL import Image

from qwen2vl_agent.schema.errors import ConfigError, RecordError
from qwen2vl_agent.serve.episode_view import episode_view
from qwen2vl_agent.trajectory.store import frames_folder

EXACT_BYTES = 200_000
"""A frame's file up to this size goes into a page as it is; a larger one as JPEG."""
JPEG_WIDTH, JPEG_QUALITY = 1080, 82
LARGEST_PAGE = 400 * 2**20
"""Bytes of frames in a page of its own; more would not open in a phone's browser."""


def asset(name: str) -> str:
    """A file of the package's `serve/assets`."""
    return (resources.files("qwen2vl_agent.serve") / "assets" / name).read_text("utf-8")


def filled(template: str, values: dict[str, str]) -> str:
    """The template with `{{name}}` replaced in one pass, so that no value is looked into for another's name."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], template)


def page(name: str, data: str, sources: str, styles: tuple[str, ...] = ()) -> str:
    """The page `name`.html with its styles and script; `sources` says from where the content policy lets it load."""
    style, script = "".join(asset(f"{file}.css") for file in styles or (name,)), asset(f"{name}.js")
    own = f"style-src {_sha256(style)}; script-src {_sha256(script)}; {sources}"
    policy = f"default-src 'none'; {own}; base-uri 'none'; form-action 'none'"
    return filled(asset(f"{name}.html"), {"policy": policy, "style": style, "script": script, "data": data})


def served_page() -> str:
    """The viewer as the local server gives it: it fetches episodes and frames."""
    return page("viewer", "", "img-src 'self' data:; connect-src 'self'")


def whole_page(named: dict[str, Path]) -> str:
    """The viewer with episodes and their frames in it: it needs nothing else.

    Raises:
        RecordError: an episode or a frame cannot be read.
        ConfigError: the frames are too many for one page.
    """
    views = [episode_view(folder, name) for name, folder in named.items()]
    cards = [{name: value for name, value in view.items() if name != "steps"} for view in views]
    pieces = [_json_script("episodes", cards)]
    pieces += [_json_script(f"episode-{number}", view) for number, view in enumerate(views)]
    pieces += _frame_scripts(list(named.values()), views)
    return page("viewer", "\n".join(pieces), "img-src data:")


def _frame_scripts(folders: list[Path], views: list[dict[str, Any]]) -> Iterator[str]:
    """Every frame once, as the text of an element: a browser decodes it only when it is shown."""
    seen: set[str] = set()
    size = 0
    for folder, view in zip(folders, views, strict=True):
        place = frames_folder(folder)
        shown = (frame for step in view["steps"] for frame in (step["frame"], *step["clip"]))
        for frame in unseen(shown, seen):
            text = data_uri(place / f"{frame}.png")
            size += len(text)
            if size > LARGEST_PAGE:
                raise ConfigError(
                    f"the frames of {len(folders)} episodes make a page of over {LARGEST_PAGE >> 20} MB; give fewer "
                    "episodes, or leave --html out and view them from the local page"
                )
            yield f'<script type="text/plain" id="frame-{frame}">{text}</script>'


def unseen(names: Iterable[str], seen: set[str]) -> Iterator[str]:
    """The names that come for the first time; `seen` takes note of them."""
    for name in names:
        if name not in seen:
            seen.add(name)
            yield name


def data_uri(path: Path) -> str:
    """A frame's file as a data URI: exact where it is small, else as JPEG of at most 1080 pixels' width.

    Raises:
        RecordError: it cannot be read.
    """
    try:
        data, kind = path.read_bytes(), "png"
        if len(data) > EXACT_BYTES:
            data, kind = _jpeg(data), "jpeg"
    except OSError as error:
        raise RecordError(f"frame {path} cannot be read ({error}); the record is incomplete") from error
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _jpeg(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        picture = image.convert("RGB")
    if picture.width > JPEG_WIDTH:
        picture = picture.resize((JPEG_WIDTH, round(picture.height * JPEG_WIDTH / picture.width)))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


def _json_script(name: str, value: Any) -> str:
    """JSON in an element. ASCII without `<`, so that whatever it says neither ends the element nor begins another."""
    text = json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'


def _sha256(text: str) -> str:
    """A content policy's name for an element's text. Source: W3C Content Security Policy Level 3, §2.3.1."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
