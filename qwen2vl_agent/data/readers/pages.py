"""Pages read as they stand: plain text, image-text pairs, and text with pictures in between."""

import json
from typing import Any

from qwen2vl_agent.data.example import Example, page
from qwen2vl_agent.data.readers import dialogues
from qwen2vl_agent.data.readers.media import MediaRoot
from qwen2vl_agent.data.readers.turns import as_list
from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.messages import Part, TextPart

IMAGES = ("jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "ppm", "img")
VIDEOS = ("mp4", "mkv", "webm", "mov", "avi", "m4v")
CAPTIONS = ("txt", "text", "caption")


def text(record: dict[str, Any], root: MediaRoot, source: str) -> Example:
    """`{"text": …}` or `{"content": …}`, as most sets of web pages and code have it."""
    written = record.get("text", record.get("content"))
    if not isinstance(written, str) or not written.strip():
        raise RecordError("no text under 'text' or 'content'")
    return page((TextPart(written),), source)


def interleaved(record: dict[str, Any], root: MediaRoot, source: str) -> Example:
    """Text and pictures in between, as OBELICS or MMC4 have it.

    OBELICS: `{"texts": [text | null], "images": [null | picture]}`, one of the two at each place. MMC4:
    `{"text_list": […], "image_info": [{"image_name": …, "matched_text_index": …}]}`, each picture before its sentence.

    Source: the cards of HuggingFaceM4/OBELICS and allenai/mmc4.
    """
    if "text_list" in record:
        parts = _mmc4(record, root)
    elif "texts" in record:
        parts = _obelics(record, root)
    else:
        raise RecordError("neither 'texts' and 'images' (OBELICS) nor 'text_list' and 'image_info' (MMC4)")
    if not any(isinstance(part, TextPart) for part in parts):
        raise RecordError("a page without text: there is nothing to learn")
    return page(tuple(parts), source)


def _obelics(record: dict[str, Any], root: MediaRoot) -> list[Part]:
    texts, images = as_list(record["texts"]), as_list(record.get("images"))
    if len(texts) != len(images):
        raise RecordError(f"{len(texts)} texts, but {len(images)} images; expected one place for each pair")
    parts: list[Part] = []
    for written, image in zip(texts, images, strict=True):
        if image is not None:
            parts.append(root.image(image))
        if written:
            joined = "\n\n" if parts and isinstance(parts[-1], TextPart) else ""
            parts.append(TextPart(joined + written))
    return parts


def _mmc4(record: dict[str, Any], root: MediaRoot) -> list[Part]:
    shown: dict[int, list[Any]] = {}
    for info in as_list(record.get("image_info")):
        shown.setdefault(int(info["matched_text_index"]), []).append(info.get("image_name") or info.get("raw_url"))
    parts: list[Part] = []
    for place, sentence in enumerate(as_list(record["text_list"])):
        parts += [root.image(name) for name in shown.get(place, [])]
        parts.append(TextPart(sentence if not parts or not isinstance(parts[-1], TextPart) else f" {sentence}"))
    return parts


def pair(record: dict[str, Any], root: MediaRoot, source: str) -> Example:
    """A picture or video and what is said of it: `{"image": …, "text" | "caption": …}`, the picture first."""
    picture = record.get("image", record.get("jpg"))
    film = record.get("video")
    said = next((record[name] for name in ("text", "caption", "txt") if record.get(name)), None)
    if isinstance(said, bytes):
        said = said.decode()
    if not isinstance(said, str) or (picture is None and film is None):
        raise RecordError("no picture under 'image' or 'video', or no words under 'text' or 'caption'")
    return page((root.image(picture) if picture is not None else root.video(film), TextPart(said.strip())), source)


def webdataset(record: dict[str, Any], root: MediaRoot, source: str) -> Example:
    """A sample of a WebDataset shard: files by ending. A dialogue in `json`, or a picture with `txt` or `json`.

    The sample's own pictures stand for those that the dialogue names. Source: the WebDataset documentation.
    """
    images = [record[ending] for ending in sorted(record) if ending.rpartition(".")[2] in IMAGES]
    videos = [record[ending] for ending in sorted(record) if ending.rpartition(".")[2] in VIDEOS]
    more = _json(record.get("json"))
    if "conversations" in more or "messages" in more:
        kept = {name: value for name, value in more.items() if name not in ("image", "images", "video", "videos")}
        read = dialogues.sharegpt if "conversations" in more else dialogues.messages
        return read(kept | {"images": images, "videos": videos}, root, source)
    said = next((record[ending].decode().strip() for ending in CAPTIONS if ending in record), None)
    said = said or more.get("caption") or more.get("text")
    if not said:
        raise RecordError(f"no words: expected a file ending in {', '.join(CAPTIONS)} or a caption in json")
    return page((*map(root.image, images), *map(root.video, videos), TextPart(said)), source)


def _json(data: bytes | None) -> dict[str, Any]:
    if data is None:
        return {}
    try:
        value = json.loads(data)
    except ValueError as error:
        raise RecordError(f"its json cannot be read: {error}") from error
    return value if isinstance(value, dict) else {}
